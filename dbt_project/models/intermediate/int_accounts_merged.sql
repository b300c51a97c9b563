{{ config(unique_key=['platform', 'account_id', 'run_id']) }}

with

observations as (
    select * from {{ ref('stg_accounts') }}
),

-- A partner that comes late has its whole run merged again.
touched as (
    select distinct
        platform,
        account_id,
        run_id
    from observations
    where load_number > {{ last_load(this) }}
),

ranked as (
    select
        observations.*,
        {{ precedence(['platform', 'account_id', 'run_id']) }} as precedence
    from observations
    inner join touched using (platform, account_id, run_id)
),

merged as (
    select
        platform,
        account_id,
        run_id,
        {% for column in [
            'state', 'state_reason', 'handle', 'display_name', 'created_at', 'url', 'country', 'language', 'category',
            'bio', 'external_url', 'is_verified', 'is_private', 'has_picture',
            'followers', 'following', 'posts', 'views', 'likes_received', 'followers_resolution',
            'unavailable', 'definition',
        ] -%}
        {{ merged(column) }},
        {% endfor -%}
        max(observed_at) as observed_at,
        min(earliest_observed_at) as earliest_observed_at,
        max(arrived_at) as arrived_at,
        count(*) as answers,
        max(load_number) as load_number
    from ranked
    group by platform, account_id, run_id
)

select * from merged
