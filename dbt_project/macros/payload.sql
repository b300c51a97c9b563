{#
    An event may say more than the contract of its day: it lands as a good row and keeps its payload. Once the contract
    has the field, a rebuild of staging takes it from there. Objects of that day have no such column, so it reads null.
#}

{# `scan` of a topic's rows with each null of a good row filled from its payload, if that says a value of the type. #}
{% macro filled_from_payload(topic, scan) %}
    {% set envelope, fields = [], [] %}
    {% for column in lake_columns(topic) %}
        {% do (envelope if column.name.startswith('_') else fields).append(column) %}
    {% endfor %}
    select
        {% for column in envelope -%}
        {{ column.name }},
        {% endfor -%}
        {% for column in fields -%}
        coalesce({{ column.name }}, {{ json_value('said.' ~ column.name, column.type) }}) as {{ column.name }},
        {% endfor -%}
        filename
    from (
        select
            *,
            case
                when _payload is not null and _error is null then {{ said_once('decode(_payload)', fields) }}
            end as said
        from ({{ scan }})
    )
{% endmacro %}

{#
    A struct of the fields' values as JSON, the text read once. Of a key that stands twice the landing counts the last
    value and DuckDB the first, so such a payload says nothing.
#}
{% macro said_once(text, fields) -%}
    case
        when json_valid({{ text }}) and list_unique(json_keys({{ text }})) = len(json_keys({{ text }}))
            then json_transform({{ text }}, '{
                {%- for column in fields -%}
                "{{ column.name }}":"JSON"{{ ',' if not loop.last }}
                {%- endfor -%}
            }')
    end
{%- endmacro %}

{# A JSON value as a value of the type; null where the contract would refuse it: no number is read from a text. #}
{% macro json_value(value, type) -%}
    {% set text = "json_extract_string(" ~ value ~ ", '$')" %}
    {%- if type == 'varchar' -%}
    case when json_type({{ value }}) = 'VARCHAR' then {{ text }} end
    {%- elif type == 'bigint' -%}
    case when json_type({{ value }}) in ('BIGINT', 'UBIGINT') then try_cast({{ text }} as bigint) end
    {%- elif type == 'double' -%}
    case when json_type({{ value }}) in ('DOUBLE', 'BIGINT', 'UBIGINT') then try_cast({{ text }} as double) end
    {%- elif type == 'boolean' -%}
    case when json_type({{ value }}) = 'BOOLEAN' then try_cast({{ text }} as boolean) end
    {%- elif type == 'timestamptz' -%}
    case
        when json_type({{ value }}) = 'VARCHAR' and suffix({{ text }}, 'Z') then try_cast({{ text }} as timestamptz)
    end
    {%- elif type == 'varchar[]' -%}
    case
        when cast(json_structure({{ value }}) as varchar) in ('["VARCHAR"]', '["NULL"]')
            then json_transform({{ value }}, '["VARCHAR"]')
    end
    {%- else -%}
    {{ exceptions.raise_compiler_error('no JSON value is known to be a ' ~ type) }}
    {%- endif -%}
{%- endmacro %}
