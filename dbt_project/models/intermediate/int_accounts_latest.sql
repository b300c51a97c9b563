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
        accounts.*,
        row_number() over (
            partition by accounts.platform, accounts.account_id
            order by accounts.observed_at, accounts.run_id
        ) as precedence
    from accounts
    inner join touched
        on accounts.platform = touched.platform and accounts.account_id = touched.account_id
),

final as (
    select
        platform,
        account_id,
        {% for column in [
            'state', 'handle', 'display_name', 'created_at', 'url', 'country', 'language', 'category', 'bio',
            'external_url', 'is_verified', 'is_private', 'has_picture',
        ] -%}
        {{ merged(column) }},
        {% endfor -%}
        max_by(state_reason, precedence) as state_reason,
        {% for column in ['followers', 'following', 'posts', 'views', 'likes_received', 'followers_resolution'] -%}
        max_by({{ column }}, precedence) filter (where {{ column }} is not null) as {{ column }},
        {% endfor -%}
        max(observed_at) filter (where followers is not null) as followers_measured_at,
        min(observed_at) as first_observed_at,
        max(observed_at) as last_observed_at,
        max(observed_at) filter (where state <> 'gone') as last_seen_at,
        count(*) as observations,
        max(load_number) as load_number
    from observations
    group by platform, account_id
)

select * from final
