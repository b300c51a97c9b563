"""Any answer at all gives exactly one outcome, on every platform: what is bent is drawn from our own recordings."""

import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.collect.call import recognise
from ingest.collect.interpret import dead_letter, interpret
from ingest.collect.members import MemberKey
from ingest.collect.outcome import Answer, Outcome
from ingest.collect.platforms import REGISTRY
from ingest.events import TOPICS, encode
from tests.collect.stage import accounts

RECORDINGS = Path(__file__).parent.parent / "recordings"
AT = datetime(2026, 9, 2, 12, tzinfo=UTC)
KEY = MemberKey(b"a key of the tests")
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=12),
    st.sampled_from(["v", "1", "-1", "9" * 25, "2026-09-01T10:00:00Z", "0001-01-01T00:00:00+14:00", "PT3M", "3h8m33s",
                     "live", "@x", "\ud800", "\x00", "2026-09-01T10:00:00+0000", "u/ann"]),
)  # fmt: skip
HEADERS = ["retry-after", "ratelimit-reset", "ratelimit-remaining", "ratelimit-policy", "x-ratelimit-reset",
           "x-rate-limit-reset", "x-rate-limit-remaining", "x-app-usage", "x-business-use-case-usage", "link",
           "content-type"]  # fmt: skip
VALUES = ["0", "7", "598.0", "9" * 30, "3000;w=300", "2026-09-02T12:05:00.123456Z", "Wed, 21 Oct 2026 07:28:00 GMT",
          "<x>; rel=next", '{"call_count":100}']  # fmt: skip
STATUSES = [0, 200, 204, 304, 302, 400, 401, 402, 403, 404, 410, 422, 429, 500, 501, 503]


@cache
def recorded(name):
    """Method, address, status and text of each answer in our own recordings of a platform."""
    found = []
    for path in sorted(RECORDINGS.glob(f"{name}/*.har")):
        for entry in json.loads(path.read_text(encoding="utf-8"))["log"]["entries"]:
            request, response = entry["request"], entry["response"]
            text, outcome = response["content"].get("text", ""), entry["_expect"]["outcome"]
            found.append((request["method"], request["url"], response["status"], text, outcome))
    return found


@cache
def words(name):
    """The keys and the short texts of a platform's documents."""
    keys, texts = set(), set()
    for *_, text, _ in recorded(name):
        if text.startswith(("{", "[")):
            try:
                found = json.loads(text)
            except ValueError:
                continue
            for value, key in leaves(found):
                keys.add(key)
                texts |= {value} if isinstance(value, str) and len(value) < 40 else set()
    return sorted(keys), sorted(texts)


def leaves(found, key=""):
    """Every value of a document that holds no other, with the key that it stands under, and every key."""
    inner = (
        found.items() if isinstance(found, dict) else [(key, row) for row in found] if isinstance(found, list) else ()
    )
    yield (None if inner else found), key
    for name, value in inner:
        yield from leaves(value, name)


def documents(name):
    keys, texts = words(name)
    names = st.sampled_from(keys) | st.text(max_size=4)
    return st.recursive(
        LEAVES | st.sampled_from(texts),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=6),
        max_leaves=25,
    )


def places(found, so_far=()):
    """Every place in a document, as the keys and indexes that lead to it."""
    yield so_far
    inner = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    for step, value in inner:
        yield from places(value, (*so_far, step))


def put(found, path, value):
    """The document with a value put in one place."""
    if not path:
        return value
    copy = found.copy()
    copy[path[0]] = put(found[path[0]], path[1:], value)
    return copy


def judged(name, method, url, answer):
    """What the platform makes of an answer; its verdict, and that all it says keeps its contract."""
    platform = REGISTRY[name]
    call = recognise(platform.endpoints, method, url)
    verdict, reading = interpret(platform, call, answer, at=AT, run_id="r", key=KEY)
    assert isinstance(verdict.outcome, Outcome)
    assert verdict.outcome in {Outcome.OK, Outcome.GONE} or not (reading.posts or reading.accounts or reading.members)
    assert verdict.retry_at is None or verdict.retry_at.tzinfo
    platform.next_page(call, answer)
    platform.rate(answer)
    for event in [*reading.posts, *reading.accounts, *(member.seen for member in reading.members)]:
        if event.account_id:
            msgspec.json.decode(encode(event), type=type(event))
    letter = dead_letter(platform, call, answer, verdict, at=AT, run_id="r")
    msgspec.json.decode(encode(letter), type=TOPICS["dead_letters"])
    return verdict


@pytest.mark.parametrize("name", REGISTRY)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_answer_gives_exactly_one_outcome_and_never_raises(name, data):
    asked = sorted({(method, url) for method, url, *_ in recorded(name)})
    method, url = data.draw(st.sampled_from(asked))
    headers = data.draw(
        st.dictionaries(st.sampled_from(HEADERS), st.sampled_from(VALUES) | st.text(max_size=9), max_size=4)
    )
    status = data.draw(st.sampled_from(STATUSES) | st.integers(0, 999))
    written = documents(name).map(lambda found: json.dumps(found).encode())
    body = data.draw(written | st.binary(max_size=40) | st.just(b"[" * 5000))
    judged(name, data.draw(st.sampled_from([method, "GET", "POST"])), url, Answer(status, headers, body, url))


@pytest.mark.parametrize("name", REGISTRY)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_good_answer_with_anything_in_one_place_is_read_or_malformed(name, data):
    good = [row for row in recorded(name) if row[4] in {"ok", "gone"} and row[3].startswith(("{", "["))]
    method, url, status, text, _ = data.draw(st.sampled_from(good))
    document = json.loads(text)
    place = data.draw(st.sampled_from(list(places(document))))
    spoiled = put(document, place, data.draw(LEAVES | documents(name)))
    judged(name, method, url, Answer(status, {}, json.dumps(spoiled).encode(), url))


@pytest.mark.parametrize("name", REGISTRY)
def test_calls_that_a_platform_builds_are_recognised_as_its_own(name):
    platform = REGISTRY[name]
    names = [platform.normalise(row["account"]) for row in accounts(name)]
    assert None not in names
    calls = platform.resolve(names)
    assert calls
    for call in calls:
        assert recognise(platform.endpoints, call.method, call.url).endpoint == call.endpoint
