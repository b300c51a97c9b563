"""X's own client in the new vocabulary, the best-known one in the old, against the sandbox; and what is X's alone."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2 as httpx
import pytest
import tweepy
import xdk
from xdk.oauth2_auth import OAuth2PKCEAuth
from xdk.posts.client import PostsClient
from xdk.users.client import UsersClient

from ingest.collect.platforms import x

NOW = "2026-11-22T20:00:00Z"
USER_FIELDS = ["created_at", "public_metrics", "protected"]


@pytest.fixture
def everyone(sandbox_url: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = httpx.get(
        f"{sandbox_url}/_truth/accounts", params={"platform": "x", "at": NOW, "all": "1"}
    ).json()
    return rows


@pytest.fixture
def plain(sandbox_url: str) -> Iterator[httpx.Client]:
    """A plain client with the app's bearer token."""
    headers = {"X-Sandbox-Now": NOW, "Authorization": "Bearer sandbox", "Host": "api.x.com"}
    with httpx.Client(base_url=sandbox_url, headers=headers) as client:
        yield client
        client.delete("/_faults", headers={"Host": "sandbox"})


@pytest.fixture
def official(sandbox_url: str) -> xdk.Client:
    client = xdk.Client(base_url=sandbox_url, bearer_token="sandbox")
    client.session.headers["X-Sandbox-Now"] = NOW
    return client


@pytest.fixture
def known(sandbox_url: str) -> tweepy.Client:
    """tweepy; its host stands in the middle of a method, so requests are led away below it."""
    client = tweepy.Client("sandbox")
    send = client.session.request
    client.session.headers["X-Sandbox-Now"] = NOW

    def request(method: str, url: str, **more: Any) -> Any:
        return send(method, url.replace("https://api.twitter.com", sandbox_url), **more)

    client.session.request = request
    return client


def flagged(rows: list[dict[str, Any]], flag: str) -> dict[str, Any]:
    return next(row for row in rows if flag in row["flags"])


def largest(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return max((row for row in rows if not row["flags"]), key=lambda row: row["followers"])


def smallest(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return min((row for row in rows if not row["flags"]), key=lambda row: row["followers"])


def truth(sandbox_url: str, row: dict[str, Any]) -> dict[str, dict[str, Any]]:
    asked = {"platform": "x", "account_id": row["account_id"], "at": NOW, "days": "120"}
    found = httpx.get(f"{sandbox_url}/_truth/posts", params=asked).json()
    return {post["post_id"]: post for post in found if post["state"] == "visible"}


def test_xdk_reads_users_posts_and_followers(
    official: xdk.Client, everyone: list[dict[str, Any]], sandbox_url: str
) -> None:
    ids = [row["account_id"] for row in everyone]
    users = official.users.get_by_ids(ids=ids, user_fields=USER_FIELDS).model_dump()
    counts = {user["id"]: user["public_metrics"]["followers_count"] for user in users["data"]}
    assert counts == {row["account_id"]: row["followers"] for row in everyone if row["account_id"] in counts}
    assert {error["title"] for error in users["errors"]} == {"Forbidden", "Not Found Error"}
    assert all("post_count" in user["public_metrics"] for user in users["data"])
    row = largest(everyone)
    pages = official.users.get_posts(
        row["account_id"],
        max_results=7,
        exclude=["retweets"],
        post_fields=["created_at", "public_metrics", "note_post"],
        expansions=["attachments.media_keys"],
        media_fields=["public_metrics", "duration_ms"],
    )
    posts = [post for page in pages for post in page.model_dump()["data"]]
    true = truth(sandbox_url, row)
    assert true.keys() <= {post["id"] for post in posts}
    assert [post["created_at"] for post in posts] == sorted((post["created_at"] for post in posts), reverse=True)
    for post in posts:
        if post["id"] in true:
            assert post["public_metrics"]["repost_count"] == true[post["id"]]["shares"]
            assert post["public_metrics"]["impression_count"] == true[post["id"]]["impressions"]
    again = official.posts.get_by_ids(ids=[post["id"] for post in posts[:3]] + ["12"]).model_dump()
    assert [post["id"] for post in again["data"]] == [post["id"] for post in posts[:3]]
    assert [error["resource_id"] for error in again["errors"]] == ["12"]
    first = next(iter(official.users.get_followers(row["account_id"], max_results=1000))).model_dump()
    assert 980 < len(first["data"]) < 1000  # closed accounts are left out of a page
    assert len(first["meta"]["next_token"]) >= 16


def literals(hint: Any) -> set[str]:
    """The words that a parameter of X's own client may be: those of the API's description that it was made from."""
    return set(re.findall(r"""["']([\w.]+)["']""", str(hint)))


@pytest.mark.parametrize(
    ("endpoint", "method"),
    [
        (x.USERS, UsersClient.get_by_ids),
        (x.USERS_BY, UsersClient.get_by_usernames),
        (x.TIMELINE, UsersClient.get_posts),
        (x.FOLLOWERS, UsersClient.get_followers),
        (x.TWEETS, PostsClient.get_by_ids),
        (x.OWN, PostsClient.get_by_ids),
    ],
)
def test_all_that_the_collector_asks_for_is_in_the_description_of_the_api(endpoint: Any, method: Any) -> None:
    assert endpoint.params
    for name, value in endpoint.params.items():
        assert set(value.split(",")) <= literals(method.__annotations__[name.replace(".", "_")])


def test_xdk_walks_a_creator_through_a_grant_and_reads_what_only_owners_are_told(
    official: xdk.Client, everyone: list[dict[str, Any]], sandbox_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")  # the sandbox speaks plain HTTP
    row = largest(everyone)
    auth = OAuth2PKCEAuth(
        base_url=sandbox_url,
        authorization_base_url=f"{sandbox_url}/i",
        client_id="sandbox",
        client_secret="sandbox",
        redirect_uri="https://assay.example/back",
        scope="tweet.read users.read offline.access",
    )
    page = httpx.get(auth.get_authorization_url() + f"&sandbox_account={row['account_id']}")
    code = parse_qs(urlsplit(page.headers["location"]).query)["code"][0]
    tokens = auth.exchange_code(code, auth.get_code_verifier())
    renewed = auth.refresh_token()
    assert renewed["refresh_token"] != tokens["refresh_token"]
    own = xdk.Client(base_url=sandbox_url, access_token=renewed["access_token"])
    assert own.users.get_me().model_dump()["data"]["id"] == row["account_id"]
    post = next(iter(truth(sandbox_url, row)))
    newest = next(iter(own.users.get_posts(row["account_id"], max_results=5, exclude=["retweets"]))).model_dump()
    told = own.posts.get_by_ids(ids=[newest["data"][0]["id"]], post_fields=["non_public_metrics"]).model_dump()
    assert "url_link_clicks" in told["data"][0]["non_public_metrics"]
    for client, asked in ((official, newest["data"][0]["id"]), (own, post)):  # the app, and a post of long ago
        refused = client.posts.get_by_ids(ids=[asked], post_fields=["non_public_metrics"]).model_dump()
        assert refused["errors"][0]["title"] == "Field Authorization Error"
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": "sandbox"}
    used = httpx.post(f"{sandbox_url}/2/oauth2/token", data=form, auth=("sandbox", "sandbox"))
    assert (used.status_code, used.json()["error"]) == (400, "invalid_request")


def test_tweepy_reads_the_same_in_the_old_vocabulary(
    known: tweepy.Client, everyone: list[dict[str, Any]], sandbox_url: str
) -> None:
    row = largest(everyone)
    user = known.get_user(username=row["handle"], user_fields=USER_FIELDS).data
    assert (user.id, user.public_metrics["followers_count"]) == (int(row["account_id"]), row["followers"])
    asked = ["created_at", "public_metrics", "referenced_tweets", "author_id", "note_tweet"]
    pages = tweepy.Paginator(known.get_users_tweets, user.id, max_results=20, tweet_fields=asked)
    tweets = list(pages.flatten())
    reposts = [tweet for tweet in tweets if "retweeted" in [one.type for one in tweet.referenced_tweets or []]]
    assert reposts
    assert all(tweet.public_metrics["like_count"] == 0 for tweet in reposts)
    own = {str(tweet.id): tweet.public_metrics for tweet in tweets if tweet not in reposts}
    true = truth(sandbox_url, row)
    assert {name: own[name]["retweet_count"] for name in true} == {name: one["shares"] for name, one in true.items()}
    kinds = {one.type for tweet in tweets for one in tweet.referenced_tweets or []}
    assert kinds == {"retweeted", "replied_to", "quoted"}
    assert {tweet.author_id for tweet in tweets} == {int(row["account_id"])}


def test_tweepy_follows_the_whole_list_of_followers(known: tweepy.Client, everyone: list[dict[str, Any]]) -> None:
    row = smallest(everyone)
    pages = tweepy.Paginator(known.get_users_followers, row["account_id"], max_results=1000, user_fields=USER_FIELDS)
    followers = list(pages.flatten())
    assert len({follower.id for follower in followers}) == len(followers)
    assert 0.97 * row["followers"] < len(followers) < row["followers"]


def test_tweepy_knows_the_sandbox_s_refusals(known: tweepy.Client, plain: httpx.Client) -> None:
    with pytest.raises(tweepy.BadRequest, match="max_results"):
        known.get_users_tweets(1, max_results=3)
    plain.post("/_faults", json={"platform": "x", "kind": "throttled"}, headers={"Host": "sandbox"})
    with pytest.raises(tweepy.TooManyRequests):
        known.get_user(username="nobody")
    known.bearer_token = "made-up"
    with pytest.raises(tweepy.Unauthorized):
        known.get_user(username="nobody")


@pytest.mark.parametrize(
    ("flag", "is_user", "title"),
    [
        ("protected", True, "Authorization Error"),
        ("suspended", False, "Forbidden"),
        ("deleted", False, "Not Found Error"),
        ("empty", True, None),
    ],
)
def test_oddities(
    plain: httpx.Client, everyone: list[dict[str, Any]], flag: str, is_user: bool, title: str | None
) -> None:
    row = flagged(everyone, flag)
    user = plain.get(f"/2/users/{row['account_id']}").json()
    assert ("data" in user) == is_user
    posts = plain.get(f"/2/users/{row['account_id']}/tweets")
    assert posts.status_code == 200
    assert "data" not in posts.json()
    if title:
        assert posts.json()["errors"][0]["title"] == title
    else:
        assert posts.json() == {"meta": {"result_count": 0}}


def test_a_renamed_account_answers_to_its_new_username_alone(
    plain: httpx.Client, everyone: list[dict[str, Any]]
) -> None:  # fmt: skip
    row = flagged(everyone, "renamed")
    old = {"X-Sandbox-Now": "2026-11-01T00:00:00Z"}

    def found(name: str, **more: Any) -> bool:
        return "data" in plain.get("/2/users/by", params={"usernames": name.removeprefix("@")}, **more).json()

    assert found(row["account"], headers=old)
    assert not found(row["account"])
    assert found(row["handle"])


def test_each_row_is_billed_and_each_window_counted(plain: httpx.Client, everyone: list[dict[str, Any]]) -> None:
    moment = {"X-Sandbox-Now": "2026-03-01T00:00:30Z"}
    row = largest(everyone)
    first = plain.get(f"/2/users?ids={row['account_id']},12", headers=moment)
    posts = plain.get(f"/2/users/{row['account_id']}/tweets?max_results=5&exclude=retweets", headers=moment)
    assert (first.headers["x-rate-limit-limit"], first.headers["x-rate-limit-remaining"]) == ("300", "299")
    assert posts.headers["x-rate-limit-reset"] == "1772324100"
    units = plain.get("/_truth/requests", headers={"Host": "sandbox"}).json()["units"]
    billed = [unit for unit in units if unit["platform"] == "x" and unit["window"] == "2026-03-01"]
    assert [unit["units"] for unit in billed] == [10 + 5 * 5]
    codes = [plain.get("/2/users/me", headers=moment).status_code for _ in range(76)]
    assert codes == [403] * 75 + [429]


def test_fields_that_were_not_asked_for_are_not_told_and_unknown_ones_are_refused(
    plain: httpx.Client, everyone: list[dict[str, Any]]
) -> None:  # fmt: skip
    row = largest(everyone)
    user = plain.get(f"/2/users/{row['account_id']}").json()["data"]
    assert set(user) == {"id", "name", "username"}
    path = f"/2/users/{row['account_id']}/tweets?exclude=retweets"
    assert set(plain.get(path).json()["data"][0]) == {"id", "text", "edit_history_post_ids"}
    assert set(plain.get(f"{path}&tweet.fields=lang").json()["data"][0]) == {
        "id", "text", "edit_history_tweet_ids", "lang",
    }  # fmt: skip
    assert "author_id" in plain.get(f"{path}&expansions=author_id").json()["data"][0]
    refused = plain.get(f"{path}&post.fields=author_id")
    assert (refused.status_code, refused.json()["title"]) == (400, "Invalid Request")
    assert "status" not in refused.json()
