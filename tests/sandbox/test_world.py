"""The world itself: pure, lively, and as told by its truth."""

import csv
from datetime import UTC, datetime

import numpy as np
import pytest

from infra.sandbox import comments, growth, people, posts, reach, watchlist
from infra.sandbox.cast import DAY, EPOCH, PLATFORMS, RENAMED, Account
from infra.sandbox.ids import CREATOR, MEMBER
from infra.sandbox.traits import TRAITS, platform_of
from infra.sandbox.world import World, suspended_since
from ingest.collect.platforms import REGISTRY
from ingest.settings import ROOT

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC).timestamp()


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def buyer(world: World, platform: str) -> Account:
    return next(a for a in world.of_platform[platform] if a.buys_every_days and not a.flags)


def test_the_watch_list_is_the_watched_part_of_the_world(world: World) -> None:
    with (ROOT / "dbt_project/seeds/watchlist.csv").open() as file:
        listed = {(row["creator_id"], row["platform"], row["account"]) for row in csv.DictReader(file)}
    assert listed == {row[:1] + row[2:4] for row in watchlist.rows(world, REGISTRY)}
    assert len(listed) >= 48
    assert len({creator for creator, _, _ in listed}) >= 40
    assert len(world.accounts) >= 3 * len(listed)
    flags = {flag for a in world.accounts if a.is_watched for flag in a.flags}
    assert {"hidden_likes", "hidden_subscribers", "no_comments", "hides_network", "suspended_first"} <= flags


@pytest.mark.parametrize("platform", PLATFORMS)
def test_ids_read_back_and_made_up_ones_name_nobody(world: World, platform: str) -> None:
    ids = world.ids[platform]
    for kind, number, index in ((CREATOR, 0, 0), (MEMBER, 207, 0), (MEMBER, 9, 2**22 - 1)):
        text = ids.account(kind, number, index)
        assert ids.read_account(text) == (kind, number, index)
        made_up = [text[:-1] + other for other in "23456789" if other != text[-1]]
        assert sum(ids.read_account(other) is not None for other in made_up) <= 1  # few check bits where ids are short
    assert ids.read_account("nobody") is None


@pytest.mark.parametrize("platform", [p for p in PLATFORMS if TRAITS[p].posts])
def test_ids_of_posts_lead_back_to_them(world: World, platform: str) -> None:
    account = next(a for a in world.of_platform[platform] if not a.flags)
    recent = list(posts.newest(account, NOW, NOW, 1.0, NOW - 60 * DAY))
    ids = [world.post_id(post) for post in recent]
    assert len(ids) == len(set(ids)) > 3
    assert [world.post(platform, text, NOW) for text in ids] == recent
    assert world.post(platform, ids[0], recent[0].published_at - 60) is None
    assert world.post(platform, ids[0][:-1] + ("2" if ids[0][-1] != "2" else "3"), NOW) is None


@pytest.mark.parametrize("platform", PLATFORMS)
def test_handles_are_unique_and_in_the_platform_s_room(world: World, platform: str) -> None:
    handles = [(a.host, a.handle) for a in world.of_platform[platform]]
    assert len(handles) == len(set(handles)) >= 14
    assert max(len(handle) for _, handle in handles) <= TRAITS[platform].longest


def test_a_renamed_account_answers_to_one_name_at_a_time(world: World) -> None:
    account = next(a for a in world.accounts if "renamed" in a.flags)
    for t, name in ((RENAMED - 1, account.former_handle), (RENAMED, account.handle)):
        assert account.handle_at(t) == name
        found = [world.handled(account.platform, n, t) for n in (account.former_handle, account.handle)]
        assert found.count(account) == 1
        assert world.handled(account.platform, name, t) is account


def test_a_request_means_the_platform_of_its_host_or_of_its_path() -> None:
    assert platform_of("api.x.com", "/oauth2/token") == "x"
    assert platform_of("127.0.0.1", "/oauth2/token") == "twitch"
    assert platform_of("127.0.0.1", "/api/v1/access_token") == "reddit"
    assert platform_of("127.0.0.1", "/api/v1/accounts/lookup") == "mastodon"
    assert platform_of("127.0.0.1", "/v2/reports") == "youtube"
    assert platform_of("127.0.0.1", "/v2/video/list/") == "tiktok"
    assert platform_of("127.0.0.1", "/v26.0/1") == "instagram"
    assert platform_of("127.0.0.1", "/_health") is None


def test_the_past_stays_as_it_was_seen(world: World) -> None:
    account = buyer(world, "bluesky")
    then = posts.count(account, NOW), growth.followers(account, NOW, 1.0), list(posts.newest(account, NOW, NOW, 1.0))
    fresh = World().accounts[account.number]
    growth.followers(fresh, NOW + 5000 * DAY, 1.0)  # a later moment asked first changes nothing
    assert (
        posts.count(fresh, NOW),
        growth.followers(fresh, NOW, 1.0),
        list(posts.newest(fresh, NOW, NOW, 1.0)),
    ) == then


def test_a_year_far_ahead_agrees_with_a_near_one(world: World) -> None:
    account = buyer(world, "mastodon")
    near, far = growth.curve(account, 1, 1.0), growth.curve(account, 3, 1.0)
    moments = EPOCH + DAY * np.arange(0, 900, 0.37)
    assert np.allclose(np.interp(moments, near.at, near.joined), np.interp(moments, far.at, far.joined))


def test_another_seed_is_another_world() -> None:
    ours, other = World(7).accounts[0], World(8).accounts[0]
    assert ours.local_id != other.local_id
    assert ours.first_followers != other.first_followers


def test_a_purchase_is_a_step_in_followers_and_a_purge_a_fall(world: World) -> None:
    account = buyer(world, "bluesky")
    known = growth.history(account, NOW, 1.0)
    when, start, end = next(p for p in known.purchases if p[0] > NOW - 90 * DAY)
    bought = growth.followers(account, when + 7 * 3600, 1.0) - growth.followers(account, when, 1.0)
    usual = account.first_followers * account.join_rate / 365
    assert bought > 0.9 * (end - start)
    assert bought > 5 * usual
    assert people.fake_flags(account, np.arange(start, end), NOW, 1.0).mean() > 0.9
    purged_at, low, high = next(p for p in known.purges if p[0] > when)
    fallen = growth.followers(account, purged_at - 1, 1.0) - growth.followers(account, purged_at, 1.0)
    assert fallen == high - low
    assert fallen > 0


def test_ranks_walk_the_whole_list_once(world: World) -> None:
    account = buyer(world, "mastodon")
    listed = growth.audience(account, NOW, 1.0)
    seen: list[int] = []
    rank = 0
    while rank < listed.count:
        page = listed.newest(rank, 700)
        seen += page.tolist()
        rank = listed.rank_below(seen[-1])
    assert len(seen) == listed.count == len(set(seen))
    assert seen == sorted(seen, reverse=True)


def test_views_grow_with_age_and_saturate(world: World) -> None:
    account = world.of_platform["youtube"][0]
    post = next(p for p in posts.newest(account, NOW, NOW, 1.0) if p.purged_at == posts.NEVER and p.ends[0] > 1000)
    hours = [post.counters(post.published_at + 3600 * age).views for age in (0, 1, 6, 24, 24 * 7, 24 * 60, 24 * 400)]
    assert hours[0] == 0
    assert hours[1] > 0
    assert hours[2] > hours[1]
    assert hours[-1] / post.ends[0] > 0.99
    assert (hours[3] - hours[0]) > (hours[-1] - hours[5]) * 3


def test_some_counters_fall(world: World) -> None:
    account = world.of_platform["youtube"][0]
    post = next(p for p in posts.newest(account, NOW, NOW, 1.0) if p.purged_at < NOW and p.ends[0] > 1000)
    assert post.counters(post.purged_at).views < post.counters(post.purged_at - 1).views


def test_posts_are_deleted_all_the_time(world: World) -> None:
    for at in (NOW - 200 * DAY, NOW, NOW + 400 * DAY):
        fallen = [
            post
            for account in world.accounts
            if account.is_watched
            for month in (posts.month_of(at) - 1, posts.month_of(at))
            for post in posts.month_posts(account, month, 1.0)
            if at - 30 * DAY < post.deleted_at <= at
        ]
        assert len(fallen) > 20
        assert not any(post.is_up(at) for post in fallen)


@pytest.mark.parametrize("days", range(0, 60, 5))
def test_at_any_moment_a_watched_account_was_suspended_within_two_weeks(world: World, days: int) -> None:
    t = NOW + days * DAY
    since = [moment for a in world.accounts if a.is_watched and (moment := suspended_since(a, t)) is not None]
    assert len(since) == 1
    assert t - since[0] < 14 * DAY


def test_fakes_differ_between_accounts_and_double_on_demand(world: World) -> None:
    shares = {f: [people.fake_share(a, NOW, f)[0] for a in world.accounts if a.is_watched] for f in (1.0, 2.0)}
    assert min(shares[1.0]) < 0.05
    assert 0.35 < max(shares[1.0]) < 0.7
    assert np.mean(shares[2.0]) > 1.6 * np.mean(shares[1.0])
    assert max(shares[2.0]) <= 0.95


def test_fakes_look_different_from_people_but_not_all_of_them(world: World) -> None:
    account = max(world.of_platform["bluesky"], key=lambda a: people.fake_share(a, NOW, 1.0)[0])
    index = growth.audience(account, NOW, 1.0).newest(0, 4000)
    found = people.members(account, index, NOW, 1.0)
    ratio = {
        flag: [np.log((m.following + 1) / (m.followers + 1)) for m in found if m.is_fake is flag]
        for flag in (True, False)
    }
    assert min(map(len, ratio.values())) > 200
    beaten = np.mean([fake > person for fake in ratio[True][:300] for person in ratio[False][:300]])
    assert 0.75 < beaten < 0.97


def test_a_member_stays_who_it_is(world: World) -> None:
    account = world.of_platform["bluesky"][3]
    early, late = (people.members(account, np.array([5, 700]), t, 1.0) for t in (NOW - 100 * DAY, NOW))
    assert early == late
    assert people.members(account, np.array([700]), NOW, 1.0) == late[1:]


def test_reach_is_below_views_and_counts_people_once(world: World) -> None:
    for account in world.of_platform["youtube"][:12]:
        recent = list(posts.newest(account, NOW, NOW, 1.0, NOW - 90 * DAY))
        views = sum(post.counters(NOW).views for post in recent)
        apart = sum(reach.of_post(post, NOW) for post in recent)
        once = reach.of_window(account, NOW, 90, 1.0)
        assert 0.5 * views <= apart <= 0.95 * views
        assert 0.25 * views < once <= apart


def test_comments_stand_in_order_and_keep_their_places(world: World) -> None:
    account = max((a for a in world.of_platform["youtube"] if not a.flags), key=lambda a: a.first_followers)
    now, later = int(NOW), int(NOW) + 7200
    rows = comments.of_channel(account, now, 1.0).page(0, 200)
    assert len(rows) == 200
    assert [row.at for row in rows] == sorted((row.at for row in rows), reverse=True)
    assert all(row.post.published_at < row.at <= now for row in rows)
    known = {
        (row.post.index, row.number): (row.at, row.member)
        for row in comments.of_channel(account, later, 1.0).page(0, 2000)
    }
    same = [
        known[row.post.index, row.number] == (row.at, row.member)
        for row in rows
        if (row.post.index, row.number) in known
    ]
    assert len(same) > 150
    assert np.mean(same) > 0.95
