with

notices as (
    select * from {{ ref('stg_notices') }}
),

posts as (
    select * from {{ ref('stg_posts') }}
),

accounts as (
    select * from {{ ref('stg_accounts') }}
),

followers as (
    select * from {{ ref('stg_followers') }}
),

rejections as (
    select * from {{ ref('stg_dead_letters') }}
),

verdicts as (
    select * from {{ ref('stg_verdicts') }}
),

gaps as (
    select * from {{ ref('stg_gaps') }}
),

landed as (
    {% for topic in ['posts', 'accounts', 'followers'] -%}
    select
        platform,
        date_trunc('hour', observed_at) as hour_at,
        '{{ topic }}' as topic,
        count(*) as events,
        max({{ seconds_between('observed_at', 'arrived_at') }}) as max_lag_seconds
    from {{ topic }}
    group by platform, date_trunc('hour', observed_at)
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

landed_by_hour as (
    select
        platform,
        hour_at,
        {% for topic in ['posts', 'accounts', 'followers'] -%}
        sum(events) filter (where topic = '{{ topic }}') as landed_{{ topic }},
        {% endfor -%}
        max(max_lag_seconds) as max_lag_seconds
    from landed
    group by platform, hour_at
),

runs_by_hour as (
    select
        platform,
        date_trunc('hour', observed_at) as hour_at,
        count(*) as runs,
        sum(expected_accounts) as expected_accounts,
        sum(expected_posts) as expected_posts,
        sum(coalesce(observed_accounts, accounts)) as observed_accounts,
        sum(skipped_accounts) as skipped_accounts,
        sum(skipped_posts) as skipped_posts,
        sum(posts) as published_posts,
        sum(followers) as published_followers,
        max(len(unresolved)) as unresolved_accounts,
        sum(quota_units) as quota_units_spent,
        max_by(quota_left, finished_at) as quota_units_left
    from notices
    group by platform, date_trunc('hour', observed_at)
),

-- A rejection may name no platform, and poison has no time but its arrival.
rejected_by_hour as (
    select
        coalesce(platform, 'unknown') as platform,
        date_trunc('hour', coalesce(observed_at, arrived_at)) as hour_at,
        count(*) filter (where kind = 'poison') as poison_rows,
        count(*) filter (where kind = 'unreadable_answer') as dead_letters
    from rejections
    group by coalesce(platform, 'unknown'), date_trunc('hour', coalesce(observed_at, arrived_at))
),

released as (
    select distinct
        topic,
        released_number,
        platform
    from verdicts
    where verdict = 'released'
),

quarantined_by_hour as (
    select
        verdicts.platform,
        date_trunc('hour', verdicts.checked_at) as hour_at,
        sum(verdicts.row_count) as quarantined_rows
    from verdicts
    left join released
        on
            verdicts.topic = released.topic
            and verdicts.manifest_number = released.released_number
            and verdicts.platform = released.platform
    where verdicts.verdict = 'quarantined' and released.platform is null
    group by verdicts.platform, date_trunc('hour', verdicts.checked_at)
),

-- A lost range of a partition was everybody's.
gaps_by_hour as (
    select
        'unknown' as platform,
        date_trunc('hour', noticed_at) as hour_at,
        sum(to_offset - from_offset) as gap_offsets
    from gaps
    group by date_trunc('hour', noticed_at)
),

-- Every hour between a platform's first run and its last: one in which nothing ran is missing, not absent.
expected_hours as (
    select
        platform,
        unnest(generate_series(min(hour_at), max(hour_at), interval '1' hour)) as hour_at
    from runs_by_hour
    group by platform
),

hours as (
    {% for part in [
        'expected_hours', 'landed_by_hour', 'rejected_by_hour', 'quarantined_by_hour', 'gaps_by_hour',
    ] -%}
    select
        platform,
        hour_at
    from {{ part }}
    {{ 'union' if not loop.last }}
    {% endfor %}
),

final as (
    select
        hours.platform,
        hours.hour_at,
        cast(hours.hour_at as date) as as_of_date,
        expected_hours.platform is not null and runs_by_hour.platform is null as is_missing,
        coalesce(runs_by_hour.runs, 0) as runs,
        cast(runs_by_hour.expected_accounts as bigint) as expected_accounts,
        cast(runs_by_hour.expected_posts as bigint) as expected_posts,
        cast(runs_by_hour.observed_accounts as bigint) as observed_accounts,
        cast(runs_by_hour.published_posts as bigint) as observed_posts,
        cast(runs_by_hour.published_followers as bigint) as observed_followers,
        cast(runs_by_hour.skipped_accounts as bigint) as skipped_accounts,
        cast(runs_by_hour.skipped_posts as bigint) as skipped_posts,
        cast(coalesce(landed_by_hour.landed_accounts, 0) as bigint) as landed_accounts,
        cast(coalesce(landed_by_hour.landed_posts, 0) as bigint) as landed_posts,
        cast(coalesce(landed_by_hour.landed_followers, 0) as bigint) as landed_followers,
        coalesce(rejected_by_hour.poison_rows, 0) as poison_rows,
        coalesce(rejected_by_hour.dead_letters, 0) as dead_letters,
        cast(coalesce(quarantined_by_hour.quarantined_rows, 0) as bigint) as quarantined_rows,
        cast(coalesce(gaps_by_hour.gap_offsets, 0) as bigint) as gap_offsets,
        runs_by_hour.unresolved_accounts,
        landed_by_hour.max_lag_seconds,
        cast(runs_by_hour.quota_units_spent as bigint) as quota_units_spent,
        runs_by_hour.quota_units_left
    from hours
    left join expected_hours
        on hours.platform = expected_hours.platform and hours.hour_at = expected_hours.hour_at
    left join runs_by_hour
        on hours.platform = runs_by_hour.platform and hours.hour_at = runs_by_hour.hour_at
    left join landed_by_hour
        on hours.platform = landed_by_hour.platform and hours.hour_at = landed_by_hour.hour_at
    left join rejected_by_hour
        on hours.platform = rejected_by_hour.platform and hours.hour_at = rejected_by_hour.hour_at
    left join quarantined_by_hour
        on hours.platform = quarantined_by_hour.platform and hours.hour_at = quarantined_by_hour.hour_at
    left join gaps_by_hour
        on hours.platform = gaps_by_hour.platform and hours.hour_at = gaps_by_hour.hour_at
)

select * from final
