{{ config(unique_key=['platform', 'account_id']) }}

with

accounts as (
    select * from {{ ref('int_accounts_merged') }}
),

touched as (
    select distinct
        platform,
        account_id
    from accounts
    where load_number > {{ last_load(this) }}
),

observations as (
    select
        accounts.platform,
        accounts.account_id,
        accounts.observed_at,
        accounts.run_id,
        accounts.state,
        accounts.handle,
        accounts.display_name,
        accounts.load_number
    from accounts
    inner join touched
        on accounts.platform = touched.platform and accounts.account_id = touched.account_id
),

-- A tombstone has no handle and no name: what was last known stays until another value is seen.
carried as (
    select
        platform,
        account_id,
        observed_at,
        run_id,
        state,
        last_value(handle ignore nulls) over known_so_far as handle,
        last_value(display_name ignore nulls) over known_so_far as display_name,
        max(load_number) over (partition by platform, account_id) as load_number
    from observations
    window known_so_far as (
        partition by platform, account_id
        order by observed_at, run_id
        rows between unbounded preceding and current row
    )
),

with_previous as (
    select
        *,
        lag(observed_at) over by_time as previous_observed_at,
        lag(state) over by_time as previous_state,
        lag(handle) over by_time as previous_handle,
        lag(display_name) over by_time as previous_display_name
    from carried
    window by_time as (partition by platform, account_id order by observed_at, run_id)
),

marked as (
    select
        *,
        case
            when
                previous_observed_at is not null
                and state = previous_state
                and coalesce(handle, '') = coalesce(previous_handle, '')
                and coalesce(display_name, '') = coalesce(previous_display_name, '')
                then 0
            else 1
        end as is_change
    from with_previous
),

numbered as (
    select
        *,
        sum(is_change) over (
            partition by platform, account_id
            order by observed_at, run_id
            rows between unbounded preceding and current row
        ) as version_number
    from marked
),

versions as (
    select
        platform,
        account_id,
        cast(version_number as bigint) as version_number,
        max(state) as state,
        max(handle) as handle,
        max(display_name) as display_name,
        min(observed_at) as valid_from_at,
        max(observed_at) as last_observed_at,
        max(load_number) as load_number
    from numbered
    group by platform, account_id, version_number
),

final as (
    select
        platform,
        account_id,
        version_number,
        state,
        handle,
        display_name,
        valid_from_at,
        lead(valid_from_at) over (partition by platform, account_id order by version_number) as valid_to_at,
        last_observed_at,
        load_number
    from versions
)

select * from final
