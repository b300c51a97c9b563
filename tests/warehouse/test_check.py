"""What was landed is judged once, platform by platform, and the verdicts are kept."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import DependencyFailed, Misconfigured
from ingest.events import TOPICS
from ingest.land.store import S3Store
from ingest.settings import Settings, load
from ingest.warehouse import check, manifests, suites
from tests.warehouse.landed import ARRIVED, land, poison, post

NOW = datetime(2026, 3, 4, 13, tzinfo=UTC)


@pytest.fixture
def store(settings: Settings) -> S3Store:
    return S3Store(settings)


def verdicts(settings: Settings) -> dict[str, str]:
    return {row["platform"]: row["verdict"] for row in check.check_landed(settings, now=NOW)}


@pytest.mark.stack
def test_everything_that_landed_is_judged_once_and_ranges_follow_on_each_other(
    settings: Settings, store: S3Store
) -> None:
    end = land(store, "posts", [post("youtube", n) for n in range(20)])
    land(store, "posts", [post("bluesky", n) for n in range(5)], partition=3, start=100)
    assert {row["topic"] for row in check.check_landed(settings, now=NOW)} == {"posts"}
    assert check.check_landed(settings, now=NOW) == []

    next_day = ARRIVED + timedelta(days=1)
    land(store, "posts", [post("mastodon", 1)], start=end, arrived=next_day)
    land(store, "posts", [post("mastodon", 2)], partition=5, start=7, arrived=ARRIVED)
    check.check_landed(settings, now=NOW)

    first, second = manifests.read_all(store, "posts")
    assert [first.number, second.number] == [1, 2]
    assert [(r.partition, r.start, r.end) for r in first.ranges] == [(0, 0, 20), (3, 100, 105)]
    assert [(r.partition, r.start, r.end) for r in second.ranges] == [(0, 20, 21), (3, 105, 105), (5, 7, 8)]
    assert second.objects == (
        "raw/posts/date=2026-03-05/partition=0/00000000000000000020.parquet",
        "raw/posts/date=2026-03-04/partition=5/00000000000000000007.parquet",
    )
    assert not manifests.anything_unchecked(store)


@pytest.mark.stack
def test_a_manifest_reads_as_the_contract_has_it(settings: Settings, store: S3Store) -> None:
    land(store, "posts", [post("youtube", n) for n in range(3)] + [poison("youtube")], partition=2, start=9)
    check.check_landed(settings, now=NOW)
    found = store.get("checks/posts/00000001.json")
    assert found is not None
    assert json.loads(found.body) == {
        "topic": "posts",
        "number": 1,
        "kind": "check",
        "checked_at": "2026-03-04T13:00:00Z",
        "suite": "landed_posts",
        "ranges": [{"partition": 2, "from": 9, "to": 13}],
        "objects": ["raw/posts/date=2026-03-04/partition=2/00000000000000000009.parquet"],
        "verdicts": [{"platform": "youtube", "verdict": "passed", "rows": 3, "failures": []}],
        "poison": 1,
        "releases": None,
        "reason": None,
    }


@pytest.mark.stack
def test_an_unusual_share_of_tombstones_quarantines_that_platform_and_no_other(
    settings: Settings, store: S3Store
) -> None:
    gone = [post("bluesky", n, state="gone" if n < 18 else "visible") for n in range(30)]
    few = [post("mastodon", n, state="gone" if n < 1 else "visible") for n in range(2)]
    land(store, "posts", [post("youtube", n) for n in range(30)] + gone + few)
    assert verdicts(settings) == {"youtube": "passed", "bluesky": "quarantined", "mastodon": "passed"}
    (manifest,) = manifests.read_all(store, "posts")
    (failure,) = manifest.verdicts[0].failures
    assert (failure.column, failure.severity) == ("tombstone_share_at_least", "critical")


@pytest.mark.stack
def test_a_high_share_of_poison_quarantines_whose_it_is(settings: Settings, store: S3Store) -> None:
    by_key = [poison("bluesky") for _ in range(10)]
    by_payload = [poison(None, b'{"event_id":"x","platform":"mastodon"') for _ in range(10)]
    good = [post(platform, n) for platform in ("youtube", "bluesky", "mastodon") for n in range(12)]
    land(store, "posts", good + by_key + by_payload + [poison("youtube")])
    assert verdicts(settings) == {"youtube": "passed", "bluesky": "quarantined", "mastodon": "quarantined"}


@pytest.mark.stack
def test_much_poison_that_names_no_platform_quarantines_all_of_the_range(settings: Settings, store: S3Store) -> None:
    land(store, "posts", [post("youtube", n) for n in range(12)] + [poison(None) for _ in range(12)])
    assert verdicts(settings) == {"youtube": "quarantined"}


@pytest.mark.stack
def test_a_range_of_nothing_but_poison_gets_a_manifest(settings: Settings, store: S3Store) -> None:
    land(store, "posts", [poison(None)])
    land(store, "accounts", [poison("bluesky") for _ in range(9)])
    check.check_landed(settings, now=NOW)
    (posts,) = manifests.read_all(store, "posts")
    (accounts,) = manifests.read_all(store, "accounts")
    assert (posts.poison, posts.verdicts) == (1, ())
    assert [(verdict.platform, verdict.verdict, verdict.rows) for verdict in accounts.verdicts] == [
        ("bluesky", "quarantined", 0)
    ]


@pytest.mark.stack
def test_warnings_are_reported_and_let_the_rows_pass(settings: Settings, store: S3Store) -> None:
    land(store, "posts", [post("youtube", n, likes=None) for n in range(12)])
    (row,) = check.check_landed(settings, now=NOW)
    assert row["verdict"] == "passed"
    assert "warning: expect_column_values_to_not_be_null on likes" in row["failures"]


@pytest.mark.stack
def test_an_observation_from_the_future_is_critical(settings: Settings, store: S3Store) -> None:
    land(store, "posts", [post("youtube", 1, observed_at=ARRIVED + timedelta(days=2))])
    assert verdicts(settings) == {"youtube": "quarantined"}


@pytest.mark.stack
def test_two_checks_at_once_judge_every_object_exactly_once(
    settings: Settings, store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = land(store, "posts", [post("youtube", 1)])
    judge = suites.judge
    monkeypatch.setattr(suites, "judge", lambda cases, docs: judge(cases, docs / str(id(cases))))

    def run(part: int) -> None:
        check.check_landed(settings, now=NOW)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
        land(store, "posts", [post("youtube", 2)], start=end)
        list(pool.map(run, range(4)))
    every = list(manifests.read_all(store, "posts"))
    assert [manifest.number for manifest in every] == [1, 2]
    assert [len(manifest.objects) for manifest in every] == [1, 1]


@pytest.mark.stack
def test_a_number_taken_by_a_release_is_not_overwritten(
    settings: Settings, store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(store, "posts", [post("youtube", 1)])
    judge = suites.judge

    def slow(cases: list[suites.Case], docs: object) -> list[tuple[manifests.Failure, ...]]:
        if manifests.read(store, "posts", 1) is None:
            release = manifests.Manifest("posts", 1, "release", "2026-03-04T12:30:00Z", "s", (), (), (), 0, 1, "why")
            assert manifests.write(store, release)
        return judge(cases, docs)  # type: ignore[arg-type]

    monkeypatch.setattr(suites, "judge", slow)
    check.check_landed(settings, now=NOW)
    assert [manifest.kind for manifest in manifests.read_all(store, "posts")] == ["release", "check"]


@pytest.mark.stack
def test_when_nothing_is_new_the_expectations_are_not_even_imported(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "great_expectations", None)
    assert check.check_landed(settings, now=NOW) == []


@pytest.mark.stack
def test_data_docs_show_the_newest_check(settings: Settings, store: S3Store) -> None:
    land(store, "posts", [post("youtube", 1)])
    check.check_landed(settings, now=NOW)
    page = (settings.docs_dir / "data_docs" / "landed" / "index.html").read_text()
    assert "posts, youtube" in page


MARTS = {
    "mart_engagement": "select 'x' as platform, 'a' as account_id, date '2026-03-04' as as_of_date, 7 as window_days, "
    "'f' as formula, 0.1 as rate",
    "mart_reach": "select 'x' as platform, 'a' as account_id, date '2026-03-04' as as_of_date, 7 as window_days, "
    "5 as reach_low, 6 as reach_estimate, 7 as reach_high, 9 as views",
    "mart_fake_followers": "select 'x' as platform, 'a' as account_id, 'follower' as relation, "
    "date '2026-03-04' as estimate_date, 0.1 as fake_share_low, 0.2 as fake_share, 0.3 as fake_share_high, "
    "10 as sampled, 9 as scored",
    "mart_pipeline_health": "select 'x' as platform, timestamp '2026-03-04' as hour_at, false as is_missing, "
    "0 as poison_rows, 0 as dead_letters, 0 as quarantined_rows, 0 as gap_offsets, 0 as unresolved_accounts",
}


def built(tmp_path: Path, **changed: str) -> Settings:
    """A warehouse with one row in each mart that is checked."""
    settings = load(_env_file=None, var_dir=tmp_path)
    settings.warehouse.parent.mkdir(parents=True)
    with duckdb.connect(str(settings.warehouse)) as warehouse:
        warehouse.execute("create schema marts")
        for mart, query in (MARTS | changed).items():
            warehouse.execute(f"create table marts.{mart} as {query}")
    return settings


def test_good_marts_pass_and_say_what_is_unusual(tmp_path: Path) -> None:
    settings = built(tmp_path, mart_pipeline_health=MARTS["mart_pipeline_health"].replace("0 as poison", "4 as poison"))
    rows = {row["mart"]: row for row in check.check_marts(settings)}
    assert {mart: row["verdict"] for mart, row in rows.items()} == dict.fromkeys(check.CHECKED_MARTS, "passed")
    assert "poison_rows" in rows["mart_pipeline_health"]["warnings"]
    assert (settings.docs_dir / "data_docs" / "marts" / "index.html").exists()


@pytest.mark.parametrize(
    ("mart", "good", "bad", "said"),
    [
        ("mart_reach", "7 as reach_high", "10 as reach_high", r"_greater_than_b on views, reach_high observed 1 of 1"),
        ("mart_fake_followers", "0.3 as", "1.3 as", r"between on fake_share_high observed 1 of 1 rows, such as 1\.3"),
        ("mart_engagement", "0.1 as rate", "-1 as rate", r"between on rate observed 1 of 1 rows, such as -1"),
    ],
)
def test_a_critical_failure_of_a_mart_names_expectation_column_and_what_was_seen(
    tmp_path: Path, mart: str, good: str, bad: str, said: str
) -> None:
    settings = built(tmp_path, **{mart: MARTS[mart].replace(good, bad)})
    with pytest.raises(DependencyFailed, match=rf"{mart}: critical: expect_column_\w*{said}"):
        check.check_marts(settings)


def test_marts_that_were_never_built_cannot_be_checked(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="assay build"):
        check.check_marts(load(_env_file=None, var_dir=tmp_path))


def test_a_warehouse_that_somebody_writes_to_is_waited_for_and_then_its_holder_named(tmp_path: Path) -> None:
    settings = load(_env_file=None, var_dir=tmp_path, warehouse_wait_seconds=0.5)
    settings.warehouse.parent.mkdir(parents=True)
    hold = f"import duckdb, sys; c = duckdb.connect({str(settings.warehouse)!r}); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(DependencyFailed, match=f"held by process {holder.pid}"):
            check.check_marts(settings)
        holder.communicate()


def test_there_is_a_suite_for_every_topic_and_for_every_mart_that_is_checked() -> None:
    expected = {f"landed_{topic}" for topic in TOPICS} | set(check.CHECKED_MARTS)
    assert {path.stem for path in suites.DIRECTORY.glob("*.json")} == expected
    for name in expected:
        suite = suites.load(name)
        assert suite.expectations
        assert json.loads((suites.DIRECTORY / f"{name}.json").read_text()).keys() == {"name", "expectations"}


def test_a_suite_that_names_no_column_of_the_frame_says_which(tmp_path: object) -> None:
    import pandas as pd

    case = suites.Case("posts, x", suites.Suite("landed_posts", (), ("likez",)), pd.DataFrame({"likes": [1]}))
    with pytest.raises(Misconfigured, match="likez"):
        suites.judge([case], tmp_path)  # type: ignore[arg-type]


def test_likes_that_are_null_are_a_warning_but_where_a_platform_has_none(tmp_path: object) -> None:
    import pandas as pd

    suite = suites.load("landed_posts")
    [likes] = [one for one in suite.expectations if one["kwargs"].get("column") == "likes"]
    alone = suites.Suite("landed_posts", (likes,), ("likes",))
    frames = {name: pd.DataFrame({"platform": [name] * 3, "likes": [None] * 3}) for name in ("x", "reddit", "twitch")}
    cases = [suites.Case(f"posts, {name}", alone, frame) for name, frame in frames.items()]
    warned = [[failure.severity for failure in failures] for failures in suites.judge(cases, tmp_path)]  # type: ignore[arg-type]
    assert warned == [["warning"], [], []]


@given(st.integers(0, 500), st.integers(1, 500))
def test_the_share_at_least_is_never_above_the_share(part: int, rest: int) -> None:
    low = check.at_least(part, part + rest)
    assert 0 <= low <= part / (part + rest)


def test_one_bad_row_of_two_raises_no_alarm_and_all_of_ten_do() -> None:
    assert check.at_least(1, 2) < 0.1
    assert check.at_least(10, 10) > 0.7
    assert check.at_least(0, 0) == 0


def test_a_key_names_the_platform_before_the_payload_does() -> None:
    assert check.platform_of(b"youtube:UC1", b'{"platform":"bluesky"}') == "youtube"
    assert check.platform_of(b"nonsense", b'{"platform": "bluesky"}') == "bluesky"
    assert check.platform_of(None, b'{"platform":"nobody"}') is None
