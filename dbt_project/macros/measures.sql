{# Sum of the counters that were measured: null when none was, never 0 for it. #}
{% macro sum_of_measured(columns) -%}
    case
        when coalesce({{ columns | join(', ') }}) is not null
            then {% for column in columns %}coalesce({{ column }}, 0){{ ' + ' if not loop.last }}{% endfor %}
    end
{%- endmacro %}

{# Seconds from one moment to another, negative when it is earlier. #}
{% macro seconds_between(earlier, later) -%}
    date_diff('second', {{ earlier }}, {{ later }})
{%- endmacro %}

{# Whole days from one date to another. #}
{% macro days_between(earlier, later) -%}
    date_diff('day', {{ earlier }}, {{ later }})
{%- endmacro %}

{# A mean of fractions without its last digits: those depend on the order of the rows, which no engine promises. #}
{% macro mean_of_fractions(column) -%}
    round(avg({{ column }}), 12)
{%- endmacro %}
