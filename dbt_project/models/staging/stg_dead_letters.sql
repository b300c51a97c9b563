{{ config(unique_key='rejection_id') }}

with

answers as (
    {{ lake_rows('dead_letters') }}
),

{% for topic in ['posts', 'accounts', 'followers', 'dead_letters', 'notices', 'consents'] %}
poison_{{ topic }} as (
    {{ poison_rows(topic) }}
),

{% endfor %}
poison as (
    {% for topic in ['posts', 'accounts', 'followers', 'dead_letters', 'notices', 'consents'] %}
    select * from poison_{{ topic }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

unreadable_answers as (
    select
        event_id as rejection_id,
        'unreadable_answer' as kind,
        platform,
        endpoint,
        reason,
        run_id,
        url,
        status,
        content_type,
        body,
        body_bytes,
        body_sha256,
        body_keys,
        cast(null as blob) as payload,
        cast(null as varchar) as headers,
        cast(observed_at as timestamp) as observed_at,
        cast(_timestamp as timestamp) as arrived_at,
        _topic as topic,
        _partition as topic_partition,
        _offset as topic_offset,
        load_number
    from answers
),

-- Whatever stands in the key is a claim: only a platform that we know is believed.
poison_rows as (
    select
        concat_ws('/', _topic, _partition, _offset) as rejection_id,
        'poison' as kind,
        case
            when
                split_part(cast(_key as varchar), ':', 1)
                in ({{ names_of('platforms') }})
                then split_part(cast(_key as varchar), ':', 1)
        end as platform,
        cast(null as varchar) as endpoint,
        _error as reason,
        cast(null as varchar) as run_id,
        cast(null as varchar) as url,
        cast(null as bigint) as status,
        cast(null as varchar) as content_type,
        cast(null as varchar) as body,
        octet_length(_payload) as body_bytes,
        cast(null as varchar) as body_sha256,
        cast(null as varchar[]) as body_keys,
        _payload as payload,
        _headers as headers,
        cast(null as timestamp) as observed_at,
        cast(_timestamp as timestamp) as arrived_at,
        _topic as topic,
        _partition as topic_partition,
        _offset as topic_offset,
        load_number
    from poison
),

rejections as (
    select * from unreadable_answers
    union all
    select * from poison_rows
    {% if is_incremental() %}
    union all
    select * from {{ this }}
    where rejection_id in (select answers.event_id from answers)
    {% endif %}
),

first_copies as (
    select *
    from rejections
    qualify row_number() over (partition by rejection_id order by topic_partition, topic_offset, load_number) = 1
)

select * from first_copies
