"""Observations for a small lake: three platforms, a few days, and everything that makes loading hard.

Runs of one post by two calls, retried tasks that publish their events again with other values, answers that come late,
tombstones, unreadable answers and poison. `Story` lands them in an order drawn from a seed, checks them in between, and
quarantines and releases at random.
"""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from ingest import events
from ingest.events import AccountObserved, BatchPublished, DeadLetter, FollowerObserved, Message, PostObserved
from tests.warehouse.lake import Lake

START = datetime(2026, 3, 1, 20, tzinfo=UTC)
ARRIVED = datetime(2026, 3, 9, tzinfo=UTC)
PLATFORMS = ("youtube", "bluesky", "mastodon")


def head(
    kind: type[Message], platform: str, subject: tuple[str, ...], run: str, at: datetime, call: str
) -> dict[str, Any]:
    """The fields that all events of platforms have."""
    return {
        "event_id": events.event_id(kind, platform, subject, call, run),
        "contract": events.CONTRACT,
        "platform": platform,
        "observed_at": events.instant(at),
        "run_id": run,
        "endpoint": call,
        "collector": f"{platform}/1",
        "authorisation": "public",
    }


def post(
    platform: str, account: str, name: str, run: str, at: datetime, *, call: str = "videos", **fields: Any
) -> PostObserved:
    """One post, visible unless told otherwise."""
    shared = head(PostObserved, platform, (account, name), run, at, call)
    return PostObserved(**shared, account_id=account, post_id=name, **({"state": "visible"} | fields))


def account(
    platform: str, name: str, run: str, at: datetime, *, call: str = "channels", **fields: Any
) -> AccountObserved:
    """One profile, visible unless told otherwise."""
    shared = head(AccountObserved, platform, (name,), run, at, call)
    return AccountObserved(**shared, account_id=name, **({"state": "visible"} | fields))


def follower(platform: str, creator: str, member: str, run: str, at: datetime, **fields: Any) -> FollowerObserved:
    """One member of an audience."""
    shared = head(FollowerObserved, platform, (creator, member, "follower", ""), run, at, "followers")
    return FollowerObserved(
        **shared,
        account_id=creator,
        member_id=member,
        member_key_id="k",
        relation="follower",
        sample="spread",
        **fields,
    )


def dead_letter(platform: str, run: str, at: datetime, reason: str) -> DeadLetter:
    """An answer that could not be read."""
    shared = head(DeadLetter, platform, ("https://example.org",), run, at, "videos")
    del shared["authorisation"]
    return DeadLetter(**shared, reason=reason, url="https://example.org", body="<html>", body_bytes=6)


def notice(platform: str, run: str, at: datetime, **fields: Any) -> BatchPublished:
    """A finished run."""
    shared = head(BatchPublished, platform, (), run, at, "")
    del shared["endpoint"], shared["authorisation"]
    return BatchPublished(**shared, finished_at=events.instant(at + timedelta(seconds=9)), **fields)


def observations(draw: random.Random) -> list[Message]:
    """Five days of three accounts a platform, 7-hourly, so that runs fall on both sides of midnight."""
    made: list[Message] = []
    for platform in PLATFORMS:
        for number in range(3):
            name = f"{platform}-{number}"
            published = [START - timedelta(hours=draw.randint(-60, 30 * 24)) for _ in range(6)]
            for step in range(17):
                at = START + timedelta(hours=7 * step)
                run = f"collect/{step}"
                made.append(account(platform, name, run, at, handle=f"{name}.{step // 9}", followers=_count(draw)))
                for index, moment in enumerate(published):
                    made += _post(draw, platform, name, f"{name}/{index}", run, at, moment)
                if draw.random() < 0.1:
                    made.append(
                        follower(platform, name, f"member-{draw.randint(0, 5)}", run, at, followers=_count(draw))
                    )
            made.append(dead_letter(platform, "collect/3", START, f"not JSON {number}"))
        made += [notice(platform, f"collect/{step}", START + timedelta(hours=7 * step), posts=6) for step in range(17)]
    return made


class Story:
    """A lake that grows step by step, in an order that the seed decides."""

    def __init__(self, lake: Lake, seed: int) -> None:
        self.lake = lake
        self._draw = random.Random(seed)
        self._left = observations(self._draw)
        self._draw.shuffle(self._left)
        self._held: list[tuple[str, int, str]] = []

    def go_on(self, share: float) -> None:
        """Land a share of what is left, check it, quarantine some platforms, release some of those held."""
        cut = max(1, int(len(self._left) * share))
        batch, self._left = self._left[:cut], self._left[cut:]
        self.lake.land(batch, arrived=ARRIVED)
        self.lake.land_poison("posts", b"youtube:someone", b"\xff{", f"not UTF-8 ({cut})", arrived=ARRIVED)
        self.lake.land_poison("notices", b"\xfe", b"null", "not an object", arrived=ARRIVED)
        for topic in sorted({events.topic(message) for message in batch} | {"posts", "notices"}):
            held = tuple(platform for platform in PLATFORMS if self._draw.random() < 0.3)
            number = self.lake.check(topic, quarantine=held, checked_at=ARRIVED)
            self._held += [(topic, number, platform) for platform in held if self.lake.holds(topic, number, platform)]
        self._draw.shuffle(self._held)
        keep = len(self._held) // 2
        for topic, number, platform in self._held[keep:]:
            self.lake.release(topic, number, platform, checked_at=ARRIVED)
        self._held = self._held[:keep]


def _post(
    draw: random.Random, platform: str, name: str, post_id: str, run: str, at: datetime, published: datetime
) -> list[Message]:
    if at < published or draw.random() < 0.2:
        return []
    if draw.random() < 0.1:
        return [post(platform, name, post_id, run, at, state="gone")]
    seen = {"published_at": events.instant(published), "format": "video"}
    views = {"views": draw.randint(0, 900)} if platform == "youtube" else {}
    made: list[Message] = [post(platform, name, post_id, run, at, **seen, **views, likes=_count(draw))]
    if draw.random() < 0.2:  # a partner of the same run, hours later or at the same moment
        later = at + timedelta(hours=draw.choice((0, 0, 5)))
        made.append(
            post(platform, name, post_id, run, later, call="insights", likes=_count(draw), comments=_count(draw))
        )
    if draw.random() < 0.2:  # the task was retried, and saw something else
        later = at + timedelta(hours=draw.choice((0, 4)))
        made.append(post(platform, name, post_id, run, later, **seen, **views, likes=_count(draw), shares=_count(draw)))
    return made


def _count(draw: random.Random) -> int | None:
    return None if draw.random() < 0.15 else draw.randint(0, 500)
