"""A cycle of very many accounts on Bluesky, for memory and time: more than the sandbox has ids for.

`python -m tests.bench.collect_many PORT` serves them: what the sandbox answers for one of its creators, in the name of
whoever is asked for, at once and without a limit. Each account has the same ten posts, known from earlier runs.
"""

import csv
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs

import msgspec
import uvicorn

from infra.sandbox.app import Receive, Sandbox, Scope, Send
from infra.sandbox.cast import Account
from infra.sandbox.draw import mix
from infra.sandbox.posts import newest
from infra.sandbox.wire import Request
from ingest.collect.ladder import Known
from ingest.settings import Settings
from tests.bench.collect_world import last_seen

PLATFORM = "bluesky"
NOW = datetime(2026, 11, 12, 12, tzinfo=UTC)
POSTS = 10
HEADERS = [
    (b"content-type", b"application/json; charset=utf-8"),
    (b"ratelimit-limit", b"1000000"),
    (b"ratelimit-remaining", b"1000000"),
    (b"ratelimit-reset", str(int(NOW.timestamp()) + 86_400).encode()),
]


class Many:
    """The ASGI application."""

    def __init__(self) -> None:
        self._sandbox = Sandbox()
        self.creator: Account = next(one for one in self._sandbox.world.of_platform[PLATFORM] if not one.flags)
        own = self.creator.local_id
        feed = self._asked("getAuthorFeed", f"actor={own}&limit=100")["feed"]
        rows = [row for row in feed if "reason" not in row][:POSTS]
        self._did = own.encode()
        self._feed = msgspec.json.encode({"feed": rows})
        self._profile = msgspec.json.encode(self._asked("getProfile", f"actor={own}"))
        self._posts = {row["post"]["uri"].rpartition("/")[2]: msgspec.json.encode(row["post"]) for row in rows}

    def _asked(self, method: str, query: str) -> dict[str, object]:
        surface, path = self._sandbox.surfaces[PLATFORM], f"/xrpc/app.bsky.{'feed' if 'Feed' in method else 'actor'}"
        request = Request("GET", f"{path}.{method}", query, {}, "", NOW.timestamp())
        return surface.answer(surface.endpoint(request.path), request).body

    def known(self, accounts: int) -> list[Known]:
        """What hourly runs have seen of so many accounts."""
        found = []
        posts = list(newest(self.creator, NOW.timestamp() + 1, NOW.timestamp(), 1.0))[:POSTS]
        for post in posts:
            uri, published = self._sandbox.truth.post_id(post), datetime.fromtimestamp(post.published_at, UTC)
            for number in range(accounts):
                who, seen = did(number), last_seen(published, mix(post.key ^ number), NOW)
                found.append(Known(uri.replace(self.creator.local_id, who), who, published, seen))
        return found

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        asked, method = parse_qs(scope["query_string"].decode()), scope["path"].rpartition(".")[2]
        if method == "getAuthorFeed":
            body = self._feed.replace(self._did, asked["actor"][0].encode())
        elif method == "getProfiles":
            body = _listed("profiles", [self._profile.replace(self._did, one.encode()) for one in asked["actors"]])
        elif method == "getPosts":
            named = [uri.removeprefix("at://").split("/") for uri in asked["uris"]]
            body = _listed("posts", [self._posts[key].replace(self._did, who.encode()) for who, _, key in named])
        else:
            body = b"{}"
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": body})


def _listed(name: str, rows: list[bytes]) -> bytes:
    return b'{"%s":[%s]}' % (name.encode(), b",".join(rows))


def did(number: int) -> str:
    """An account's id."""
    return f"did:plc:{number:024d}"


def watch(path: Path, accounts: int) -> None:
    """A watch list of so many accounts."""
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["creator_id", "creator_name", "platform", "account"])
        lines.writerows([f"c{number}", "Somebody", PLATFORM, did(number)] for number in range(accounts))


def serve(port: int) -> None:
    """Serve until stopped."""
    uvicorn.run(Many(), host="127.0.0.1", port=port, access_log=False, log_level="warning", lifespan="off")


def command(settings: Settings) -> list[str]:
    """How the server is started."""
    return [sys.executable, "-m", "tests.bench.collect_many", str(settings.sandbox_port)]


if __name__ == "__main__":
    serve(int(sys.argv[1]))
