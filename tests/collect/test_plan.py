"""What `assay plan` says is what a collector then asks: held against the sandbox's own count, day by day."""

import json
import math
import re
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from ingest.collect import known, ladder, plan
from ingest.collect.demand import Counting, Demand, expected
from ingest.collect.fit import SAMPLES_AT, SIZES, Watching, follow, make, next_samples
from ingest.collect.grants import Grants
from ingest.collect.ladder import HORIZON, STEPS, Known
from ingest.collect.platforms import REGISTRY
from ingest.collect.readings import aged, post_reads
from ingest.errors import DependencyFailed, Misconfigured
from ingest.land import chain, encode
from ingest.settings import ROOT, load
from tests.collect.stage import NOW, accounts, sandbox, set_up
from tests.land.memory import MemoryStore

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
FEW = 5


def plain(platform):
    """Watch-list names of some accounts without oddities; those with the fewest posts would have few new ones."""
    rows = [row for row in accounts(platform) if not row["flags"] and not row["suspended"]]
    return [row["account"] for row in rows[:FEW]]


def counted(stage):
    """Calls that the sandbox counted since it was last made to forget, but for tokens."""
    rows = sandbox().truth.requests.items()
    return sum(n for (name, call, _), n in rows if name == stage.platform and "token" not in call)


def spread_out(stage):
    """The known posts as if runs had gone on for weeks: last seen at moments that the ladder allows, none together."""
    spread = 0
    with known.read(stage.store, stage.platform) as posts:
        for account in posts.accounts:
            for post in posts.of(account):
                if every := ladder.interval(NOW - post.published_at):
                    posts.see([Known(post.post_id, account, post.published_at, NOW - every * (spread * 0.618 % 1))])
                    spread += 1
        posts.write(stage.store, stage.platform, NOW)


def planned(stage):
    """The plan of the stage's accounts, by what is known of them, and what is asked of a first cycle."""
    platform = REGISTRY[stage.platform]
    watched = plan.watched_by(stage.settings, platform, None)
    posts, source = plan.measure(stage.store, stage.platform, NOW)
    assert source.startswith("measured")
    granted = [grant.account_id for grant in Grants(stage.settings).all(stage.platform)]
    names = [platform.normalise(one.account) for one in watched]
    watching = Watching(names, granted, posts, sum(posts.values()) / len(posts))
    counting = Counting(platform, stage.settings, granted, NOW)
    followed = follow(counting, watching)
    return make(platform, stage.settings, followed, counting), counting.first(followed)


def agrees(planned, counted, share, least):
    """Whether a figure is within a share of what was counted, or within so few."""
    return abs(planned - counted) <= max(share * counted, least)


@pytest.mark.parametrize("platform", REGISTRY)
def test_the_plan_is_what_the_sandbox_counts_in_a_day_and_in_a_sample(platform, tmp_path, monkeypatch):
    stage = set_up(platform, plain(platform), tmp_path, monkeypatch)
    stage.run("collect", "r0")
    first = counted(stage), stage.units()
    spread_out(stage)
    made, at_first = planned(stage)
    stage.forget()
    published = Counter()
    for hour in range(1, 25):
        ran = stage.run("collect", f"r{hour}", NOW + hour * HOUR)
        assert ran.failure is None
        published.update(topic for topic, _ in ran.wire)
    day = counted(stage), stage.units()
    stage.forget()
    ran = stage.run("sample", "s1", NOW + DAY)
    sample = counted(stage), stage.units()

    assert agrees(at_first.all_calls, first[0], 0.1, 2), (at_first, first)
    assert agrees(24 * made.cycle.all_calls, day[0], 0.1, 2), (made.cycle, day)
    assert agrees(made.samples.all_calls, sample[0], 0.1, 2), (made.samples, sample)
    # A new post is read 24 times, and how many are new is chance: three standard deviations of a day's.
    by_chance = 3 * 24 * math.sqrt(sum(one.posts_a_day for one in made.followed))
    assert agrees(24 * made.cycle.events["posts"], published["posts"], 0, by_chance), (made.cycle, published)
    assert agrees(24 * made.cycle.events["accounts"], published["accounts"], 0.35, 0), (made.cycle, published)
    assert made.samples.events["followers"] >= len(ran.events("followers"))
    if made.budget is not None:
        assert agrees(at_first.units, first[1], 0.1, 2), (at_first, first)
        assert agrees(24 * made.cycle.units, day[1], 0.1, 2), (made.cycle, day)
        assert agrees(made.samples.units, sample[1], 0.1, 2), (made.samples, sample)


def test_an_event_has_the_bytes_that_the_plan_says(tmp_path, monkeypatch):
    kept = defaultdict(list)
    for platform in ("mastodon", "x", "youtube"):
        with monkeypatch.context() as patch:
            directory = tmp_path / platform
            directory.mkdir()
            stage = set_up(platform, plain(platform), directory, patch)
            for hour in range(4):
                stage.run("collect", f"r{hour}", NOW + hour * HOUR)
            stage.run("sample", "s1")
            for topic, body in stage.wire:
                kept[topic].append(body)
    for topic in ("posts", "accounts", "followers"):
        found, events = kept[topic], len(kept[topic])
        batches = [b"".join(found[at : at + 20]) for at in range(0, events, 20)]
        compressed = sum(len(pa.compress(batch, codec="zstd", asbytes=True)) for batch in batches)
        writer = encode.ObjectWriter(chain.Slot(topic, 0))
        writer.add(encode.Chunk(range(events), [0] * events, [b"key"] * events, found, [None] * events))
        writer.compact()
        assert 0.5 < SIZES[topic].kafka / (compressed / events) < 2, (topic, compressed / events)
        assert 0.5 < SIZES[topic].parquet / (writer.size / events) < 2, (topic, writer.size / events)


def test_readings_of_a_post_are_those_that_the_ladder_allows():
    published, now, seen, reads = NOW, NOW, None, 0
    while now < NOW + HORIZON:
        if ladder.is_due(published, seen, now):
            seen, reads = now, reads + 1
        now += HOUR
    assert post_reads(1.0) == pytest.approx(reads, abs=1.5)
    assert post_reads(2.0, DAY, 7 * DAY) == 48
    assert aged(0.0) == timedelta()
    assert aged(24 / post_reads(1.0)) == STEPS[0][0]
    assert aged(1.0) <= HORIZON


@pytest.mark.parametrize("mean", [0.0, 0.2, 3.0, 59.0, 60.5, 1234.5])
def test_expected_calls_of_a_chance_number_keep_the_mean(mean):
    found = expected(mean, lambda number: Demand(units=number))
    assert found.units == pytest.approx(mean, rel=1e-3)


def test_the_schedules_are_those_of_the_dags():
    assert 'schedule="0 * * * *"' in (ROOT / "dags" / "collect.py").read_text()
    minute, hour, weekday = re.search(
        r'later\("(\d+) (\d+) \* \* (\d)"\)', (ROOT / "dags" / "sample.py").read_text()
    ).groups()
    assert (int(weekday) - 1, timedelta(hours=int(hour), minutes=int(minute))) == SAMPLES_AT
    assert next_samples(datetime(2026, 11, 12, tzinfo=UTC)) == datetime(2026, 11, 16, 3, 30, tzinfo=UTC)
    assert next_samples(datetime(2026, 11, 16, 3, 31, tzinfo=UTC)) == datetime(2026, 11, 23, 3, 30, tzinfo=UTC)


# What is known


def test_posts_a_day_are_measured_on_the_known_posts_of_90_days():
    store = MemoryStore()
    posts = [Known(f"p{n}", "a", NOW - n * DAY, NOW) for n in range(1, 46)] + [Known("g", "a", NOW - DAY, NOW, "gone")]
    with known.read(store, "x") as found:
        found.see(posts)
        found.write(store, "x", NOW)
    assert plan.measure(store, "x", NOW) == ({"a": 0.5}, "measured: 45 known posts of 1 accounts")
    assert plan.measure(store, "youtube", NOW) == ({}, "assumed: no posts are known yet")


def test_without_a_lake_the_plan_says_that_it_assumes():
    class Down(MemoryStore):
        def get(self, key):
            raise DependencyFailed("nobody there")

    assert plan.measure(Down(), "x", NOW) == ({}, "assumed: the lake does not answer")


# The command


@pytest.fixture
def alone(tmp_path):
    """Settings of a machine on which nothing runs, with a watch list to be written."""
    return load(_env_file=None, var_dir=tmp_path, s3_port=1, watchlist_path=tmp_path / "list.csv")


def write(settings, *lines):
    settings.watchlist_path.write_text(
        "\n".join(["creator_id,creator_name,platform,account", *lines]), encoding="utf-8"
    )


def test_the_command_prints_a_row_a_platform_and_ends_with_0_where_all_fits(alone, assay):
    write(alone, "c1,Ann,youtube,@ann", "c1,Ann,bluesky,ann.example")
    done = assay(alone, "plan", "--json")
    assert done.returncode == 0, done.stderr
    rows = {one["platform"]: one for one in json.loads(done.stdout)}
    assert set(rows) == {"bluesky", "youtube"}
    assert rows["youtube"]["posts_a_day_from"] == "assumed: the lake does not answer"
    assert rows["youtube"]["budget"] == 10_000


def test_the_command_ends_with_1_where_something_does_not_fit_and_shows_what_would(alone, assay):
    write(alone, "c1,Ann,youtube,@ann", "c1,Ann,bluesky,ann.example")
    done = assay(alone, "plan", "--platform", "youtube", "--posts-a-day", "3", ASSAY_YOUTUBE_DAILY_UNITS="10")
    assert done.returncode == 1, done.stderr
    assert "What would make it fit" in done.stdout
    assert "ASSAY_YOUTUBE_DAILY_UNITS=" in done.stdout
    assert "bluesky" not in done.stdout
    assert re.search(r"account +@ann[\s\S]*post reads a day +238\.7", done.stdout)
    assert "posts a day of youtube: given" in done.stderr


def test_a_faulty_watch_list_ends_with_2_and_the_message_of_collect(alone, assay):
    write(alone, "c1,Ann,mastodon,ann")
    said = [assay(alone, *arguments).stderr for arguments in (["plan"], ["collect", "mastodon"])]
    assert said[0] == said[1]
    assert "list.csv:2: 'ann' cannot be an account of mastodon" in said[0]


def test_an_empty_watch_list_says_so_and_nothing_else(alone, assay):
    write(alone)
    done = assay(alone, "plan")
    assert (done.returncode, done.stdout) == (0, "")
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("the watch list has no accounts of these platforms")
    assert json.loads(assay(alone, "plan", "--json").stdout) == []


def test_a_platform_that_is_named_twice_is_planned_once(alone):
    write(alone, "c1,Ann,reddit,u/ann")
    assert len(plan.plan(alone, now=NOW, platforms=["reddit", "reddit"])) == 1


def test_more_posts_a_day_than_there_are_numbers_is_a_fault_of_the_one_who_asks(alone):
    write(alone, "c1,Ann,reddit,u/ann")
    with pytest.raises(Misconfigured, match="--posts-a-day"):
        plan.plan(alone, now=NOW, posts_a_day=math.inf)


def test_accounts_that_are_not_asked_come_with_the_next_step(alone, assay):
    write(alone, "c1,Ann,tiktok,ann")
    said = assay(alone, "plan").stderr
    assert "tiktok: 1 of 1 accounts not asked" in said
    assert "`assay connect tiktok`" in said
    assert "ASSAY_TIKTOK_RESEARCH_ELIGIBILITY" in said
