"""What every platform's collector must do: `test_conformance.py` asks it of each platform in the registry.

Against the sandbox: a full collect is the truth, the ledger is the sandbox's own count, a retried task publishes the
same, every fault at every call ends as it should and loses nothing, and nothing secret or personal leaves.
"""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from infra.sandbox import comments, growth, people, posts
from infra.sandbox.posts import Post
from ingest.collect.outcome import Exhausted, Refused, Throttled
from ingest.collect.platforms import REGISTRY
from ingest.collect.quota import Ledger
from ingest.events import PostObserved, moment
from tests.collect.stage import NOW, Direct, Ran, Stage, accounts, sandbox, truth

RECORDINGS = Path(__file__).parent.parent / "recordings"
DAYS, WEEKS = timedelta(days=5), timedelta(days=35)
COUNTERS = ("views", "impressions", "likes", "score", "comments", "shares", "saves", "quotes")
OFTEN_NULL = {"shares", "saves", "quotes"}
"""Counters that a platform may leave out without a word."""
NOT_SERVED = {"personal", "private", "protected", "age_gated"}
"""Flags of accounts whose posts nobody is shown."""
READ_AS_ODD = ("zeroed", "huge", "odd_names", "repeated_rows")
UNREADABLE = ("truncated", "html", "empty", "redirect", "cut_gzip")
WAITED_OUT = ("throttled", "bare_429", "server_error", "unavailable", "reset", "slow")
THROUGH = ("collect", "later", "sample")


def plain(platform: str, count: int) -> list[str]:
    """Watch-list names of accounts without oddities, those with the fewest posts first."""
    rows = [row for row in accounts(platform) if not row["flags"] and not row["suspended"]]

    def recent(row: dict[str, Any]) -> int:
        return len(truth("posts", NOW, platform=platform, account_id=row["account_id"]))

    return [row["account"] for row in sorted(rows, key=recent)[:count]]


def losing(platform: str, count: int) -> list[str]:
    """Watch-list names of accounts without oddities, those first that delete most in the next weeks."""
    rows = [row for row in accounts(platform) if not row["flags"] and not row["suspended"]]
    now, later = NOW.timestamp(), (NOW + WEEKS).timestamp()

    def lost(row: dict[str, Any]) -> int:
        own = world_posts(platform, row["account_id"]).values()
        return sum(post.published_at < now < post.deleted_at <= later for post in own)

    return [row["account"] for row in sorted(rows, key=lost, reverse=True)[:count]]


# Accounts and posts are the truth


def is_served(row: dict[str, Any]) -> bool:
    """Whether the platform shows an account's posts to us."""
    return not (row["suspended"] or row["deleted"] or NOT_SERVED & set(row["flags"]))


def profiles_are_the_truth(ran: Ran, rows: dict[str, dict[str, Any]]) -> None:
    """Those that are there are seen with their followers, those that are away are not."""
    seen = {event.account_id: event for event in ran.events("accounts") if event.state == "visible"}
    renamed = {name for name, row in rows.items() if "renamed" in row["flags"]}
    away = {name for name, row in rows.items() if row["suspended"] or row["deleted"]}
    expected = {name for name, row in rows.items() if is_served(row)} - renamed
    assert expected <= seen.keys() <= rows.keys() - away
    for account_id, event in seen.items():
        if event.followers is not None:
            off = abs(event.followers - rows[account_id]["followers"])
            assert off <= ((event.followers_resolution or 1) - 1) + 2, event


def posts_are_the_truth(ran: Ran, row: dict[str, Any], platform: str) -> None:
    """An account's posts of the last 90 days, none left out that was not left out by the platform, none besides."""
    # What an owner's grant adds is events of their own, which hold nothing else.
    listed = [post for post in ran.events("posts") if post.authorisation != "consent"]
    mine = [post for post in listed if post.account_id == row["account_id"]]
    own = {post.post_id: post for post in mine if post.state == "visible"}
    for stream in [post for post in own.values() if post.viewers is not None]:
        stream_is_the_truth(own.pop(stream.post_id), platform)
    asked = {"platform": platform, "account_id": row["account_id"]}
    up = {
        post["post_id"]
        for post in truth("posts", NOW, **asked)
        if post["state"] == "visible" and NOW - timedelta(days=89) < moment(post["published_at"])
    }
    if not is_served(row):
        assert own == {}
        return
    if "hides_history" in row["flags"] or "renamed" in row["flags"]:
        assert own.keys() <= up
        return
    omitted = {post.post_id for post in mine if post.state == "gone"}
    assert omitted <= {
        name for name, post in world_posts(platform, row["account_id"]).items() if post.is_missed(NOW.timestamp())
    }
    recent = {name for name, post in own.items() if NOW - timedelta(days=89) < moment(post.published_at or "")}
    assert recent == up - omitted
    for post in own.values():
        counters_are_the_truth(post, asked)


def stream_is_the_truth(stream: PostObserved, platform: str) -> None:
    """A stream that is on has the viewers that it has."""
    world, at = sandbox().world, moment(stream.observed_at).timestamp()
    archive = posts.streaming(world.by_account_id[platform, stream.account_id], at, world.fakes)
    assert archive is not None
    assert (stream.format, stream.viewers) == ("live", posts.viewers(archive, at))


def counters_are_the_truth(post: PostObserved, asked: dict[str, str]) -> None:
    """Each counter is what it was at that moment; null only where the platform says why, or has none."""
    at = moment(post.observed_at)
    true = next(row for row in truth("posts", at, **asked, days="120") if row["post_id"] == post.post_id)
    for name in COUNTERS:
        value, said = getattr(post, name), [why.partition(":")[0] for why in post.unavailable or ()]
        if value is None:
            assert true[name] is None or name in said or name in OFTEN_NULL, (name, post)
        else:
            assert value == true[name], (name, post)


def world_posts(platform: str, account_id: str | None = None) -> dict[str, Post]:
    """The world's posts of the last months by the id that events have."""
    world, surface = sandbox().world, sandbox().surfaces[platform]
    month = posts.month_of(NOW.timestamp())
    return {
        surface.post_id(post): post
        for account in world.of_platform[platform]
        if (account.is_watched if account_id is None else account.account_id == account_id)
        for at in range(month - 4, month + 1)
        for post in posts.month_posts(account, at, world.fakes)
    }


def deleted_posts_become_tombstones(stage: Stage, first: Ran, later: Ran) -> None:
    """Of the posts once seen, those deleted meanwhile are gone some weeks later, and nothing else is."""
    assert later.failure is None
    assert later.notice
    true, at = world_posts(stage.platform), (NOW + WEEKS).timestamp()
    deleted = {name for name in first.visible & true.keys() if not true[name].is_up(at)}
    now = NOW.timestamp()
    at_risk = {post.account.account for post in true.values() if post.published_at < now < post.deleted_at <= at}
    assert deleted or not at_risk & set(losing(stage.platform, 1))
    events = later.events("posts")
    gone = {post.post_id for post in events if post.state == "gone"}
    assert deleted <= gone
    assert not later.visible & deleted
    assert all(true[name].is_missed(at) for name in (gone - deleted) & true.keys() if true[name].is_up(at))
    assert all(post.account_id and post.views is None for post in events if post.state == "gone")


# Faults


def phases(stage: Stage) -> Iterator[tuple[str, set[str], dict[str, Any], Ran]]:
    """A first collect, one days later, and a sample: (name, calls first made in it, store before it, clean run)."""
    known: set[str] = set()
    for name in THROUGH:
        before = stage.remember()
        sandbox().truth.requests.clear()
        ran = act(stage, name, "clean")
        assert ran.failure is None, (name, ran.failure)
        yield name, stage.asked() - known, before, ran
        known |= stage.asked()


def act(stage: Stage, phase: str, run_id: str) -> Ran:
    """One phase's run."""
    return stage.run("sample" if phase == "sample" else "collect", run_id, NOW + DAYS if phase == "later" else NOW)


def fault_ends_right(stage: Stage, kind: str, endpoint: str, phase: str, before: dict[str, Any], clean: Ran) -> None:
    """One fault at one call: the run ends as it should, and with the next run everything that can be read is read."""
    stage.store.objects = dict(before)
    stage.forget()
    asked: dict[str, object] = {"times": 1, "seconds": -3 * 86_400} if kind == "shifted" else {"times": 1}
    if kind == "looped":
        asked["times"] = 100_000
    stage.fault(kind=kind, endpoint=endpoint, **asked)
    rough = act(stage, phase, "rough")
    sandbox().faults.clear()
    what = f"{kind} at {endpoint} ({phase})"
    mints = "token" in endpoint
    if kind in WAITED_OUT or kind in READ_AS_ODD:
        assert rough.failure is None, (what, rough.failure)
        assert not rough.events("dead_letters") or mints, (what, rough.events("dead_letters"))
        assert subjects(clean) <= subjects(rough) or mints, (what, len(subjects(clean) - subjects(rough)))
    elif kind in UNREADABLE:
        assert rough.failure is None or mints, (what, rough.failure)
        assert len(rough.events("dead_letters")) == 1 or mints, what
    elif kind == "quota":
        assert isinstance(rough.failure, Exhausted | Throttled | None), (what, rough.failure)
    elif kind == "bad_key":
        assert isinstance(rough.failure, Refused | None), (what, rough.failure)
    else:
        assert rough.failure is None, (what, rough.failure)
    if kind not in {"shifted", "looped"}:  # these answer what was not asked
        no_false_tombstones(rough, stage.platform, what)
    if isinstance(rough.failure, Exhausted):
        return
    after = act(stage, phase, "after")
    if kind == "quota" and isinstance(after.failure, Exhausted):
        return  # another host of the platform went on, and the budget's end was left to the next run to say
    assert after.failure is None, (what, after.failure)
    lost = subjects(clean) - subjects(rough) - subjects(after)
    assert not lost, (what, sorted(lost)[:5])


def subjects(ran: Ran) -> set[tuple[str, ...]]:
    """Whom and what a run saw."""
    seen = {("account", event.account_id) for event in ran.events("accounts") if event.state == "visible"}
    seen |= {("post", event.post_id) for event in ran.events("posts") if event.state == "visible"}
    return seen | {("members", event.account_id) for event in ran.events("followers")}


def no_false_tombstones(ran: Ran, platform: str, what: str) -> None:
    """Nothing is said to be gone that is there, bar what the platform itself left out."""
    gone = [post for post in ran.events("posts") if post.state == "gone"]
    there = world_posts(platform) if gone else {}
    for post in gone:
        true, at = there.get(post.post_id), moment(post.observed_at).timestamp()
        assert true is None or not true.is_up(at) or true.is_missed(at), (what, post)


# The ledger


def ledger_is_the_platform_s_count(stage: Stage) -> None:
    """Units in the notices are those that the sandbox counted; a process that dies never leaves fewer written down."""
    stage.forget()
    first, second = stage.run("collect", "r1"), stage.run("sample", "s1")
    assert first.notice
    assert second.notice
    if first.notice.quota_units is None:
        return
    assert stage.units() == first.notice.quota_units + (second.notice.quota_units or 0) > 0


def ledger_is_never_below_after_a_crash(stage: Stage, monkeypatch: Any) -> None:
    """A process that dies gives nothing back: what is written down is at least what the platform counted."""
    stage.forget()
    stage.store.objects.clear()
    monkeypatch.setattr(Ledger, "settle", lambda _: None)
    stage.breaks_after = len(stage.wire) + 5
    ran = stage.run("collect", "r1")
    assert isinstance(ran.failure, BrokenPipeError)
    left = [json.loads(body) for key, (body, _) in stage.store.objects.items() if key.startswith("state/quota/")]
    assert sum(document["reserved"] for document in left) >= stage.units()


# Privacy and secrets


def carries_no_secret(stage: Stage, logged: str) -> None:
    """Nothing that authorised a request stands in what was published, stored, logged or said."""
    static = REGISTRY[stage.platform].authorise(stage.settings).values()
    secrets = Direct.carried | {value.rpartition(" ")[2] for value in static}
    text = unquote("\n".join(left_behind(stage, logged)))
    assert sorted(secret for secret in secrets if secret in text) == []


def left_behind(stage: Stage, logged: str) -> list[str]:
    """Everything that a run leaves: messages, objects, and what it logged and said."""
    objects = [body.decode("latin-1") for body, _ in stage.store.objects.values()]
    return [*(payload.decode() for _, payload in stage.wire), *objects, logged]


def identities(platform: str, names: list[str]) -> set[str]:
    """Names, handles, ids, bios of the newest members of audiences; short ones stand in too many other words."""
    world, at, found = sandbox().world, NOW.timestamp(), set()
    for account in (one for one in world.of_platform[platform] if one.account in names):
        listed = growth.audience(account, at, world.fakes)
        index = listed.newest(0, 120)
        if account.traits.audience == "commenter":
            rows = comments.of_channel(account, int(at), world.fakes).page(0, 300)
            index = np.union1d(index, np.array(sorted({row.member for row in rows})))
        for member in people.members(account, index, at, world.fakes):
            native = world.ids[platform].account(2, account.number, member.number)
            found |= {native, native.partition("_")[2], member.handle, member.name, member.bio}
    return {text for text in found if len(text) > 7}


def names_nobody(stage: Stage, watched: list[str], logged: str) -> None:
    """After samples that went well and samples whose every answer was unreadable, nothing left names a member."""
    served = b"\n".join(Direct.served).decode("utf-8", "replace")
    known = identities(stage.platform, watched)
    sampled = any(kind == "followers" for kind, _ in stage.wire)
    assert not sampled or sum(one in served for one in known) > 50, "the sandbox served nobody that could be named"
    text = unquote("\n".join(left_behind(stage, logged)))
    named = sorted(one for one in known if one in text)
    assert named == []
