"""What the pipeline makes of recorded answers (HAR 1.2 files): collectors' own classifiers and parsers, no network."""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from ingest.collect import members
from ingest.collect.call import Call, recognise
from ingest.collect.interpret import dead_letter, interpret
from ingest.collect.members import MemberKey
from ingest.collect.outcome import Answer, Outcome
from ingest.collect.platform import Platform
from ingest.collect.platforms import platform as registered
from ingest.collect.values import moment
from ingest.errors import Misconfigured
from ingest.events import AccountObserved, FollowerObserved, Message, PostObserved, instant
from ingest.publish import Publisher
from ingest.settings import Settings

TYPES: dict[type, str] = {PostObserved: "post", AccountObserved: "account", FollowerObserved: "follower"}


def parse_files(
    settings: Settings, platform: str, files: Sequence[Path], *, now: datetime | None = None, publish: bool = False
) -> Iterator[dict[str, Any]]:
    """One line for each entry of the files, in order: outcome, whether a page follows, events.

    Without `now` the moment of an entry is its `startedDateTime`. With `publish` the events go to Kafka, as do dead
    letters; that needs the member key. All files are read before the first line.

    Raises Misconfigured with file and line for what is no HAR, DependencyFailed when publishing fails.
    """
    chosen = registered(platform)
    entries = [(path, number, entry) for path in files for number, entry in enumerate(_entries(path))]
    key = members.required(settings) if publish else members.configured(settings) or members.throwaway()
    if not publish:
        for path, number, entry in entries:
            yield _line(chosen, path, number, entry, now=now, key=key)[0]
        return
    with Publisher(settings) as publisher:
        for path, number, entry in entries:
            line, messages = _line(chosen, path, number, entry, now=now, key=key)
            publisher.publish(messages)
            yield line


def _entries(path: Path) -> list[dict[str, Any]]:
    """The entries of a HAR file, each with the parts that reading needs. Raises Misconfigured for anything else."""
    try:
        har = json.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise Misconfigured(f"{path}: there is no such file") from None
    except json.JSONDecodeError as error:
        raise Misconfigured(f"{path}:{error.lineno}: no JSON ({error.msg}), so no HAR file") from None
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise Misconfigured(f"{path}: cannot be read as HAR ({type(error).__name__}: {error})") from None
    log = har.get("log") if isinstance(har, dict) else None
    entries = log.get("entries") if isinstance(log, dict) else None
    if not isinstance(entries, list):
        raise Misconfigured(
            f"{path}:1: JSON, but no HAR file: it has no log.entries. Record one with a browser or a proxy"
        )
    for number, entry in enumerate(entries):
        if fault := _fault(entry):
            raise Misconfigured(f"{path}: entry {number} is no recorded exchange: {fault}")
    return entries


def _fault(entry: Any) -> str | None:
    """What keeps an entry from being read; None when nothing does."""
    request, response = (entry.get(part) if isinstance(entry, dict) else None for part in ("request", "response"))
    if not isinstance(request, dict) or not isinstance(response, dict):
        return "it needs a request and a response"
    if not isinstance(request.get("url"), str) or not isinstance(request.get("method"), str):
        return "its request needs a url and a method"
    if not isinstance(response.get("status"), int):
        return "its response needs a status"
    if not isinstance(response.get("content", {}), dict) or not isinstance(response.get("headers", []), list):
        return "its response needs content and headers as HAR has them"
    return None


def _answer(entry: dict[str, Any]) -> Answer:
    response = entry["response"]
    content = response.get("content", {})
    written = content.get("text") or ""
    body = written.encode("utf-8", "replace")
    if content.get("encoding") == "base64":
        try:
            body = base64.b64decode(written)
        except (binascii.Error, ValueError):
            body = b""
    headers = {
        str(header["name"]).lower(): str(header.get("value", ""))
        for header in response.get("headers", [])
        if isinstance(header, dict) and "name" in header
    }
    headers.setdefault("content-type", str(content.get("mimeType", "")))
    return Answer(max(0, response["status"]), headers, body, entry["request"]["url"])


def _sent(request: dict[str, Any]) -> bytes:
    """The request's body."""
    posted = request.get("postData")
    written = posted.get("text") if isinstance(posted, dict) else None
    return written.encode("utf-8", "replace") if isinstance(written, str) else b""


def _line(
    platform: Platform, path: Path, number: int, entry: dict[str, Any], *, now: datetime | None, key: MemberKey
) -> tuple[dict[str, Any], list[Message]]:
    """What is printed of an entry, and what is published of it."""
    at = now or moment(entry.get("startedDateTime"))
    if at is None:
        raise Misconfigured(f"{path}: entry {number} has no startedDateTime with a time zone; say --now")
    request = entry["request"]
    call: Call = recognise(platform.endpoints, request["method"], request["url"], _sent(request))
    answer = _answer(entry)
    digest = hashlib.sha256(json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    run_id = f"parse/{digest}"
    verdict, reading = interpret(platform, call, answer, at=at, run_id=run_id, key=key)
    ignored = verdict.outcome is Outcome.OK and call.endpoint is None
    endpoint = call.endpoint.name if call.endpoint else None
    follows = verdict.outcome is Outcome.OK and not ignored and platform.next_page(call, answer) is not None
    published: list[Message] = [*reading.posts, *reading.accounts]
    unowned = {id(event) for event in reading.unowned}
    published += [member.seen for member in reading.members if id(member.seen) not in unowned]
    shown = [_shown(event) for event in [*published, *reading.unowned]]
    if verdict.outcome is Outcome.MALFORMED:
        published = [dead_letter(platform, call, answer, verdict, at=at, run_id=run_id)]
    line = {
        "file": str(path),
        "entry": number,
        "endpoint": endpoint,
        "outcome": "ignored" if ignored else str(verdict.outcome),
        "next": follows,
        "reason": verdict.reason,
        "retry_at": instant(verdict.retry_at) if verdict.retry_at else None,
        "events": shown,
    }
    return line, published


def _shown(event: Any) -> dict[str, Any]:
    fields = {"type": TYPES[type(event)], **msgspec.to_builtins(event)}
    fields["account_id"] = fields["account_id"] or None
    return fields
