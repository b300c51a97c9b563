{{ config(unique_key=['topic', 'manifest_number']) }}

-- Loops of the template stand where the linter sees no indent.
-- noqa: disable=layout.indent

{# Manifests are immutable and numbered without gaps, so whatever is past the last number of a topic is new. #}
{% set files = [] %}
{% do source('lake', 'manifests') %}
{% if execute %}
    {% set query %}
        with listed as (
            select
                file,
                split_part(file, '/', -2) as topic,
                cast(regexp_extract(file, '(\d+)\.json$', 1) as bigint) as manifest_number
            from glob('{{ lake_uri("checks/*/*.json") }}')
        )

        select listed.file
        from listed
        {% if is_incremental() %}
        left join (
            select
                topic,
                max(manifest_number) as last_number
            from {{ this }}
            group by topic
        ) as known on listed.topic = known.topic
        where listed.manifest_number > coalesce(known.last_number, 0)
        {% endif %}
        order by 1
    {% endset %}
    {% for row in run_query(query).rows %}{% do files.append(row[0]) %}{% endfor %}
{% endif %}

{# What upkeep deleted is left out: only a warehouse that is built from nothing comes across it. #}
{% set records = [] %}
{% if execute %}
    {% for row in run_query("select file from glob('" ~ lake_uri('state/expired/*/*.json') ~ "') order by 1").rows %}
        {% do records.append(row[0]) %}
    {% endfor %}
{% endif %}

with

source as (
    {% if files %}
    select * from read_json(
        ['{{ files | join("', '") }}'],
        format = 'unstructured',
        columns = {
            topic: 'varchar',
            number: 'bigint',
            kind: 'varchar',
            checked_at: 'timestamp',
            suite: 'varchar',
            objects: 'varchar[]',
            verdicts: 'struct(platform varchar, verdict varchar, "rows" bigint, failures json)[]',
            poison: 'bigint',
            releases: 'bigint',
            reason: 'varchar'
        }
    )
    {% else %}
    select
        cast(null as varchar) as topic,
        cast(null as bigint) as number,
        cast(null as varchar) as kind,
        cast(null as timestamp) as checked_at,
        cast(null as varchar) as suite,
        cast(null as varchar[]) as objects,
        cast(null as struct(platform varchar, verdict varchar, "rows" bigint, failures json)[]) as verdicts,
        cast(null as bigint) as poison,
        cast(null as bigint) as releases,
        cast(null as varchar) as reason
    where false
    {% endif %}
),

deleted as (
    {% if records %}
    select unnest(objects) as lake_object
    from read_json(['{{ records | join("', '") }}'], format = 'unstructured', columns = {objects: 'varchar[]'})
    {% else %}
    select cast(null as varchar) as lake_object
    where false
    {% endif %}
),

expired as (
    select coalesce(list(distinct lake_object), []) as lake_objects from deleted
),

marked as (
    select
        source.*,
        list_intersect(source.objects, expired.lake_objects) as expired_objects
    from source
    cross join expired
),

renamed as (
    select
        topic,
        number as manifest_number,
        kind,
        checked_at,
        suite,
        list_filter(objects, lambda one: not list_contains(expired_objects, one)) as objects,
        verdicts,
        coalesce(poison, 0) as poison,
        releases as released_number,
        reason,
        cast({{ last_load(this) }} + 1 as bigint) as load_number
    from marked
)

select * from renamed
