{#
    What the calls of one run say of one subject, merged: a value beats null; of two values the later `observed_at`, then
    the endpoint that is first in the alphabet. `precedence` numbers the observations of a subject by that rule.
#}
{% macro precedence(subject) -%}
    row_number() over (
        partition by {{ subject | join(', ') }}
        order by observed_at, endpoint desc, event_id desc
    )
{%- endmacro %}

{% macro merged(column) -%}
    max_by({{ column }}, precedence) filter (where {{ column }} is not null) as {{ column }}
{%- endmacro %}
