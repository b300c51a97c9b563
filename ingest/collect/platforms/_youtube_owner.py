"""What only a channel's owner lets us read of YouTube: the grant, and the Analytics API's figures by video."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ingest.collect import values
from ingest.collect.call import Call, Endpoint
from ingest.collect.oauth import OAuth
from ingest.collect.outcome import Answer
from ingest.collect.platform import Account, Observer
from ingest.collect.quota import window
from ingest.collect.values import Unreadable, count, identifier

ANALYTICS = "https://youtubeanalytics.googleapis.com"
BEGINNING = "2005-02-14"
"""Before the first video: figures are a video's whole life's. YouTube's days are Pacific ones."""
REPORTS = Endpoint(
    "reports",
    "/v2/reports",
    {
        "startDate": BEGINNING,
        "metrics": "views,estimatedMinutesWatched,shares,dislikes",
        "dimensions": "video",
        "sort": "-views",
        "maxResults": "200",
    },
    batch=200,
    consent=True,
)
OWNER = OAuth(
    authorize_url="https://accounts.google.com/o/oauth2/v2/auth",
    token_url="https://oauth2.googleapis.com/token",  # noqa: S106  # an address
    revoke_url="https://oauth2.googleapis.com/revoke",
    id_setting="google_client_id",
    secret_setting="google_client_secret",  # noqa: S106  # a setting's name
    scopes=(
        "https://www.googleapis.com/auth/youtube.readonly",
        "https://www.googleapis.com/auth/yt-analytics.readonly",
    ),
    asked={"access_type": "offline", "prompt": "consent"},
    whoami="https://youtube.googleapis.com/youtube/v3/channels?part=id&mine=true",
    whoami_cost=1,
    account=("items", 0, "id"),
)


def consented(account: Account, posts: Sequence[str], now: datetime) -> list[Call]:
    """Reports of an account's videos, newest figures included."""
    return [
        REPORTS.call(
            ANALYTICS,
            {
                "ids": f"channel=={account.account_id}",
                "endDate": window(now).isoformat(),
                "filters": f"video=={','.join(posts[at : at + REPORTS.batch])}",
            },
            account_id=account.account_id,
            grant=account.account_id,
        )
        for at in range(0, len(posts), REPORTS.batch)
    ]


def parse_report(call: Call, answer: Answer, observe: Observer) -> None:
    """A table: names of the columns, then rows; no rows at all where there are no figures yet.

    Its views are two or three days old and counted otherwise in part, so that the Data API's stand and these do not.
    """
    found = answer.document
    names = [values.text(header.get("name")) for header in values.rows(found.get("columnHeaders"))]
    if "video" not in names:
        return  # a report by something else
    channel = call.param("ids").removeprefix("channel==")
    owner = call.account_id or (channel if channel != "MINE" else None)
    rows = found.get("rows", [])
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == len(names) for row in rows):
        raise Unreadable("no_rows")
    for row in rows:
        figures: dict[str, Any] = {name: value for name, value in zip(names, row, strict=True) if name}
        minutes = count(figures.get("estimatedMinutesWatched"))
        observe.post(
            owner,
            identifier(figures["video"]),
            state="visible",
            watch_seconds=None if minutes is None else float(minutes * 60),
            shares=count(figures.get("shares")),
            dislikes=count(figures.get("dislikes")),
            raw=values.raw(figures),
        )
