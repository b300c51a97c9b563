{{ config(materialized='view') }}

with

manifests as (
    select * from {{ ref('stg_manifests') }}
),

unnested as (
    select
        topic,
        manifest_number,
        kind,
        checked_at,
        objects,
        released_number,
        reason,
        load_number,
        unnest(verdicts) as judged
    from manifests
),

final as (
    select
        unnested.topic,
        unnested.manifest_number,
        unnested.judged.platform,
        unnested.judged.verdict,
        unnested.judged.rows as row_count,
        unnested.judged.failures,
        unnested.kind,
        unnested.checked_at,
        unnested.objects,
        unnested.released_number,
        unnested.reason,
        unnested.load_number
    from unnested
)

select * from final
