"""Known posts: which posts of each platform to look up again. The only way back from the warehouse to the collectors.

`state/known_posts/{platform}.parquet`: account_id, post_id, published_at and last_seen_at (UTC, milliseconds), state.
It can be written again from `fct_posts` at any time.
"""

import io
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ingest.collect.known import SCHEMA, object_key
from ingest.collect.ladder import HORIZON
from ingest.collect.platforms import REGISTRY
from ingest.land.store import S3Store
from ingest.settings import Settings
from ingest.warehouse.reading import open_warehouse

QUERY = f"""
with watched as (
    select
        platform,
        account_id,
        post_id,
        cast(published_at as timestamp) as published_at,
        cast(last_seen_at as timestamp) as last_seen_at,
        state,
        format,
        max(last_observed_at) over (partition by platform) as newest_observation
    from marts.fct_posts
)

select platform, account_id, post_id, published_at, last_seen_at, state, format
from watched
where published_at > newest_observation - interval {HORIZON.days} day
order by platform, account_id, post_id
"""  # noqa: S608 our own number: the ladder looks no further back


def write(settings: Settings) -> list[dict[str, Any]]:
    """Write each platform's known posts to the lake; a row for each platform: platform, posts, object.

    Raises Misconfigured where nothing was built yet, DependencyFailed when the warehouse is held or the store is down.
    """
    with open_warehouse(settings) as warehouse:
        posts = warehouse.sql(QUERY).to_arrow_table()
        platforms = [
            row[0] for row in warehouse.sql("select distinct platform from marts.fct_posts order by 1").fetchall()
        ]
    store, rows = S3Store(settings), []
    for platform in platforms:
        own = posts.filter(pc.equal(posts["platform"], platform))
        if platform in REGISTRY and (passing := REGISTRY[platform].passing):
            own = own.filter(pc.invert(pc.is_in(own["format"], pa.array(passing, pa.string()))))
        own = own.drop_columns(["platform", "format"])
        body = io.BytesIO()
        pq.write_table(own.cast(SCHEMA), body, compression="zstd")
        key = object_key(platform)
        store.put(key, body.getvalue())
        rows.append({"platform": platform, "posts": len(own), "object": key})
    return rows
