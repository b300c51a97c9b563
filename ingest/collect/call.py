"""One request to a platform: endpoints as data, and the calls that are made to them. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

Params = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True)
class Endpoint:
    """One call that a platform's collector makes. `path` may hold `{names}`; each stands for one segment."""

    name: str
    path: str
    params: Params = field(default_factory=dict)
    """Sent with every call; a sequence is sent as the same name again and again."""
    batch: int = 1
    """Subjects that one call may ask for."""
    cost: int = 0
    """Units of the platform's budget that one call costs."""
    apart: bool = False
    """Counts against a budget of its own: where that is spent, only such calls end."""
    audience: bool = False
    """Its answers hold members of an audience: nothing of them is kept outside the events' features."""
    consent: bool = False
    """Only answers under a creator's grant, whoever asks."""
    method: str = "GET"
    segment: str = "[^/]+"
    """A regular expression of what may stand for a `{name}`, where the platform has methods in the same place."""

    def calls(self, base: str, name: str, subjects: Sequence[str], *, separator: str = "") -> "list[Call]":
        """Calls that ask for subjects in batches: the parameter sent again and again, or once with a separator."""
        batches = [subjects[at : at + self.batch] for at in range(0, len(subjects), self.batch)]
        return [self.call(base, {name: separator.join(batch) if separator else batch}) for batch in batches]

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What the path of such a call looks like."""
        return re.compile(
            re.sub(r"\\\{(\w+)\\\}", lambda name: f"(?P<{name[1]}>{self.segment})", re.escape(self.path)) + "/?"
        )

    def call(
        self, base: str, params: Params | None = None, *, account_id: str | None = None, grant: str | None = None,
        body: bytes = b"", **path: str
    ) -> "Call":  # fmt: skip
        """A call to this endpoint at `base` (scheme and host). `account_id` is whose things it asks for.

        `grant` is the account whose consent authorises it; None where the app's credential does, or none.
        """
        query = urlencode({**self.params, **(params or {})}, doseq=True)
        filled = self.path.format(**{name: quote(value, safe="") for name, value in path.items()})
        return Call(self, f"{base}{filled}{'?' + query if query else ''}", self.method, account_id, body, grant=grant)


@dataclass(frozen=True)
class Call:
    """One request, made or recorded; `endpoint` is None where it is one that the collector never makes."""

    endpoint: Endpoint | None
    url: str = field(repr=False)
    method: str = "GET"
    account_id: str | None = None
    body: bytes = field(default=b"", repr=False)
    owners: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Whose posts are asked for: account_id by post_id, as the work list knows it."""
    unasked: frozenset[str] = field(default=frozenset(), repr=False)
    """Posts that a listing may show and that are not due: they are listed, and not read."""
    since: datetime | None = None
    """Nor are those of a listing that were published up to this moment."""
    grant: str | None = None
    """The account whose grant authorises the call; None: the app's credential, or none."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent with this call alone, beside what authorises it."""

    @cached_property
    def host(self) -> str:
        """The host asked, in lower case, with its port where the address names one."""
        return urlsplit(self.url).netloc.rpartition("@")[2].lower()

    @cached_property
    def base(self) -> str:
        """Scheme and host, as `Endpoint.call` takes them."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @cached_property
    def path(self) -> str:
        """The path of the address."""
        return urlsplit(self.url).path

    @cached_property
    def params(self) -> dict[str, list[str]]:
        """The query's values by name, in order. `id[]` counts as `id`."""
        values: dict[str, list[str]] = {}
        for name, value in parse_qsl(urlsplit(self.url).query, keep_blank_values=True):
            values.setdefault(name.removesuffix("[]"), []).append(value)
        return values

    @cached_property
    def path_values(self) -> dict[str, str]:
        """What stands for the `{names}` of the endpoint's path."""
        match = self.endpoint.pattern.fullmatch(self.path) if self.endpoint else None
        return match.groupdict() if match else {}

    def param(self, name: str) -> str:
        """The first value of a parameter; empty when it was not sent."""
        return self.params.get(name, [""])[0]

    def listed(self, name: str) -> list[str]:
        """All values of a parameter that takes several: sent again and again, or with commas; each once."""
        values = (value.strip() for sent in self.params.get(name, []) for value in sent.split(","))
        return list(dict.fromkeys(value for value in values if value))

    def at(self, url: str) -> "Call":
        """The same call at another address: its next page."""
        return replace(self, url=url)

    def with_params(self, **params: str) -> "Call":
        """The same call with parameters replaced, as paging by a token needs it."""
        parts = urlsplit(self.url)
        kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in params]
        return self.at(parts._replace(query=urlencode([*kept, *params.items()])).geturl())


def recognise(endpoints: Iterable[Endpoint], method: str, url: str, body: bytes = b"") -> Call:
    """A recorded request as a call; its endpoint is None when none of the platform's is meant."""
    path = urlsplit(url).path
    for endpoint in endpoints:
        if method.upper() == endpoint.method and endpoint.pattern.fullmatch(path):
            return Call(endpoint, url, endpoint.method, body=body)
    return Call(None, url, method.upper())
