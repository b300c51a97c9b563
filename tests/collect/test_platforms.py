"""Laws that hold for every platform, whatever comes over the wire."""

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.collect.interpret import dead_letter, interpret
from ingest.collect.members import MemberKey
from ingest.collect.outcome import Answer, Outcome, Verdict
from ingest.collect.platform import recognise
from ingest.collect.platforms import REGISTRY, mastodon, youtube
from ingest.events import TOPICS, encode

RECORDINGS = Path(__file__).parent.parent / "recordings"
AT = datetime(2026, 9, 2, 12, tzinfo=UTC)
KEY = MemberKey(b"a key of the tests")
URLS = {
    "youtube": "https://youtube.googleapis.com{}?id=a,b&videoId=v&playlistId=p",
    "bluesky": "https://public.api.bsky.app{}?actor=did:plc:a&actors=did:plc:a&uris=at://did:plc:a/app.bsky.feed.post/k",
    "mastodon": "https://town.example{}?id[]=1&acct=ann",
}
WORDS = {
    "youtube": ["items", "id", "snippet", "statistics", "contentDetails", "status", "publishedAt", "viewCount", "error",
                "errors", "reason", "details", "message", "topLevelComment", "authorChannelId", "value", "channelId",
                "thumbnails", "default", "url", "height", "width", "liveBroadcastContent", "nextPageToken", "duration",
                "videoId", "resourceId", "relatedPlaylists", "uploads", "metadata", "uploadStatus", "textDisplay"],
    "bluesky": ["feed", "post", "posts", "profiles", "followers", "subject", "did", "uri", "author", "record", "reason",
                "embed", "facets", "features", "tag", "tags", "langs", "createdAt", "indexedAt", "likeCount", "media",
                "external", "images", "$type", "cursor", "error", "message", "handle", "verification", "displayName"],
    "mastodon": ["id", "acct", "username", "account", "content", "tags", "name", "fields", "value", "media_attachments",
                 "type", "card", "url", "created_at", "followers_count", "reblog", "quote", "in_reply_to_id", "note",
                 "mentions", "error", "suspended", "avatar", "links", "rel", "href", "favourites_count", "locked"],
}  # fmt: skip
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=12),
    st.sampled_from(["v", "did:plc:a", "at://did:plc:a/app.bsky.feed.post/k", "1", "-1", "9" * 25,
                     "2026-09-01T10:00:00Z", "0001-01-01T00:00:00+14:00", "PT3M", "quotaExceeded",
                     "InvalidRequest", "live", "@x", "\ud800"]),
)  # fmt: skip


def documents(platform):
    names = st.sampled_from(WORDS[platform]) | st.text(max_size=4)
    return st.recursive(
        LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=6), max_leaves=25
    )


def bodies(platform):
    written = documents(platform).map(lambda found: json.dumps(found).encode())
    outlined = {"youtube": ["items"], "bluesky": ["feed", "posts", "profiles", "followers"], "mastodon": []}[platform]
    row = st.dictionaries(st.sampled_from(WORDS[platform]), documents(platform), max_size=8)
    page = st.lists(row, max_size=3).map(lambda rows: dict.fromkeys(outlined, rows) if outlined else rows)
    return written | page.map(lambda found: json.dumps(found).encode()) | st.binary(max_size=40) | st.just(b"[" * 5000)


@pytest.mark.parametrize("name", REGISTRY)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_answer_gives_exactly_one_outcome_and_never_raises(name, data):
    platform = REGISTRY[name]
    paths = [endpoint.path.replace("{id}", "7") for endpoint in platform.endpoints] + ["/oauth/token"]
    url = URLS[name].format(data.draw(st.sampled_from(paths)))
    names = [
        "retry-after",
        "ratelimit-reset",
        "ratelimit-remaining",
        "ratelimit-policy",
        "x-ratelimit-reset",
        "link",
        "content-type",
    ]
    values = st.sampled_from(
        [
            "0",
            "7",
            "9" * 30,
            "3000;w=300",
            "2026-09-02T12:05:00.123456Z",
            "Wed, 21 Oct 2026 07:28:00 GMT",
            "<x>; rel=next",
        ]
    )
    headers = data.draw(st.dictionaries(st.sampled_from(names), values | st.text(max_size=9), max_size=4))
    status = data.draw(
        st.sampled_from([0, 200, 204, 304, 302, 400, 401, 403, 404, 410, 422, 429, 500, 501, 503]) | st.integers(0, 999)
    )
    answer = Answer(status, headers, data.draw(bodies(name)), url)
    call = recognise(platform.endpoints, data.draw(st.sampled_from(["GET", "GET", "GET", "POST"])), url)
    verdict, reading = interpret(platform, call, answer, at=AT, run_id="r", key=KEY)
    assert isinstance(verdict.outcome, Outcome)
    assert verdict.outcome in {Outcome.OK, Outcome.GONE} or not (reading.posts or reading.accounts or reading.members)
    assert verdict.retry_at is None or verdict.retry_at.tzinfo
    platform.next_page(call, answer)
    platform.rate(answer)
    for event in [*reading.posts, *reading.accounts]:
        msgspec.json.decode(encode(event), type=type(event))  # what is published keeps its contract
    msgspec.json.decode(
        encode(dead_letter(platform, call, answer, verdict, at=AT, run_id="r")), type=TOPICS["dead_letters"]
    )


def paths(found, so_far=()):
    """Every place in a document, as the keys and indexes that lead to it."""
    yield so_far
    inner = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    for step, value in inner:
        yield from paths(value, (*so_far, step))


def put(found, path, value):
    """The document with a value put in one place."""
    if not path:
        return value
    copy = found.copy()
    copy[path[0]] = put(found[path[0]], path[1:], value)
    return copy


def recorded(name):
    """Method, address and document of our own recordings of a platform."""
    for path in sorted(RECORDINGS.glob(f"{name}/*.har")):
        for entry in json.loads(path.read_text(encoding="utf-8"))["log"]["entries"]:
            content = entry["response"]["content"]
            if entry["_expect"]["outcome"] in {"ok", "gone"} and content["text"].startswith(("{", "[")):
                request = entry["request"]
                yield request["method"], request["url"], entry["response"]["status"], json.loads(content["text"])


@pytest.mark.parametrize("name", REGISTRY)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_good_answer_with_anything_in_one_place_is_read_or_malformed(name, data):
    platform = REGISTRY[name]
    method, url, status, found = data.draw(st.sampled_from(list(recorded(name))))
    place = data.draw(st.sampled_from(list(paths(found))))
    spoiled = put(found, place, data.draw(LEAVES | documents(name)))
    call = recognise(platform.endpoints, method, url)
    answer = Answer(status, {}, json.dumps(spoiled).encode(), url)
    verdict, reading = interpret(platform, call, answer, at=AT, run_id="r", key=KEY)
    assert status >= 400 or verdict.outcome in {Outcome.OK, Outcome.GONE, Outcome.MALFORMED}
    for event in [*reading.posts, *reading.accounts, *(member.seen for member in reading.members)]:
        if event.account_id:
            msgspec.json.decode(encode(event), type=type(event))
    platform.next_page(call, answer)


@pytest.mark.parametrize("name", REGISTRY)
def test_calls_that_a_platform_builds_are_recognised_as_its_own(name):
    platform = REGISTRY[name]
    account = {"youtube": "@ann", "bluesky": "did:plc:a", "mastodon": "ann@town.example"}[name]
    for call in platform.resolve([account]):
        assert recognise(platform.endpoints, call.method, call.url).endpoint == call.endpoint


def test_a_handle_and_an_id_go_into_different_calls_and_ids_into_batches():
    ids = [f"UC{number:022d}" for number in range(120)]
    calls = youtube.resolve([*ids, "@ann"])
    assert [len(call.listed("id")) for call in calls] == [50, 50, 20, 0]
    assert calls[-1].param("forHandle") == "@ann"
    assert all(
        call.param("maxResults") == "50" for call in calls
    )  # it is 5 otherwise, and the rest would be tombstones


def test_youtube_ids_keep_their_case_and_handles_do_not():
    assert youtube.normalise("UCaaaaaaaaaaaaaaaaaaaaAA") == "UCaaaaaaaaaaaaaaaaaaaaAA"
    assert youtube.normalise("@Ann") == youtube.normalise("ann") == "@ann"


@pytest.mark.parametrize(
    ("followers", "step"),
    [(None, None), (0, 1), (987, 1), (1000, 10), (1234, 1), (12300, 100), (123000, 1000), (100200, 1)],
)
def test_subscribers_are_rounded_to_three_figures_unless_they_show_more(followers, step):
    assert youtube.resolution(followers) == step


def test_a_next_page_stays_at_the_host_that_was_asked():
    call = recognise(mastodon.PLATFORM.endpoints, "GET", "https://town.example/api/v1/accounts/1/followers?limit=80")
    link = '<https://evil.example/api/v1/accounts/1/followers?max_id=3>; rel="next"'
    following = mastodon.next_page(call, Answer(200, {"link": link}, b"[]"))
    assert following is not None
    assert following.url == "https://town.example/api/v1/accounts/1/followers?max_id=3"
    elsewhere = '<https://evil.example/api/v1/accounts/2/followers?max_id=3>; rel="next"'
    assert mastodon.next_page(call, Answer(200, {"link": elsewhere}, b"[]")) is None


def test_webfinger_leads_to_the_server_that_has_the_account():
    lookup = mastodon.resolve(["ann@reef.example"])[0]
    finger = mastodon.instead(lookup, Verdict(Outcome.MALFORMED, "html"))[0]
    body = {"links": [{"rel": "self", "href": "https://social.reef.example/users/ann"}]}
    lead = mastodon.next_page(finger, Answer(200, {}, json.dumps(body).encode()))
    assert lead is not None
    assert (lead.host, lead.param("acct"), lead.account_id) == ("social.reef.example", "ann", "ann@reef.example")


def test_a_server_without_batches_is_asked_one_by_one():
    call = mastodon.lookup(["1@old.example", "2@old.example", "3@town.example"])[0]
    singles = mastodon.instead(call, Verdict(Outcome.REFUSED, "no_batch"))
    assert [single.url for single in singles] == [f"https://old.example/api/v1/statuses/{number}" for number in (1, 2)]


def test_a_dead_letter_of_an_audience_holds_no_body_and_no_query():
    url = "https://public.api.bsky.app/xrpc/app.bsky.graph.getFollowers?actor=did:plc:a&cursor=secretmember"
    call = recognise(REGISTRY["bluesky"].endpoints, "GET", url)
    body = b'{"followers": [{"did": [], "handle": "bob.example"}], "bob the key": 1}'
    answer = Answer(200, {}, body, url)
    verdict, _ = interpret(REGISTRY["bluesky"], call, answer, at=AT, run_id="r", key=KEY)
    letter = dead_letter(REGISTRY["bluesky"], call, answer, verdict, at=AT, run_id="r")
    assert verdict.outcome is Outcome.MALFORMED
    assert letter.body is None
    assert letter.body_bytes == len(body)
    assert letter.body_keys == ["did", "followers", "handle"]
    assert b"bob" not in encode(letter)
    assert b"secretmember" not in encode(letter)


def test_a_dead_letter_is_cut_and_holds_no_secret():
    url = "https://youtube.googleapis.com/youtube/v3/videos?id=v1&key=AIzaSECRET&access_token=ya29.SECRET"
    call = recognise(REGISTRY["youtube"].endpoints, "GET", url)
    answer = Answer(200, {"content-type": "text/html"}, b"<p>AIzaSECRET</p>" + b"\xff" * 400_000, url)
    verdict, _ = interpret(REGISTRY["youtube"], call, answer, at=AT, run_id="r", key=None)
    letter = dead_letter(REGISTRY["youtube"], call, answer, verdict, at=AT, run_id="r", secrets=["AIzaSECRET"])
    assert letter.body is not None
    assert len(letter.body.encode()) <= 256 * 1024
    assert letter.body_bytes == len(answer.body)
    assert b"SECRET" not in encode(letter)
    assert "id=v1" in letter.url
