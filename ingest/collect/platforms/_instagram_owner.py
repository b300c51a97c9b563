"""What only an account's owner lets us read of Instagram: the grant, a post's insights, and who comments."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ingest.collect import values
from ingest.collect.call import Call, Endpoint
from ingest.collect.oauth import OAuth, Renewal
from ingest.collect.outcome import Answer
from ingest.collect.platform import Account, Observer
from ingest.collect.values import count, lenient, moment, text, when

VERSION = "v26.0"
SEGMENT = r"v\d+\.\d+|\d+|me"
OWNERS = "https://graph.instagram.com"
# Metrics that each kind of post has: one that it has not would fail the call. Its `views` are others than discovery's.
INSIGHTS = Endpoint(
    "insights", "/{version}/{media}/insights", {"metric": "reach,saved,shares"}, consent=True, segment=SEGMENT
)
COMMENTS = Endpoint(
    "comments",
    "/{version}/{media}/comments",
    {"fields": "id,text,timestamp,username,from", "limit": "50"},
    audience=True,
    consent=True,
    segment=SEGMENT,
)
BEFORE_CONVERSION = 2108006
METRICS = {"reach": "reach", "saved": "saves", "shares": "shares", "likes": "likes", "comments": "comments",
           "views": "views", "impressions": "impressions"}  # fmt: skip
"""Insights of a post, and what events call them."""
WATCHED = "ig_reels_video_view_total_time"
"""Of a reel, in milliseconds."""
OWNER = OAuth(
    token_url="https://api.instagram.com/oauth/access_token",  # noqa: S106  # an address
    id_setting="instagram_app_id",
    secret_setting="instagram_app_secret",  # noqa: S106  # a setting's name
    authorize_url="https://www.instagram.com/oauth/authorize",
    scopes=(
        "instagram_business_basic",
        "instagram_business_manage_insights",
        "instagram_business_manage_comments",
    ),
    scope_separator=",",
    pkce=False,
    loopback="",  # https addresses only
    extension=Renewal(
        grant_type="ig_exchange_token", parameter="access_token", url=f"{OWNERS}/access_token", method="GET"
    ),
    renewal=Renewal(
        grant_type="ig_refresh_token",
        parameter="access_token",
        url=f"{OWNERS}/refresh_access_token",
        method="GET",
        identified=False,
    ),
    whoami=f"{OWNERS}/{VERSION}/me?fields=user_id",
    account=("user_id",),
    withdrawn=frozenset({"190"}),
    lead_seconds=7 * 86_400,  # of sixty days; an old token renews nothing
)


def audience(account: Account, posts: Sequence[str]) -> list[Call]:
    return [_owned(COMMENTS, account, post) for post in posts]


def consented(account: Account, posts: Sequence[str], now: datetime) -> list[Call]:
    return [_owned(INSIGHTS, account, post) for post in posts]


def _owned(endpoint: Endpoint, account: Account, post: str) -> Call:
    mine = account.account_id
    return endpoint.call(OWNERS, account_id=mine, grant=mine, version=VERSION, media=post)


def is_never(call: Call, answer: Answer) -> bool:
    """Whether a post was published before its account was professional: it never has insights."""
    return call.endpoint == INSIGHTS and lenient(answer.fields.get("error")).get("error_subcode") == BEFORE_CONVERSION


def parse_insights(call: Call, answer: Answer, observe: Observer) -> None:
    """A post's life-long figures; one without data is unknown. Figures of an account are of days, and no post's."""
    never = is_never(call, answer)
    rows = [] if never else values.rows(answer.document["data"])
    figures: dict[str, Any] = {}
    for row in rows:
        name, points = text(row.get("name")) or "", values.items(row.get("values"))
        value = points[0].get("value") if points else lenient(row.get("total_value")).get("value")
        if row.get("period") == "lifetime" and name in METRICS:
            figures[METRICS[name]] = count(value)
        elif row.get("period") == "lifetime" and name == WATCHED:
            thousandths = count(value)
            figures["watch_seconds"] = None if thousandths is None else thousandths / 1000
    metrics = [METRICS[name] for name in call.listed("metric") if name in METRICS]
    if never:
        figures = {"unavailable": [f"{metric}:not_offered" for metric in metrics] or None}
    if figures:
        post_id = call.path_values["media"]
        observe.post(None, post_id, state="visible", **figures, raw=values.raw(rows) if rows else None)


def parse_comment(call: Call, comment: dict[str, Any], observe: Observer) -> None:
    """Who commented is told only with the permission to manage comments; without it there is no member."""
    author = lenient(comment.get("from"))
    native, comment_id = text(author.get("id")), text(comment.get("id"))
    if not native or not comment_id or native == call.account_id:
        return  # the owner's own, or nobody's
    handle = text(author.get("username")) or text(comment.get("username"))
    observe.member(
        call.account_id,
        native,
        relation="commenter",
        comment=(comment_id, text(comment.get("text"))),
        post_id=call.path_values["media"],
        commented_at=when(moment(comment.get("timestamp"))),
        handle_length=values.length(handle),
        handle_digit_share=values.digit_share(handle),
    )
