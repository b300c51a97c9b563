"""researchtikpy, the best-known client of the Research API, against the sandbox; and what a creator's grant shows."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2 as httpx
import pytest
import requests
import researchtikpy as research
from researchtikpy import get_query

NOW = "2026-11-22T10:00:00Z"
APP = {"client_key": "sandbox", "redirect_uri": "https://assay.example/back"}
SCOPES = "user.info.basic,user.info.profile,user.info.stats,video.list"
NAMES = "fields=open_id,username,follower_count"
VIDEO = "fields=id,create_time,view_count,like_count,duration"


@pytest.fixture
def plain(sandbox_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox_url, headers={"X-Sandbox-Now": NOW}) as client:
        yield client
        client.delete("/_faults")


@pytest.fixture
def token(sandbox_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A token of the app, by the client, whose fixed addresses are led to the sandbox."""
    send = requests.Session.send

    def here(self: requests.Session, request: requests.PreparedRequest, **more: Any) -> requests.Response:
        parts = urlsplit(request.url)
        request.headers.update({"Host": parts.netloc, "X-Sandbox-Now": NOW})
        request.url = f"{sandbox_url}{parts.path}{'?' + parts.query if parts.query else ''}"
        return send(self, request, **more)

    monkeypatch.setattr(requests.Session, "send", here)
    monkeypatch.setattr(get_query.time, "sleep", lambda _: None)
    given = research.get_access_token("sandbox", "sandbox")
    assert (given["expires_in"], given["access_token"][:4]) == (7200, "clt.")
    return str(given["access_token"])


@pytest.fixture
def everyone(plain: httpx.Client) -> list[dict[str, Any]]:
    return plain.get("/_truth/accounts", params={"platform": "tiktok", "at": NOW, "all": "1"}).json()


def flagged(rows: list[dict[str, Any]], flag: str | None) -> dict[str, Any]:
    return next(row for row in rows if (flag in row["flags"] if flag else not row["flags"]))


def grant(client: httpx.Client, scope: str = SCOPES, **asked: str) -> dict[str, Any]:
    """What the token endpoint gives for a creator's consent."""
    page = client.get("/v2/auth/authorize/", params=APP | {"response_type": "code", "scope": scope} | asked)
    code = parse_qs(urlsplit(page.headers["location"]).query)["code"][0]
    form = APP | {"client_secret": "sandbox", "grant_type": "authorization_code", "code": code}
    found: dict[str, Any] = client.post("/v2/oauth/token/", data=form).json()
    return found


def test_researchtikpy_reads_users(token: str, everyone: list[dict[str, Any]]) -> None:
    there, private = flagged(everyone, None), flagged(everyone, "private")
    found = research.get_users_info([there["handle"], private["handle"], "nobody"], token, verbose=False)
    assert found["follower_count"][0] == there["followers"]
    assert list(found["error"].notna()) == [False, True, True]


def test_researchtikpy_pages_through_a_search_that_is_late_and_has_gaps(
    token: str, everyone: list[dict[str, Any]], plain: httpx.Client
) -> None:
    names = [row["handle"] for row in everyone if not row["flags"]]
    # Its get_videos_info leaves an argument of this out.
    named = research.Query(
        or_=[research.Condition(research.Fields.username, research.Operators.equals, [name]) for name in names]
    )
    found = research.get_videos_query(named, token, "20261015", "20261113", total_max_count=10_000, max_count=7)
    assert len(set(found["id"])) == len(found) > 50
    assert found["id"].min() > 2**53
    assert set(found["username"]) <= set(names)
    row = flagged(everyone, None)
    told = plain.get("/_truth/posts", params={"platform": "tiktok", "account_id": row["account_id"], "at": NOW}).json()
    true = {
        int(post["post_id"])
        for post in told
        if post["state"] == "visible" and "2026-10-15" <= post["published_at"] < "2026-11-14"
    }
    assert set(found[found["username"] == row["handle"]]["id"]) == true


def test_researchtikpy_searches_by_hashtag_within_thirty_days(token: str) -> None:
    found = research.get_videos_hashtag(["ad"], token, "20261101", "20261121", total_max_count=40)
    assert len(found)
    assert all("ad" in tags for tags in found["hashtag_names"])
    with pytest.raises(ValueError, match="invalid_params"):
        research.get_videos_hashtag(["ad"], token, "20260101", "20261121", total_max_count=40)


def test_researchtikpy_lists_followers_whose_boundary_comes_again(
    token: str, everyone: list[dict[str, Any]], plain: httpx.Client
) -> None:
    row = flagged(everyone, None)
    from researchtikpy.get_followers import get_followers  # the package's other one draws graphs

    found = get_followers([row["handle"]], token, max_count=50, total_count=180, verbose=False)
    assert len(found) == 180
    assert len(set(found["username"])) >= 170
    headers = {"Authorization": f"Bearer {token}"}
    asked: dict[str, Any] = {"username": row["handle"], "max_count": 100}
    seen, more = 0, True
    while more:
        page = plain.post("/v2/research/user/followers/", json=asked, headers=headers).json()["data"]
        seen, more, asked["cursor"] = seen + len(page["user_followers"]), page["has_more"], page["cursor"]
    assert seen <= min(row["followers"], 5_000) + 200  # lists end there, however many follow


def test_a_creator_s_grant_shows_profile_and_videos(plain: httpx.Client, everyone: list[dict[str, Any]]) -> None:
    tokens = grant(plain)
    plain.headers["Authorization"] = f"Bearer {tokens['access_token']}"
    user = plain.get(f"/v2/user/info/?{NAMES}").json()["data"]["user"]
    assert user["open_id"] == tokens["open_id"]
    assert user["follower_count"] in {row["followers"] for row in everyone}
    ids: list[str] = []
    asked: dict[str, Any] = {"max_count": 20}
    for _ in range(3):
        page = plain.post(f"/v2/video/list/?{VIDEO}", json=asked).json()["data"]
        ids += [video["id"] for video in page["videos"]]
        asked["cursor"] = page["cursor"]
    assert page["has_more"]
    assert len(set(ids)) == 60
    found = plain.post(f"/v2/video/query/?{VIDEO}", json={"filters": {"video_ids": [*ids[:5], "12"]}}).json()
    assert {video["id"] for video in found["data"]["videos"]} == set(ids[:5])


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v2/user/info/?fields=open_id,shoe_size", None, 400, "invalid_params"),
        ("/v2/video/list/?fields=id", {"max_count": 21}, 400, "invalid_params"),
        ("/v2/video/query/?fields=id", {"filters": {"video_ids": ["1"] * 21}}, 400, "invalid_params"),
        ("/v2/research/user/info/?fields=display_name", {"username": "ann"}, 401, "scope_not_authorized"),
    ],
)
def test_what_is_wrong_is_said_in_the_envelope(
    plain: httpx.Client, path: str, body: dict[str, Any] | None, status: int, code: str
) -> None:
    plain.headers["Authorization"] = f"Bearer {grant(plain)['access_token']}"
    answer = plain.get(path) if body is None else plain.post(path, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_field_of_a_scope_that_was_not_granted_fails_the_whole_call(plain: httpx.Client) -> None:
    plain.headers["Authorization"] = f"Bearer {grant(plain, 'user.info.basic')['access_token']}"
    assert plain.get("/v2/user/info/?fields=open_id,display_name").status_code == 200
    answer = plain.get(f"/v2/user/info/?{NAMES}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "scope_not_authorized")


def test_a_path_without_its_last_slash_is_none(plain: httpx.Client) -> None:
    assert plain.get(f"/v2/user/info?{NAMES}").status_code == 404


def test_refresh_tokens_rotate_and_refusals_come_with_status_200(plain: httpx.Client) -> None:
    form = {"client_key": "sandbox", "client_secret": "sandbox", "grant_type": "refresh_token"}
    first = grant(plain)
    second = plain.post("/v2/oauth/token/", data=form | {"refresh_token": first["refresh_token"]}).json()
    assert second["open_id"] == first["open_id"]
    assert second["refresh_token"] != first["refresh_token"]
    old = plain.post("/v2/oauth/token/", data=form | {"refresh_token": first["refresh_token"]})
    assert (old.status_code, old.json()["error"]) == (200, "invalid_grant")


def test_the_accounts_api_has_an_envelope_of_its_own(plain: httpx.Client) -> None:
    page = plain.get("/v2/auth/authorize/", params=APP | {"response_type": "code", "scope": SCOPES})
    code = parse_qs(urlsplit(page.headers["location"]).query)["code"][0]
    asked = {"client_id": "sandbox", "client_secret": "sandbox", "grant_type": "authorization_code", "auth_code": code}
    given = plain.post(
        "/open_api/v1.3/tt_user/oauth2/token/", json=asked | {"redirect_uri": APP["redirect_uri"]}
    ).json()
    mine = given["data"]["open_id"]
    headers = {"Access-Token": given["data"]["access_token"]}
    query = {"business_id": mine, "fields": '["followers_count","item_id","reach","favorites"]', "max_count": 20}
    profile = plain.get("/open_api/v1.3/business/get/", params=query, headers=headers).json()
    assert (profile["code"], profile["data"]["followers_count"] > 0) == (0, True)
    videos = plain.get("/open_api/v1.3/business/video/list/", params=query, headers=headers).json()["data"]
    assert len(videos["videos"]) == 20
    assert all(video["reach"] >= 0 for video in videos["videos"])
    refused = plain.get("/open_api/v1.3/business/get/", params=query, headers={"Access-Token": "made up"})
    assert (refused.status_code, refused.json()["code"]) == (200, 40105)
    other = plain.get("/open_api/v1.3/business/get/", params=query | {"business_id": "-000other"}, headers=headers)
    assert other.json()["code"] == 40001
