{{ config(unique_key=['platform', 'account_id', 'relation', 'member_id', 'run_id']) }}

with

observations as (
    select * from {{ ref('stg_followers') }}
),

-- A partner that comes late has its whole run merged again.
touched as (
    select distinct
        platform,
        account_id,
        relation,
        member_id,
        run_id
    from observations
    where load_number > {{ last_load(this) }}
),

-- Two calls may describe one member, and one commenter may have written several comments.
ranked as (
    select
        observations.*,
        {{ precedence(['platform', 'account_id', 'relation', 'member_id', 'run_id']) }} as precedence
    from observations
    inner join touched using (platform, account_id, relation, member_id, run_id)
),

merged as (
    select
        platform,
        account_id,
        relation,
        member_id,
        run_id,
        {% for column in [
            'sample', 'position', 'followers', 'following', 'posts', 'created_at', 'is_verified', 'is_private',
            'has_picture', 'bio_length', 'has_external_url', 'handle_digit_share',
        ] -%}
        {{ merged(column) }},
        {% endfor -%}
        max(observed_at) as observed_at,
        count(*) as answers,
        max(load_number) as load_number
    from ranked
    group by platform, account_id, relation, member_id, run_id
)

select * from merged
