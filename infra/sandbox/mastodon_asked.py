"""What calls to a Mastodon server ask for: filters, batches and pages, and the links to the pages around."""

from infra.sandbox.mastodon_shapes import error
from infra.sandbox.posts import Post
from infra.sandbox.wire import Headers, Refusal, Request

CURSORS = ("max_id", "min_id", "since_id", "page")
"""Parameters by which a page is asked for."""
_BATCH = {"accounts": 40, "statuses": 20}


def is_on(request: Request, name: str) -> bool:
    """Whether a parameter is true."""
    return request.one(name) in ("true", "True", "1")


def passes(post: Post, is_boost: bool, request: Request) -> bool:
    """Whether the filters of a listing let a row through."""
    if is_boost:
        return not is_on(request, "exclude_reblogs") and not is_on(request, "only_media")
    if is_on(request, "only_media") and post.format not in ("image", "video"):
        return False
    return not (is_on(request, "exclude_replies") and post.relation == "reply")


def size(request: Request, usual: int, most: int) -> int:
    """How many rows a page shall hold."""
    text = request.one("limit") or ""
    return min(most, max(1, int(text))) if text.isdigit() else usual


def number(request: Request, name: str) -> int | None:
    """A parameter that is an id, or None. Refusal: what is none names nothing."""
    text = request.one(name)
    if text is None:
        return None
    if not text.isdigit():
        raise Refusal(error(404, "Record not found"))
    return int(text)


def batch(request: Request, name: str) -> list[str]:
    """The ids of a look-up. Refusal: too many."""
    ids = list(dict.fromkeys(request.many("id[]") or request.many("id")))
    if len(ids) > _BATCH[name]:
        raise Refusal(error(422, f"Validation failed: at most {_BATCH[name]} ids"))
    return ids


def links(request: Request, ends: list[int], *, full: bool, forward: str = "since_id") -> Headers:
    """The Link header: rel=next only where the page was full, so a full last page is followed by an empty one."""
    if not ends:
        return ()
    kept = "".join(f"{name}={value}&" for name, value in request.pairs if name not in CURSORS)
    start = f"{request.base}{request.path}?{kept}"
    links = [f'<{start}max_id={ends[1]}>; rel="next"'] if full else []
    links.append(f'<{start}{forward}={ends[0]}>; rel="prev"')
    return (("link", ", ".join(links)),)
