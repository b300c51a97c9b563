"""One answer, read: classified, and parsed where it says something. Pure and total; collector and `parse` share it."""

import hashlib
import re
from collections.abc import Iterable
from datetime import datetime
from urllib.parse import parse_qsl, urlencode, urlsplit

from ingest.collect.call import Call
from ingest.collect.members import MemberKey
from ingest.collect.observe import Observation
from ingest.collect.outcome import Answer, Outcome, Verdict, malformed
from ingest.collect.platform import Platform, Reading
from ingest.collect.values import Unreadable
from ingest.events import CONTRACT, DeadLetter, event_id, instant

BODY_LIMIT = 256 * 1024
KEYS_LIMIT = 50
SECRET_PARAMETERS = re.compile(r"key|token|secret|password|signature|sig|code|assertion|authorization", re.IGNORECASE)
HIDDEN = "***"


def interpret(
    platform: Platform,
    call: Call,
    answer: Answer,
    *,
    at: datetime,
    run_id: str,
    key: MemberKey | None,
    consent_id: str | None = None,
) -> tuple[Verdict, Reading]:
    """What the answer means and says. A reading that fails half-way says nothing: the answer is malformed.

    `consent_id` is the consent that authorised the call, where one did.
    """
    verdict = platform.classify(call, answer, at)
    if call.endpoint is None or verdict.outcome not in {Outcome.OK, Outcome.GONE}:
        return verdict, Reading()
    observation = Observation(platform, call, at, run_id, key, consent_id=consent_id)
    try:
        platform.parse(call, answer, observation)
    except Unreadable as fault:
        return malformed(str(fault)), Reading()
    return verdict, observation.reading


def dead_letter(
    platform: Platform,
    call: Call,
    answer: Answer,
    verdict: Verdict,
    *,
    at: datetime,
    run_id: str,
    secrets: Iterable[str] = (),
) -> DeadLetter:
    """The unreadable answer, for whoever mends the parser. Of an audience's endpoint no body: it holds names."""
    digest = hashlib.sha256(answer.body).hexdigest()
    audience = call.endpoint is not None and call.endpoint.audience
    url = public_url(call, secrets)
    endpoint = call.endpoint.name if call.endpoint else call.path
    body = None if audience else scrub(answer.body[:BODY_LIMIT].decode("utf-8", "replace"), secrets)
    return DeadLetter(
        event_id=event_id(DeadLetter, platform.name, (url, digest), endpoint, run_id),
        contract=CONTRACT,
        platform=platform.name,  # type: ignore[arg-type]  # the registry's names are the contract's
        endpoint=endpoint,
        observed_at=instant(at),
        run_id=run_id,
        collector=platform.collector,
        reason=verdict.reason or "malformed",
        url=url,
        status=answer.status,
        content_type=answer.headers.get("content-type"),
        body=_cut(body),
        body_bytes=len(answer.body),
        body_sha256=digest,
        body_keys=_keys(answer) if audience else None,
    )


def public_url(call: Call, secrets: Iterable[str] = ()) -> str:
    """The call's address without secrets; of an audience's endpoint without its query, which may name members."""
    parts = urlsplit(call.url)
    parts = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="")
    if call.endpoint is not None and call.endpoint.audience:
        return parts._replace(query="").geturl()
    query = [
        (name, HIDDEN if SECRET_PARAMETERS.fullmatch(name.rpartition("_")[2]) else value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    return scrub(parts._replace(query=urlencode(query, safe="*,:/@")).geturl(), secrets)


def scrub(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret in it hidden."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN) if secret else text
    return text


def _cut(body: str | None) -> str | None:
    """At most the limit in UTF-8, also where broken bytes grew into replacement characters."""
    return None if body is None else body.encode("utf-8", "replace")[:BODY_LIMIT].decode("utf-8", "ignore")


def _keys(answer: Answer) -> list[str]:
    """Names of the JSON keys of the document and of its rows, where they look like a format's, not like a person's."""
    try:
        found = answer.document
    except Unreadable:
        return []
    outer = [found] if isinstance(found, dict) else found if isinstance(found, list) else []
    inner = [row for part in outer[:1] if isinstance(part, dict) for value in part.values() if isinstance(value, list)
             for row in value[:1]]  # fmt: skip
    names = {name for part in [*outer[:1], *inner] if isinstance(part, dict) for name in part}
    return sorted(name for name in names if re.fullmatch(r"\$?[A-Za-z][A-Za-z_]{0,30}", name))[:KEYS_LIMIT]
