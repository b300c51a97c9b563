"""Accounts, names, counters and credentials that are not as one would wish, on every platform of the registry.

What comes over the wire in a wrong form is in the fault matrix of `test_conformance.py`.
"""

import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.collect.call import recognise
from ingest.collect.grants import Grants
from ingest.collect.platforms import REGISTRY
from tests.collect import conformance as must
from tests.collect.owners import grant
from tests.collect.stage import NOW, accounts, set_up, truth

EVERY = pytest.mark.parametrize("platform", REGISTRY)
# TikTok's creators are watched by another id once they consent: `test_tiktok.py` asks the same of it.
GRANTING = pytest.mark.parametrize("platform", [n for n, one in REGISTRY.items() if one.oauth and n != "tiktok"])
HUGE = 2**53 + 1
READ = ("views", "impressions", "likes", "score", "comments", "shares", "saves", "quotes", "viewers")


def odd_accounts(platform):
    """One account of each kind that is odd, watched or not, and one plain one."""
    rows = truth("accounts", NOW, platform=platform, all="1")
    odd = {(*row["flags"], row["suspended"]): row for row in reversed(rows) if row["flags"] or row["suspended"]}
    plain = must.plain(platform, 1)[0]
    return {row["account_id"]: row for row in [*odd.values(), *(row for row in rows if row["account"] == plain)]}


def nobody(platform):
    """A name of the platform's form that nobody has."""
    named = next(row["account"] for row in accounts(platform) if REGISTRY[platform].normalise(row["account"]))
    names = [row["account"] for row in accounts(platform) if row["handle"] in row["account"]]
    return re.sub(r"[a-z]{4}", "zqxj", (names or [named])[0], count=1)


@EVERY
def test_each_kind_of_odd_account_ends_as_it_should_and_stops_no_other(platform, tmp_path, monkeypatch):
    rows = odd_accounts(platform)
    unknown = nobody(platform)
    stage = set_up(platform, [*(row["account"] for row in rows.values()), unknown], tmp_path, monkeypatch)
    ran = stage.run("collect", "r1")
    assert ran.failure is None
    assert not ran.events("dead_letters")
    must.profiles_are_the_truth(ran, rows)
    for row in rows.values():
        must.posts_are_the_truth(ran, row, platform)
    unresolved = set(ran.notice.unresolved)
    away = {row["account"] for row in rows.values() if row["suspended"] or row["deleted"] or "renamed" in row["flags"]}
    hidden = {row["account"] for row in rows.values() if must.NOT_SERVED & set(row["flags"])}
    assert away | {unknown} <= unresolved <= away | hidden | {unknown}
    gone = {event.account_id for event in ran.events("accounts") if event.state == "gone"}
    assert gone.isdisjoint(name for name, row in rows.items() if must.is_served(row) and "renamed" not in row["flags"])


@EVERY
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_stands_on_the_watch_list_is_no_name_or_becomes_calls_of_the_platform_s_own(platform, data):
    known = REGISTRY[platform]
    plain = st.sampled_from([row["account"] for row in accounts(platform)])
    odd = st.text(st.sampled_from("@/?#%&=.:;,+~\\\"'\x00\r\n \u202e\u00e9\ud800aZ0_-"), max_size=12)
    written = data.draw(st.text(max_size=30) | st.builds("".join, st.tuples(odd, plain, odd)))
    name = known.normalise(written)
    if name is None:
        return
    for call in known.resolve([name]):
        assert recognise(known.endpoints, call.method, call.url).endpoint == call.endpoint, (written, call.url)
        assert re.fullmatch(r"[\w.-]+(:[0-9]+)?", call.host), (written, call.host)


@EVERY
@pytest.mark.parametrize(("kind", "count"), [("zeroed", 0), ("huge", HUGE)])
def test_counters_that_jump_to_0_or_beyond_2_to_the_53_are_taken_as_they_are(
    platform, kind, count, tmp_path, monkeypatch
):  # fmt: skip
    stage = set_up(platform, must.plain(platform, 1), tmp_path, monkeypatch)
    clean = stage.run("collect", "r1")
    stage.store.objects.clear()
    stage.fault(kind=kind, times=100_000)
    ran = stage.run("collect", "r2")
    assert ran.failure is None
    assert not ran.events("dead_letters")
    assert ran.visible == clean.visible

    def counted(run):
        """Every counter of posts, by post, name and call."""
        posts = [post for post in run.events("posts") if post.state == "visible"]
        found = {(post.post_id, post.endpoint, name): getattr(post, name) for post in posts for name in READ}
        return {key: value for key, value in found.items() if value is not None}

    before, after = counted(clean), counted(ran)
    changed = {key for key, value in after.items() if value == count}
    assert len(changed) > len(after) / 2, "does infra/sandbox/spoil.py know the keys of these counters?"
    assert all(after[key] == before[key] for key in before.keys() & after.keys() - changed)
    assert before.keys() <= after.keys(), "a counter of 0 is 0, not unknown"


@GRANTING
def test_a_grant_swapped_for_another_s_reads_nothing_in_the_wrong_name(platform, tmp_path, monkeypatch):
    stage, one, other = two_grants(platform, tmp_path, monkeypatch)
    swapped = msgspec.structs.replace(other, account_id=one.account_id, consent_id=one.consent_id)
    Grants(stage.settings).put(swapped)
    read = under_consent(stage)
    assert one.account_id not in read
    assert read[other.account_id] == {other.consent_id}


@GRANTING
def test_a_token_that_nobody_knows_is_renewed_or_ends_with_that_grant_alone(platform, tmp_path, monkeypatch):
    stage, one, other = two_grants(platform, tmp_path, monkeypatch)
    Grants(stage.settings).put(msgspec.structs.replace(one, access_token="made-up", refresh_token="made-up-too"))
    read = under_consent(stage)
    assert one.account_id not in read
    assert read[other.account_id] == {other.consent_id}


def two_grants(platform, tmp_path, monkeypatch):
    """A stage with two accounts that are there, and the grants of both, as the store has them."""
    away = {"renamed", "empty", "no_comments", "hides_history"}
    rows = [row for row in accounts(platform) if must.is_served(row) and not away & set(row["flags"])][:2]
    stage = set_up(platform, [row["account"] for row in rows], tmp_path, monkeypatch)
    for row in rows:
        Grants(stage.settings).put(grant(platform, row["account_id"]))
    return (stage, *Grants(stage.settings).all())


def under_consent(stage):
    """By account, the consents under which a cycle and a sample published something; both end well."""
    found = {}
    for ran in (stage.run("collect", "r1"), stage.run("sample", "s1")):
        assert ran.failure is None
        assert not ran.events("dead_letters")
        for event in ran.events("posts") + ran.events("accounts") + ran.events("followers"):
            if event.authorisation == "consent":
                found.setdefault(event.account_id, set()).add(event.consent_id)
    return found
