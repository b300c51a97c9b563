{{ config(
    materialized='incremental',
    incremental_strategy='replace_from',
    meta={'replaced_from': {'date_column': 'observed_date', 'attributes': true}},
) }}

with

observations as (
    select * from {{ ref('int_accounts_merged') }}
),

accounts as (
    select * from {{ ref('dim_accounts') }}
),

metric_registry as (
    select * from {{ ref('metric_registry') }}
),

touched as (
    {{ touched_accounts() }}
),

-- The day's last answer that had followers, else its last answer.
days as (
    select
        observations.platform,
        observations.account_id,
        cast(observations.observed_at as date) as observed_date,
        observations.observed_at,
        observations.followers,
        observations.followers_resolution,
        observations.following,
        observations.posts,
        observations.views
    from observations
    inner join touched
        on observations.platform = touched.platform and observations.account_id = touched.account_id
    where observations.state <> 'gone'
    qualify row_number() over (
        partition by observations.platform, observations.account_id, cast(observations.observed_at as date)
        order by observations.followers is null, observations.observed_at desc, observations.run_id desc
    ) = 1
),

defined as (
    select
        days.*,
        coalesce(metric_registry.definition, 'unregistered') as followers_definition
    from days
    left join metric_registry
        on
            days.platform = metric_registry.platform
            and metric_registry.metric = 'followers'
            and days.observed_date >= metric_registry.valid_from
            and (metric_registry.valid_to is null or days.observed_date <= metric_registry.valid_to)
),

with_previous as (
    select
        defined.*,
        lag(defined.observed_date) over by_day as previous_date,
        lag(defined.followers) over by_day as previous_followers,
        lag(defined.followers_resolution) over by_day as previous_resolution,
        lag(defined.followers_definition) over by_day as previous_definition
    from defined
    window by_day as (partition by defined.platform, defined.account_id order by defined.observed_date)
),

final as (
    select
        with_previous.platform,
        with_previous.account_id,
        accounts.handle,
        accounts.is_watched,
        accounts.creator_id,
        accounts.creator_name,
        with_previous.observed_date,
        with_previous.observed_at,
        with_previous.followers,
        with_previous.followers_resolution,
        with_previous.followers_definition,
        {{ days_between('with_previous.previous_date', 'with_previous.observed_date') }} as days_since_previous,
        case
            when with_previous.followers_definition = with_previous.previous_definition
                then with_previous.followers - with_previous.previous_followers
        end as followers_delta,
        case
            when with_previous.followers_definition = with_previous.previous_definition
                then greatest(with_previous.followers_resolution, with_previous.previous_resolution)
        end as followers_delta_resolution,
        with_previous.following,
        with_previous.posts,
        with_previous.views,
        {{ current_load() }} as load_number
    from with_previous
    inner join touched
        on
            with_previous.platform = touched.platform
            and with_previous.account_id = touched.account_id
            and with_previous.observed_date >= touched.touched_date
    inner join accounts
        on with_previous.platform = accounts.platform and with_previous.account_id = accounts.account_id
)

select * from final
