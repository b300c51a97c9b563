"""Google's own libraries walk through consent and read reports in the sandbox: what keeps its OAuth honest."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2 as httpx
import pytest
from google.auth.exceptions import RefreshError
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

from ingest.collect.oauth import challenge
from ingest.collect.platforms._youtube_owner import OWNER

VERIFIER = "v" * 50
BACK = "http://127.0.0.1:1/"


@pytest.fixture
def browser(sandbox_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox_url) as client:
        yield client


def consent(browser: httpx.Client, **asked: str) -> dict[str, str]:
    """What a consent brings back, with a code by PKCE."""
    query = {
        "client_id": "sandbox",
        "redirect_uri": BACK,
        "response_type": "code",
        "scope": " ".join(OWNER.scopes),
        "access_type": "offline",
        "state": "s",
        "code_challenge": challenge(VERIFIER),
        "code_challenge_method": "S256",
    } | asked
    answer = browser.get("/o/oauth2/v2/auth", params=query)
    assert answer.status_code == 302
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def tokens(browser: httpx.Client, code: str, **form: str) -> httpx.Response:
    given = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER}
    return browser.post("/token", data=given | {"client_id": "sandbox", "client_secret": "sandbox"} | form)


@pytest.fixture
def credentials(sandbox_url: str, browser: httpx.Client) -> Credentials:
    found = tokens(browser, consent(browser)["code"]).json()
    return Credentials(
        token=found["access_token"],
        refresh_token=found["refresh_token"],
        token_uri=f"{sandbox_url}/token",
        client_id="sandbox",
        client_secret="sandbox",
        scopes=list(OWNER.scopes),
    )


def service(url: str, name: str, version: str, credentials: Credentials) -> Any:
    return build(name, version, credentials=credentials, client_options={"api_endpoint": url}, static_discovery=True)


def test_google_s_libraries_read_an_owner_s_reports_and_renew(sandbox_url: str, credentials: Credentials) -> None:
    with service(sandbox_url, "youtube", "v3", credentials) as youtube:
        mine = youtube.channels().list(part="id,contentDetails", mine=True).execute()["items"][0]
        uploads = mine["contentDetails"]["relatedPlaylists"]["uploads"]
        page = youtube.playlistItems().list(part="contentDetails", playlistId=uploads, maxResults=50).execute()
    videos = [item["contentDetails"]["videoId"] for item in page["items"]]
    credentials.token = "ya29.too-old"
    with service(sandbox_url, "youtubeAnalytics", "v2", credentials) as analytics:
        asked = {"ids": "channel==MINE", "startDate": "2005-02-14", "endDate": "2099-01-01", "dimensions": "video"}
        report = analytics.reports().query(
            metrics="views,estimatedMinutesWatched", filters=f"video=={','.join(videos)}", sort="-views", **asked
        )
        found = report.execute()
        assert credentials.token != "ya29.too-old", "the library renewed it at the token endpoint"
        assert [column["name"] for column in found["columnHeaders"]] == ["video", "views", "estimatedMinutesWatched"]
        assert {row[0] for row in found["rows"]} <= set(videos)
        none = analytics.reports().query(metrics="views", filters="video==AAAAAAAAAAA", **asked).execute()
        assert "rows" not in none
        with pytest.raises(HttpError) as raised:
            analytics.reports().query(metrics="views", **asked | {"ids": "channel==UCxxxxxxxxxxxxxxxxxxxxxx"}).execute()
        assert raised.value.resp.status == 403


def test_google_s_library_lists_an_owner_s_subscribers(sandbox_url: str, credentials: Credentials) -> None:
    with service(sandbox_url, "youtube", "v3", credentials) as youtube:
        mine = youtube.channels().list(part="id", mine=True).execute()["items"][0]["id"]
        listing = youtube.subscriptions()
        first_call = listing.list(part="snippet,subscriberSnippet", myRecentSubscribers=True, maxResults=50)
        first = first_call.execute()
        second = listing.list_next(first_call, first).execute()
        rows = [*first["items"], *second["items"]]
        assert {row["snippet"]["resourceId"]["channelId"] for row in rows} == {mine}
        when = [row["snippet"]["publishedAt"] for row in rows]
        assert when == sorted(when, reverse=True)
        who = [row["subscriberSnippet"]["channelId"] for row in rows]
        assert len(set(who)) == len(who) > 50
        assert len(first["items"]) < 50, "those who keep their subscriptions private are left out"
        found = youtube.channels().list(part="snippet,statistics", id=",".join(who[:50]), maxResults=50).execute()
        assert {item["id"] for item in found["items"]} <= set(who)
        with pytest.raises(HttpError) as raised:
            listing.list(part="snippet", channelId=who[0]).execute()
        assert raised.value.error_details[0]["reason"] == "subscriptionForbidden"


def test_a_revoked_grant_gives_google_s_library_invalid_grant(
    browser: httpx.Client, credentials: Credentials
) -> None:  # fmt: skip
    assert browser.post("/revoke", data={"token": credentials.refresh_token}).status_code == 200
    from google.auth.transport.requests import Request

    with pytest.raises(RefreshError, match="invalid_grant"):
        credentials.refresh(Request())


@pytest.mark.parametrize(
    ("asked", "form", "error"),
    [
        ({"sandbox_deny": "1"}, None, "access_denied"),
        ({"scope": "everything"}, None, "invalid_scope"),
        ({}, {"code_verifier": "other"}, "invalid_grant"),
        ({}, {"client_secret": "other"}, "invalid_client"),
        ({}, {"redirect_uri": "http://127.0.0.1:2/"}, "redirect_uri_mismatch"),
        ({}, {"code": "made up"}, "invalid_grant"),
    ],
)
def test_what_is_wrong_is_refused_in_the_standard_s_words(
    browser: httpx.Client, asked: dict[str, str], form: dict[str, str] | None, error: str
) -> None:
    back = consent(browser, **asked)
    assert back["state"] == "s"
    said = back if form is None else tokens(browser, **{"code": back["code"]} | form).json()
    assert said["error"] == error


def test_a_code_is_good_once(browser: httpx.Client) -> None:
    code = consent(browser)["code"]
    assert tokens(browser, code).status_code == 200
    assert tokens(browser, code).json()["error"] == "invalid_grant"


def test_tokens_expire_by_the_clock_that_requests_bring_along(browser: httpx.Client, credentials: Credentials) -> None:
    carried = {"Authorization": f"Bearer {credentials.token}"}
    query = {"part": "id", "mine": "true"}
    assert browser.get("/youtube/v3/channels", params=query, headers=carried).status_code == 200
    later = carried | {"X-Sandbox-Now": datetime.fromtimestamp(time.time() + 3700, UTC).isoformat()}
    assert browser.get("/youtube/v3/channels", params=query, headers=later).status_code == 401
