"""The Research API's search of videos: conditions, a stretch of days, and pages that hold fewer than they might."""

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime

from infra.sandbox import posts
from infra.sandbox import tiktok_shapes as shapes
from infra.sandbox.cast import DAY, Account
from infra.sandbox.posts import Post
from infra.sandbox.wire import Answer, Refusal, Request
from infra.sandbox.world import World, is_away

PLATFORM = "tiktok"
_FIELDS = """
id username create_time region_code video_description video_duration view_count like_count comment_count
share_count favorites_count hashtag_names hashtag_info_list music_id effect_ids playlist_id voice_to_text
is_stem_verified video_mention_list video_label video_tag
"""
FIELDS = frozenset(_FIELDS.split())
STRETCH_DAYS = 30
_EVERY = 4
"""Of so many places of a search one holds a video that nobody may see: it counts and is not shown."""
Condition = dict[str, object]


class Search:
    """Searches over a world. It keeps which searches are known everywhere by now."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._settled: set[str] = set()

    def answer(self, request: Request, post_id: Callable[[Post], str]) -> Answer:
        """A page of what a query finds, newest first."""
        wanted = [field for field in (request.one("fields") or "").split(",") if field]
        if not wanted or not FIELDS.issuperset(wanted):
            raise _invalid("Invalid fields in the request", request)
        asked = request.document
        size, cursor = asked.get("max_count") or 20, asked.get("cursor") or 0
        if not isinstance(size, int) or not isinstance(cursor, int) or not 1 <= size <= 100 or cursor < 0:
            raise _invalid("Invalid count or cursor", request)
        start, end = _day(asked.get("start_date")), _day(asked.get("end_date"))
        if start is None or end is None or not 0 <= (end - start).days <= STRETCH_DAYS:
            raise _invalid("The date range is invalid: at most 30 days from start_date to end_date", request)
        search_id = _search_id(asked)
        self._require(search_id, asked.get("search_id"), cursor, request)
        query = asked.get("query")
        conditions = query if isinstance(query, dict) else {}
        since = datetime(start.year, start.month, start.day, tzinfo=UTC).timestamp()
        until = datetime(end.year, end.month, end.day, tzinfo=UTC).timestamp() + DAY
        found = [
            post
            for post in self._candidates(conditions, since, until, request.now)
            if since <= post.published_at < until and _matches(conditions, post, post_id(post), request.now)
        ]
        found.sort(key=lambda post: -post.published_at)
        by_id = any(row["field_name"] == "video_id" for row in _listed(conditions.get("and")))
        places = found if by_id else _with_gaps(found)
        page = [post for post in places[cursor : cursor + size] if post and not (by_id and post.is_missed(request.now))]
        rows = [shapes.found(post, post_id(post), request.now) for post in page]
        return shapes.ok(
            {
                "videos": [{field: row[field] for field in wanted if field in row} for row in rows],
                "cursor": cursor + size,
                "has_more": cursor + size < len(places),
                "search_id": search_id,
            },
            request.now,
        )

    def _require(self, search_id: str, sent: object, cursor: int, request: Request) -> None:
        """Refusal: a page of a search under no id or another's, or of one that is not known everywhere yet."""
        is_late = cursor and int(search_id) % 5 == 0 and search_id not in self._settled
        if is_late:
            self._settled.add(search_id)
        if is_late or (cursor and str(sent) != search_id):
            raise _invalid(f"Search Id {sent} is invalid or expired", request)

    def _candidates(self, query: dict[str, object], since: float, until: float, t: float) -> Iterator[Post]:
        """Posts of public accounts that may match."""
        ids = [value for row in _listed(query.get("and")) if row["field_name"] == "video_id" for value in _values(row)]
        if ids:
            looked_up = (self._world.post(PLATFORM, value, t) for value in dict.fromkeys(ids))
            yield from (post for post in looked_up if post and _is_public(post.account, t))
            return
        named = {value.lower() for part in ("and", "or") for row in _listed(query.get(part))
                 if row["field_name"] == "username" for value in _values(row)}  # fmt: skip
        for account in self._world.of_platform[PLATFORM]:
            if _is_public(account, t) and (not named or account.handle_at(t) in named):
                yield from posts.newest(account, min(until, t + 1), t, self._world.fakes, since)


def _is_public(account: Account, t: float) -> bool:
    return not is_away(account, t) and "private" not in account.flags


def _with_gaps(found: list[Post]) -> list[Post | None]:
    """The places of a search."""
    places: list[Post | None] = []
    for number, post in enumerate(found):
        places += [None, post] if number % (_EVERY - 1) == _EVERY - 2 else [post]
    return places


def _matches(query: dict[str, object], post: Post, post_id: str, t: float) -> bool:
    def holds(row: Condition) -> bool:
        value: object = {
            "username": post.account.handle_at(t),
            "video_id": post_id,
            "region_code": post.account.market,
        }.get(str(row["field_name"]))
        values = {one.lower() for one in _values(row)}
        if row["field_name"] == "hashtag_name":
            return not values.isdisjoint(shapes.found(post, post_id, t)["hashtag_names"])
        return str(value).lower() in values

    some = _listed(query.get("or"))
    return (
        all(holds(row) for row in _listed(query.get("and")))
        and (not some or any(holds(row) for row in some))
        and not any(holds(row) for row in _listed(query.get("not")))
    )


def _listed(value: object) -> list[Condition]:
    return [row for row in value if isinstance(row, dict) and "field_name" in row] if isinstance(value, list) else []


def _values(row: Condition) -> list[str]:
    found = row.get("field_values")
    return [str(value) for value in found] if isinstance(found, list) else []


def _day(value: object) -> date | None:
    try:
        return datetime.strptime(str(value), "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None


def _search_id(asked: dict[str, object]) -> str:
    """The same for every page of a search, and for no other."""
    same = {name: value for name, value in asked.items() if name not in ("cursor", "search_id", "max_count")}
    digest = hashlib.sha256(json.dumps(same, sort_keys=True).encode()).digest()
    return str(7_000_000_000_000_000_000 + int.from_bytes(digest[:7], "big") % 10**18)


def _invalid(message: str, request: Request) -> Refusal:
    return Refusal(shapes.error(400, "invalid_params", message, request.now))
