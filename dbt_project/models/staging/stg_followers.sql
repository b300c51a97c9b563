{{ config(unique_key='event_id') }}

with

{{ copies_of('followers') }},

-- A retried task publishes the same events again: the first copy on the topic is the one that counts.
first_copies as (
    select
        event_id,
        platform,
        account_id,
        member_id,
        member_key_id,
        relation,
        post_id,
        comment_key,
        run_id,
        endpoint,
        collector,
        contract,
        authorisation,
        consent_id,

        sample,
        position,

        followers,
        following,
        posts,
        is_verified,
        is_private,
        has_picture,
        bio_length,
        has_external_url,
        handle_length,
        handle_digit_share,
        name_length,

        comment_length,
        comment_fingerprint,

        cast(followed_at as timestamp) as followed_at,
        cast(created_at as timestamp) as created_at,
        cast(commented_at as timestamp) as commented_at,
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
