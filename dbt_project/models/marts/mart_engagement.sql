{{ config(
    materialized='incremental',
    incremental_strategy='replace_from',
    meta={'replaced_from': {'date_column': 'as_of_date', 'attributes': true}},
) }}

{#- Formulas side by side: what is divided by what, on which posts, and where the formula applies. -#}
{%- set formulas = [
    {
        'formula': 'engagement_rate_by_followers_mean',
        'rate': 'mean_rate_by_followers',
        'counters': ['likes', 'comments', 'shares', 'saves'],
        'denominator_basis': 'followers_at_publish',
        'posts_measured': 'posts_rated_by_followers',
    },
    {
        'formula': 'engagement_rate_by_followers_median',
        'rate': 'median_rate_by_followers',
        'counters': ['likes', 'comments', 'shares', 'saves'],
        'denominator_basis': 'followers_at_publish',
        'posts_measured': 'posts_rated_by_followers',
    },
    {
        'formula': 'engagement_rate_by_views_mean',
        'rate': 'mean_rate_by_views',
        'counters': ['likes', 'comments', 'shares', 'saves'],
        'denominator_basis': 'views',
        'posts_measured': 'posts_rated_by_views',
    },
    {
        'formula': 'engagement_rate_by_views_median',
        'rate': 'median_rate_by_views',
        'counters': ['likes', 'comments', 'shares', 'saves'],
        'denominator_basis': 'views',
        'posts_measured': 'posts_rated_by_views',
    },
    {
        'formula': 'hypeauditor',
        'rate': sum_of_measured(['latest_12_mean_likes', 'latest_12_mean_comments']) ~ ' / nullif(followers, 0)',
        'counters': ['likes', 'comments'],
        'denominator_basis': 'followers_as_of',
        'posts_measured': 'latest_12_measured',
    },
    {
        'formula': 'modash_likes_by_followers',
        'rate': 'median_likes / nullif(followers, 0)',
        'counters': ['likes'],
        'denominator_basis': 'followers_as_of',
        'posts_measured': 'posts_with_likes',
        'where': "platform = 'instagram'",
    },
    {
        'formula': 'modash_likes_by_views',
        'rate': 'likes_beside_views / cast(nullif(views_beside_likes, 0) as double)',
        'counters': ['likes'],
        'denominator_basis': 'views',
        'posts_measured': 'posts_with_likes_and_views',
        'where': "platform in ('youtube', 'tiktok')",
    },
    {
        'formula': 'upfluence',
        'rate': sum_of_measured(['mean_likes', 'mean_comments']) ~ ' / nullif(followers, 0)',
        'counters': ['likes', 'comments'],
        'denominator_basis': 'followers_as_of',
        'posts_measured': 'posts_with_engagements',
        'where': 'window_days = 90',
    },
] -%}

with

windows_measured as (
    select * from {{ ref('int_windows_measured') }}
),

accounts as (
    select * from {{ ref('dim_accounts') }}
),

touched as (
    {{ touched_accounts() }}
),

windows as (
    select windows_measured.*
    from windows_measured
    inner join touched
        on
            windows_measured.platform = touched.platform
            and windows_measured.account_id = touched.account_id
            and windows_measured.as_of_date >= touched.touched_date
),

rates as (
    {% for one in formulas -%}
    select
        platform,
        account_id,
        as_of_date,
        window_days,
        '{{ one.formula }}' as formula,
        {{ one.rate }} as rate,
        '{{ one.denominator_basis }}' as denominator_basis,
        {{ 'views' if one.denominator_basis == 'views' else 'followers' }} as denominator,
        nullif(concat_ws(
            ','
            {%- for counter in one.counters -%}
            , case when posts_with_{{ counter }} > 0 then '{{ counter }}' end
            {%- endfor -%}
        ), '') as numerator_basis,
        {{ one.posts_measured }} as posts_measured
    from windows
    {% if one.where -%}
    where {{ one.where }}
    {% endif -%}
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

final as (
    select
        rates.platform,
        rates.account_id,
        accounts.handle,
        accounts.is_watched,
        accounts.creator_id,
        accounts.creator_name,
        rates.as_of_date,
        rates.window_days,
        rates.formula,
        rates.rate,
        case
            when rates.rate is not null then null
            when windows.posts = 0 then 'no_posts'
            when rates.numerator_basis is null then 'no_counters'
            when rates.denominator_basis = 'views' then 'no_views'
            else 'no_followers'
        end as reason,
        rates.numerator_basis,
        rates.denominator_basis,
        windows.posts,
        rates.posts_measured,
        windows.engagements,
        windows.followers,
        windows.views,
        {{ current_load() }} as load_number
    from rates
    inner join windows
        on
            rates.platform = windows.platform
            and rates.account_id = windows.account_id
            and rates.as_of_date = windows.as_of_date
            and rates.window_days = windows.window_days
    inner join accounts
        on rates.platform = accounts.platform and rates.account_id = accounts.account_id
)

select * from final
