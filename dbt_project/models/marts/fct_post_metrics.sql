{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['platform', 'post_id', 'run_id'],
) }}

with

posts as (
    select * from {{ ref('int_posts_merged') }}
),

final as (
    select
        platform,
        post_id,
        run_id,
        account_id,
        observed_at,
        cast(observed_at as date) as observed_date,
        published_at,
        {{ seconds_between('published_at', 'observed_at') }} / 3600.0 as age_hours,
        state,
        state_reason,
        format,
        views,
        impressions,
        reach,
        likes,
        dislikes,
        comments,
        shares,
        saves,
        quotes,
        clicks,
        score,
        upvote_ratio,
        viewers,
        watch_seconds,
        array_to_string(unavailable, ';') as unavailable,
        definition,
        arrived_at,
        load_number
    from posts
    where load_number > {{ last_load(this) }}
)

select * from final
