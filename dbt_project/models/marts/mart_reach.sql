{{ config(
    materialized='incremental',
    incremental_strategy='replace_from',
    meta={'replaced_from': {'date_column': 'as_of_date', 'attributes': true, 'calibration': true}},
) }}

-- depends_on: {{ ref("reach_calibration") }}

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

-- Posts of one account share viewers. At least the viewers of its largest post were reached; at most the viewers of all
-- of them, if no two posts shared one, and never more than there were views. In between, the geometric mean of the two
-- medians: of the largest post alone, and of all posts together.
bounded as (
    select
        *,
        cast(floor(largest_reach_low) as bigint) as low,
        cast(floor(least(summed_reach_high, views_calibrated)) as bigint) as high,
        cast(floor(sqrt(cast(largest_reach_median as double) * cast(summed_reach_median as double))) as bigint)
            as middle
    from windows
),

final as (
    select
        bounded.platform,
        bounded.account_id,
        accounts.handle,
        accounts.is_watched,
        accounts.creator_id,
        accounts.creator_name,
        bounded.as_of_date,
        bounded.window_days,
        greatest(least(bounded.middle, bounded.high), bounded.low) as reach_estimate,
        bounded.low as reach_low,
        bounded.high as reach_high,
        case when bounded.posts_calibrated > 0 then 'views_times_quantiles' end as method,
        bounded.calibration_status as status,
        case
            when bounded.posts_calibrated > 0 then null
            when bounded.posts = 0 then 'no_posts'
            when bounded.posts_with_views = 0 then 'no_views'
            else 'no_calibration'
        end as reason,
        bounded.posts,
        bounded.posts_calibrated as posts_measured,
        bounded.views,
        bounded.calibration_id,
        {{ current_load() }} as load_number
    from bounded
    inner join accounts
        on bounded.platform = accounts.platform and bounded.account_id = accounts.account_id
)

select * from final
