"""What the demo found, as a person would ask for it: from Postgres, beside the sandbox's truth where there is one."""

from datetime import datetime
from statistics import median
from typing import Any

import httpx2
import psycopg
from psycopg.rows import dict_row
from rich.console import Console
from rich.table import Table

from ingest.events import instant
from ingest.settings import Settings
from ingest.stack.airflow import passwords, url

WINDOW_DAYS = 30
OUT_OF_REACH = {"no_views", "features_missing", "no_sample", "account_gone", "account_hidden"}
"""Reasons that say a method does not apply: the platform, or the account, does not show what it needs."""

LATEST = """
with accounts as (
    select * from marts.dim_accounts where is_watched
),
engagement as (
    select distinct on (platform, account_id) * from marts.mart_engagement
    where formula = 'engagement_rate_by_followers_mean' and window_days = %(window)s
    order by platform, account_id, as_of_date desc
),
reach as (
    select distinct on (platform, account_id) * from marts.mart_reach
    where window_days = %(window)s order by platform, account_id, as_of_date desc
),
fakes as (
    select distinct on (platform, account_id) * from marts.mart_fake_followers
    order by platform, account_id, estimate_date desc
)
select
    accounts.creator_name, accounts.platform, accounts.account_id, accounts.handle,
    engagement.followers, engagement.rate,
    reach.reach_estimate, reach.reach_low, reach.reach_high, reach.reason as reach_reason, reach.views,
    fakes.fake_share, fakes.fake_share_low, fakes.fake_share_high, fakes.reason as fake_reason
from accounts
left join engagement using (platform, account_id)
left join reach using (platform, account_id)
left join fakes using (platform, account_id)
order by accounts.platform, accounts.creator_name
"""


def show(settings: Settings, *, now: datetime) -> None:
    """Print the creators with their truth, the estimates' coverage, and where to look next."""
    with psycopg.connect(settings.bi_dsn, row_factory=dict_row) as bi:
        rows = bi.execute(LATEST, {"window": WINDOW_DAYS}).fetchall()
    answer = httpx2.get(f"{settings.sandbox}/_truth/accounts", params={"at": instant(now)}, trust_env=False)
    answer.raise_for_status()
    truth = {(one["platform"], one["account_id"]): one for one in answer.json()}
    console = Console(width=150)
    console.print(_table(rows, truth))
    _summary(console, "reach", rows, truth)
    _summary(console, "fake share", rows, truth)
    console.print(_where(settings), highlight=False, markup=False)


def _table(rows: list[dict[str, Any]], truth: dict[tuple[str, str], dict[str, Any]]) -> Table:
    table = Table(title=f"Creators, windows of {WINDOW_DAYS} days; truth: the sandbox's", box=None, pad_edge=False)
    for name in ("creator", "platform", "followers", "engagement", "truth", "reach", "interval", "truth"):
        table.add_column(name, justify="left" if name in {"creator", "platform"} else "right", no_wrap=True)
    for name in ("fake share", "interval", "truth"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        real = truth.get((row["platform"], row["account_id"]), {})
        table.add_row(
            row["creator_name"],
            row["platform"],
            _number(row["followers"]),
            _percent(row["rate"], 2),
            _percent((real.get("engagement_rate_by_followers") or {}).get(str(WINDOW_DAYS)), 2),
            _number(row["reach_estimate"]) or f"({row['reach_reason'] or 'no row'})",
            _span(row["reach_low"], row["reach_high"], _number),
            _number(_truth_of("reach", real)),
            _percent(row["fake_share"]) or f"({row['fake_reason'] or 'no row'})",
            _span(row["fake_share_low"], row["fake_share_high"], _percent),
            _percent(_truth_of("fake share", real)),
        )
    return table


def coverage(
    what: str, rows: list[dict[str, Any]], truth: dict[tuple[str, str], dict[str, Any]]
) -> tuple[int, int, int, list[float]]:
    """(accounts the method applies to, estimated, covered, widths) of "reach" (relative) or "fake share"."""
    prefix = {"reach": "reach", "fake share": "fake_share"}[what]
    applies = estimated = covered = 0
    widths: list[float] = []
    for row in rows:
        real = _truth_of(what, truth.get((row["platform"], row["account_id"]), {}))
        if real is None or row[f"{what.split(maxsplit=1)[0]}_reason"] in OUT_OF_REACH:
            continue
        applies += 1
        low, high = row[f"{prefix}_low"], row[f"{prefix}_high"]
        if low is None:
            continue
        estimated += 1
        covered += low <= real <= high
        widths.append(float(high - low) / (row["reach_estimate"] or 1) if what == "reach" else float(high - low))
    return applies, estimated, covered, widths


def _summary(
    console: Console, what: str, rows: list[dict[str, Any]], truth: dict[tuple[str, str], dict[str, Any]]
) -> None:
    applies, estimated, covered, widths = coverage(what, rows, truth)
    width = f"{median(widths):.2f}" if widths else "-"
    unit = " of the estimate" if what == "reach" else ""
    share = f"{covered / estimated:.0%}" if estimated else "-"
    console.print(
        f"{what}: applies to {applies} accounts, {estimated} estimated, {applies - estimated} abstained; "
        f"the interval covers the truth for {covered} of {estimated} ({share}); median width {width}{unit}",
        highlight=False,
    )


def _where(settings: Settings) -> str:
    return "\n".join(
        [
            "",
            f"Airflow     {url(settings)}   admin / {passwords(settings)['admin']}",
            f"Postgres    {settings.bi_dsn}   schema marts, read only",
            f"Sandbox     {settings.sandbox}   a stand-in for the platforms; its truth under /_truth/accounts",
            f"Data Docs   {settings.docs_dir / 'data_docs' / 'marts' / 'index.html'}   (and landed/)",
            f"dbt docs    {settings.docs_dir / 'dbt' / 'index.html'}",
            "Stop        make down      (make clean also wipes the data)",
        ]
    )


def _truth_of(what: str, real: dict[str, Any]) -> float | None:
    if what == "reach":
        return (real.get("reach") or {}).get(str(WINDOW_DAYS))
    return None if real.get("suspended") or real.get("deleted") else real.get("fake_share")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _percent(value: float | None, digits: int = 0) -> str:
    return "" if value is None else f"{value:.{digits}%}"


def _span(low: float | None, high: float | None, write: Any) -> str:
    return "" if low is None or high is None else f"{write(low)} - {write(high)}"
