{{ config(unique_key=['platform', 'post_id', 'run_id']) }}

with

observations as (
    select * from {{ ref('stg_posts') }}
),

-- A partner that comes late has its whole run merged again.
touched as (
    select distinct
        platform,
        post_id,
        run_id
    from observations
    where load_number > {{ last_load(this) }}
),

ranked as (
    select
        observations.*,
        {{ precedence(['platform', 'post_id', 'run_id']) }} as precedence
    from observations
    inner join touched using (platform, post_id, run_id)
),

merged as (
    select
        platform,
        post_id,
        run_id,
        {% for column in [
            'account_id', 'state', 'state_reason', 'published_at', 'url', 'format', 'relation', 'title', 'text',
            'language', 'duration_seconds', 'hashtags', 'mentions', 'links', 'is_paid_partnership',
            'views', 'impressions', 'reach', 'likes', 'dislikes', 'comments', 'shares', 'saves', 'quotes', 'clicks',
            'score', 'upvote_ratio', 'viewers', 'watch_seconds', 'unavailable', 'definition',
        ] -%}
        {{ merged(column) }},
        {% endfor -%}
        max(observed_at) as observed_at,
        min(earliest_observed_at) as earliest_observed_at,
        max(arrived_at) as arrived_at,
        count(*) as answers,
        max(load_number) as load_number
    from ranked
    group by platform, post_id, run_id
)

select * from merged
