"""The best-known client of Twitch, with its own models, against the sandbox; and what is Twitch's alone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2 as httpx
import pytest
from aiohttp import ClientSession
from twitchAPI.helper import limit
from twitchAPI.oauth import refresh_access_token, revoke_token, validate_token
from twitchAPI.twitch import Twitch
from twitchAPI.type import (
    AuthScope,
    InvalidRefreshTokenException,
    TwitchAPIException,
    TwitchResourceNotFound,
    UnauthorizedException,
    VideoType,
)

NOW = "2026-11-22T20:00:00Z"
SCOPE = "moderator:read:followers"
Run = Callable[[Callable[[Twitch], Awaitable[None]]], None]


@pytest.fixture
def at_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request of the client brings the moment along."""
    made = ClientSession.__init__

    def init(self: ClientSession, *args: Any, **more: Any) -> None:
        made(self, *args, **more, headers={"X-Sandbox-Now": NOW})

    monkeypatch.setattr(ClientSession, "__init__", init)


@pytest.fixture
def run(sandbox_url: str, at_now: None, plain: httpx.Client) -> Run:
    """Do something with the client under a token of the app.

    The client's own minting closes the connection before it reads the answer, which goes wrong now and then.
    """

    @asynccontextmanager
    async def signed_in() -> AsyncIterator[Twitch]:
        places = {"base_url": f"{sandbox_url}/helix/", "auth_base_url": f"{sandbox_url}/oauth2/"}
        twitch = await Twitch("sandbox", "sandbox", authenticate_app=False, **places)
        await twitch.set_app_authentication(plain.headers["authorization"].removeprefix("Bearer "), [])
        try:
            yield twitch
        finally:
            await twitch.close()

    def run(act: Callable[[Twitch], Awaitable[None]]) -> None:
        async def work() -> None:
            async with signed_in() as twitch:
                await act(twitch)

        asyncio.run(work())

    return run


@pytest.fixture
def everyone(sandbox_url: str) -> list[dict[str, Any]]:
    return httpx.get(f"{sandbox_url}/_truth/accounts", params={"platform": "twitch", "at": NOW, "all": "1"}).json()


@pytest.fixture
def plain(sandbox_url: str) -> Iterator[httpx.Client]:
    """A plain client with a token of the app."""
    form = {"client_id": "sandbox", "client_secret": "sandbox", "grant_type": "client_credentials"}
    headers = {"X-Sandbox-Now": NOW, "Client-Id": "sandbox"}
    with httpx.Client(base_url=sandbox_url, headers=headers) as client:
        token = client.post("/oauth2/token", data=form).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield client
        client.delete("/_faults")


def grant(client: httpx.Client, account: str, scope: str = SCOPE) -> dict[str, Any]:
    """The tokens of an owner who consents."""
    asked = {"client_id": "sandbox", "redirect_uri": "https://assay.example/back", "response_type": "code"}
    page = client.get("/oauth2/authorize", params=asked | {"scope": scope, "sandbox_account": account})
    code = parse_qs(urlsplit(page.headers["location"]).query)["code"][0]
    form = {"client_id": "sandbox", "client_secret": "sandbox", "grant_type": "authorization_code", "code": code}
    answer = client.post("/oauth2/token", data=form | {"redirect_uri": asked["redirect_uri"]})
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def largest(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return max((row for row in rows if not row["deleted"]), key=lambda row: row["followers"])


def test_twitchapi_reads_users_channels_and_videos(run: Run, everyone: list[dict[str, Any]]) -> None:
    there = [row for row in everyone if not row["deleted"]]

    async def act(twitch: Twitch) -> None:
        ids = [row["account_id"] for row in everyone]
        users = {user.id: user async for user in twitch.get_users(user_ids=ids)}
        assert set(users) == {row["account_id"] for row in there}
        by_login = [user async for user in twitch.get_users(logins=[there[0]["handle"], "nobody_at_all"])]
        assert [user.id for user in by_login] == [there[0]["account_id"]]
        assert {user.broadcaster_type for user in users.values()} == {"", "affiliate", "partner"}
        channels = await twitch.get_channel_information([row["account_id"] for row in there])
        assert any(channel.is_branded_content for channel in channels)
        busy = largest(everyone)["account_id"]
        videos = [video async for video in limit(twitch.get_videos(user_id=busy, first=7), 30)]
        assert len({video.id for video in videos}) == 30
        assert [video.created_at for video in videos] == sorted((v.created_at for v in videos), reverse=True)
        assert {video.type for video in videos} == {VideoType.ARCHIVE, VideoType.HIGHLIGHT, VideoType.UPLOAD}
        again = [video async for video in twitch.get_videos(ids=[*(video.id for video in videos[:5]), "12"])]
        assert {video.id: video.view_count for video in again} == {v.id: v.view_count for v in videos[:5]}
        with pytest.raises(TwitchResourceNotFound):
            await anext(twitch.get_videos(ids=["12", "13"]))
        with pytest.raises(TwitchAPIException, match=r"malformed|Invalid"):
            await anext(twitch.get_videos(user_id="ann"))

    run(act)


def test_twitchapi_reads_who_is_live(run: Run, everyone: list[dict[str, Any]]) -> None:
    async def act(twitch: Twitch) -> None:
        streams = [stream async for stream in twitch.get_streams(first=1)]
        assert streams
        assert [stream.viewer_count for stream in streams] == sorted(
            (stream.viewer_count for stream in streams), reverse=True
        )
        ids = [stream.user_id for stream in streams]
        assert set(ids) <= {row["account_id"] for row in everyone if not row["deleted"]}
        assert {stream.id async for stream in twitch.get_streams(user_id=ids)} == {stream.id for stream in streams}
        archive = await anext(twitch.get_videos(user_id=ids[0], first=1))
        assert archive.stream_id == streams[0].id != archive.id

    run(act)


def test_twitchapi_sees_the_total_as_an_app_and_the_followers_as_their_owner(
    run: Run, everyone: list[dict[str, Any]], plain: httpx.Client
) -> None:
    row = min((row for row in everyone if not row["deleted"]), key=lambda row: row["followers"])
    tokens, other = grant(plain, row["account_id"]), grant(plain, largest(everyone)["account_id"])
    assert tokens["scope"] == [SCOPE]

    async def act(twitch: Twitch) -> None:
        counted = await twitch.get_channel_followers(row["account_id"])
        assert (counted.total, counted.data) == (row["followers"], [])
        scopes = [AuthScope.MODERATOR_READ_FOLLOWERS]
        await twitch.set_user_authentication(tokens["access_token"], scopes, tokens["refresh_token"])
        listed = await twitch.get_channel_followers(row["account_id"], first=100)
        followers = [follower async for follower in listed]
        assert len({follower.user_id for follower in followers}) == len(followers)
        assert 0.97 * row["followers"] < len(followers) < row["followers"]  # closed accounts count, and are not listed
        times = [follower.followed_at for follower in followers]
        assert times == sorted(times, reverse=True)
        users = [user async for user in twitch.get_users(user_ids=[follower.user_id for follower in followers[:100]])]
        assert 95 <= len(users) <= 100
        await twitch.set_user_authentication(other["access_token"], scopes, other["refresh_token"])
        with pytest.raises(UnauthorizedException, match="must match"):
            await twitch.get_channel_followers(row["account_id"])

    run(act)


def test_twitchapi_renews_validates_and_gives_a_grant_back(
    run: Run, everyone: list[dict[str, Any]], plain: httpx.Client, sandbox_url: str
) -> None:
    base = f"{sandbox_url}/oauth2/"
    row = largest(everyone)
    tokens = grant(plain, row["account_id"])

    async def act(twitch: Twitch) -> None:
        told = await validate_token(tokens["access_token"], auth_base_url=base)
        assert (told["user_id"], told["scopes"]) == (row["account_id"], [AuthScope.MODERATOR_READ_FOLLOWERS])
        app = await validate_token(str(twitch.get_app_token()), auth_base_url=base)
        assert "user_id" not in app
        fresh, refresh = await refresh_access_token(
            tokens["refresh_token"], "sandbox", "sandbox", auth_base_url=base
        )  # fmt: skip
        assert fresh != tokens["access_token"]
        await revoke_token("sandbox", fresh, auth_base_url=base)
        assert (await validate_token(fresh, auth_base_url=base))["message"] == "invalid access token"
        with pytest.raises(InvalidRefreshTokenException, match="Invalid refresh token"):
            await refresh_access_token(refresh, "sandbox", "sandbox", auth_base_url=base)

    run(act)


def test_headers_points_and_tokens(plain: httpx.Client, everyone: list[dict[str, Any]]) -> None:
    row, moment = everyone[0], {"X-Sandbox-Now": "2026-03-01T00:00:30Z"}
    path = f"/helix/users?id={row['account_id']}"
    first = plain.get(path, headers=moment)
    assert (first.status_code, first.headers["ratelimit-remaining"]) == (200, "799")
    assert first.headers["ratelimit-reset"] == "1772323260"
    plain.post("/_faults", json={"platform": "twitch", "kind": "throttled"})
    throttled = plain.get(path, headers=moment)
    assert (throttled.status_code, throttled.headers["ratelimit-remaining"]) == (429, "0")
    units = [unit for unit in plain.get("/_truth/requests").json()["units"] if unit["platform"] == "twitch"]
    assert {unit["window"]: unit["units"] for unit in units}["2026-03-01"] == 1
    wrong = {"Client-Id": "another"}, {"Authorization": "Bearer made-up"}, {"Authorization": ""}
    told = [plain.get(path, headers=headers) for headers in wrong]
    assert [answer.status_code for answer in told] == [401] * 3
    assert "ratelimit-limit" not in told[0].headers
    late = plain.get(path, headers={"X-Sandbox-Now": "2027-03-01T00:00:00Z"})
    assert late.json()["message"] == "Invalid OAuth token"
    secret = {"client_id": "sandbox", "client_secret": "wrong", "grant_type": "client_credentials"}
    assert plain.post("/oauth2/token", data=secret).json() == {"status": 403, "message": "invalid client secret"}
    assert plain.get("/helix/users/follows?from_id=1").status_code == 410


def test_the_801st_call_of_a_minute_is_refused(plain: httpx.Client) -> None:
    moment = {"X-Sandbox-Now": "2026-04-01T00:00:30Z"}
    codes = [plain.get("/helix/streams?user_id=1", headers=moment).status_code for _ in range(801)]
    assert codes == [200] * 800 + [429]
    later = {"X-Sandbox-Now": "2026-04-01T00:01:00Z"}
    assert plain.get("/helix/streams?user_id=1", headers=later).status_code == 200


def test_a_scope_that_there_is_not_is_not_granted(plain: httpx.Client) -> None:
    asked = {"client_id": "sandbox", "redirect_uri": "https://a.example", "response_type": "code", "scope": "x"}
    assert "error=invalid_scope" in plain.get("/oauth2/authorize", params=asked).headers["location"]


@pytest.mark.parametrize(("flag", "is_there"), [("banned", False), ("deleted", False), ("empty", True)])
def test_oddities(plain: httpx.Client, everyone: list[dict[str, Any]], flag: str, is_there: bool) -> None:
    row = next(row for row in everyone if flag in row["flags"])
    users = plain.get("/helix/users", params={"id": row["account_id"]}).json()["data"]
    assert [user["id"] for user in users] == ([row["account_id"]] if is_there else [])
    videos = plain.get("/helix/videos", params={"user_id": row["account_id"]})
    assert (videos.status_code, videos.json()) == (200, {"data": [], "pagination": {}})


def test_a_renamed_channel_answers_to_its_new_login_alone(
    plain: httpx.Client, everyone: list[dict[str, Any]]
) -> None:  # fmt: skip
    row = next(row for row in everyone if "renamed" in row["flags"])
    old = {"X-Sandbox-Now": "2026-11-01T00:00:00Z"}

    def found(**more: Any) -> list[str]:
        answer = plain.get("/helix/users", params={"login": row["account"]}, **more)
        return [user["login"] for user in answer.json()["data"]]

    assert found(headers=old) == [row["account"]]
    assert found() == []
    assert plain.get("/helix/users", params={"id": row["account_id"]}).json()["data"][0]["login"] == row["handle"]
