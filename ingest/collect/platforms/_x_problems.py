"""What X's problems mean: by their type, in a problem of its own or, with status 200, among `errors`."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from ingest.collect.call import Call, Endpoint
from ingest.collect.outcome import (
    OK,
    TOKEN_EXPIRED,
    UNKNOWN_PARAMETER,
    Answer,
    Outcome,
    Verdict,
    by_status,
    malformed,
    retry_after,
    settled,
)
from ingest.collect.platform import Rate
from ingest.collect.values import epoch, items, lenient, text

ASKED = ("ids", "usernames", "id", "username")
"""Parameters by which errors name what was asked for; other errors are about what it refers to."""
OF_CREDENTIAL = {"unsupported-authentication", "client-forbidden", "user-suspended", "client-disconnected"}
THEIR_FAULT = {"internal-error", "service-unavailable", "resource-unavailable"}
CHECK_TOKEN = "Check ASSAY_X_BEARER_TOKEN and the app's access in X's developer console."  # noqa: S105
BUY = "Buy credits or raise the spending limit in X's developer console; nothing is asked again in this run."


def rate(answer: Answer) -> Rate | None:
    """`x-rate-limit-remaining`, and `x-rate-limit-reset` in seconds since 1970."""
    return Rate.told(answer.headers, "x-rate-limit")


def kind_of(problem: dict[str, Any]) -> str:
    """The last part of a problem's type, which is the same at both of X's hosts."""
    return (text(problem.get("type")) or "").rstrip("/").rpartition("/")[2].lower()


def verdict(call: Call, answer: Answer, now: datetime, of_one: Collection[Endpoint]) -> Verdict:
    """What an answer means; `of_one` are the calls that ask for one subject."""
    if known := settled(answer, ours=call.endpoint is not None):
        return known
    is_of_one = call.endpoint in of_one
    if 200 <= answer.status < 300:
        return _of_found(answer, is_of_one=is_of_one)
    return _of_problem(call, answer, now, is_of_one=is_of_one or call.endpoint is None)


def _of_found(answer: Answer, *, is_of_one: bool) -> Verdict:
    """Errors beside data are about parts of it. Alone they are the outcome where one subject was asked for."""
    found = answer.document
    if not isinstance(found, dict) or not found.keys() & {"data", "errors", "meta"}:
        return malformed("unknown_shape")
    problems = items(found.get("errors"))
    if "data" in found or not problems:
        return OK if "data" in found or isinstance(found.get("meta"), dict) else malformed("unknown_shape")
    if not is_of_one:
        kinds = {kind_of(problem) for problem in problems}
        return Verdict(Outcome.UNAVAILABLE, min(kinds)) if kinds and kinds <= THEIR_FAULT else OK
    problem = next((one for one in problems if one.get("parameter") in ASKED), problems[0])
    if missed := missing(problem):
        return Verdict(Outcome.GONE, missed[1])
    if kind_of(problem) in THEIR_FAULT:
        return Verdict(Outcome.UNAVAILABLE, kind_of(problem))
    return Verdict(Outcome.REFUSED, kind_of(problem) or "error", message=text(problem.get("detail")) or "")


def missing(problem: dict[str, Any]) -> tuple[str, str] | None:
    """State and reason of what is not shown to us; None where the problem is another."""
    kind, words = kind_of(problem), f"{problem.get('title')} {problem.get('detail')}".lower()
    if kind == "not-authorized-for-resource":
        return "hidden", "protected"
    if kind != "resource-not-found":
        return None
    return "gone", "suspended" if "suspended" in words or problem.get("title") == "Forbidden" else "not_found"


def _of_problem(call: Call, answer: Answer, now: datetime, *, is_of_one: bool) -> Verdict:
    """A problem of its own; some have no `status`, and what some proxy answers has no form at all."""
    problem = answer.fields
    if limit := _limit(answer, now):
        return limit
    if kind_of(problem) in THEIR_FAULT:
        return Verdict(Outcome.UNAVAILABLE, kind_of(problem), retry_after(answer, now))
    if is_of_one and (missed := missing(problem)):
        return Verdict(Outcome.GONE, missed[1])
    if not problem.keys() & {"type", "title"} or not 400 <= answer.status < 500 or answer.status in {408, 425}:
        return by_status(answer, now, CHECK_TOKEN)
    return _refusal(call, answer)


def _limit(answer: Answer, now: datetime) -> Verdict | None:
    """What is used up: money and the month's cap, which headers say nothing of, or a window of a day or less."""
    problem = answer.fields
    kind, title = kind_of(problem), (text(problem.get("title")) or "").replace(" ", "").lower()
    if answer.status == 402 or kind in {"credits", "usage-capped"} or title in {"creditsdepleted", "usagecapexceeded"}:
        return Verdict(Outcome.EXHAUSTED, kind or title or "credits", message=f"{_said(problem)} {BUY}".strip())
    if answer.status != 429:
        return None
    for whose in ("app", "user"):
        left, reset = (answer.headers.get(f"x-{whose}-limit-24hour-{name}", "") for name in ("remaining", "reset"))
        if left == "0" and (until := epoch(reset)):
            return Verdict(Outcome.EXHAUSTED, "day", until, "The day's calls are made.")
    limits = rate(answer)
    until = retry_after(answer, now) or (limits.reset if limits else None)
    return Verdict(Outcome.THROTTLED, "http_429", until, "X asks for fewer calls.")


def _refusal(call: Call, answer: Answer) -> Verdict:
    """A problem of the 4xx that more patience does not help."""
    problem, status, kind = answer.fields, answer.status, kind_of(answer.fields)
    if status == 401:
        message, of_app = f"{_said(problem)}. {CHECK_TOKEN}", not call.grant
        return Verdict(Outcome.REFUSED, TOKEN_EXPIRED, message=message, of_credential=of_app)
    if status == 400 and call.param("post.fields") and _is_about(problem, "post.fields"):
        return Verdict(Outcome.REFUSED, UNKNOWN_PARAMETER, message=_said(problem))
    reason = text(problem.get("reason")) or ("" if kind == "about:blank" else kind) or f"http_{status}"
    of_credential = kind in OF_CREDENTIAL or (status == 403 and kind in {"", "about:blank"})
    advice = CHECK_TOKEN if of_credential else "Check the accounts of the watch list."
    return Verdict(Outcome.REFUSED, reason, message=f"{_said(problem)}. {advice}", of_credential=of_credential)


def _said(problem: dict[str, Any]) -> str:
    return text(problem.get("detail")) or text(problem.get("title")) or ""


def _is_about(problem: dict[str, Any], name: str) -> bool:
    """Whether a refusal of parameters names this one."""
    return any(
        name in lenient(one.get("parameters")) or f"[{name}]" in (text(one.get("message")) or "")
        for one in items(problem.get("errors"))
    )
