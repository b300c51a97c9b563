{#
    Marts by account and date are replaced from a date on. An observation changes the rows of its account on its own date
    and after it, so each account with news is computed again from the earliest date that the news touch, and its rows
    from that date on are deleted first: a date that no longer has an observation must not stay behind.

    `meta.replaced_from` of a model says what else touches all of an account's rows:
        date_column    the date that rows are replaced from
        attributes     handle, creator or watch list changed since the rows were written
        calibration    the reach calibration changed since the rows were written
#}
{% macro touched_accounts() %}
    {% set settings = (config.get('meta') or {}).get('replaced_from', {}) if execute else {} %}
    {% set last = last_load(this) %}
    select
        platform,
        account_id,
        min(touched_date) as touched_date
    from (
        select
            platform,
            account_id,
            cast(earliest_observed_at as date) as touched_date
        from {{ ref('int_posts_merged') }}
        where load_number > {{ last }}
        union all
        select
            platform,
            account_id,
            cast(earliest_observed_at as date) as touched_date
        from {{ ref('int_accounts_merged') }}
        where load_number > {{ last }}
        {% if is_incremental() and settings.get('attributes') %}
        union all
        select
            written.platform,
            written.account_id,
            cast('0001-01-01' as date) as touched_date
        from {{ this }} as written
        inner join {{ ref('dim_accounts') }} as accounts
            on written.platform = accounts.platform and written.account_id = accounts.account_id
        where
            written.handle is distinct from accounts.handle
            or written.is_watched is distinct from accounts.is_watched
            or written.creator_id is distinct from accounts.creator_id
            or written.creator_name is distinct from accounts.creator_name
        {% endif %}
        {% if is_incremental() and settings.get('calibration') %}
        union all
        select
            platform,
            account_id,
            cast('0001-01-01' as date) as touched_date
        from {{ this }}
        where calibration_id is distinct from ({{ calibration_id() }})
        {% endif %}
    ) as news
    group by platform, account_id
{% endmacro %}

{% macro get_incremental_replace_from_sql(arguments) %}
    {% set date_column = config.get('meta')['replaced_from']['date_column'] %}
    {% set columns = get_quoted_csv(arguments['dest_columns'] | map(attribute='name')) %}
    delete from {{ arguments['target_relation'] }} as written
    using ({{ touched_accounts() }}) as touched
    where
        written.platform = touched.platform
        and written.account_id = touched.account_id
        and written.{{ date_column }} >= touched.touched_date;

    insert into {{ arguments['target_relation'] }} ({{ columns }})
    select {{ columns }}
    from {{ arguments['temp_relation'] }}
{% endmacro %}

{# Number of the load that rows written now belong to. #}
{% macro current_load() -%}
    (select max(manifests.load_number) from {{ ref('stg_manifests') }} as manifests)
{%- endmacro %}

{# The calibration as one short text, to see that it changed. #}
{% macro calibration_id() -%}
    select
        md5(string_agg(
            concat_ws(
                '|', platform, format, reach_per_view_low, reach_per_view_median, reach_per_view_high, status
            ),
            ';' order by platform, format
        ))
    from {{ ref('reach_calibration') }}
{%- endmacro %}
