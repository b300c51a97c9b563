{{ config(unique_key='event_id') }}

with

{{ copies_of('notices') }},

-- A retried task publishes the same events again: the first copy on the topic is the one that counts.
first_copies as (
    select
        event_id,
        platform,
        run_id,
        collector,
        contract,

        expected_accounts,
        expected_posts,
        observed_accounts,
        skipped_accounts,
        skipped_posts,
        posts,
        accounts,
        followers,
        dead_letters,
        outcomes,
        unresolved,
        quota_units,
        quota_left,

        cast(observed_at as timestamp) as observed_at,
        cast(finished_at as timestamp) as finished_at,
        min(cast(earliest_observed_at as timestamp)) over (partition by event_id) as earliest_observed_at,
        cast(_timestamp as timestamp) as arrived_at,

        _partition as topic_partition,
        _offset as topic_offset,
        max(load_number) over (partition by event_id) as load_number
    from copies
    qualify row_number() over (partition by event_id order by _partition, _offset, load_number) = 1
)

select * from first_copies
