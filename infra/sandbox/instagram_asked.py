"""What calls to the Graph API ask for: fields, pages and cursors, and the address of the page after."""

from infra.sandbox import instagram_fields as fields
from infra.sandbox.instagram_shapes import Row, error
from infra.sandbox.wire import Refusal, Request, unseal

_MOST = 100


def fields_asked(request: Request) -> tuple[fields.Field, ...]:
    """The fields asked for. Refusal: an expression that cannot be read."""
    try:
        return fields.read(request.one("fields") or "id")
    except ValueError as wrong:
        raise Refusal(error(400, 2500, str(wrong))) from None


def page_size(written: str) -> int:
    """How many rows a page shall hold. Refusal: no number, or too many."""
    if not written.isdigit() or not 1 <= int(written) <= _MOST:
        raise Refusal(error(400, 100, "(#100) Param limit must be a number between 1 and 100"))
    return int(written)


def position(cursor: str, subject: str) -> int:
    """Where a page begins; cursors are tied to what was asked for. Refusal: none of ours, or another list's."""
    parts = unseal(cursor, 2)
    if parts is None or parts[0] != subject or not parts[1].isdigit():
        raise Refusal(error(400, 100, "(#100) Invalid cursors values"))
    return int(parts[1])


def with_next(page: Row, request: Request, size: int) -> Row:
    """The page with the address of the one after it, which holds the token: nobody should log it."""
    paging = page.get("paging", {})
    after = paging.get("cursors", {}).get("after")
    if not after:
        return page
    token = request.one("access_token") or ""
    address = f"{request.base}{request.path}?access_token={token}&limit={size}&after={after}"
    return page | {"paging": paging | {"next": address}}
