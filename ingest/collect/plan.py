"""`assay plan`: what a watch list will cost by these settings, what does not fit, and what would make it fit.

Nothing is asked of any platform. Grants are read where they are kept, known posts where the lake answers.
"""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from ingest.collect import known
from ingest.collect.demand import CYCLES_A_DAY, Counting, Follow
from ingest.collect.fit import SIZES, Plan, Watching, changes, follow, make
from ingest.collect.grants import Grants
from ingest.collect.ladder import HORIZON, STEPS
from ingest.collect.platform import Platform
from ingest.collect.platforms import REGISTRY
from ingest.collect.platforms import platform as registered
from ingest.collect.readings import DAY, post_reads
from ingest.collect.run import watched_by
from ingest.errors import DependencyFailed, Misconfigured
from ingest.events import instant
from ingest.land.store import S3Store, Store
from ingest.settings import Settings

POSTS_A_DAY = 1.0
"""Assumed of accounts that no run has seen yet: creators who post daily. Readings of posts are in proportion to it."""

Row = dict[str, Any]


def plan(
    settings: Settings, *, now: datetime, platforms: Sequence[str] | None = None, posts_a_day: float | None = None
) -> list[Row]:
    """A row for each platform with watched accounts: what is asked, what does not fit, and what would make it fit.

    `posts_a_day` is assumed of every account; None: measured on the known posts, where there are some. `platforms`: all
    when None. Raises Misconfigured for a fault of the watch list, for grants that cannot be read, or for no number of
    posts.
    """
    if posts_a_day is not None and not math.isfinite(posts_a_day):
        raise Misconfigured(f"--posts-a-day {posts_a_day} is no number to plan with. Give one of 0 or more")
    chosen = [registered(name) for name in dict.fromkeys(platforms or REGISTRY)]
    rows, store = [], S3Store(settings)
    for platform in chosen:
        names = [platform.normalise(one.account) or one.account for one in watched_by(settings, platform, None)]
        if names:
            posts, source = ({}, "given") if posts_a_day is not None else measure(store, platform.name, now)
            assumed = POSTS_A_DAY if posts_a_day is None else posts_a_day
            unknown = sum(posts.values()) / len(posts) if posts else assumed
            granted = [one.account_id for one in Grants(settings).all(platform.name) if one.state == "active"]
            rows.append(row_of(platform, settings, Watching(names, granted, posts, unknown), source, now))
    return rows


def measure(store: Store, platform: str, now: datetime) -> tuple[dict[str, float], str]:
    """Posts a day of the known accounts, by their known posts of the last 90 days; and in words where that is from."""
    try:
        with known.read(store, platform) as found:
            counts = found.counts(now - HORIZON)
    except DependencyFailed:
        return {}, "assumed: the lake does not answer"
    posts = {account: count / (HORIZON / DAY) for account, count in counts.items()}
    return (
        posts,
        f"measured: {sum(counts.values())} known posts of {len(posts)} accounts"
        if posts
        else "assumed: no posts are known yet",
    )


def row_of(platform: Platform, settings: Settings, watching: Watching, source: str, now: datetime) -> Row:
    """One platform's row; pure."""

    def again(changed: Settings, followed: Sequence[Follow]) -> Plan:
        return make(platform, changed, followed, Counting(platform, changed, watching.granted, now))

    counting = Counting(platform, settings, watching.granted, now)
    followed = follow(counting, watching)
    made = make(platform, settings, followed, counting)
    others = [one.posts_a_day for one in followed if one.name not in watching.posts]
    mean = sum(others) / len(others) if others else 0.0
    return {
        "platform": platform.name,
        "accounts": len(followed),
        "not_asked": len([one for one in followed if one.account is None]),
        "granted": len(watching.granted),
        "posts_a_day": round(sum(one.posts_a_day for one in followed) / len(followed), 2),
        "posts_a_day_from": source,
        "calls_a_day": round(made.cycle.all_calls * CYCLES_A_DAY),
        "calls_a_sample": round(made.samples.all_calls),
        "permitted_a_day": round(made.permitted_an_hour * CYCLES_A_DAY),
        "rate_used": round(made.rate_used, 4),
        "cycle_minutes": round(60 * made.cycle_hours, 1),
        "units_a_day": None if made.budget is None else round(made.units_a_day),
        "units_a_sample": None if made.budget is None else round(made.samples.units),
        "units_first_cycle": None if made.budget is None else round(counting.first(followed).units),
        "budget": made.budget,
        "monthly_budget": made.monthly_budget,
        "dollars_a_day": round(made.units_a_day * platform.unit_dollars, 2) if platform.unit_dollars else None,
        "dollars_a_month": round(made.dollars_a_month, 2) if platform.unit_dollars else None,
        "events_a_month": round(made.a_month(lambda one: sum(one.events.values()))),
        "kafka_gb_a_month": round(made.gigabytes_a_month(lambda size: size.kafka), 3),
        "parquet_gb_a_month": round(made.gigabytes_a_month(lambda size: size.parquet), 3),
        "fits": made.fits,
        "short": shortages(made, now),
        "reads": reads(made),
        "changes": [] if made.fits else changes(made, again),
        "watched": [_watched(one, watching.posts.get(one.name, mean)) for one in followed],
    }


def _watched(one: Follow, posts_a_day: float) -> Row:
    """How often an account is read: by its own rate, or the mean of those of which nobody knows whose they are."""
    return {
        "account": one.name,
        "is_asked": one.account is not None,
        "posts_a_day": round(posts_a_day, 2),
        "profile_reads_a_day": CYCLES_A_DAY if one.account else 0,
        "post_reads_a_day": round(post_reads(posts_a_day), 1) if one.account else 0.0,
    }


def shortages(made: Plan, now: datetime) -> list[Row]:
    """What does not fit: budgets that are spent before they are filled anew, and a rate that is too low."""
    rows: list[Row] = []
    for span, budget in made.short:
        asked, out = math.ceil(made.units_at_most(span)), made.runs_out(span, budget, now)
        rows.append(
            {
                "of": f"units of a {span}",
                "asked": asked,
                "permitted": budget,
                "short_by": asked - budget,
                "runs_out_at": instant(out[0]) if out else None,
                "goes_on_at": instant(out[1]) if out else None,
            }
        )
    if (hours := max(made.cycle_hours, made.rate_used)) > 1:
        calls, permitted = math.ceil(hours * made.permitted_an_hour), math.floor(made.permitted_an_hour)
        rows.append({"of": "calls of an hour", "asked": calls, "permitted": permitted, "short_by": calls - permitted})
    return rows


def reads(made: Plan) -> list[Row]:
    """How often what is read: profiles and listings, posts by their age as the ladder has it, audiences."""
    asked = [one for one in made.followed if one.account]
    posts = sum(one.posts_a_day for one in asked)
    rows = [_read("profiles", len(asked), CYCLES_A_DAY)]
    begin = timedelta()
    for end, every in STEPS:
        rows.append(_read(f"posts of {begin // DAY} to {end // DAY} days", posts * ((end - begin) / DAY), DAY / every))
        begin = end
    return [*rows, _read("members of audiences", made.samples.events["followers"], 1 / 7)]


def _read(what: str, number: float, often: float) -> Row:
    return {"what": what, "number": round(number), "each_a_day": round(often, 2), "a_day": round(number * often)}


def tables(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """The rows as a person reads them: tables with their headings; of a platform alone each account too."""
    if not rows:
        return []
    short = [row for row in rows if not row["fits"]]
    found = [
        ("What is asked", [_summary(row) for row in rows]),
        ("How often what is read", [_ladder(row) for row in rows]),
    ]
    if len(rows) == 1:
        found.append(("Which accounts", rows[0]["watched"]))
    if short:
        rows_short = [{"platform": row["platform"], **one} for row in short for one in row["short"]]
        found.append(("What does not fit, and from when on nothing is read until when", rows_short))
    if any(row["changes"] for row in rows):
        found.append(("What would make it fit, cheapest first", [one for row in short for one in row["changes"]]))
    return found


def _ladder(row: Row) -> Row:
    told = {f"{one['what']}, {one['each_a_day']:g} a day": f"{one['number']:,}" for one in row["reads"]}
    return {"platform": row["platform"], **told}


def _summary(row: Row) -> Row:
    budget = row["budget"]
    return {
        "platform": row["platform"],
        "accounts": row["accounts"],
        "posts a day each": row["posts_a_day"],
        "calls a day": f"{row['calls_a_day']:,}",
        "calls a sample": f"{row['calls_a_sample']:,}",
        "of the rate": f"{row['rate_used']:.1%}",
        "units a day": None if budget is None else f"{row['units_a_day']:,} of {budget:,}",
        "units a sample": None if budget is None else f"{row['units_a_sample']:,}",
        "units at first": None if budget is None else f"{row['units_first_cycle']:,}",
        "dollars a day": row["dollars_a_day"],
        "dollars a month": row["dollars_a_month"],
        "events a month": f"{row['events_a_month']:,}",
        "GB in Kafka": row["kafka_gb_a_month"],
        "GB in the lake": row["parquet_gb_a_month"],
        "fits": "yes" if row["fits"] else "no",
    }


def sources(rows: Sequence[Row]) -> list[str]:
    """Where the figures are from, and what they do not tell, a line each."""
    if not rows:
        return ["the watch list has no accounts of these platforms: nothing to plan. ASSAY_WATCHLIST_PATH is its file"]
    by_source: dict[str, list[str]] = {}
    for row in rows:
        by_source.setdefault(row["posts_a_day_from"], []).append(row["platform"])
    sizes = ", ".join(f"{topic} {size.kafka} and {size.parquet}" for topic, size in SIZES.items())
    return [
        *(f"posts a day of {', '.join(names)}: {source}" for source, names in by_source.items()),
        *(f"{row['platform']}: {line}" for row in rows for line in _warnings(row)),
        f"bytes of an event in Kafka and in the lake, as the sandbox's events have: {sizes}",
    ]


def _warnings(row: Row) -> list[str]:
    """What a platform's figures do not tell, each with the next step."""
    found = []
    if row["not_asked"]:
        platform = registered(row["platform"])
        steps = [f"run `assay connect {platform.name}` with their owners"] if platform.oauth else []
        if platform.app and platform.app.needs:
            steps.append(f"set ASSAY_{platform.app.needs.upper()} once that is approved")
        found.append(
            f"{row['not_asked']} of {row['accounts']} accounts not asked, as there is no grant or approval for them or "
            f"nobody can be found by such a name: {', or '.join([*steps, 'correct the watch list'])}"
        )
    if not row["fits"] and not row["changes"]:
        found.append(
            "no change alone makes it fit: combine smaller samples, fewer accounts and a larger budget, and plan again"
        )
    if row["fits"] and row["budget"] is not None and (units := _first_day(row)) > row["budget"]:
        found.append(
            f"the first day asks {units:,} units, as every post of the last {HORIZON // DAY} days is read; what the "
            f"budget of {row['budget']:,} does not hold is read on the days after, unless it is raised for so long"
        )
    return found


def _first_day(row: Row) -> int:
    """Units of a day that begins with the first cycle of all."""
    units: float = row["units_first_cycle"] + row["units_a_day"] * (CYCLES_A_DAY - 1) / CYCLES_A_DAY
    return math.ceil(units)
