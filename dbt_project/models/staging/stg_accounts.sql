{{ config(unique_key='event_id') }}

with

{{ copies_of('accounts') }},

-- A retried task publishes the same events again: the first copy on the topic is the one that counts.
first_copies as (
    select
        event_id,
        platform,
        account_id,
        run_id,
        endpoint,
        collector,
        contract,
        authorisation,
        consent_id,

        state,
        state_reason,
        handle,
        display_name,
        url,
        country,
        language,
        category,
        bio,
        external_url,
        is_verified,
        is_private,
        has_picture,

        followers,
        following,
        posts,
        views,
        likes_received,
        followers_resolution,

        unavailable,
        definition,

        cast(created_at as timestamp) as created_at,
        cast(observed_at as timestamp) as observed_at,
        min(cast(earliest_observed_at as timestamp)) over (partition by event_id) as earliest_observed_at,
        cast(_timestamp as timestamp) as arrived_at,

        _partition as topic_partition,
        _offset as topic_offset,
        max(load_number) over (partition by event_id) as load_number
    from copies
    qualify row_number() over (partition by event_id order by _partition, _offset, load_number) = 1
)

select * from first_copies
