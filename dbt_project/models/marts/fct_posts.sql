{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key=['platform', 'post_id']) }}

{%- set metrics = [
    'views', 'impressions', 'reach', 'likes', 'dislikes', 'comments', 'shares', 'saves', 'quotes', 'clicks', 'score',
    'upvote_ratio', 'viewers', 'watch_seconds',
] -%}
{#- Fixed ages, with how far from them an observation may be. -#}
{%- set ages = [
    {'name': '24h', 'hours': 24, 'within_hours': 2},
    {'name': '7d', 'hours': 168, 'within_hours': 12},
    {'name': '30d', 'hours': 720, 'within_hours': 48},
] -%}

-- Loops of the template stand where the linter sees no indent.
-- noqa: disable=layout.indent

with

posts as (
    select * from {{ ref('int_posts_merged') }}
),

touched as (
    select distinct
        platform,
        post_id
    from posts
    where load_number > {{ last_load(this) }}
),

observations as (
    select
        posts.*,
        row_number() over (
            partition by posts.platform, posts.post_id
            order by posts.observed_at, posts.run_id
        ) as precedence
    from posts
    inner join touched
        on posts.platform = touched.platform and posts.post_id = touched.post_id
),

attributes as (
    select
        platform,
        post_id,
        {% for column in [
            'account_id', 'url', 'title', 'text', 'format', 'relation', 'language', 'duration_seconds', 'hashtags',
            'mentions', 'links', 'is_paid_partnership', 'published_at',
        ] -%}
        {{ merged(column) }},
        {% endfor -%}
        min(observed_at) filter (where state <> 'gone') as first_seen_at,
        max(observed_at) filter (where state <> 'gone') as last_seen_at,
        max_by(state, precedence) filter (where state <> 'gone') as state_when_seen,
        max_by(state_reason, precedence) as state_reason,
        max(observed_at) as last_observed_at,
        count(*) as observations,
        max(load_number) as load_number
    from observations
    group by platform, post_id
),

-- Platforms leave rows out by accident: one tombstone proves nothing, two at least an hour apart do.
tombstones as (
    select
        observations.platform,
        observations.post_id,
        min(observations.observed_at) as gone_since_at,
        max(observations.observed_at) as gone_until_at
    from observations
    inner join attributes
        on observations.platform = attributes.platform and observations.post_id = attributes.post_id
    where
        observations.state = 'gone'
        and (attributes.last_seen_at is null or observations.observed_at > attributes.last_seen_at)
    group by observations.platform, observations.post_id
),

confirmed_gone as (
    select
        platform,
        post_id,
        gone_since_at
    from tombstones
    where {{ seconds_between('gone_since_at', 'gone_until_at') }} >= 3600
),

latest as (
    select *
    from observations
    where state = 'visible'
    qualify row_number() over (partition by platform, post_id order by precedence desc) = 1
),

aged as (
    select
        observations.platform,
        observations.post_id,
        observations.precedence,
        observations.views,
        observations.likes,
        observations.comments,
        observations.shares,
        observations.saves,
        {{ seconds_between('attributes.published_at', 'observations.observed_at') }} as age_seconds
    from observations
    inner join attributes
        on observations.platform = attributes.platform and observations.post_id = attributes.post_id
    where observations.state = 'visible' and attributes.published_at is not null
),

nearest as (
    select
        platform,
        post_id,
        views,
        likes,
        comments,
        shares,
        saves,
        age_seconds,
        {% for age in ages -%}
        abs(age_seconds - {{ age.hours * 3600 }}) <= {{ age.within_hours * 3600 }}
        and row_number() over (
            partition by platform, post_id
            order by abs(age_seconds - {{ age.hours * 3600 }}), precedence
        ) = 1 as is_at_{{ age.name }}{{ ',' if not loop.last }}
        {% endfor %}
    from aged
),

fixed_ages as (
    select
        platform,
        post_id,
        {% for age in ages -%}
        max(age_seconds) filter (where is_at_{{ age.name }}) / 3600.0 as age_hours_{{ age.name }},
        {% for metric in ['views', 'likes', 'comments', 'shares', 'saves'] -%}
        max({{ metric }}) filter (where is_at_{{ age.name }}) as {{ metric }}_{{ age.name }}
        {{- ',' if not loop.last }}
        {% endfor -%}
        {{ ',' if not loop.last }}
        {% endfor %}
    from nearest
    group by platform, post_id
),

final as (
    select
        attributes.platform,
        attributes.post_id,
        attributes.account_id,
        attributes.url,
        attributes.title,
        attributes.text,
        attributes.format,
        attributes.relation,
        attributes.language,
        attributes.duration_seconds,
        array_to_string(attributes.hashtags, ';') as hashtags,
        array_to_string(attributes.mentions, ';') as mentions,
        array_to_string(attributes.links, ';') as links,
        attributes.is_paid_partnership,
        attributes.published_at,
        cast(attributes.published_at as date) as published_date,
        case
            when confirmed_gone.gone_since_at is not null then 'gone'
            else coalesce(attributes.state_when_seen, 'unknown')
        end as state,
        attributes.state_reason,
        confirmed_gone.gone_since_at,
        attributes.first_seen_at,
        attributes.last_seen_at,
        attributes.last_observed_at,
        attributes.observations,
        latest.observed_at as measured_at,
        {% for metric in metrics -%}
        latest.{{ metric }},
        {% endfor -%}
        {% for age in ages -%}
        fixed_ages.age_hours_{{ age.name }},
        {% for metric in ['views', 'likes', 'comments', 'shares', 'saves'] -%}
        fixed_ages.{{ metric }}_{{ age.name }},
        {% endfor -%}
        {% endfor -%}
        attributes.load_number
    from attributes
    left join confirmed_gone
        on attributes.platform = confirmed_gone.platform and attributes.post_id = confirmed_gone.post_id
    left join latest
        on attributes.platform = latest.platform and attributes.post_id = latest.post_id
    left join fixed_ages
        on attributes.platform = fixed_ages.platform and attributes.post_id = fixed_ages.post_id
)

select * from final
