"""The best-known client of Reddit, with its own models and pace, against the sandbox; and what is Reddit's alone."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import httpx2 as httpx
import praw
import prawcore
import pytest
import requests

NOW = "2026-11-22T20:09:50Z"
"""At the end of a window: earlier in one the client spreads its calls and sleeps between them."""
AGENT = "python:assay.tests:1 (by /u/nobody_in_particular)"
TOKEN_PATH = "/api/v1/access_token"
APP = ("sandbox", "sandbox")
FORM = {"grant_type": "client_credentials"}


@pytest.fixture
def reddit(sandbox_url: str) -> praw.Reddit:
    """The client by the app's token; every request brings the moment along."""
    session = requests.Session()
    session.headers["X-Sandbox-Now"] = NOW
    return praw.Reddit(
        client_id="sandbox",
        client_secret="sandbox",
        user_agent=AGENT,
        oauth_url=sandbox_url,
        reddit_url=sandbox_url,
        check_for_updates=False,
        requestor_kwargs={"session": session},
    )


@pytest.fixture
def everyone(sandbox_url: str) -> list[dict[str, Any]]:
    return httpx.get(f"{sandbox_url}/_truth/accounts", params={"platform": "reddit", "at": NOW, "all": "1"}).json()


@pytest.fixture
def plain(sandbox_url: str) -> Iterator[httpx.Client]:
    """A plain client with a token of the app."""
    with httpx.Client(base_url=sandbox_url, headers={"X-Sandbox-Now": NOW, "User-Agent": AGENT}) as client:
        token = client.post(TOKEN_PATH, data=FORM, auth=APP).json()["access_token"]
        client.headers["Authorization"] = f"bearer {token}"
        yield client
        client.delete("/_faults")


def usual(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return next(row for row in rows if not row["flags"])


def posts_of(url: str, row: dict[str, Any]) -> list[dict[str, Any]]:
    """All that an account ever published, as the truth has it."""
    asked = {"platform": "reddit", "account_id": row["account_id"], "at": NOW, "days": "600"}
    found: list[dict[str, Any]] = httpx.get(f"{url}/_truth/posts", params=asked).json()
    return found


def of(rows: list[dict[str, Any]], flag: str) -> dict[str, Any]:
    return next(row for row in rows if flag in row["flags"])


def test_praw_reads_profiles_and_submissions(
    reddit: praw.Reddit, everyone: list[dict[str, Any]], sandbox_url: str
) -> None:  # fmt: skip
    there = [row for row in everyone if not row["flags"]]
    row = max(there, key=lambda row: len(posts_of(sandbox_url, row)))
    ann = reddit.redditor(row["handle"])
    assert ann.fullname == row["account_id"]
    assert ann.subreddit.subscribers == row["followers"]
    found = list(ann.submissions.new(limit=None))
    assert len({post.fullname for post in found}) == len(found) > 100
    assert [post.created_utc for post in found] == sorted((post.created_utc for post in found), reverse=True)
    assert {post.author for post in found} == {ann}
    again = list(reddit.info(fullnames=[*(post.fullname for post in found[:120]), "t3_nobody"]))
    scores = {post.fullname: post.score for post in again}
    assert len(again) >= 115  # a look-up leaves some out now and then
    assert scores.items() <= {post.fullname: post.score for post in found}.items()
    texts = [post for post in found if post.is_self]
    assert any("&" in post.selftext and "&amp;" not in post.selftext for post in texts)


def test_praw_reads_comments_and_their_authors(reddit: praw.Reddit, everyone: list[dict[str, Any]]) -> None:
    posts = islice(reddit.redditor(usual(everyone)["handle"]).submissions.new(), 12)
    post = max(posts, key=lambda post: post.num_comments)
    post.comment_sort = "new"
    written = [comment for comment in post.comments if not isinstance(comment, praw.models.MoreComments)]
    people = [one for one in written if one.author and one.author.name != "AutoModerator"]
    assert len(people) > 3
    times = [one.created_utc for one in people]
    assert times == sorted(times, reverse=True)
    ids = {one.author_fullname for one in people}
    partial = {one.fullname: one for one in reddit.redditors.partial_redditors(ids | {"t2_nobody"})}
    assert partial.keys() == ids
    assert all(partial[one.author_fullname].name == one.author.name for one in people)
    assert list(reddit.redditors.partial_redditors(["t2_nobody"])) == []


def test_praw_meets_what_is_not_there(reddit: praw.Reddit, everyone: list[dict[str, Any]]) -> None:
    suspended = reddit.redditor(of(everyone, "suspended")["handle"])
    assert suspended.is_suspended
    assert not hasattr(suspended, "id")
    with pytest.raises(prawcore.Forbidden):
        list(suspended.submissions.new())
    for flag in ("deleted", "shadow_banned"):
        with pytest.raises(prawcore.NotFound):
            list(reddit.redditor(of(everyone, flag)["handle"]).submissions.new())
    assert list(reddit.redditor(of(everyone, "empty")["handle"]).submissions.new()) == []
    hiding = of(everyone, "hides_history")
    assert list(reddit.redditor(hiding["handle"]).submissions.new(limit=None))
    adult = next(reddit.redditor(of(everyone, "nsfw")["handle"]).submissions.new())
    assert adult.over_18
    with pytest.raises(prawcore.NotFound):
        reddit.submission("nobody")._fetch()
    with pytest.raises(prawcore.Redirect):
        reddit.subreddit("nowhere_at_all")._fetch()


def test_a_token_needs_the_app_s_secret_by_basic_and_lasts_a_day(plain: httpx.Client) -> None:
    for more in ({}, {"auth": ("sandbox", "wrong")}):
        refused = plain.post(TOKEN_PATH, data=FORM, headers={"Authorization": ""} if not more else {}, **more)
        assert (refused.status_code, refused.json()) == (401, {"message": "Unauthorized", "error": 401})
    assert plain.post(TOKEN_PATH, data={"grant_type": "x"}, auth=APP).json() == {"error": "unsupported_grant_type"}
    given = plain.post(TOKEN_PATH, data=FORM, auth=APP).json()
    assert (given["token_type"], given["expires_in"], given["scope"]) == ("bearer", 86_400, "*")
    late = plain.get("/api/info?id=t3_x", headers={"X-Sandbox-Now": "2026-11-23T20:09:51Z"})
    assert (late.status_code, late.headers["www-authenticate"]) == (401, 'Bearer realm="reddit", error="invalid_token"')
    assert plain.get("/api/info?id=t3_x", headers={"Authorization": ""}).status_code == 403


def test_agents_that_name_nobody_are_turned_away(plain: httpx.Client) -> None:
    turned = plain.get("/api/info?id=t3_x", headers={"User-Agent": "python-requests/2.32"})
    assert (turned.status_code, turned.headers["content-type"]) == (429, "text/html; charset=utf-8")
    assert "retry-after" not in turned.headers


def test_the_1001st_call_of_ten_minutes_is_refused(plain: httpx.Client) -> None:
    moment = {"X-Sandbox-Now": "2026-11-22T18:00:30Z"}
    first = plain.get("/api/info", headers=moment)
    told = [first.headers[f"x-ratelimit-{name}"] for name in ("used", "remaining", "reset")]
    assert (first.status_code, told) == (200, ["1", "999.0", "570"])
    codes = [plain.get("/api/info", headers=moment).status_code for _ in range(1000)]
    assert codes == [200] * 999 + [429]
    last = plain.get("/api/info", headers=moment)
    assert (last.headers["x-ratelimit-remaining"], last.headers["retry-after"]) == ("0.0", "571")
    assert plain.get("/api/info", headers={"X-Sandbox-Now": "2026-11-22T18:10:00Z"}).status_code == 200


def test_texts_are_escaped_unless_they_are_asked_for_raw(plain: httpx.Client, everyone: list[dict[str, Any]]) -> None:
    path = f"/user/{usual(everyone)['handle']}/about"
    assert " &amp; " in plain.get(path).json()["data"]["subreddit"]["public_description"]
    assert " & " in plain.get(f"{path}?raw_json=1").json()["data"]["subreddit"]["public_description"]


def test_a_cursor_whose_submission_was_deleted_leads_nowhere(
    plain: httpx.Client, everyone: list[dict[str, Any]]
) -> None:  # fmt: skip
    path = f"/user/{usual(everyone)['handle']}/submitted"
    page = plain.get(path, params={"limit": "3"}).json()["data"]
    assert page["after"] == page["children"][2]["data"]["name"]
    further = plain.get(path, params={"limit": "3", "after": page["after"]}).json()["data"]
    assert not {row["data"]["name"] for row in page["children"]} & {row["data"]["name"] for row in further["children"]}
    lost = plain.get(path, params={"limit": "3", "after": "t3_nobody"}).json()["data"]
    assert (lost["children"], lost["after"]) == ([], None)


def test_a_submission_that_was_deleted_is_left_out_or_answered_without_its_author(
    plain: httpx.Client, everyone: list[dict[str, Any]], sandbox_url: str
) -> None:  # fmt: skip
    there = [row for row in everyone if not row["deleted"]]
    deleted = [post["post_id"] for row in there for post in posts_of(sandbox_url, row) if post["state"] == "gone"]
    asked = ",".join(deleted[:100])
    told = [child["data"] for child in plain.get("/api/info", params={"id": asked}).json()["data"]["children"]]
    assert 0 < len(told) < len(deleted[:100])
    assert {row["author"] for row in told} == {"[deleted]"}
    assert all("author_fullname" not in row and row["removed_by_category"] == "deleted" for row in told)
