"""X's API v2 by a bearer token of the app: users, timelines, posts by id and followers; owners' grants add clicks.

Each returned resource costs money, so a unit is a tenth of a cent and followers are only sampled where settings allow
it. The API renames tweets to posts: both vocabularies are read, and both can be asked in.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ingest.collect import values
from ingest.collect.call import Call, Endpoint
from ingest.collect.oauth import OAuth
from ingest.collect.outcome import Answer, Refused, Verdict
from ingest.collect.platform import Account, Observer, Pace, Page, Platform
from ingest.collect.platforms._x_problems import ASKED, kind_of, missing, rate, verdict
from ingest.collect.platforms._x_rows import member_features, read_post, read_user, references
from ingest.collect.values import identifier, items, lenient, moment, text
from ingest.settings import Settings

BASE = "https://api.x.com"
POST, USER_READ = 5, 10
"""What a returned post and a returned user cost, in tenths of a cent."""
USER_FIELDS = {
    "user.fields": "created_at,description,entities,location,profile_image_url,protected,public_metrics,url,verified,"
    "verified_type,withheld"
}
FIELDS = (
    "attachments,conversation_id,created_at,edit_controls,entities,lang,note_post,paid_partnership,possibly_sensitive,"
    "public_metrics,withheld"
)
POST_FIELDS = {
    "post.fields": FIELDS,
    "expansions": "attachments.media_keys",
    "media.fields": "duration_ms,public_metrics,type",
}
OWN_FIELDS = POST_FIELDS | {"post.fields": f"{FIELDS},non_public_metrics"}
LEGACY = {"note_post": "note_tweet,author_id,in_reply_to_user_id,referenced_tweets"}
"""Fields that are called otherwise where posts are tweets, and those that are only there by name."""

USERS = Endpoint("users", "/2/users", USER_FIELDS, batch=100, cost=USER_READ)
USERS_BY = Endpoint("users/by", "/2/users/by", USER_FIELDS, batch=100, cost=USER_READ)
USERNAME = Endpoint("users/by/username", "/2/users/by/username/{username}", USER_FIELDS, cost=USER_READ)
USER = Endpoint("users/:id", "/2/users/{id}", USER_FIELDS, cost=USER_READ, segment="[0-9]+")
TIMELINE = Endpoint("users/:id/tweets", "/2/users/{id}/tweets", POST_FIELDS, cost=POST, segment="[0-9]+")
FOLLOWERS = Endpoint(
    "users/:id/followers", "/2/users/{id}/followers", USER_FIELDS, cost=USER_READ, audience=True, segment="[0-9]+"
)
TWEETS = Endpoint("tweets", "/2/tweets", POST_FIELDS, batch=100, cost=POST)
TWEET = Endpoint("tweets/:id", "/2/tweets/{id}", POST_FIELDS, cost=POST, segment="[0-9]+")
# What only a post's owner is told, asked by the path of TWEETS: as that comes first, recordings are read as tweets.
OWN = Endpoint("tweets/own", TWEETS.path, OWN_FIELDS, batch=100, cost=POST)
OF_USERS, OF_ONE = (USERS, USERS_BY, USERNAME, USER), (USERNAME, USER, TIMELINE, FOLLOWERS, TWEET)

EPOCH = datetime(2010, 11, 4, 1, 42, 54, 657_000, tzinfo=UTC)
"""Where the moments in ids begin."""
OWN_METRICS = timedelta(days=30)


def authorise(settings: Settings) -> dict[str, str]:
    token = settings.credential("x_bearer_token")
    if not token:
        raise Refused(
            "X needs an app's bearer token and there is none. Make an app in X's developer console and set "
            "ASSAY_X_BEARER_TOKEN"
        )
    return {"Authorization": f"Bearer {token}"}


def normalise(account: str) -> str | None:
    """An id as it is, a username in lower case without @. Of digits alone: an id."""
    name = account.removeprefix("@").lower()
    return name if re.fullmatch(r"[a-z0-9_]{1,15}|[0-9]{1,19}", name, re.ASCII) else None


def resolve(accounts: Sequence[str]) -> list[Call]:
    asked = [one for one in accounts if normalise(one)]  # another makes the API refuse the whole batch
    ids, names = ([one for one in asked if one.isdigit() is wanted] for wanted in (True, False))
    return USERS.calls(BASE, "ids", ids, separator=",") + USERS_BY.calls(BASE, "usernames", names, separator=",")


def listing(account: Account, short: bool) -> Call:
    """Without reposts, whose counters are another's; the shortest page where only the newest are wanted."""
    page = {"max_results": "5" if short else "100", "exclude": "retweets"}
    return TIMELINE.call(BASE, page, account_id=account.account_id, id=account.account_id)


def lookup(posts: Sequence[str]) -> list[Call]:
    return TWEETS.calls(BASE, "ids", posts, separator=",")


def consented(account: Account, posts: Sequence[str], now: datetime) -> list[Call]:
    """What only owners are told, of posts no older than 30 days: their ids say when they were published."""
    young = [post for post in posts if post.isdigit() and now - _published(post) < OWN_METRICS]
    batches = [",".join(young[at : at + OWN.batch]) for at in range(0, len(young), OWN.batch)]
    owner = account.account_id
    return [OWN.call(BASE, {"ids": batch}, account_id=owner, grant=owner) for batch in batches]


def _published(post_id: str) -> datetime:
    return EPOCH + timedelta(milliseconds=int(post_id[:19]) >> 22)


def made_up(_: Account, published: datetime, number: int) -> str:
    """An id as of a post of that moment."""
    return str((((published - EPOCH) // timedelta(milliseconds=1)) << 22) + number)


def audience(account: Account, posts: Sequence[str]) -> list[Call]:
    return [FOLLOWERS.call(BASE, {"max_results": "100"}, account_id=account.account_id, id=account.account_id)]


def at_most(call: Call, members: int) -> Call:
    """Every follower that is returned is billed: no page is larger than what is still wanted."""
    return call.with_params(max_results=str(max(1, min(members, 1000)))) if call.endpoint == FOLLOWERS else call


def sample_size(settings: Settings) -> int:
    return min(settings.audience_sample_size, settings.x_audience_units // USER_READ)


def in_tweets(call: Call) -> Call:
    """The call in the vocabulary in which posts are tweets."""
    if not (fields := call.param("post.fields")):
        return call
    old = ",".join(LEGACY.get(name, name) for name in fields.split(","))
    kept = [(name, value) for name, listed in call.params.items() for value in listed if name != "post.fields"]
    return call.at(call.url.partition("?")[0]).with_params(**dict(kept), **{"tweet.fields": old})


def price(call: Call, answer: Answer | None) -> int:
    """Tenths of a cent, for each user or post that is returned; X may bill less, as it counts each once a UTC day."""
    each = call.endpoint.cost if call.endpoint else 0
    if call.endpoint not in PLATFORM.endpoints:
        return each
    if answer is not None and answer.status not in (0, 200):
        return 0
    found = answer.fields if answer else {}
    if "data" in found or "errors" in found or "meta" in found:
        rows = found.get("data")
        return each * (len(rows) if isinstance(rows, list) else int(bool(rows)))
    subjects = len(call.listed("ids")) + len(call.listed("usernames"))
    size = call.param("max_results")
    return each * (
        subjects or (int(size) if re.fullmatch("[0-9]{1,4}", size, re.ASCII) else 100 if _pages(call) else 1)
    )


def _pages(call: Call) -> bool:
    return call.endpoint in (TIMELINE, FOLLOWERS)


def next_page(call: Call, answer: Answer) -> Call | None:
    """By token; a page may be short or empty and still lead on. The end has none."""
    token = lenient(answer.fields.get("meta")).get("next_token")
    return call.with_params(pagination_token=token) if _pages(call) and isinstance(token, str) and token else None


def classify(call: Call, answer: Answer, now: datetime) -> Verdict:
    return verdict(call, answer, now, OF_ONE)


def parse(call: Call, answer: Answer, observe: Observer) -> None:
    if answer.status == 304:
        return
    found = answer.document
    data, problems = found.get("data"), items(found.get("errors"))
    rows = values.rows(data if isinstance(data, list) else [] if data is None else [data])
    if not 200 <= answer.status < 300:
        problems = [found]
    if call.endpoint == FOLLOWERS:
        for follower in rows:
            owner = text(call.path_values.get("id"))
            observe.member(owner, identifier(follower.get("id")), relation="follower", **member_features(follower))
    elif call.endpoint in OF_USERS:
        for user in rows:
            read_user(user, BASE, observe)
    else:
        _parse_posts(call, found, rows, problems, observe)
    _parse_missing(call, rows, problems, observe)


def _parse_missing(call: Call, rows: list[dict[str, Any]], problems: list[dict[str, Any]], observe: Observer) -> None:
    """What was asked for by id and is not shown: by its error, else by being left out."""
    asked = call.listed("ids") or [call.path_values[name] for name in ("id",) if name in call.path_values]
    named = {str(one.get("resource_id") or one.get("value")): one for one in problems if one.get("parameter") in ASKED}
    alone = problems[0] if problems and call.endpoint in OF_ONE else None
    seen = {str(row.get("id")) for row in rows}
    for subject in asked if call.endpoint not in (TIMELINE, FOLLOWERS) or (alone and not rows) else []:
        problem = named.get(subject) or alone
        missed = missing(problem) if problem else ("gone", "not_found")
        if subject in seen or missed is None or not subject.isdigit():
            continue
        state, reason = missed
        if call.endpoint in (TWEETS, TWEET, OWN):
            observe.post(None, subject, state=state, state_reason=reason)
        else:
            observe.account(subject, state=state, state_reason=reason)


def _parse_posts(
    call: Call, found: dict[str, Any], rows: list[dict[str, Any]], problems: list[dict[str, Any]], observe: Observer
) -> None:  # fmt: skip
    media = {text(row.get("media_key")): row for row in items(lenient(found.get("includes")).get("media"))}
    failed = {text(one.get("resource_id")) for one in problems if kind_of(one) == "field-hydration-failure"}
    owner = call.path_values.get("id") if call.endpoint == TIMELINE else None
    times = [published for row in rows if (published := moment(row.get("created_at")))]
    for row in rows:
        author = text(row.get("author_id"))
        if "retweeted" in [one.get("type") for one in references(row)] or (owner and author not in (None, owner)):
            continue  # another's post: its counters are another's too
        read_post(row, author or owner, media, identifier(row.get("id")) in failed, observe)
    observe.reading.reached = min(times, default=None) if owner else None


PLATFORM = Platform(
    name="x",
    collector="x/1",
    authorisation="app",
    endpoints=(USERS_BY, USERS, USERNAME, USER, TIMELINE, FOLLOWERS, TWEETS, TWEET, OWN),
    pace=Pace(calls=3_500, seconds=900, at_once=8, kind="window", per_endpoint=True),
    authorise=authorise,
    oauth=OAuth(
        token_url=f"{BASE}/2/oauth2/token",
        id_setting="x_client_id",
        secret_setting="x_client_secret",  # noqa: S106  # a setting's name
        sent="basic",
        authorize_url="https://x.com/i/oauth2/authorize",
        revoke_url=f"{BASE}/2/oauth2/revoke",
        scopes=("tweet.read", "users.read", "offline.access"),
        whoami=f"{BASE}/2/users/me",
        whoami_cost=USER_READ,
        account=("data", "id"),
        rotates=True,
        access_seconds=7_200,
        withdrawn=frozenset({"invalid_grant", "value passed for the token was invalid."}),
    ),
    normalise=normalise,
    resolve=resolve,
    listing=listing,
    lookup=lookup,
    consented=consented,
    audience=audience,
    at_most=at_most,
    sample_size=sample_size,
    dialects=(lambda call: call, in_tweets),
    daily_units=lambda settings: settings.x_daily_units,
    monthly_units=lambda settings: settings.x_monthly_units,
    budget_zone=ZoneInfo("UTC"),
    price=price,
    page=lambda call: Page(int(call.param("max_results"))),
    made_up=made_up,
    unit_dollars=0.001,
    classify=classify,
    parse=parse,
    next_page=next_page,
    rate=rate,
)
