{{ config(
    incremental_strategy='replace_from',
    meta={'replaced_from': {'date_column': 'as_of_date', 'calibration': true}},
) }}

with

posts as (
    select * from {{ ref('int_posts_merged') }}
),

accounts as (
    select * from {{ ref('int_accounts_merged') }}
),

reach_calibration as (
    select * from {{ ref('reach_calibration') }}
),

touched as (
    {{ touched_accounts() }}
),

post_observations as (
    select
        posts.platform,
        posts.account_id,
        posts.post_id,
        posts.run_id,
        posts.observed_at,
        cast(posts.observed_at as date) as observed_date,
        posts.state,
        posts.format,
        posts.published_at,
        cast(posts.published_at as date) as published_date,
        posts.views,
        posts.likes,
        posts.comments,
        posts.shares,
        posts.saves,
        touched.touched_date
    from posts
    inner join touched
        on posts.platform = touched.platform and posts.account_id = touched.account_id
),

account_observations as (
    select
        accounts.platform,
        accounts.account_id,
        accounts.run_id,
        accounts.observed_at,
        cast(accounts.observed_at as date) as observed_date,
        accounts.followers,
        touched.touched_date
    from accounts
    inner join touched
        on accounts.platform = touched.platform and accounts.account_id = touched.account_id
),

-- One row a day of observation, from the first date that the news touch.
days as (
    select
        platform,
        account_id,
        observed_date as as_of_date
    from post_observations
    where observed_date >= touched_date
    union
    select
        platform,
        account_id,
        observed_date as as_of_date
    from account_observations
    where observed_date >= touched_date
),

-- What a post showed last on each day, and until which day that stayed the last word.
post_values as (
    select
        platform,
        account_id,
        post_id,
        format,
        published_at,
        published_date,
        views,
        likes,
        comments,
        shares,
        saves,
        observed_date as valid_from_date,
        lead(observed_date) over (partition by platform, post_id order by observed_date) as valid_to_date
    from (
        select *
        from post_observations
        where
            state = 'visible'
            and published_at is not null
            and {{ days_between('published_date', 'touched_date') }} < 90
        qualify row_number() over (
            partition by platform, post_id, observed_date
            order by observed_at desc, run_id desc
        ) = 1
    ) as last_of_day
),

follower_observations as (
    select *
    from account_observations
    where followers is not null
),

moments as (
    select distinct
        platform,
        account_id,
        published_at
    from post_values
),

-- Followers at publish time: the nearest observation within seven days, before or after. The one after is used only
-- from the day on which it was made.
publish_followers as (
    select
        moments.platform,
        moments.account_id,
        moments.published_at,
        max(seen.observed_at) filter (where seen.observed_at <= moments.published_at) as before_at,
        max_by(seen.followers, seen.observed_at) filter (where seen.observed_at <= moments.published_at)
            as before_followers,
        min(seen.observed_at) filter (where seen.observed_at > moments.published_at) as after_at,
        min_by(seen.followers, seen.observed_at) filter (where seen.observed_at > moments.published_at)
            as after_followers
    from moments
    inner join follower_observations as seen
        on
            moments.platform = seen.platform
            and moments.account_id = seen.account_id
            and seen.observed_at >= moments.published_at - interval '7' day
            and seen.observed_at <= moments.published_at + interval '7' day
    group by moments.platform, moments.account_id, moments.published_at
),

follower_values as (
    select
        platform,
        account_id,
        followers,
        observed_date as valid_from_date,
        lead(observed_date) over (partition by platform, account_id order by observed_date) as valid_to_date
    from (
        select *
        from follower_observations
        qualify row_number() over (
            partition by platform, account_id, observed_date
            order by observed_at desc, run_id desc
        ) = 1
    ) as last_of_day
),

-- Followers as of a date: the last observation, unless it is more than seven days old.
as_of_followers as (
    select
        days.platform,
        days.account_id,
        days.as_of_date,
        follower_values.followers
    from days
    inner join follower_values
        on
            days.platform = follower_values.platform
            and days.account_id = follower_values.account_id
            and days.as_of_date >= follower_values.valid_from_date
            and (follower_values.valid_to_date is null or days.as_of_date < follower_values.valid_to_date)
    where {{ days_between('follower_values.valid_from_date', 'days.as_of_date') }} <= 7
),

valued as (
    select
        days.platform,
        days.account_id,
        days.as_of_date,
        post_values.post_id,
        post_values.format,
        post_values.published_at,
        {{ days_between('post_values.published_date', 'days.as_of_date') }} as age_days,
        post_values.views,
        post_values.likes,
        post_values.comments,
        post_values.shares,
        post_values.saves,
        {{ sum_of_measured([
            'post_values.likes', 'post_values.comments', 'post_values.shares', 'post_values.saves',
        ]) }} as engagements,
        case
            when
                cast(publish_followers.after_at as date) <= days.as_of_date
                and (
                    publish_followers.before_at is null
                    or {{ seconds_between('post_values.published_at', 'publish_followers.after_at') }}
                    < {{ seconds_between('publish_followers.before_at', 'post_values.published_at') }}
                )
                then publish_followers.after_followers
            else publish_followers.before_followers
        end as publish_followers
    from days
    inner join post_values
        on
            days.platform = post_values.platform
            and days.account_id = post_values.account_id
            and days.as_of_date >= post_values.valid_from_date
            and (post_values.valid_to_date is null or days.as_of_date < post_values.valid_to_date)
            and {{ days_between('post_values.published_date', 'days.as_of_date') }} between 0 and 89
    left join publish_followers
        on
            post_values.platform = publish_followers.platform
            and post_values.account_id = publish_followers.account_id
            and post_values.published_at = publish_followers.published_at
),

rated as (
    select
        valued.*,
        valued.engagements / cast(nullif(valued.publish_followers, 0) as double) as rate_by_followers,
        valued.engagements / cast(nullif(valued.views, 0) as double) as rate_by_views,
        valued.views * coalesce(exact.reach_per_view_low, other.reach_per_view_low) as reach_low,
        valued.views * coalesce(exact.reach_per_view_median, other.reach_per_view_median) as reach_median,
        valued.views * coalesce(exact.reach_per_view_high, other.reach_per_view_high) as reach_high,
        coalesce(exact.status, other.status) as calibration_status
    from valued
    left join reach_calibration as exact
        on valued.platform = exact.platform and valued.format = exact.format
    left join reach_calibration as other
        on valued.platform = other.platform and other.format = 'any'
),

windows as (
    select listed.window_days
    from (values (7), (30), (90)) as listed (window_days)
),

in_window as (
    select
        rated.*,
        windows.window_days,
        row_number() over (
            partition by rated.platform, rated.account_id, rated.as_of_date, windows.window_days
            order by rated.published_at desc, rated.post_id asc
        ) <= 12 as is_of_latest_12
    from rated
    inner join windows on rated.age_days < windows.window_days
),

measured as (
    select
        platform,
        account_id,
        as_of_date,
        window_days,
        count(*) as posts,
        count(likes) as posts_with_likes,
        count(comments) as posts_with_comments,
        count(shares) as posts_with_shares,
        count(saves) as posts_with_saves,
        count(engagements) as posts_with_engagements,
        sum(engagements) as engagements,
        count(views) as posts_with_views,
        sum(views) as views,
        count(rate_by_followers) as posts_rated_by_followers,
        {{ mean_of_fractions('rate_by_followers') }} as mean_rate_by_followers,
        median(rate_by_followers) as median_rate_by_followers,
        count(rate_by_views) as posts_rated_by_views,
        {{ mean_of_fractions('rate_by_views') }} as mean_rate_by_views,
        median(rate_by_views) as median_rate_by_views,
        avg(likes) as mean_likes,
        median(likes) as median_likes,
        avg(comments) as mean_comments,
        count(coalesce(likes, comments)) filter (where is_of_latest_12) as latest_12_measured,
        avg(likes) filter (where is_of_latest_12) as latest_12_mean_likes,
        avg(comments) filter (where is_of_latest_12) as latest_12_mean_comments,
        count(*) filter (where likes is not null and views is not null) as posts_with_likes_and_views,
        sum(likes) filter (where views is not null) as likes_beside_views,
        sum(views) filter (where likes is not null) as views_beside_likes,
        count(reach_median) as posts_calibrated,
        sum(views) filter (where reach_median is not null) as views_calibrated,
        max(reach_low) as largest_reach_low,
        max(reach_median) as largest_reach_median,
        sum(reach_median) as summed_reach_median,
        sum(reach_high) as summed_reach_high,
        max(calibration_status) filter (where reach_median is not null) as calibration_status,
        count(distinct calibration_status) filter (where reach_median is not null) as calibration_statuses
    from in_window
    group by platform, account_id, as_of_date, window_days
),

final as (
    select
        days.platform,
        days.account_id,
        days.as_of_date,
        cast(windows.window_days as bigint) as window_days,
        as_of_followers.followers,
        coalesce(measured.posts, 0) as posts,
        coalesce(measured.posts_with_likes, 0) as posts_with_likes,
        coalesce(measured.posts_with_comments, 0) as posts_with_comments,
        coalesce(measured.posts_with_shares, 0) as posts_with_shares,
        coalesce(measured.posts_with_saves, 0) as posts_with_saves,
        coalesce(measured.posts_with_engagements, 0) as posts_with_engagements,
        cast(measured.engagements as bigint) as engagements,
        coalesce(measured.posts_with_views, 0) as posts_with_views,
        cast(measured.views as bigint) as views,
        coalesce(measured.posts_rated_by_followers, 0) as posts_rated_by_followers,
        measured.mean_rate_by_followers,
        measured.median_rate_by_followers,
        coalesce(measured.posts_rated_by_views, 0) as posts_rated_by_views,
        measured.mean_rate_by_views,
        measured.median_rate_by_views,
        measured.mean_likes,
        measured.median_likes,
        measured.mean_comments,
        coalesce(measured.latest_12_measured, 0) as latest_12_measured,
        measured.latest_12_mean_likes,
        measured.latest_12_mean_comments,
        coalesce(measured.posts_with_likes_and_views, 0) as posts_with_likes_and_views,
        cast(measured.likes_beside_views as bigint) as likes_beside_views,
        cast(measured.views_beside_likes as bigint) as views_beside_likes,
        coalesce(measured.posts_calibrated, 0) as posts_calibrated,
        cast(measured.views_calibrated as bigint) as views_calibrated,
        measured.largest_reach_low,
        measured.largest_reach_median,
        measured.summed_reach_median,
        measured.summed_reach_high,
        case when measured.calibration_statuses > 1 then 'assumed' else measured.calibration_status end
            as calibration_status,
        ({{ calibration_id() }}) as calibration_id,
        {{ current_load() }} as load_number
    from days
    cross join windows
    left join measured
        on
            days.platform = measured.platform
            and days.account_id = measured.account_id
            and days.as_of_date = measured.as_of_date
            and windows.window_days = measured.window_days
    left join as_of_followers
        on
            days.platform = as_of_followers.platform
            and days.account_id = as_of_followers.account_id
            and days.as_of_date = as_of_followers.as_of_date
)

select * from final
