with

scores as (
    select * from {{ ref('fct_audience_scores') }}
),

draws as (
    select * from {{ ref('scorecard_draws') }}
),

model as (
    select * from {{ ref('scorecard_model') }}
),

observations as (
    select * from {{ ref('int_accounts_merged') }}
),

accounts as (
    select * from {{ ref('dim_accounts') }}
),

-- A run that goes on past midnight is one sample, of the day on which it began.
runs as (
    select
        platform,
        account_id,
        relation,
        run_id,
        cast(min(observed_at) as date) as estimate_date,
        max(observed_at) as sampled_at,
        -- Were a sample drawn in two ways, it is as biased as the worse of them.
        case
            when max(case when sample = 'newest' then 1 else 0 end) = 1 then 'newest'
            when max(case when sample = 'spread' then 1 else 0 end) = 1 then 'spread'
            else 'complete'
        end as sample,
        count(*) as sampled,
        count(*) filter (where is_scored) as scored,
        count(*) filter (where is_scored and is_flagged) as flagged,
        {{ mean_of_fractions('case when is_scored then fake_probability end') }} as mean_probability,
        count(is_mass_follower) as following_known,
        {{ mean_of_fractions('cast(is_mass_follower as integer)') }} as mass_follower_share,
        count(has_never_posted) as posts_known,
        {{ mean_of_fractions('cast(has_never_posted as integer)') }} as never_posted_share
    from scores
    group by platform, account_id, relation, run_id
),

-- The sample of a day is that of the day's last run.
samples as (
    select *
    from runs
    qualify
        row_number() over (
            partition by platform, account_id, relation, estimate_date
            order by sampled_at desc, run_id desc
        ) = 1
),

-- The account's state at the end of each day on which its profile was asked for, until the next such day.
states as (
    select
        platform,
        account_id,
        cast(observed_at as date) as state_date,
        state
    from observations
    qualify
        row_number() over (
            partition by platform, account_id, cast(observed_at as date)
            order by observed_at desc, run_id desc
        ) = 1
),

spans as (
    select
        *,
        lag(state) over (partition by platform, account_id order by state_date) as previous_state,
        lead(state_date) over (partition by platform, account_id order by state_date) as next_state_date
    from states
),

-- Days without a sample that still need a row: the first sight of an account, until it is sampled, and its going.
first_samples as (
    select
        platform,
        account_id,
        min(estimate_date) as first_estimate_date
    from samples
    group by platform, account_id
),

unsampled as (
    select
        spans.platform,
        spans.account_id,
        case
            when spans.platform in ({{ names_of('platforms_of_commenters') }}) then 'commenter'
            else 'follower'
        end as relation,
        spans.state_date as estimate_date
    from spans
    left join first_samples
        on spans.platform = first_samples.platform and spans.account_id = first_samples.account_id
    where
        (
            spans.previous_state is null
            and (first_samples.first_estimate_date is null or first_samples.first_estimate_date > spans.state_date)
        )
        or (spans.state <> 'visible' and coalesce(spans.previous_state, 'visible') = 'visible')
),

days as (
    select
        platform,
        account_id,
        relation,
        estimate_date
    from samples
    union
    select
        platform,
        account_id,
        relation,
        estimate_date
    from unsampled
),

-- Each draw corrects the sample's mean for one accuracy that the score may have here, and for the sample's noise.
angles as (
    select
        platform,
        account_id,
        relation,
        estimate_date,
        asin(sqrt((mean_probability * scored + 0.375) / (scored + 0.75))) as angle,
        2 * sqrt(scored + 0.5) as angles_per_deviation
    from samples
    where scored > 0
),

means as (
    select
        angles.platform,
        angles.account_id,
        angles.relation,
        angles.estimate_date,
        draws.sensitivity,
        draws.specificity,
        power(
            sin(greatest(0.0, least(pi() / 2, angles.angle + draws.noise / angles.angles_per_deviation))), 2
        ) as mean_probability
    from angles
    cross join draws
),

shares as (
    select
        platform,
        account_id,
        relation,
        estimate_date,
        greatest(
            0.0, least(1.0, (mean_probability + specificity - 1) / (sensitivity + specificity - 1))
        ) as fake_share
    from means
),

intervals as (
    select
        platform,
        account_id,
        relation,
        estimate_date,
        percentile_cont(0.025) within group (order by fake_share) as fake_share_low,
        percentile_cont(0.5) within group (order by fake_share) as fake_share,
        percentile_cont(0.975) within group (order by fake_share) as fake_share_high
    from shares
    group by platform, account_id, relation, estimate_date
),

judged as (
    select
        days.*,
        samples.sampled_at,
        samples.run_id,
        samples.sample,
        coalesce(samples.sampled, 0) as sampled,
        coalesce(samples.scored, 0) as scored,
        samples.flagged,
        samples.mean_probability,
        samples.following_known,
        samples.mass_follower_share,
        samples.posts_known,
        samples.never_posted_share,
        intervals.fake_share,
        intervals.fake_share_low,
        intervals.fake_share_high,
        model.model_version,
        model.definition,
        case
            when spans.state <> 'visible' then concat('account_', spans.state)
            when samples.sampled is null then 'no_sample'
            when samples.sampled < model.minimum_members then 'sample_too_small'
            when
                samples.scored < model.minimum_members
                or samples.scored < model.minimum_scored_share * samples.sampled
                then 'features_missing'
            when intervals.fake_share_high - intervals.fake_share_low > model.maximum_width then 'interval_too_wide'
        end as reason
    from days
    cross join model
    left join samples
        on
            days.platform = samples.platform
            and days.account_id = samples.account_id
            and days.relation = samples.relation
            and days.estimate_date = samples.estimate_date
    left join intervals
        on
            days.platform = intervals.platform
            and days.account_id = intervals.account_id
            and days.relation = intervals.relation
            and days.estimate_date = intervals.estimate_date
    left join spans
        on
            days.platform = spans.platform
            and days.account_id = spans.account_id
            and days.estimate_date >= spans.state_date
            and (days.estimate_date < spans.next_state_date or spans.next_state_date is null)
),

final as (
    select
        judged.platform,
        judged.account_id,
        accounts.handle,
        coalesce(accounts.is_watched, false) as is_watched,
        accounts.creator_id,
        accounts.creator_name,
        judged.relation,
        judged.estimate_date,
        case when judged.reason is null then 'estimated' else 'abstained' end as status,
        judged.reason,
        case when judged.reason is null then judged.fake_share end as fake_share,
        case when judged.reason is null then judged.fake_share_low end as fake_share_low,
        case when judged.reason is null then judged.fake_share_high end as fake_share_high,
        case when judged.reason is null then 'rogan_gladen_random_effects' end as method,
        judged.model_version,
        judged.definition,
        judged.sampled,
        judged.scored,
        cast(0 as bigint) as labelled,
        judged.flagged,
        judged.mean_probability,
        judged.sample,
        case
            when judged.sample = 'newest'
                then 'newest members only: what came lately weighs too much, older members are missing'
        end as sample_warning,
        judged.following_known,
        judged.mass_follower_share,
        judged.posts_known,
        judged.never_posted_share,
        judged.sampled_at,
        judged.run_id
    from judged
    left join accounts
        on judged.platform = accounts.platform and judged.account_id = accounts.account_id
)

select * from final
