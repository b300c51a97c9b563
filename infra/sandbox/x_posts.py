"""What X tells of posts: timelines with replies and reposts, and look-ups, in either vocabulary."""

from infra.sandbox import posts
from infra.sandbox import x_asked as asked
from infra.sandbox import x_shapes as shapes
from infra.sandbox.cast import DAY, EPOCH, Account
from infra.sandbox.draw import mix
from infra.sandbox.oauth import Holder
from infra.sandbox.posts import Post
from infra.sandbox.surface import Surface
from infra.sandbox.wire import Answer, Limits, Refusal, Request, seal, seconds
from infra.sandbox.world import World, is_away
from infra.sandbox.x_shapes import Row, invalid

PLATFORM = "x"
_FEED_ROOM = 140
"""Rows drawn for a page of at most 100: a repost can stand before posts that are drawn earlier."""


class Posts(Surface):
    """The half of the surface that answers about posts."""

    def __init__(self, world: World, limits: Limits) -> None:
        super().__init__(world, limits)
        self.speaks = frozenset({"post.fields", "tweet.fields"})
        """The vocabularies that are understood; one alone refuses the other."""

    def _creator(self, text: str) -> Account | None:
        found = self.world.find(PLATFORM, text)
        return found[0] if found and found[1] is None else None

    def _shown(self, request: Request, holder: Holder) -> Account:
        """The account of a path, if its lists are shown. Refusal: status 200 with nothing but errors."""
        text = asked.subject(request)
        account = self._creator(text)
        if account is None or is_away(account, request.now):
            raise Refusal(
                Answer(200, {"errors": [shapes.missing("user", "id", text, suspended=is_suspended(account))]})
            )
        if "protected" in account.flags and holder.account_id != text:
            raise Refusal(Answer(200, {"errors": [shapes.protected(text)]}))
        return account

    def _timeline(self, request: Request, holder: Holder) -> Answer:
        size, now = asked.size(request, 5, 100, 10), request.now
        account = self._shown(request, holder)
        exclude = {name for value in request.many("exclude") for name in value.split(",")}
        before = asked.position(request, account) / 1000 if request.one("pagination_token") else now + 1
        before = min(before, seconds(end) if (end := request.one("end_time")) else before)
        since = seconds(start) if (start := request.one("start_time")) else 0.0
        found = self._feed(account, before, since, exclude, request)
        page = found[:size]
        answer = self._posts(request, holder, [one for _, one in page], [])
        meta: Row = {"result_count": len(page)}
        if page:
            meta |= {"newest_id": _id_of(answer, 0), "oldest_id": _id_of(answer, -1)}
        if len(found) > size:
            meta["next_token"] = seal(account.local_id, round(page[-1][0] * 1000))
        if request.one("pagination_token"):
            meta["previous_token"] = seal(account.local_id, "back")
        return with_meta(answer, meta)

    def _feed(
        self, account: Account, before: float, since: float, exclude: set[str], request: Request
    ) -> list[tuple[float, Post | Row]]:
        """More than a page of a timeline, newest first: posts, and rows of reposts."""
        found: list[tuple[float, Post | Row]] = []
        for post in posts.newest(account, before, request.now, self.world.fakes, max(since, EPOCH)):
            if len(found) > _FEED_ROOM:
                break
            if post.relation != "reply" or "replies" not in exclude:
                found.append((post.published_at, post))
            at = post.published_at + 1800 + post.key % 1200  # of the repost that some posts occasion
            if post.key % 9 == 0 and at < before - posts.SAME and at <= request.now and "retweets" not in exclude:
                other = self._reposted(post, request.now)
                if other:
                    row_id = self.world.ids[PLATFORM].post(account.number, 0, at)
                    original = self._full(other, request.now)
                    found.append((at, shapes.repost(account, at, row_id, original, other.account.handle)))
        return sorted(found, key=lambda one: -one[0])

    def _reposted(self, post: Post, now: float) -> Post | None:
        """Another's recent post."""
        until = post.published_at - 60
        return next(posts.newest(self._stranger(post), until, now, self.world.fakes, until - 20 * DAY), None)

    def _stranger(self, post: Post) -> Account:
        others = [one for one in self.world.of_platform[PLATFORM] if one is not post.account]
        return others[mix(post.key) % len(others)]

    def _full(self, post: Post, t: float, *, is_owner: bool = False) -> Row:
        stranger = self._stranger(post)
        other_id = self.world.ids[PLATFORM].post(stranger.number, 0, post.published_at - 3600)
        return shapes.post(post, self.post_id(post), t, (stranger, other_id), is_owner=is_owner)

    def _post(self, text: str, t: float) -> Post | None:
        post = self.world.post(PLATFORM, text, t)
        return post if post and not is_away(post.account, t) and "protected" not in post.account.flags else None

    def _lookup(self, request: Request, holder: Holder) -> Answer:
        found: list[Post | Row] = []
        errors = []
        for text in asked.batch(request, "ids", r"[0-9]{1,19}"):
            post = self._post(text, request.now)
            if post is None:
                errors.append(shapes.missing("tweet", "ids", text))
            elif not post.is_missed(request.now):
                found.append(post)
        return self._posts(request, holder, found, errors)

    def _tweet(self, request: Request, holder: Holder) -> Answer:
        text = asked.subject(request)
        post = self._post(text, request.now)
        if post is None:
            return Answer(200, {"errors": [shapes.missing("tweet", "id", text)]})
        answer = self._posts(request, holder, [post], [])
        body = answer.body if isinstance(answer.body, dict) else {}
        return Answer(200, body | {"data": body["data"][0]} if body.get("data") else body)

    def _posts(self, request: Request, holder: Holder, found: list[Post | Row], errors: list[Row]) -> Answer:
        """Posts with the fields and media that were asked for, in the vocabulary that they were asked for in."""
        name = next((one for one in ("post.fields", "tweet.fields") if request.one(one) is not None), "")
        if name and name not in self.speaks:
            message = (
                f"The query parameter [{name}] is not one of [id,max_results,pagination_token,start_time,expansions]"
            )
            raise Refusal(invalid(name, request.one(name) or "", message))
        old = name == "tweet.fields" or "post.fields" not in self.speaks
        known = (asked.POST_FIELDS - {"note_post"}) | asked.BY_NAME if old else asked.POST_FIELDS
        fields = asked.fields(request, name, known) | {"id", "text", "edit_history_post_ids", "edit_history_tweet_ids"}
        expansions = {one for value in request.many("expansions") for one in value.split(",")}
        fields |= {field for expansion, field in asked.EXPANDED.items() if expansion in expansions}
        rows, media = [], []
        for one in found:
            row, post = (one, None) if isinstance(one, dict) else (self._owned(one, holder, request.now), one)
            if "non_public_metrics" in fields and "non_public_metrics" not in row:
                errors.append(shapes.private_field(row["id"]))
                continue
            if old:
                row = shapes.in_tweets(row)
            rows.append({field: value for field, value in row.items() if field in fields})
            if post and "attachments.media_keys" in expansions:
                media.append(shapes.media(post, row["id"], request.now))
        wanted = asked.fields(request, "media.fields", None) | {"media_key", "type"}
        included = [{field: value for field, value in one.items() if field in wanted} for one in media if one]
        body: Row = {"data": rows} if rows else {}
        body |= {"includes": {"media": included}} if included else {}
        return Answer(200, body | ({"errors": errors} if errors else {}))

    def _owned(self, post: Post, holder: Holder, t: float) -> Row:
        is_owner = holder.account_id == post.account.local_id and t - post.published_at < 30 * DAY
        return self._full(post, t, is_owner=is_owner)


def with_meta(answer: Answer, meta: Row) -> Answer:
    """The answer with what a page says of itself."""
    body = answer.body if isinstance(answer.body, dict) else {}
    return Answer(answer.status, body | {"meta": meta})


def _id_of(answer: Answer, place: int) -> str:
    body = answer.body if isinstance(answer.body, dict) else {}
    rows = body.get("data") or [{}]
    return str(rows[place].get("id", ""))


def is_suspended(account: Account | None) -> bool:
    """Whether X says of an account that is away that it suspended it."""
    return account is not None and "suspended" in account.flags
