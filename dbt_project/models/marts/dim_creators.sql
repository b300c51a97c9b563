with

watchlist as (
    select * from {{ ref('watchlist') }}
),

accounts as (
    select * from {{ ref('dim_accounts') }}
),

listed as (
    select
        creator_id,
        min(creator_name) as creator_name,
        count(*) as accounts_watched,
        string_agg(distinct platform, ';' order by platform) as platforms,
        min(market) as market,
        min(tags) as tags
    from watchlist
    group by creator_id
),

observed as (
    select
        creator_id,
        count(*) as accounts_observed,
        min(first_observed_at) as first_observed_at,
        max(last_observed_at) as last_observed_at
    from accounts
    where is_watched
    group by creator_id
),

final as (
    select
        listed.creator_id,
        listed.creator_name,
        listed.market,
        listed.tags,
        listed.platforms,
        listed.accounts_watched,
        coalesce(observed.accounts_observed, 0) as accounts_observed,
        observed.first_observed_at,
        observed.last_observed_at
    from listed
    left join observed on listed.creator_id = observed.creator_id
)

select * from final
