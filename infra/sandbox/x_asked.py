"""What calls to X ask for: paths, fields, batches and pages, with the refusals of what cannot be asked."""

import re

from infra.sandbox.cast import Account
from infra.sandbox.wire import Refusal, Request, unseal
from infra.sandbox.x_shapes import invalid

PATHS = {
    "/2/users": "users",
    "/2/users/by": "by",
    "/2/users/me": "me",
    "/2/tweets": "lookup",
    "/2/oauth2/token": "token",
    "/oauth2/token": "token",
    "/2/oauth2/revoke": "revoke",
    "/i/oauth2/authorize": "authorize",
}
PATTERNS = {
    "username": re.compile(r"/2/users/by/username/(\w+)", re.ASCII),
    "user": re.compile(r"/2/users/([0-9]+)"),
    "timeline": re.compile(r"/2/users/([0-9]+)/tweets"),
    "followers": re.compile(r"/2/users/([0-9]+)/followers"),
    "tweet": re.compile(r"/2/tweets/([0-9]+)"),
}
_OF_USERS = """
    affiliation connection_status created_at description entities id location most_recent_post_id name parody
    pinned_post_id pinned_tweet_id most_recent_tweet_id profile_banner_url profile_image_url protected public_metrics
    receives_your_dm subscription subscription_type url username verified verified_followers_count verified_type
    withheld
"""
_OF_POSTS = """
    article article_title attachments card_uri community_id context_annotations conversation_id created_at
    display_text_range edit_controls entities geo id lang media_metadata non_public_metrics note_post organic_metrics
    paid_partnership possibly_sensitive promoted_metrics public_metrics reply_settings scopes source text
    withheld
"""
USER_FIELDS, POST_FIELDS = frozenset(_OF_USERS.split()), frozenset(_OF_POSTS.split())
BY_NAME = frozenset({"author_id", "edit_history_tweet_ids", "in_reply_to_user_id", "referenced_tweets", "note_tweet"})
"""Fields of the old vocabulary; in the new one the first four only come along with an expansion."""
EXPANDED = {"author_id": "author_id", "referenced_posts": "referenced_posts"}


def subject(request: Request) -> str:
    """The id or username in a path."""
    found = next(match for form in PATTERNS.values() if (match := form.fullmatch(request.path)))
    return found[1]


def batch(request: Request, name: str, form: str) -> list[str]:
    """The values of a parameter with commas; one that cannot be such refuses them all."""
    values = [value for value in (request.one(name) or "").split(",") if value]
    if not values:
        raise Refusal(invalid(name, "", f"The `{name}` query parameter can not be empty"))
    if len(values) > 100:
        message = f"The number of values in the `{name}` query parameter list [{len(values)}] is not between 1 and 100"
        raise Refusal(invalid(name, request.one(name) or "", message))
    for value in values:
        if not re.fullmatch(form, value, re.ASCII):
            raise Refusal(invalid(name, value, f"The `{name}` query parameter value [{value}] is not valid"))
    return values


def fields(request: Request, name: str, known: frozenset[str] | None) -> set[str]:
    """The fields that a selector names. Refusal for one that there is not."""
    asked = [one for value in request.many(name) for one in value.split(",") if one]
    for one in asked:
        if known is not None and one not in known:
            message = f"The `{name}` query parameter value [{one}] is not one of [{','.join(sorted(known))}]"
            raise Refusal(invalid(name, ",".join(asked), message))
    return set(asked)


def size(request: Request, least: int, most: int, usual: int) -> int:
    written = request.one("max_results") or str(usual)
    if not written.isdigit() or not least <= int(written) <= most:
        message = f"The `max_results` query parameter value [{written}] is not between {least} and {most}"
        raise Refusal(invalid("max_results", written, message))
    return int(written)


def position(request: Request, account: Account) -> int:
    """Where a page begins."""
    token = request.one("pagination_token") or ""
    parts = unseal(token, 2)
    if parts is None or parts[0] != account.local_id or not parts[1].isdigit():
        message = f"The `pagination_token` query parameter value [{token}] is not valid"
        raise Refusal(invalid("pagination_token", token, message))
    return int(parts[1])
