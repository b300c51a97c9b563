"""What the audience's tests share: the training sets, the seeds as committed, and the marts' SQL without dbt."""

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import duckdb
import jinja2
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from ingest.audience import fit, scorecard, seeds
from ingest.audience.fit import LabelledSet
from ingest.audience.share import Draw

Members = Sequence[Mapping[str, float]]
WHOLE = ("followers", "following", "posts", "bio_length")
PROJECT = Path(__file__).parents[2] / "dbt_project"


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """The fit's matrices are small: more threads only wait for each other, long when the machine is busy."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def sets() -> list[LabelledSet]:
    return [seeds.read_training(name) for name in seeds.SETS]


@pytest.fixture(scope="session")
def fit_without(sets: list[LabelledSet]) -> Callable[..., scorecard.Scorecard]:
    """The scorecard of the sets but those with these numbers, each fitted once."""

    @functools.cache
    def fit_others(*numbers: int) -> scorecard.Scorecard:
        return fit.fit([each for number, each in enumerate(sets) if number not in numbers])

    return fit_others


@pytest.fixture(scope="session")
def committed() -> scorecard.Scorecard:
    return scorecard.read_seed((seeds.SEEDS / "scorecard.csv").read_text())


@pytest.fixture(scope="session")
def draws() -> list[Draw]:
    rows = duckdb.sql(f"from '{seeds.SEEDS}/scorecard_draws.csv' order by draw_number").fetchall()
    return [Draw(*row[1:]) for row in rows]


@pytest.fixture
def warehouse() -> duckdb.DuckDBPyConnection:
    """The seeds, and empty tables of the models that the audience's marts read."""
    con = duckdb.connect()
    con.execute("set timezone = 'UTC'")
    for name in ("scorecard", "scorecard_draws", "scorecard_model"):
        con.execute(f"create table {name} as from read_csv('{seeds.SEEDS}/{name}.csv')")
    con.execute(
        """
        create table int_followers_merged (
            platform varchar, account_id varchar, relation varchar, member_id varchar, run_id varchar, sample varchar,
            observed_at timestamp, followers bigint, following bigint, posts bigint, is_verified boolean,
            is_private boolean, has_picture boolean, bio_length bigint, has_external_url boolean,
            handle_digit_share double, load_number bigint default 1
        );
        create table int_accounts_merged (
            platform varchar, account_id varchar, run_id varchar, state varchar, observed_at timestamp
        );
        create table dim_accounts (
            platform varchar, account_id varchar, handle varchar, creator_id varchar, creator_name varchar,
            is_watched boolean
        )
        """
    )
    return con


@pytest.fixture
def build(warehouse: duckdb.DuckDBPyConnection) -> Callable[[], duckdb.DuckDBPyConnection]:
    """Builds the audience's models anew from what the tables hold: the models' own text, references resolved."""

    macros = "".join((PROJECT / "macros" / f"{name}.sql").read_text() for name in ("measures", "names"))

    def run() -> duckdb.DuckDBPyConnection:
        for name in ("fct_audience_scores", "mart_fake_followers"):
            model = (PROJECT / "models" / "marts" / f"{name}.sql").read_text()
            text = (
                jinja2.Environment(autoescape=False)
                .from_string(macros + model)
                .render(
                    ref=lambda referred: referred,
                    config=lambda **_: "",
                    last_load=lambda _: 0,
                    is_incremental=lambda: False,
                    var=lambda _: ["youtube"],
                    execute=True,
                )
            )
            warehouse.execute(f"create or replace table {name} as {text}")
        return warehouse

    return run


@pytest.fixture
def add_members(warehouse: duckdb.DuckDBPyConnection) -> Callable[..., None]:
    """Adds one run's sample to what was landed: each member's fields as floats, NaN for unknown."""

    def add(
        members: Members,
        *,
        platform: str = "bluesky",
        account_id: str = "creator",
        relation: str = "follower",
        run_id: str = "run",
        sample: str = "spread",
        at: str = "2026-01-05 00:00:00",
    ) -> None:
        frame = pd.DataFrame(
            [
                {
                    name: None if math.isnan(value) else int(value) if name in WHOLE else value
                    for name, value in row.items()
                }
                for row in members
            ]
        )
        warehouse.register("frame", frame)
        warehouse.execute(
            """
            insert into int_followers_merged by name
            select $platform as platform, $account_id as account_id, $relation as relation,
                printf('%06d', row_number() over ()) as member_id, $run_id as run_id, $sample as sample,
                cast($at as timestamp) as observed_at,
                followers::bigint as followers, following::bigint as following, posts::bigint as posts,
                (has_picture::int)::boolean as has_picture, (is_private::int)::boolean as is_private,
                (is_verified::int)::boolean as is_verified, bio_length::bigint as bio_length,
                (has_external_url::int)::boolean as has_external_url, handle_digit_share::double as handle_digit_share
            from frame
            """,
            {
                "platform": platform,
                "account_id": account_id,
                "relation": relation,
                "run_id": run_id,
                "sample": sample,
                "at": at,
            },
        )
        warehouse.unregister("frame")

    return add
