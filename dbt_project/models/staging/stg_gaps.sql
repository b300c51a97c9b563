{{ config(materialized='table') }}

{# Few and small: read whole each time. One pattern a topic, so that only the gaps are listed. #}
{% set files = [] %}
{% do source('lake', 'gaps') %}
{% if execute %}
    {% for topic in ['posts', 'accounts', 'followers', 'dead_letters', 'notices', 'consents'] %}
        {% set query = "select file from glob('" ~ lake_uri('raw/' ~ topic ~ '/_gaps/*/*.json') ~ "') order by 1" %}
        {% for row in run_query(query).rows %}{% do files.append(row[0]) %}{% endfor %}
    {% endfor %}
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
            topic: 'varchar',
            partition: 'bigint',
            "from": 'bigint',
            "to": 'bigint',
            noticed_at: 'timestamp'
        }
    )
    {% else %}
    select
        cast(null as varchar) as topic,
        cast(null as bigint) as partition,
        cast(null as bigint) as "from",
        cast(null as bigint) as "to",
        cast(null as timestamp) as noticed_at
    where false
    {% endif %}
),

renamed as (
    select
        topic,
        partition as topic_partition,
        "from" as from_offset,
        "to" as to_offset,
        noticed_at
    from source
)

select * from renamed
