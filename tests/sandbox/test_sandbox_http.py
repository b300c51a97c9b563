"""The sandbox over HTTP: its clock, faults, quotas, limits and paging, and what it says of itself."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import httpx2 as httpx
import pytest

YOUTUBE = {"part": "id,statistics", "key": "sandbox"}
CHANNEL = {**YOUTUBE, "forHandle": "@pavelabara.example"}
FOLLOWERS = "/xrpc/app.bsky.graph.getFollowers"
FEED = "/xrpc/app.bsky.feed.getAuthorFeed"


def at(moment: str, **headers: str) -> dict[str, str]:
    return {"X-Sandbox-Now": moment, **headers}


def accounts(client: httpx.Client, platform: str, **query: str) -> list[dict]:
    return client.get("/_truth/accounts", params={"platform": platform, **query}).json()


def test_two_processes_give_the_same_answers(
    client: httpx.Client, another_sandbox: Callable[..., AbstractContextManager[str]]
) -> None:
    paths = [
        "/youtube/v3/channels?part=snippet,statistics&forHandle=@pavelabara.example&key=sandbox",
        f"{FEED}?actor=ravirao.bsky.example&limit=40",
        f"{FOLLOWERS}?actor=ravirao.bsky.example&limit=100",
        "/api/v1/accounts/lookup?acct=juno" + "zeller",
        "/_truth/accounts?at=2026-06-01T00:00:00Z",
    ]
    with another_sandbox() as url, httpx.Client(base_url=url) as other:
        for path in paths:
            ours, theirs = client.get(path), other.get(path, headers=at("2026-11-22T10:00:00Z"))
            assert ours.status_code == theirs.status_code == 200
            assert ours.content == theirs.content


def test_the_moment_moves_counters_and_the_same_moment_does_not(client: httpx.Client) -> None:
    def read(moment: str) -> tuple[int, list[int]]:
        profile = client.get("/xrpc/app.bsky.actor.getProfile?actor=ravirao.bsky.example", headers=at(moment)).json()
        feed = client.get(f"{FEED}?actor=ravirao.bsky.example&limit=100", headers=at(moment)).json()["feed"]
        return profile["followersCount"], [item["post"]["likeCount"] for item in feed]

    assert read("2026-03-01T12:00:00Z") == read("2026-03-01T12:00:00+00:00")
    assert read("2026-03-01T12:00:00Z") != read("2026-03-01T13:00:00Z")
    assert read("2031-03-01T12:00:00Z")[1]  # the world goes on


def test_a_clock_that_is_none_is_refused(client: httpx.Client) -> None:
    assert client.get("/_health", headers=at("yesterday")).status_code == 400


def test_the_banner_and_the_front_page_say_that_it_is_a_stand_in(client: httpx.Client) -> None:
    front = client.get("/")
    assert front.headers["server"] == "assay-sandbox"
    assert "stand-in" in front.text
    assert all(row["account"] in front.text for row in accounts(client, "mastodon", all="1"))
    assert client.get("/_health").json()["status"] == "ok"


# Quotas and limits


def test_youtube_units_are_counted_by_pacific_day(client: httpx.Client) -> None:
    before, after = "2026-02-10T07:59:00Z", "2026-02-10T08:01:00Z"  # midnight Pacific in winter is 08:00 UTC
    codes = [client.get("/youtube/v3/channels", params=CHANNEL, headers=at(before)).status_code for _ in range(201)]
    assert codes == [200] * 200 + [403]
    spent = client.get("/youtube/v3/channels", params=CHANNEL, headers=at(before)).json()["error"]
    assert spent["errors"][0] | {"message": ""} == {"message": "", "domain": "youtube.quota", "reason": "quotaExceeded"}
    stats = {"part": "id", "id": "AAAAAAAAAAA", "key": "sandbox"}
    assert client.get("/youtube/v3/videos:batchGetStats", params=stats, headers=at(before)).status_code == 200
    assert client.get("/youtube/v3/channels", params=CHANNEL, headers=at(after)).status_code == 200
    units = client.get("/_truth/requests").json()["units"]
    days = {row["window"]: row["units"] for row in units if row["bucket"] == "units"}
    assert days["2026-02-09"] == 200
    assert days["2026-02-10"] == 1


def test_youtube_keys(client: httpx.Client) -> None:
    path = "/youtube/v3/channels?part=id&forHandle=@pavelabara.example"
    wrong = client.get(path + "&key=wrong")
    assert wrong.status_code == 400
    assert wrong.json()["error"]["details"][0]["reason"] == "API_KEY_INVALID"
    assert client.get(path).status_code == 403
    assert client.get(path, headers={"X-Goog-Api-Key": "sandbox"}).status_code == 200


def test_bluesky_counts_down_and_throttles_until_the_window_ends(client: httpx.Client) -> None:
    path, moment = "/xrpc/com.atproto.identity.resolveHandle?handle=ravirao.bsky.example", "2026-04-01T00:04:00Z"
    first = client.get(path, headers=at(moment))
    assert first.headers["ratelimit-policy"] == "3000;w=300"
    assert first.headers["ratelimit-remaining"] == "2999"
    assert first.headers["ratelimit-reset"] == "1775001900"
    client.post("/_faults", json={"platform": "bluesky", "kind": "throttled"})
    throttled = client.get(path, headers=at(moment))
    assert throttled.status_code == 429
    assert throttled.json()["error"] == "RateLimitExceeded"
    assert throttled.headers["retry-after"] == "61"
    assert client.get(path, headers=at(moment)).headers["ratelimit-remaining"] == "2998"


def test_mastodon_throttles_each_server_on_its_own(client: httpx.Client) -> None:
    moment = "2026-04-01T00:02:00Z"

    def ask(host: str) -> httpx.Response:
        return client.get("/api/v2/instance", headers=at(moment, Host=host))

    codes = [ask("lantern.example").status_code for _ in range(301)]
    assert codes == [200] * 300 + [429]
    throttled = ask("lantern.example")
    assert throttled.json() == {"error": "Too many requests"}
    assert throttled.headers["x-ratelimit-remaining"] == "0"
    assert throttled.headers["x-ratelimit-reset"] == "2026-04-01T00:05:00.000000Z"
    assert "retry-after" not in throttled.headers
    assert ask("quarry.example").status_code == 200


def test_mastodon_counts_deep_paging_in_a_longer_window(client: httpx.Client) -> None:
    account = client.get("/api/v1/accounts/lookup?acct=junozeller").json()["id"]
    path = f"/api/v1/accounts/{account}/followers?limit=1&max_id=1"
    codes = [
        client.get(path, headers=at(f"2026-04-02T00:0{minute}:00Z")).status_code
        for minute in (1, 6)  # two windows of five minutes, one of fifteen
        for _ in range(160)
    ]
    assert codes == [200] * 300 + [429] * 20


def test_what_was_counted_can_be_forgotten(client: httpx.Client) -> None:
    query = {"part": "id", "id": "AAAAAAAAAAA", "key": "sandbox"}
    paths = [("/youtube/v3/videos", query), ("/api/v2/instance", {})]
    codes = [client.get(path, params=params).status_code for path, params in paths for _ in range(301)]
    assert 403 in codes
    assert 429 in codes
    counted = client.delete("/_truth/requests").json()
    assert counted == {"requests": [], "units": []}
    assert [client.get(path, params=params).status_code for path, params in paths] == [200, 200]
    assert len(client.get("/_truth/requests").json()["requests"]) == 2


# Paging


def links(answer: httpx.Response) -> dict[str, str]:
    return {name: link["url"] for name, link in answer.links.items()}


def test_mastodon_followers_page_by_row_and_end_with_an_empty_page_or_a_short_one(client: httpx.Client) -> None:
    account = min(
        (
            row
            for row in accounts(client, "mastodon")
            if row["account_id"].endswith("@meadow.example") and not row["suspended"]
        ),
        key=lambda row: row["followers"],
    )
    found = client.get("/api/v1/accounts/lookup", params={"acct": account["handle"]}).json()
    url: str | None = f"/api/v1/accounts/{found['id']}/followers?limit=80"
    seen: list[str] = []
    while url:
        answer = client.get(url)
        assert answer.status_code == 200
        page = answer.json()
        seen += [row["id"] for row in page]
        url = links(answer).get("next")
        assert (url is not None) == (len(page) == 80)
        assert url is None or url.startswith(f"{client.base_url}".rstrip("/") + "/api/")
        assert url is None or seen[-1] not in url  # never the last account's id
    assert len(seen) == len(set(seen)) == account["followers"] == found["followers_count"]


def test_links_name_the_host_that_was_asked(client: httpx.Client) -> None:
    host = {"Host": "harbor.example"}
    account = client.get("/api/v1/accounts/lookup?acct=tobindorn", headers=host).json()["id"]
    answer = client.get(f"/api/v1/accounts/{account}/statuses?limit=5&exclude_reblogs=true", headers=host)
    assert links(answer)["next"].startswith(
        f"https://harbor.example/api/v1/accounts/{account}/statuses?limit=5&exclude_reblogs=true&max_id="
    )
    assert client.get("/api/v1/accounts/lookup?acct=tobindorn").status_code == 404  # not on the first server
    assert client.get("/api/v2/instance", headers={"Host": "elsewhere.example"}).status_code == 404


def test_a_handle_may_live_on_another_host_and_a_server_may_be_closed(client: httpx.Client) -> None:
    split = next(row for row in accounts(client, "mastodon", all="1") if row["account_id"].endswith("@reef.example"))
    query = {"resource": f"acct:{split['account_id']}"}
    found = client.get("/.well-known/webfinger", params=query, headers={"Host": "reef.example"}).json()
    home = next(link["href"] for link in found["links"] if link["rel"] == "self").split("/")[2]
    assert home == "social.reef.example"
    lookup = {"acct": split["handle"]}
    assert client.get("/api/v1/accounts/lookup", params=lookup, headers={"Host": home}).status_code == 200
    closed = client.get("/api/v1/accounts/lookup?acct=anyone", headers={"Host": "closed.example"})
    assert closed.status_code == 401
    assert closed.json() == {"error": "This API requires an authenticated user"}


def test_mastodon_statuses_walk_both_ways(client: httpx.Client) -> None:
    account = client.get("/api/v1/accounts/lookup?acct=junozeller").json()["id"]
    path = f"/api/v1/accounts/{account}/statuses"
    first = client.get(path, params={"limit": 40}).json()
    ids = [int(row["id"]) for row in first]
    assert ids == sorted(ids, reverse=True)
    assert any(row["reblog"] for row in first)
    second = client.get(path, params={"limit": 10, "max_id": ids[9]}).json()
    assert [int(row["id"]) for row in second] == ids[10:20]
    forward = client.get(path, params={"limit": 5, "min_id": ids[20]}).json()
    assert [int(row["id"]) for row in forward] == ids[15:20]
    newest = client.get(path, params={"limit": 5, "since_id": ids[20]}).json()
    assert [int(row["id"]) for row in newest] == ids[:5]


def pages(client: httpx.Client, path: str, **query: object) -> Iterator[dict]:
    cursor: str | None = ""
    while cursor is not None:
        body = client.get(path, params={**query, **({"cursor": cursor} if cursor else {})}).json()
        yield body
        cursor = body.get("cursor")


def test_bluesky_feeds_hold_every_post_of_the_truth_once(client: httpx.Client) -> None:
    account = next(row for row in accounts(client, "bluesky") if row["handle"] == "ravirao.bsky.example")
    truth = client.get("/_truth/posts", params={"platform": "bluesky", "account_id": account["account_id"]}).json()
    items = [item for page in pages(client, FEED, actor=account["account_id"], limit=37) for item in page["feed"]]
    own = [item["post"]["uri"] for item in items if "reason" not in item]
    assert len(own) == len(set(own))
    up = [row["post_id"] for row in truth if row["state"] == "visible"]
    assert own[: len(up)] == up[::-1]
    assert not {row["post_id"] for row in truth if row["state"] == "gone"} & set(own)
    assert any("reason" in item for item in items)


def test_bluesky_follower_pages_cover_the_count_but_for_the_filtered(client: httpx.Client) -> None:
    account = min(
        (row for row in accounts(client, "bluesky") if not row["suspended"]), key=lambda row: row["followers"]
    )
    found = [
        f["did"] for page in pages(client, FOLLOWERS, actor=account["account_id"], limit=100) for f in page["followers"]
    ]
    assert len(found) == len(set(found))
    assert 0.98 * account["followers"] < len(found) <= account["followers"]


def test_a_deleted_post_is_left_out_of_batches_and_not_found_alone(client: httpx.Client) -> None:
    gone = 0
    for account in accounts(client, "mastodon"):
        host = {"Host": account["account_id"].rpartition("@")[2]}
        truth = client.get("/_truth/posts", params={"platform": "mastodon", "account_id": account["account_id"]}).json()
        if account["suspended"] or not truth:
            continue
        ids = [row["post_id"].partition("@")[0] for row in truth[-20:]]
        batch = client.get("/api/v1/statuses", params={"id[]": ids}, headers=host).json()
        assert {row["id"] for row in batch} == {
            i for i, row in zip(ids, truth[-20:], strict=False) if row["state"] == "visible"
        }
        for post_id, row in zip(ids, truth[-20:], strict=False):
            if row["state"] == "gone":
                gone += 1
                assert client.get(f"/api/v1/statuses/{post_id}", headers=host).status_code == 404
    assert gone


def test_suspension_looks_as_each_platform_shows_it(client: httpx.Client) -> None:
    shown = {}
    for moment in ("2026-11-22T10:00:00Z", "2026-11-08T10:00:00Z"):
        row = next(row for p in ("bluesky", "mastodon") for row in accounts(client, p, at=moment) if row["suspended"])
        if row["platform"] == "bluesky":
            query = {"actor": row["account_id"]}
            shown["bluesky"] = client.get("/xrpc/app.bsky.actor.getProfile", params=query, headers=at(moment))
        else:
            host = row["account_id"].rpartition("@")[2]
            query = {"acct": row["handle"]}
            shown["mastodon"] = client.get("/api/v1/accounts/lookup", params=query, headers=at(moment, Host=host))
    assert shown["bluesky"].status_code == 400
    assert shown["bluesky"].json() == {"error": "AccountTakedown", "message": "Account has been suspended"}
    assert shown["mastodon"].status_code == 200
    assert shown["mastodon"].json()["suspended"] is True
    assert shown["mastodon"].json()["display_name"] == ""


# Faults


@pytest.mark.parametrize(
    ("kind", "status"),
    [("throttled", 429), ("server_error", 500), ("unavailable", 503), ("quota", 403), ("bad_key", 400)],
)
def test_a_fault_takes_the_place_of_so_many_answers(client: httpx.Client, kind: str, status: int) -> None:
    client.post("/_faults", json={"platform": "youtube", "endpoint": "channels", "kind": kind, "times": 2})
    codes = [client.get("/youtube/v3/channels", params=CHANNEL).status_code for _ in range(3)]
    assert codes == [status, status, 200]


@pytest.mark.parametrize("kind", ["truncated", "html", "empty"])
def test_spoiled_bodies_come_with_status_200(client: httpx.Client, kind: str) -> None:
    client.post("/_faults", json={"platform": "bluesky", "endpoint": "getProfile", "kind": kind})
    path = "/xrpc/app.bsky.actor.getProfile?actor=ravirao.bsky.example"
    spoiled, whole = client.get(path), client.get(path)
    assert spoiled.status_code == 200
    with pytest.raises(ValueError):
        spoiled.json()
    assert whole.json()["handle"] == "ravirao.bsky.example"


def test_a_reset_ends_the_connection_and_a_slow_answer_comes_late(client: httpx.Client) -> None:
    path = "/api/v1/accounts/lookup?acct=junozeller"
    client.post("/_faults", json={"platform": "mastodon", "endpoint": "accounts/lookup", "kind": "reset"})
    with pytest.raises(httpx.TransportError):
        client.get(path)
    client.post("/_faults", json={"platform": "mastodon", "endpoint": None, "kind": "slow", "seconds": 0.5})
    with pytest.raises(httpx.ReadTimeout):
        client.get(path, timeout=0.2)
    assert client.get(path).status_code == 200


def test_faults_wait_are_listed_and_forgotten(client: httpx.Client) -> None:
    client.post("/_faults", json={"platform": "mastodon", "kind": "unavailable", "times": 9})
    assert client.get("/_faults").json()[0]["times"] == 9
    assert client.get("/xrpc/com.atproto.identity.resolveHandle?handle=ravirao.bsky.example").status_code == 200
    client.delete("/_faults")
    assert client.get("/api/v2/instance").status_code == 200
    wrong = client.post("/_faults", json={"platform": "mastodon", "kind": "explosion"})
    assert wrong.status_code == 400
    assert "throttled" in wrong.json()["error"]


def test_doubling_the_fakes_shows_in_the_truth_and_in_what_is_served(
    client: httpx.Client, another_sandbox: Callable[..., AbstractContextManager[str]]
) -> None:
    def bare(of: httpx.Client) -> float:
        """Share of newest followers without a picture, over some accounts."""
        rows = [
            row
            for account in accounts(client, "bluesky")[:12]
            for row in of.get(FOLLOWERS, params={"actor": account["account_id"], "limit": 100})
            .json()
            .get("followers", [])
        ]
        return sum("avatar" not in row for row in rows) / len(rows)

    with (
        another_sandbox("--fakes", "2") as url,
        httpx.Client(base_url=url, headers=dict(at("2026-11-22T10:00:00Z"))) as other,
    ):
        ours, theirs = ([row["fake_share"] for row in accounts(c, "bluesky")] for c in (client, other))
        assert sum(theirs) > 1.6 * sum(ours)
        assert bare(other) > 1.3 * bare(client)
