"""Meta's own library against the sandbox's Graph API; and what is Instagram's alone."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2 as httpx
import pytest
from facebook_business.adobjects.iguser import IGUser
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookRequestError
from facebook_business.session import FacebookSession

NOW = "2026-11-22T20:00:00Z"
OURS = "17841400000000001"
SCOPES = [f"instagram_business_{name}" for name in ("basic", "manage_insights", "manage_comments")]
MEDIA = "id,caption,media_type,media_product_type,permalink,timestamp,like_count,comments_count,view_count"
Library = Callable[..., FacebookAdsApi]


@pytest.fixture
def library(sandbox_url: str, monkeypatch: pytest.MonkeyPatch) -> Library:
    """The library with a token, at the sandbox."""
    monkeypatch.setattr(FacebookSession, "GRAPH", sandbox_url)

    def library(token: str, now: str = NOW) -> FacebookAdsApi:
        session = FacebookSession(access_token=token)
        session.requests.headers["X-Sandbox-Now"] = now
        return FacebookAdsApi(session, "v26.0")

    return library


@pytest.fixture
def plain(sandbox_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox_url, headers={"X-Sandbox-Now": NOW}) as client:
        yield client
        client.delete("/_faults")


@pytest.fixture
def everyone(plain: httpx.Client) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = plain.get(
        "/_truth/accounts", params={"platform": "instagram", "at": NOW, "all": "1"}
    ).json()
    return rows


def with_flag(rows: list[dict[str, Any]], flag: str) -> dict[str, Any]:
    return next(row for row in rows if flag in row["flags"])


def usual(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return max((row for row in rows if not row["flags"]), key=lambda row: row["followers"])


def discover(api: FacebookAdsApi, handle: str, inner: str) -> dict[str, Any]:
    """Another's account, as the library reads it."""
    found = IGUser(OURS, api=api).api_get(fields=[f"business_discovery.username({handle}){{{inner}}}"])
    whole: dict[str, Any] = found.export_all_data()
    return whole


def consent(plain: httpx.Client, account: str, scopes: list[str] | None = None) -> str:
    """A long-lived token of an owner who consents."""
    app = {"client_id": "sandbox", "redirect_uri": "https://assay.example/back"}
    asked = {"response_type": "code", "scope": ",".join(scopes or SCOPES), "sandbox_account": account}
    page = plain.get("/oauth/authorize", params=app | asked)
    code = parse_qs(urlsplit(page.headers["location"]).query)["code"][0]
    secret = {"client_secret": "sandbox", "grant_type": "authorization_code", "code": code}
    short = plain.post("/oauth/access_token", data=app | secret).json()
    assert (short["user_id"], short["permissions"]) == (account, scopes or SCOPES)
    exchange = {"grant_type": "ig_exchange_token", "client_secret": "sandbox", "access_token": short["access_token"]}
    long = plain.get("/access_token", params=exchange).json()
    assert long["expires_in"] == 60 * 86_400
    return str(long["access_token"])


def test_the_library_discovers_an_account_and_pages_through_its_media(
    library: Library, everyone: list[dict[str, Any]], plain: httpx.Client
) -> None:
    api, row = library("sandbox"), usual(everyone)
    found = discover(api, row["handle"], "id,username,followers_count,media_count")
    shown = found["business_discovery"]
    assert (shown["id"], shown["followers_count"]) == (row["account_id"], row["followers"])
    assert found["id"] == OURS
    ids: list[str] = []
    after = ""
    for _ in range(4):
        page = discover(api, row["handle"], f"media{after}.limit(7){{{MEDIA}}}")["business_discovery"]["media"]
        ids += [media["id"] for media in page["data"]]
        assert "next" not in page["paging"]
        after = f".after({page['paging']['cursors']['after']})"
    truth = plain.get("/_truth/posts", params={"platform": "instagram", "account_id": row["account_id"], "at": NOW})
    up = sorted((post for post in truth.json() if post["state"] == "visible"), key=lambda post: post["published_at"])
    assert ids == [post["post_id"] for post in reversed(up)][:28]
    reels = [media for media in page["data"] if media["media_product_type"] == "REELS"]
    assert all(("view_count" in media) is (media in reels) for media in page["data"])


def test_the_library_reads_an_owner_s_media_insights_and_comments(
    library: Library, everyone: list[dict[str, Any]], plain: httpx.Client
) -> None:
    row = usual(everyone)
    me = IGUser("me", api=library(consent(plain, row["account_id"])))
    assert me.api_get(fields=["user_id", "username"])["user_id"] == row["account_id"]
    media = list(me.get_media(fields=["id", "media_product_type", "comments_count"], params={"limit": 10}))
    assert len({one["id"] for one in media}) == len(media) > 100
    talked = max(media[3:20], key=lambda one: one["comments_count"])
    figures = list(talked.get_insights(params={"metric": ["reach", "saved", "shares"]}))
    assert [one["name"] for one in figures] == ["reach", "saved", "shares"]
    assert figures[0]["values"][0]["value"] > 0
    comments = list(talked.get_comments(fields=["from", "text", "timestamp"], params={"limit": 20}))
    assert 0 < len(comments) <= talked["comments_count"]
    assert len({one["id"] for one in comments}) == len(comments)
    assert all(one["from"]["id"] and one["from"]["username"] for one in comments)
    picture = next(one for one in media if one["media_product_type"] == "FEED")
    with pytest.raises(FacebookRequestError) as raised:
        picture.get_insights(params={"metric": ["reach", "ig_reels_avg_watch_time"]})
    assert raised.value.api_error_code() == 100
    with pytest.raises(FacebookRequestError) as raised:
        media[-1].get_insights(params={"metric": ["reach"]})
    assert raised.value.api_error_subcode() == 2108006, "published before the account was professional"


@pytest.mark.parametrize("flag", ["personal", "deleted", "renamed"])
def test_who_cannot_be_discovered_is_like_nobody(library: Library, everyone: list[dict[str, Any]], flag: str) -> None:
    for handle in (with_flag(everyone, flag)["account"], "nobody.at.all", "a}{b"[:1] * 40):
        with pytest.raises(FacebookRequestError) as raised:
            discover(library("sandbox"), handle, "id")
        assert (raised.value.api_error_code(), raised.value.api_error_subcode()) == (110, 2207013)


def test_oddities(library: Library, everyone: list[dict[str, Any]]) -> None:
    api = library("sandbox")
    assert discover(api, with_flag(everyone, "age_gated")["handle"], "id") == {"id": OURS}
    assert "media" not in discover(api, with_flag(everyone, "empty")["handle"], "id,media{id}")["business_discovery"]
    hidden = discover(api, with_flag(everyone, "hidden_likes")["handle"], f"media{{{MEDIA}}}")["business_discovery"]
    assert hidden["media"]["data"]
    assert all("like_count" not in one and "comments_count" in one for one in hidden["media"]["data"])
    row = with_flag(everyone, "renamed")
    before = discover(library("sandbox", "2026-11-01T00:00:00Z"), row["account"], "id,username")["business_discovery"]
    assert before == {"id": row["account_id"], "username": row["account"]}
    assert discover(api, row["handle"], "id")["business_discovery"]["id"] == row["account_id"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ("business_discovery.username(ann){id", 2500),
        ("{id}", 2500),
        ("business_discovery.username({0}){{fans}}", 100),
        ("business_discovery.username({0}){{media.limit(999){{id}}}}", 100),
        ("business_discovery.username({0}){{media.after(made-up){{id}}}}", 100),
    ],
)
def test_what_is_asked_wrongly_is_refused_with_its_code(
    plain: httpx.Client, everyone: list[dict[str, Any]], fields: str, code: int
) -> None:
    asked = fields.format(usual(everyone)["handle"]) if "{0}" in fields else fields
    answer = plain.get(f"/v26.0/{OURS}", params={"fields": asked, "access_token": "sandbox"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_tokens_expire_are_renewed_withdrawn_and_lack_scopes(
    plain: httpx.Client, everyone: list[dict[str, Any]]
) -> None:
    row, other = usual(everyone), with_flag(everyone, "hidden_likes")
    token = consent(plain, row["account_id"])

    def me(token: str, path: str = "/me?fields=user_id", now: str = NOW) -> Any:
        headers = {"Authorization": f"Bearer {token}", "X-Sandbox-Now": now}
        return plain.get(f"/v26.0{path}", headers=headers).json()

    late = "2027-01-30T20:00:00Z"
    assert me(token, now=late)["error"]["error_subcode"] == 463
    renew = {"grant_type": "ig_refresh_token", "access_token": token}
    in_time, too_late = (
        plain.get("/refresh_access_token", params=renew, headers={"X-Sandbox-Now": at}).json()
        for at in ("2027-01-01T00:00:00Z", late)
    )
    assert me(in_time["access_token"], now=late) == {"id": row["account_id"], "user_id": row["account_id"]}
    assert too_late["error"]["code"] == 190
    assert me("made-up")["error"]["code"] == 190
    [post] = me(token, "/me/media?fields=id&limit=1")["data"]
    assert me(consent(plain, other["account_id"]), f"/{post['id']}/insights?metric=reach")["error"]["code"] == 100
    few = consent(plain, row["account_id"], SCOPES[:1])
    assert me(few, f"/{post['id']}/comments")["error"]["code"] == 10
    assert me(few, f"/{post['id']}/insights?metric=reach")["error"]["code"] == 10


def test_limits_are_told_in_percents_and_come_as_403(plain: httpx.Client, everyone: list[dict[str, Any]]) -> None:
    asked = {"fields": f"business_discovery.username({usual(everyone)['handle']}){{id}}", "access_token": "sandbox"}
    moment = {"X-Sandbox-Now": "2026-04-01T00:00:30Z"}
    answers = [plain.get("/v26.0/me", params=asked, headers=moment) for _ in range(201)]
    assert [answer.status_code for answer in answers] == [200] * 200 + [403]
    assert '"call_count": 50' in answers[99].headers["x-app-usage"]
    assert (answers[-1].json()["error"]["code"], "retry-after" in answers[-1].headers) == (4, False)
    later = {"X-Sandbox-Now": "2026-04-01T01:00:00Z"}
    assert plain.get("/v26.0/me", params=asked, headers=later).status_code == 200
    own = plain.get("/v26.0/me", headers={"Authorization": f"Bearer {consent(plain, usual(everyone)['account_id'])}"})
    assert '"type": "instagram"' in own.headers["x-business-use-case-usage"]
