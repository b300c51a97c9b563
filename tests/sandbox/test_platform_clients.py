"""Well-known clients, each with its own models, against the sandbox: what keeps the stand-in honest."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest
from atproto import Client
from atproto_client.exceptions import BadRequestError
from atproto_client.request import Request
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError
from mastodon import Mastodon, MastodonNotFoundError

NOW = "2026-11-22T10:00:00Z"


@pytest.fixture(scope="module")
def youtube(sandbox_url: str) -> Iterator[Any]:
    options = {"api_endpoint": sandbox_url}
    with build("youtube", "v3", developerKey="sandbox", client_options=options, static_discovery=True) as service:
        yield service


def ask(call: Any) -> Any:
    call.headers["X-Sandbox-Now"] = NOW
    return call.execute(num_retries=0)


def test_google_api_python_client(youtube: Any) -> None:
    channel = ask(youtube.channels().list(part="snippet,statistics,contentDetails", forHandle="@daraueda.example"))[
        "items"
    ][0]
    assert channel["snippet"]["title"] == "Dara Ueda"
    assert int(channel["statistics"]["subscriberCount"]) % 1000 == 0  # three significant figures
    uploads = channel["contentDetails"]["relatedPlaylists"]["uploads"]

    listing = youtube.playlistItems()
    first_call = listing.list(part="contentDetails", playlistId=uploads, maxResults=5)
    first = ask(first_call)
    second = ask(listing.list_next(first_call, first))
    ids = [item["contentDetails"]["videoId"] for page in (first, second) for item in page["items"]]
    assert len(set(ids)) == 10
    dates = [item["contentDetails"]["videoPublishedAt"] for page in (first, second) for item in page["items"]]
    assert dates == sorted(dates, reverse=True)

    videos = ask(youtube.videos().list(part="snippet,statistics,contentDetails,status", id=[*ids, "AAAAAAAAAAA"]))
    assert {item["id"] for item in videos["items"]} == set(ids)
    assert all(int(item["statistics"]["viewCount"]) >= 0 for item in videos["items"])
    stats = ask(youtube.videos().batchGetStats(part="id,statistics,contentDetails", id=[*ids, "AAAAAAAAAAA"]))
    same = {item["id"]: item["statistics"]["viewCount"] for item in videos["items"]}
    assert {item["id"]: item["statistics"]["viewCount"] for item in stats["items"]} == same

    nobody = ask(youtube.channels().list(part="id", forHandle="@nobody.example"))
    assert "items" not in nobody
    with pytest.raises(HttpError) as raised:
        ask(listing.list(part="contentDetails", playlistId="UUnothing"))
    assert raised.value.resp.status == 404
    assert raised.value.error_details[0]["reason"] == "playlistNotFound"


def test_google_api_python_client_reads_comments_and_their_authors(youtube: Any) -> None:
    channel = ask(youtube.channels().list(part="id", forHandle="@daraueda.example"))["items"][0]["id"]
    threads = youtube.commentThreads()
    first_call = threads.list(part="snippet,replies", allThreadsRelatedToChannelId=channel, maxResults=50)
    first = ask(first_call)
    second = ask(threads.list_next(first_call, first))
    snippets = [item["snippet"]["topLevelComment"]["snippet"] for page in (first, second) for item in page["items"]]
    assert len(snippets) == 100
    assert len({item["id"] for page in (first, second) for item in page["items"]}) == 100
    authors = list({one["authorChannelId"]["value"] for one in snippets if "authorChannelId" in one})[:49]
    found = ask(youtube.channels().list(part="snippet,statistics", id=[*authors, "UC" + "A" * 22], maxResults=50))[
        "items"
    ]
    assert len(authors) * 0.9 < len(found) <= len(authors)
    assert {item["id"] for item in found} <= set(authors)
    quiet = ask(youtube.channels().list(part="id", forHandle="@nadialindqvist.example"))["items"][0]["id"]
    closed = next(row for row in everyone(youtube) if "no_comments" in row["flags"])
    assert quiet
    with pytest.raises(HttpError) as raised:
        ask(threads.list(part="snippet", allThreadsRelatedToChannelId=closed["account_id"]))
    assert raised.value.error_details[0]["reason"] == "commentsDisabled"


def everyone(youtube: Any) -> list[dict[str, Any]]:
    url = youtube._baseUrl.rstrip("/")
    return httpx.get(f"{url}/_truth/accounts", params={"platform": "youtube", "at": NOW}).json()


def test_atproto(sandbox_url: str) -> None:
    request = Request()
    request.add_additional_header("X-Sandbox-Now", NOW)
    client = Client(base_url=f"{sandbox_url}/xrpc", request=request)
    did = client.com.atproto.identity.resolve_handle({"handle": "noormbeki.bsky.example"}).did
    profile = client.app.bsky.actor.get_profile({"actor": did})
    assert profile.handle == "noormbeki.bsky.example"
    assert profile.followers_count
    assert profile.followers_count > 1000

    first = client.app.bsky.feed.get_author_feed({"actor": did, "limit": 30})
    second = client.app.bsky.feed.get_author_feed({"actor": did, "limit": 30, "cursor": first.cursor})
    uris = [item.post.uri for page in (first, second) for item in page.feed if item.reason is None]
    assert len(uris) == len(set(uris)) > 40
    embeds = {item.post.embed.py_type for item in first.feed if item.post.embed}
    assert len(embeds) >= 3
    for item in first.feed:
        for facet in item.post.record.facets or []:
            words = item.post.record.text.encode()[facet.index.byte_start : facet.index.byte_end].decode()
            feature = facet.features[0]
            assert words == f"#{feature.tag}" if hasattr(feature, "tag") else words in feature.uri

    missing = f"at://{did}/app.bsky.feed.post/3aaaaaaaaaaaa"
    batch = client.app.bsky.feed.get_posts({"uris": [*uris[:10], missing, uris[0]]}).posts
    assert {post.uri for post in batch} == set(uris[:10])

    followers = client.app.bsky.graph.get_followers({"actor": did, "limit": 20})
    more = client.app.bsky.graph.get_followers({"actor": did, "limit": 20, "cursor": followers.cursor})
    dids = [one.did for page in (followers, more) for one in page.followers]
    assert len(dids) == len(set(dids)) > 35
    members = client.app.bsky.actor.get_profiles({"actors": [*dids[:20], "did:plc:" + "a" * 24]}).profiles
    assert 17 <= len(members) <= 20
    assert all(member.follows_count is not None for member in members)

    with pytest.raises(BadRequestError) as raised:
        client.app.bsky.actor.get_profile({"actor": "nobody.bsky.example"})
    assert raised.value.response.content.message == "Profile not found"


def test_mastodon_py(sandbox_url: str) -> None:
    client = Mastodon(api_base_url=sandbox_url, ratelimit_method="throw")
    client.session.headers["X-Sandbox-Now"] = NOW
    assert client.instance_v2().domain == "meadow.example"
    account = client.account_lookup("junozeller")
    assert account.followers_count > 1000
    assert client.account(account.id).display_name == "Juno Zeller"

    first = client.account_followers(account.id, limit=40)
    second = client.fetch_next(first)
    ids = [one.id for one in (*first, *second)]
    assert len(set(ids)) == 80
    assert {"@" in one.acct for one in first} == {True, False}  # remote and local
    known = client.accounts([first[0].id, first[1].id, "1"])
    assert {one.id for one in known} == {first[0].id, first[1].id}

    statuses = client.account_statuses(account.id, limit=20, exclude_reblogs=True)
    older = client.fetch_next(statuses)
    assert statuses[-1].created_at > older[0].created_at
    assert all(status.reblog is None for status in (*statuses, *older))
    batch = client.statuses([statuses[0].id, "5", older[0].id])
    assert {status.id for status in batch} == {statuses[0].id, older[0].id}
    assert client.status(statuses[0].id).favourites_count == statuses[0].favourites_count

    with pytest.raises(MastodonNotFoundError) as raised:
        client.account_lookup("nobody")
    assert "Record not found" in json.dumps(raised.value.args)
