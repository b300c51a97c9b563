{{ config(materialized='table') }}

with

watchlist as (
    select * from {{ ref('watchlist') }}
),

posts as (
    select distinct
        platform,
        account_id
    from {{ ref('fct_posts') }}
),

versions as (
    select * from {{ ref('int_accounts_versioned') }}
),

-- What an account was ever called: its id (of posts alone, too) and each handle it had. An id of which nothing but its
-- absence was ever seen counts least: some platforms tell of a suspended account no id, and its handle stands for one.
names as (
    select
        platform,
        account_id,
        lower(account_id) as account_name,
        2 as certainty,
        cast(null as timestamp) as last_observed_at
    from posts
    union all
    select
        platform,
        account_id,
        lower(account_id) as account_name,
        case when bool_or(state <> 'gone') then 2 else 0 end as certainty,
        max(last_observed_at) as last_observed_at
    from versions
    group by platform, account_id
    union all
    select
        platform,
        account_id,
        lower(ltrim(handle, '@')) as account_name,
        1 as certainty,
        max(last_observed_at) as last_observed_at
    from versions
    where handle is not null and lower(ltrim(handle, '@')) <> lower(account_id)
    group by platform, account_id, lower(ltrim(handle, '@'))
),

-- Handles change hands: a line of the watch list means the account with that id, else who had the handle last.
matched as (
    select
        names.platform,
        names.account_id,
        watchlist.creator_id,
        watchlist.creator_name,
        watchlist.account as watched_as,
        watchlist.market,
        watchlist.tags
    from watchlist
    inner join names
        on
            watchlist.platform = names.platform
            and regexp_replace(lower(watchlist.account), '^@+|^/?u(ser)?/', '') = names.account_name
    qualify row_number() over (
        partition by watchlist.platform, watchlist.account
        order by names.certainty desc, names.last_observed_at desc nulls last, names.account_id asc
    ) = 1
),

final as (
    select *
    from matched
    qualify row_number() over (partition by platform, account_id order by creator_id, watched_as) = 1
)

select * from final
