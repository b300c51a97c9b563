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


def transient(answer: Answer) -> Verdict | None:
    """The verdict that the status alone gives, on every platform: nothing came, or a fault on their side."""
    if answer.status == 0:
        return Verdict(Outcome.UNAVAILABLE, answer.headers.get("fault", "no_answer"))
    if answer.status in {408, 425} or answer.status >= 500 and answer.status not in {501, 505}:
        return Verdict(Outcome.UNAVAILABLE, f"http_{answer.status}", retry_after(answer, None))
    return None


def retry_after(answer: Answer, now: datetime | None) -> datetime | None:
    """The moment that `Retry-After` names, in seconds from `now` or as an HTTP date; None without or unreadable."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return now + timedelta(seconds=int(text)) if now else None
    try:
        moment = parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
    return moment if moment is None or moment.tzinfo else None


class Refused(DependencyFailed):
    """Credentials, permission or configuration: a retry of the same cannot help. The message has the next step."""


class _Later(DependencyFailed):
    """A failure that time mends; `retry_at` is when, where that is known."""

    def __init__(self, message: str, retry_at: datetime | None = None) -> None:
        super().__init__(message)
        self.retry_at = retry_at


class Exhausted(_Later):
    """The budget of a longer window is spent; `retry_at` is the reset."""


class Throttled(_Later):
    """Too fast, and the moment to go on is further away than a task should wait."""


class Unavailable(_Later):
    """The platform does not answer, or only with faults of its own."""
