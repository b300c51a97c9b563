"""What every platform's API in the sandbox is made of. A module in this folder with one such class is a platform."""

from typing import ClassVar

from infra.sandbox.posts import Post
from infra.sandbox.wire import Answer, Limits, Request, Spent, Windows
from infra.sandbox.world import World


class Surface:
    """One platform's API over a world. It keeps only what the platform counts."""

    POSTS: ClassVar[frozenset[str]] = frozenset()
    """Names of the calls that may be made by POST; their bodies are in `request.body`."""

    def __init__(self, world: World, limits: Limits) -> None:
        self.world, self.limits = world, limits
        self.windows = Windows(limits.shorten)
        """Calls against rate limits: begun anew whenever a window ends."""
        self.spent = Spent()
        """Units and calls that the platform bills, told under /_truth/requests."""

    def endpoint(self, path: str) -> str | None:
        """The short name of the call that a path makes, or None."""
        raise NotImplementedError

    def answer(self, endpoint: str | None, request: Request) -> Answer:
        """Answer a call. A `Refusal` raised on the way is answered with what it holds."""
        raise NotImplementedError

    def fault(self, kind: str, request: Request) -> Answer:
        """The platform's own words for a fault: throttled, quota, server_error, unavailable, bad_key."""
        raise NotImplementedError

    def post_id(self, post: Post) -> str:
        """A post's id as assay's events have it."""
        return self.world.post_id(post)

    def forget(self) -> None:
        """Begin every quota and rate window anew."""
        self.windows.clear()
        self.spent.clear()
