with

rejections as (
    select * from {{ ref('stg_dead_letters') }}
),

replays as (
    select * from {{ ref('stg_replays') }}
),

reasons as (
    select * from {{ ref('poison_reasons') }}
),

-- The decoder's own words quote values and offsets; the class of them is what many have in common.
classified as (
    select
        rejections.rejection_id,
        min(reasons.reason) as reason
    from rejections
    inner join reasons on regexp_matches(rejections.reason, reasons.pattern)
    where rejections.kind = 'poison'
    group by rejections.rejection_id
),

letters as (
    select
        rejections.kind,
        rejections.topic,
        rejections.platform,
        rejections.endpoint,
        case
            when rejections.kind = 'poison' then coalesce(classified.reason, 'other') else rejections.reason
        end as reason,
        case
            when rejections.kind = 'poison'
                then nullif(regexp_extract(rejections.reason, '(?:at `\$\.|required field `)(\w+)', 1), '')
        end as field,
        coalesce(rejections.observed_at, rejections.arrived_at) as seen_at,
        rejections.topic_partition,
        rejections.topic_offset,
        rejections.run_id,
        replays.replayed_at
    from rejections
    left join classified on rejections.rejection_id = classified.rejection_id
    left join replays on rejections.rejection_id = replays.rejection_id
),

final as (
    select
        md5(concat_ws(
            '|', kind, topic, coalesce(platform, ''), coalesce(endpoint, ''), reason, coalesce(field, '')
        )) as dead_letter_group,
        kind,
        topic,
        platform,
        endpoint,
        reason,
        field,
        count(*) as letters,
        count(replayed_at) as replayed,
        count(*) - count(replayed_at) as open_letters,
        min(seen_at) as first_seen_at,
        max(seen_at) as last_seen_at,
        max(replayed_at) as last_replayed_at,
        arg_max(topic_partition, (seen_at, topic_partition, topic_offset)) as example_partition,
        arg_max(topic_offset, (seen_at, topic_partition, topic_offset)) as example_offset,
        arg_max(run_id, (seen_at, topic_partition, topic_offset)) as example_run_id
    from letters
    group by kind, topic, platform, endpoint, reason, field
)

select * from final
