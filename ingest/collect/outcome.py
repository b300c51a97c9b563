"""What an answer of a platform can mean: seven outcomes, the same for all platforms, and the failures that follow.

Pure: no I/O and no clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from ingest.collect.values import Unreadable, document
from ingest.errors import DependencyFailed


class Outcome(StrEnum):
    """Exactly one of these is what an answer means."""

    OK = "ok"
    GONE = "gone"
    REFUSED = "refused"
    THROTTLED = "throttled"
    EXHAUSTED = "exhausted"
    UNAVAILABLE = "unavailable"
    MALFORMED = "malformed"


@dataclass(frozen=True)
class Verdict:
    """The outcome of one answer. `reason` is the platform's own code where it has one, else a short word of ours."""

    outcome: Outcome
    reason: str | None = None
    retry_at: datetime | None = None
    """The moment from which the same call can succeed, where it is known."""
    message: str = ""
    """For a person: what is wrong and the next step."""
    of_credential: bool = False
    """A refusal of the credential (or of us as a client), so that every further call there would be refused too."""


OK = Verdict(Outcome.OK)
TOKEN_EXPIRED = "token_expired"  # noqa: S105  # a word of ours
"""The reason of a refusal that a fresh token may end: the client renews it once and asks again."""
CONSENT_WITHDRAWN = "consent_withdrawn"
"""The reason of a refusal that says that the creator's grant is no more: nothing is asked under it again."""
UNKNOWN_PARAMETER = "unknown_parameter"
"""The reason of a refusal of how a call was written, where the platform has another way to write it."""
NOT_ELIGIBLE = "not_eligible"
"""The reason of a refusal of ours: the platform gives this only to some, and settings do not say that we are."""
NO_GRANT = "no_grant"
"""The reason of a refusal of ours: the call needs a grant that nobody has given, or that is no more."""


def malformed(reason: str) -> Verdict:
    """The verdict on an answer that has not the shape its collector understands."""
    return Verdict(Outcome.MALFORMED, reason)


@dataclass(frozen=True)
class Answer:
    """One answer as it came. `status` 0 means that none came; then `body` is empty and `headers` says why."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = field(repr=False)
    url: str = field(default="", repr=False)

    @cached_property
    def document(self) -> Any:
        """The body as JSON. Raises Unreadable when it is none."""
        return document(self.body)

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The body as a JSON object; empty when it is none. For reading errors, whose bodies may be anything."""
        try:
            return self.document if isinstance(self.document, dict) else {}
        except Unreadable:
            return {}

    @property
    def is_html(self) -> bool:
        """A page for people instead of an answer."""
        return "html" in self.headers.get("content-type", "").lower() or self.body.lstrip()[:1] == b"<"


def settled(answer: Answer, *, ours: bool) -> Verdict | None:
    """The verdict that is the same on every platform, on what is no error; None where the platform must look itself.

    `ours` says whether the collector makes such calls: of others' successes nothing is read.
    """
    if answer.status == 304:
        return OK
    if not 100 <= answer.status < 400:
        return None
    if answer.status >= 300 or answer.status < 200:
        return malformed(f"http_{answer.status}")
    if not ours:
        return OK
    try:
        return None if answer.document is not None else malformed("null")
    except Unreadable as fault:
        return malformed("html" if answer.is_html else str(fault))


def by_status(answer: Answer, now: datetime, advice: str) -> Verdict:
    """The verdict on an error that has not the platform's own form, by its status alone.

    What is missing is never `gone` here: only the platform itself can say that, not a page of some proxy.
    """
    if answer.status == 0:
        return Verdict(Outcome.UNAVAILABLE, answer.headers.get("fault", "no_answer"))
    reason = f"http_{answer.status}"
    if answer.status in {408, 425} or (answer.status >= 500 and answer.status not in {501, 505}):
        return Verdict(Outcome.UNAVAILABLE, reason, retry_after(answer, now))
    if answer.status == 429:
        return Verdict(Outcome.THROTTLED, reason, retry_after(answer, now))
    if answer.status in {404, 410}:
        return malformed("html" if answer.is_html else reason)
    return Verdict(Outcome.REFUSED, reason, message=advice, of_credential=answer.status in {401, 403})


def retry_after(answer: Answer, now: datetime) -> datetime | None:
    """The moment that `Retry-After` names, in seconds from `now` or as an HTTP date; None without or unreadable."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) <= 8:
        return now + timedelta(seconds=int(text))
    try:
        moment = parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
    return moment if moment is None or moment.tzinfo else None


class PlatformFailed(DependencyFailed):
    """A platform does not let us go on; the four ways of it follow. `retry_at` is when it will, where that is known."""

    def __init__(self, message: str, retry_at: datetime | None = None) -> None:
        super().__init__(message)
        self.retry_at = retry_at


class Refused(PlatformFailed):
    """Credentials, permission or configuration: a retry of the same cannot help. The message has the next step."""


class Exhausted(PlatformFailed):
    """The budget of a longer window is spent; `retry_at` is the reset."""


class Throttled(PlatformFailed):
    """Too fast, and the moment to go on is further away than a task should wait."""


class Unavailable(PlatformFailed):
    """The platform does not answer, or only with faults of its own."""
