"""What a cycle of many accounts begins with and must come to: watch list, known posts, and the posts to be published.

The world is the sandbox's own, with more accounts; nothing is asked for over the wire.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from infra.sandbox import posts
from infra.sandbox.app import Sandbox
from infra.sandbox.cast import CREATORS, Account
from infra.sandbox.draw import mix
from infra.sandbox.posts import Post
from ingest.collect.known import SCHEMA, object_key
from ingest.collect.ladder import HORIZON, due, interval
from ingest.collect.ladder import Known as Seen
from ingest.land.store import S3Store
from ingest.settings import Settings

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Work:
    """One platform's cycle."""

    accounts: frozenset[str]
    """All of them; each is to be published."""
    posts: frozenset[str]
    """Posts that are due, and those of the last hour: each is to be published once."""
    known: tuple[Seen, ...]
    """Posts that earlier runs saw."""


class Cycles:
    """Cycles of a world that has so many accounts more on each platform, one hour after the last."""

    def __init__(self, more: Mapping[str, int], now: datetime) -> None:
        self.more, self._sandbox, self._now = more, Sandbox(more=more), now

    def prepare(self, settings: Settings, platform: str) -> Work:
        """Write the watch list; what the cycle begins with, and what it must come to."""
        accounts = [one for one in self._sandbox.world.of_platform[platform] if _creator(one) >= CREATORS]
        self._watch(settings.watchlist_path, accounts)
        known, fresh = [], set()
        for account in accounts:
            for post in self._posts(account):
                published = datetime.fromtimestamp(post.published_at, UTC)
                if published > self._now - HOUR:
                    fresh.update([self._id(post)] if post.is_up((self._now + HOUR).timestamp()) else [])
                elif post.is_up((seen := last_seen(published, post.key, self._now)).timestamp()):
                    known.append(Seen(self._id(post), account.account_id, published, seen))
        again = {post.post_id for post in due(known, self._now)}
        return Work(frozenset(one.account_id for one in accounts), frozenset(fresh | again), tuple(known))

    def published(self, platform: str, since: datetime, until: datetime) -> set[str]:
        """Ids of posts that were published in a stretch of time: a run may see those of its own minutes."""
        accounts = [one for one in self._sandbox.world.of_platform[platform] if _creator(one) >= CREATORS]
        return {
            self._id(post)
            for account in accounts
            for post in self._posts(account, until)
            if since.timestamp() <= post.published_at <= until.timestamp()
        }

    def _posts(self, account: Account, until: datetime | None = None) -> Iterator[Post]:
        """The account's posts of the time that posts are followed, up to now."""
        t = (until or self._now).timestamp()
        since = (self._now - HORIZON).timestamp()
        for month in range(posts.month_of(since), posts.month_of(t) + 1):
            found = posts.month_posts(account, month, self._sandbox.world.fakes)
            yield from (post for post in found if since < post.published_at <= t)

    def _id(self, post: Post) -> str:
        return self._sandbox.truth.post_id(post)

    @staticmethod
    def _watch(path: Path, accounts: Sequence[Account]) -> None:
        text = io.StringIO(newline="")
        lines = csv.writer(text)
        lines.writerow(["creator_id", "creator_name", "platform", "account"])
        lines.writerows([one.creator_id, one.creator_name, one.platform, one.account] for one in accounts)
        path.write_text(text.getvalue(), encoding="utf-8")


def last_seen(published: datetime, draw: int, now: datetime) -> datetime:
    """When hourly runs last read a post, as if those before all went well: each hour since is as likely as another."""
    every = interval(now - published) or HORIZON
    hours = max(1, every // HOUR)
    return max(published, now - HOUR * (1 + mix(draw) % hours))


def write(settings: Settings, platform: str, known: Sequence[Seen]) -> None:
    """Put the known posts where a collect finds them, as marts write them."""
    columns = {name: [getattr(post, name) for post in known] for name in SCHEMA.names}
    body = io.BytesIO()
    order = [("account_id", "ascending"), ("post_id", "ascending")]
    pq.write_table(pa.table(columns, SCHEMA).sort_by(order), body, compression="zstd")
    S3Store(settings).put(object_key(platform), body.getvalue())


def _creator(account: Account) -> int:
    """The creator's number in the cast."""
    return int(account.creator_id.removeprefix("creator-")) - 1
