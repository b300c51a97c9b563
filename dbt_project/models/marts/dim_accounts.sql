with

accounts as (
    select * from {{ ref('int_accounts_latest') }}
),

versions as (
    select * from {{ ref('int_accounts_versioned') }}
),

posts as (
    select * from {{ ref('fct_posts') }}
),

watched as (
    select * from {{ ref('int_accounts_watched') }}
),

-- An account may be known by its posts alone.
posting as (
    select
        platform,
        account_id,
        count(*) as posts_observed,
        min(coalesce(first_seen_at, last_observed_at)) as first_observed_at,
        max(last_observed_at) as last_observed_at
    from posts
    group by platform, account_id
),

everyone as (
    select
        platform,
        account_id
    from accounts
    union
    select
        platform,
        account_id
    from posting
),

handles as (
    select
        platform,
        account_id,
        handle,
        min(valid_from_at) as handle_since_at,
        max(last_observed_at) as handle_until_at
    from versions
    where handle is not null
    group by platform, account_id, handle
),

handle_changes as (
    select
        platform,
        account_id,
        lag(handle) over by_time as previous_handle,
        handle_since_at,
        count(*) over (partition by platform, account_id) as handles
    from handles
    window by_time as (partition by platform, account_id order by handle_until_at, handle)
    qualify row_number() over (partition by platform, account_id order by handle_until_at desc, handle desc) = 1
),

-- Since when the account has been in its present state, without a break.
state_runs as (
    select
        platform,
        account_id,
        state,
        valid_from_at,
        lag(state) over by_time as previous_state
    from versions
    window by_time as (partition by platform, account_id order by version_number)
),

states as (
    select
        platform,
        account_id,
        max(valid_from_at) filter (where state is distinct from previous_state) as state_since_at
    from state_runs
    group by platform, account_id
),

final as (
    select
        everyone.platform,
        everyone.account_id,
        accounts.handle,
        accounts.display_name,
        watched.account_id is not null as is_watched,
        watched.creator_id,
        watched.creator_name,
        watched.watched_as,
        watched.market,
        accounts.state,
        accounts.state_reason,
        states.state_since_at,
        accounts.url,
        accounts.country,
        accounts.language,
        accounts.category,
        accounts.bio,
        accounts.external_url,
        accounts.is_verified,
        accounts.is_private,
        accounts.has_picture,
        accounts.created_at,
        accounts.followers,
        accounts.followers_resolution,
        accounts.followers_measured_at,
        accounts.following,
        accounts.posts,
        accounts.views,
        accounts.likes_received,
        coalesce(posting.posts_observed, 0) as posts_observed,
        handle_changes.previous_handle,
        handle_changes.handle_since_at,
        coalesce(handle_changes.handles, 0) as handles,
        least(accounts.first_observed_at, posting.first_observed_at) as first_observed_at,
        greatest(accounts.last_observed_at, posting.last_observed_at) as last_observed_at
    from everyone
    left join accounts
        on everyone.platform = accounts.platform and everyone.account_id = accounts.account_id
    left join posting
        on everyone.platform = posting.platform and everyone.account_id = posting.account_id
    left join watched
        on everyone.platform = watched.platform and everyone.account_id = watched.account_id
    left join handle_changes
        on everyone.platform = handle_changes.platform and everyone.account_id = handle_changes.account_id
    left join states
        on everyone.platform = states.platform and everyone.account_id = states.account_id
)

select * from final
