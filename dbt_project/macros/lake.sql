{#
    Reading the lake. Only what a manifest let in is ever read, and only once: the files come as literals, because DuckDB
    opens the footer of every file that a join or a subquery might rule out later.
#}

{# The address of an object, or of a pattern of objects, of the lake. #}
{% macro lake_uri(key) -%}
    s3://{{ env_var('ASSAY_DBT_BUCKET') }}/{{ key }}
{%- endmacro %}

{# Number of the last load that `relation` has rows of: 0 when it is built anew. Ask in the model's body only. #}
{% macro last_load(relation) %}
    {% if not execute or not is_incremental() %}{{ return(0) }}{% endif %}
    {{ return(run_query('select coalesce(max(load_number), 0) from ' ~ relation).rows[0][0]) }}
{% endmacro %}

{# Names and types of the columns of a topic's objects, from the source's description: [{name, type}]. #}
{% macro lake_columns(topic) %}
    {% set found = [] %}
    {% if execute %}
        {% for node in graph.sources.values() if node.source_name == 'lake' and node.name == topic %}
            {% for column in node.columns.values() %}
                {% do found.append({'name': column.name, 'type': column.data_type}) %}
            {% endfor %}
        {% endfor %}
    {% endif %}
    {{ return(found) }}
{% endmacro %}

{# Rows of `objects` with the described columns: one that no file has yet is null, one that we do not know is left. #}
{% macro lake_scan(topic, objects) %}
    {% set columns = lake_columns(topic) %}
    select
        {% for column in columns -%}
        {{ column.name }},
        {% endfor -%}
        filename
    from (
        select
            {% for column in columns -%}
            cast(null as {{ column.type }}) as {{ column.name }},
            {% endfor -%}
            cast(null as varchar) as filename
        where false
        {% if objects -%}
        union all by name
        select * from read_parquet(
            ['{{ objects | join("', '") }}'],
            filename = true, union_by_name = true, hive_partitioning = false
        )
        {%- endif %}
    )
{% endmacro %}

{# Good rows of the topic that manifests let in since the model's last load, with `load_number`. #}
{% macro lake_rows(topic) %}
    {% do source('lake', topic) %}
    {% set verdicts = ref('stg_verdicts') %}
    {% set admitted = [] %}
    {% if execute %}
        {% set query %}
            select lake_object, platform, min(load_number)
            from {{ verdicts }}, unnest(objects) as listed (lake_object)
            where
                topic = '{{ topic }}'
                and verdict in ('passed', 'released')
                and load_number > {{ last_load(this) }}
            group by all
            order by all
        {% endset %}
        {% for row in run_query(query).rows %}
            {% do admitted.append({'uri': lake_uri(row[0]), 'platform': row[1], 'load_number': row[2]}) %}
        {% endfor %}
    {% endif %}
    select
        lake.*,
        lake.observed_at as earliest_observed_at,
        admitted.load_number
    {% set scan = lake_scan(topic, admitted | map(attribute='uri') | unique | list) %}
    from ({{ filled_from_payload(topic, scan) }}) as lake
    inner join (
        select * from (values
            {% for one in admitted -%}
            ('{{ one.uri }}', '{{ one.platform }}', {{ one.load_number }}),
            {% endfor -%}
            (cast(null as varchar), cast(null as varchar), cast(null as bigint))
        ) as listed (uri, platform, load_number)
    ) as admitted
        on lake.filename = admitted.uri and lake.platform = admitted.platform
    where lake._error is null
{% endmacro %}

{# The CTEs `source` and `copies`: good rows that are new, and with them the loaded rows of the same events. #}
{% macro copies_of(topic) -%}
source as (
    {{ lake_rows(topic) }}
),

copies as (
    select * from source
    {% if is_incremental() %}
    union all by name
    select
        *,
        topic_partition as _partition,
        topic_offset as _offset,
        arrived_at as _timestamp
    from {{ this }}
    where event_id in (select source.event_id from source)
    {% endif %}
)
{%- endmacro %}

{# Rows of the topic that could not be read, whatever the verdict, checked since the model's last load. #}
{% macro poison_rows(topic) %}
    {% do source('lake', topic) %}
    {% set manifests = ref('stg_manifests') %}
    {% set checked = [] %}
    {% if execute %}
        {% set query %}
            select lake_object, min(load_number)
            from {{ manifests }}, unnest(objects) as listed (lake_object)
            where topic = '{{ topic }}' and kind = 'check' and poison > 0 and load_number > {{ last_load(this) }}
            group by all
            order by all
        {% endset %}
        {% for row in run_query(query).rows %}
            {% do checked.append({'uri': lake_uri(row[0]), 'load_number': row[1]}) %}
        {% endfor %}
    {% endif %}
    select
        lake._topic,
        lake._partition,
        lake._offset,
        lake._timestamp,
        lake._key,
        lake._payload,
        lake._headers,
        lake._error,
        checked.load_number
    from ({{ lake_scan(topic, checked | map(attribute='uri') | list) }}) as lake
    inner join (
        select * from (values
            {% for one in checked -%}
            ('{{ one.uri }}', {{ one.load_number }}),
            {% endfor -%}
            (cast(null as varchar), cast(null as bigint))
        ) as listed (uri, load_number)
    ) as checked
        on lake.filename = checked.uri
    where lake._error is not null
{% endmacro %}
