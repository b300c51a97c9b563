"""Laws that hold for every platform, whatever comes over the wire."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest.collect.call import recognise
from ingest.collect.interpret import dead_letter, interpret
from ingest.collect.members import MemberKey
from ingest.collect.outcome import Answer, Outcome, Verdict
from ingest.collect.platforms import REGISTRY, mastodon, youtube
from ingest.events import encode

RECORDINGS = Path(__file__).parent.parent / "recordings"
AT = datetime(2026, 9, 2, 12, tzinfo=UTC)
KEY = MemberKey(b"a key of the tests")


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
