"""Reddit's Data API and its token endpoint, as far as public data of creators goes."""

import re
from collections.abc import Callable
from itertools import islice

import numpy as np

from infra.sandbox import comments, people, posts
from infra.sandbox import reddit_shapes as shapes
from infra.sandbox.cast import Account
from infra.sandbox.ids import MEMBER
from infra.sandbox.oauth import CLIENT, Holder, OAuth, Rules
from infra.sandbox.posts import Post
from infra.sandbox.reddit_shapes import error
from infra.sandbox.surface import Surface
from infra.sandbox.wire import Answer, Headers, Limits, Refusal, Request, day
from infra.sandbox.world import World, is_away

PLATFORM = "reddit"
_CALLS, _WINDOW = 1000, 600
_LISTED = 1000
"""No listing goes further back, however many there are."""
_AT_MOST = 100
_PATHS = {
    r"/api/v1/access_token": "access_token",
    r"/user/([\w-]+)/about": "user/about",
    r"/user/([\w-]+)/submitted": "user/submitted",
    r"/api/info": "info",
    r"/comments/(\w+)": "comments",
    r"/api/user_data_by_account_ids": "users",
    r"/r/([\w-]+)(/about)?": "r",
}
_NOBODY = re.compile(r"$|python-|curl/|java/|go-http|okhttp|mozilla", re.IGNORECASE)
"""Agents that do not say whose they are."""


def _failure(code: str, _: str) -> Answer:
    """A wrong app is unauthorised; everything else is told with its code."""
    return error(401) if code == "invalid_client" else Answer(400, {"error": code})


def _shape(found: dict[str, object], _: str) -> object:
    return found | {"token_type": "bearer", "scope": "*"}


class Reddit(Surface):
    """The API over a world, with calls by client in windows of ten minutes."""

    POSTS = frozenset({"access_token"})

    def __init__(self, world: World, limits: Limits) -> None:
        super().__init__(world, limits)
        self.oauth = OAuth(Rules(access_seconds=86_400, shape=_shape, failure=_failure), lambda: "")
        self._calls: dict[str, Callable[[Request, str], Answer]] = {
            "user/about": self._about,
            "user/submitted": self._submitted,
            "info": self._info,
            "comments": self._comments,
            "users": self._users,
            "r": lambda _, __: Answer(302, b"", (("location", "https://www.reddit.com/subreddits/search"),)),
        }

    def endpoint(self, path: str) -> str | None:
        """The call that a path makes, or None."""
        return next((name for pattern, name in _PATHS.items() if re.fullmatch(pattern, path.rstrip("/"))), None)

    def answer(self, endpoint: str | None, request: Request) -> Answer:
        """Answer a call; each one with a good token counts, whatever comes of it."""
        if _NOBODY.match(request.headers.get("user-agent", "")):
            return shapes.page(429, "whoa there, pardner!")
        if endpoint == "access_token":
            is_basic = request.headers.get("authorization", "").lower().startswith("basic ")
            return self.oauth.token(request) if is_basic else error(401)
        self._admit(request)
        spent, ends = self.windows.spend(request.now, _WINDOW, CLIENT)
        headers = _limits(spent, ends - request.now)
        if spent > _CALLS:
            wait = ("retry-after", str(int(ends - request.now) + 1))
            return shapes.page(429, "whoa there, pardner!", (*headers, wait))
        self.spent.add(CLIENT, "calls", day(request.now))
        try:
            answer = self._calls[endpoint](request, self._subject(request.path)) if endpoint else error(404)
        except Refusal as refusal:
            answer = refusal.answer
        if request.one("raw_json") != "1":
            answer.body = shapes.escaped(answer.body)
        answer.headers = (*answer.headers, *headers)
        return answer

    def fault(self, kind: str, request: Request) -> Answer:
        """The platform's own words for a fault. There is no quota but that of ten minutes."""
        if kind in ("throttled", "quota"):
            return shapes.page(429, "whoa there, pardner!", (("retry-after", "4"),))
        if kind == "bad_key":
            return error(401, (("www-authenticate", 'Bearer realm="reddit", error="invalid_token"'),))
        return shapes.page(503 if kind == "unavailable" else 500, "Ow! -- reddit.com")

    def _admit(self, request: Request) -> None:
        """Refusal: without a token, or with one that is old or made up."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise Refusal(error(403))
        if not isinstance(self.oauth.holder(token, request.now), Holder):
            raise Refusal(self.fault("bad_key", request))

    @staticmethod
    def _subject(path: str) -> str:
        matches = (re.fullmatch(pattern, path.rstrip("/")) for pattern in _PATHS)
        return next((match[1] for match in matches if match and match.re.groups), "")

    # Accounts

    def _named(self, name: str, t: float) -> Account:
        """The account of a name. Refusal: there is none, it was deleted, or nobody is shown it."""
        account = self.world.handled(PLATFORM, name.lower(), t)
        if account is None or (is_away(account, t) and "suspended" not in account.flags):
            raise Refusal(error(404))
        return account

    def _about(self, request: Request, name: str) -> Answer:
        account = self._named(name, request.now)
        if "suspended" in account.flags:
            return Answer(200, shapes.suspended(account))
        return Answer(200, shapes.profile(account, request.now, self.world.fakes))

    def _users(self, request: Request, _: str) -> Answer:
        """Creators and commenters by their ids; those who are not there are left out, and none at all is not found."""
        found: shapes.Row = {}
        for text in _listed(request, "ids"):
            account, index = self.world.find(PLATFORM, text) or (None, None)
            if account is None or (index is None and is_away(account, request.now)):
                continue
            if index is None:
                found[text] = shapes.partial(account.handle, account.created_at, account.first_followers * 3, True)
                continue
            (one,) = people.members(account, np.array([index]), request.now, self.world.fakes)
            if people.is_commenter(account, index) and one.draw >= 0.01:
                found[text] = shapes.partial(one.handle, one.created_at, one.posts * 4, one.has_picture)
        return Answer(200, found) if found else error(404)

    # Submissions

    def _submitted(self, request: Request, name: str) -> Answer:
        account, now = self._named(name, request.now), request.now
        if "suspended" in account.flags:
            return error(403)
        shown = list(islice(posts.newest(account, now + 1, now, self.world.fakes), _LISTED))
        if "hides_history" in account.flags:  # a part of it, and nothing says so
            shown = [post for post in shown if post.key % 3 == 0]
        ids, start, size = [self.post_id(post) for post in shown], 0, _size(request, 25)
        if after := request.one("after"):
            start = ids.index(after) + 1 if after in ids else len(ids)  # after a deleted one there is nothing
        rows = [shapes.submission(post, self.post_id(post), now) for post in shown[start : start + size]]
        more = start + size < len(ids)
        return Answer(200, shapes.listing(rows, ids[start + size - 1] if more else None))

    def _info(self, request: Request, _: str) -> Answer:
        rows = [row for text in _listed(request, "id") if (row := self._by_id(text, request.now))]
        return Answer(200, shapes.listing(rows))

    def _by_id(self, text: str, t: float) -> shapes.Row | None:
        """A submission. Half of the deleted ones are still answered for, without their author."""
        found = self._post(text)
        if found is None or found.published_at > t or is_away(found.account, t):
            return None
        row = shapes.submission(found, text, t)
        if not found.is_up(t):
            return shapes.deleted(row) if found.key % 2 else None
        return None if found.is_missed(t) else row

    def _post(self, text: str) -> Post | None:
        """The submission of a fullname, at whatever moment."""
        number, index, _ = self.world.ids[PLATFORM].read_post(text) or (len(self.world.accounts), None, None)
        if number >= len(self.world.accounts) or self.world.accounts[number].platform != PLATFORM or index is None:
            return None
        return posts.find(self.world.accounts[number], index, self.world.fakes)

    def _comments(self, request: Request, article: str) -> Answer:
        """A submission and the threads below it, replies left out."""
        post_id, now = f"t3_{article}", request.now
        post = self.world.post(PLATFORM, post_id, now)
        if post is None or is_away(post.account, now):
            return error(404)
        order = "time" if request.one("sort") == "new" else "relevance"
        threads, size = comments.of_post(post, int(now), order), _size(request, 200, 500)
        page = threads.page(0, size)
        index = np.array([row.member for row in page], dtype=np.int64)
        authors = people.members(post.account, index, now, self.world.fakes)
        ids = self.world.ids[PLATFORM]
        rows = [
            shapes.comment(row, one, ids.account(MEMBER, post.account.number, one.number), post_id)
            for row, one in zip(page, authors, strict=True)
        ]
        if post.key % 4 == 0:
            rows.insert(0, shapes.moderator(post, post_id))
        if left := len(threads.number) - len(page):
            rows.append(shapes.more(post_id, left))
        head = shapes.listing([shapes.submission(post, post_id, now)])
        return Answer(200, [head, shapes.listing(rows)])


def _listed(request: Request, name: str) -> list[str]:
    """Fullnames with commas between them, each once."""
    texts = [text for text in dict.fromkeys((request.one(name) or "").split(",")) if text]
    if len(texts) > _AT_MOST:
        raise Refusal(error(400))
    return texts


def _size(request: Request, usual: int, most: int = _AT_MOST) -> int:
    """How many are wanted; what is no such number is the usual."""
    written = request.one("limit") or ""
    return max(1, min(most, int(written))) if written.isdigit() else usual


def _limits(spent: int, seconds: float) -> Headers:
    return (
        ("x-ratelimit-used", str(spent)),
        ("x-ratelimit-remaining", f"{max(0, _CALLS - spent):.1f}"),
        ("x-ratelimit-reset", str(int(seconds))),
    )
