{# The names in a list that `assay build` hands over, as literals: platforms come from the collectors, not from here. #}
{% macro names_of(variable) -%}
    '{{ (var(variable) if execute else ['youtube']) | join("', '") }}'
{%- endmacro %}
