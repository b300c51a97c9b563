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
        topic,
        manifest_number,
        judged.platform as platform,
        judged.verdict as verdict,
        judged."rows" as row_count,
        judged.failures as failures,
        kind,
        checked_at,
        objects,
        released_number,
        reason,
        load_number
    from unnested
)

select * from final
