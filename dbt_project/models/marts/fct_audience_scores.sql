{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['platform', 'account_id', 'relation', 'member_id', 'run_id'],
) }}

{#- In the order in which points are added up; ingest/audience/scorecard.py has the same. -#}
{%- set signals = [
    'followers', 'posts', 'following_per_follower', 'following', 'has_picture', 'is_private', 'is_verified',
    'bio_length', 'has_external_url', 'handle_digit_share',
] -%}

with

members as (
    select * from {{ ref('int_followers_merged') }}
),

scorecard as (
    select * from {{ ref('scorecard') }}
),

model as (
    select * from {{ ref('scorecard_model') }}
),

-- What is new; and everything, when another model scored it.
due as (
    select *
    from members
    where
        load_number > {{ last_load(this) }}
        {% if is_incremental() -%}
        or exists (
            select 1
            from {{ this }} as written
            where written.model_version not in (select model.model_version from model)
        )
        {%- endif %}
),

-- One is added to both counts of the ratio, so that a member without followers has one.
signals as (
    select
        platform,
        account_id,
        relation,
        member_id,
        run_id,
        sample,
        observed_at,
        followers as member_followers,
        following as member_following,
        posts as member_posts,
        load_number,
        cast(followers as double) as followers,
        cast(posts as double) as posts,
        (cast(following as double) + 1) / (cast(followers as double) + 1) as following_per_follower,
        cast(following as double) as following,
        cast(cast(has_picture as integer) as double) as has_picture,
        cast(cast(is_private as integer) as double) as is_private,
        cast(cast(is_verified as integer) as double) as is_verified,
        cast(bio_length as double) as bio_length,
        cast(cast(has_external_url as integer) as double) as has_external_url,
        cast(handle_digit_share as double) as handle_digit_share
    from due
),

bins as (
    select
        signal,
        points,
        coalesce(lower_bound, cast('-infinity' as double)) as lower_bound,
        coalesce(upper_bound, cast('infinity' as double)) as upper_bound
    from scorecard
    where bin_number > 0
),

intercept as (
    select points from scorecard
    where signal = 'intercept'
),

-- An unknown value falls in no bin and is worth nothing either way.
points as (
    select
        signals.platform,
        signals.account_id,
        signals.relation,
        signals.member_id,
        signals.run_id,
        signals.sample,
        signals.observed_at,
        signals.member_followers,
        signals.member_following,
        signals.member_posts,
        signals.load_number,
        {% for signal in signals -%}
        coalesce({{ signal }}_bins.points, 0.0) as {{ signal }}_points,
        {% endfor -%}
        intercept.points as intercept_points
    from signals
    cross join intercept
    {%- for signal in signals %}
    left join bins as {{ signal }}_bins
        on
            {{ signal }}_bins.signal = '{{ signal }}'
            and signals.{{ signal }} >= {{ signal }}_bins.lower_bound
            and signals.{{ signal }} < {{ signal }}_bins.upper_bound
    {%- endfor %}
),

scores as (
    select
        *,
        intercept_points
        {%- for signal in signals %}
        + {{ signal }}_points
        {%- endfor %} as score
    from points
),

final as (
    select
        scores.platform,
        scores.account_id,
        scores.relation,
        scores.member_id,
        scores.run_id,
        cast(scores.observed_at as date) as observed_date,
        scores.observed_at,
        scores.sample,
        scores.member_followers,
        scores.member_following,
        scores.member_posts,
        scores.member_following > 1500 as is_mass_follower,
        scores.member_posts = 0 as has_never_posted,
        scores.intercept_points,
        {% for signal in signals -%}
        scores.{{ signal }}_points,
        {% endfor -%}
        scores.score,
        1 / (1 + exp(-scores.score)) as fake_probability,
        scores.score >= 0 as is_flagged,
        scores.member_followers is not null
        and scores.member_following is not null
        and scores.member_posts is not null as is_scored,
        model.model_version,
        scores.load_number
    from scores
    cross join model
)

select * from final
