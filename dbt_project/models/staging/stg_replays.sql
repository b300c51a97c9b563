{{ config(materialized='table') }}

{# One object for each batch of up to a thousand letters, so few and small: read whole each time. #}
{% set files = [] %}
{% do source('lake', 'replays') %}
{% if execute %}
    {% set query = "select file from glob('" ~ lake_uri('replays/*.json') ~ "') order by 1" %}
    {% for row in run_query(query).rows %}{% do files.append(row[0]) %}{% endfor %}
{% endif %}

-- Loops of the template stand where the linter sees no indent.
-- noqa: disable=layout.indent

with

source as (
    {% if files %}
    select * from read_json(
        ['{{ files | join("', '") }}'],
        format = 'unstructured',
        columns = {
            number: 'bigint',
            replayed_at: 'timestamp',
            letters: 'varchar[]'
        }
    )
    {% else %}
    select
        cast(null as bigint) as number,
        cast(null as timestamp) as replayed_at,
        cast(null as varchar[]) as letters
    where false
    {% endif %}
),

letters as (
    select
        unnest(letters) as rejection_id,
        replayed_at
    from source
),

final as (
    select
        rejection_id,
        min(replayed_at) as replayed_at
    from letters
    group by rejection_id
)

select * from final
