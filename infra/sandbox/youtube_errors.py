"""What Google's APIs answer to what cannot be asked, is not there, or costs too much."""

from infra.sandbox.wire import Answer

_OVER_QUOTA = (
    "The request cannot be completed because you have exceeded your "
    '<a href="/youtube/v3/getting-started#quota">quota</a>.'
)


def error(
    code: int, reason: str, message: str, domain: str, *, status: str | None = None, at: str | None = None
) -> Answer:
    """Google's error envelope; `at` is the parameter at fault."""
    where = {"location": at, "locationType": "parameter"} if at else {}
    body: dict[str, object] = {"code": code, "message": message}
    body["errors"] = [{"message": message, "domain": domain, "reason": reason, **where}]
    if status:
        body["status"] = status
    return Answer(code, {"error": body})


def invalid(reason: str, message: str, at: str | None = None) -> Answer:
    """400 for a parameter."""
    return error(400, reason, message, "youtube.parameter", at=at)


def not_found(reason: str, domain: str, at: str) -> Answer:
    """404 for the thing that a parameter names."""
    message = f"The {reason.removesuffix('NotFound')} identified by the <code>{at}</code> parameter cannot be found."
    return error(404, reason, message, f"youtube.{domain}", at=at)


def comments_off() -> Answer:
    """403 where a video takes no comments."""
    message = (
        'The video identified by the <code><a href="/youtube/v3/docs/commentThreads/list#videoId">videoId</a></code> '
    )
    return error(
        403, "commentsDisabled", message + "parameter has disabled comments.", "youtube.commentThread", at="videoId"
    )


def subscriptions_hidden() -> Answer:
    """403 for what somebody subscribes to."""
    message = "The requester is not allowed to access the requested subscriptions."
    return error(403, "subscriptionForbidden", message, "youtube.subscription")


def over_quota() -> Answer:
    """403 when the Pacific day's units are spent."""
    return error(403, "quotaExceeded", _OVER_QUOTA, "youtube.quota")


def bad_key() -> Answer:
    """400 for an API key that is none."""
    message = "API key not valid. Please pass a valid API key."
    answer = error(400, "badRequest", message, "global", status="INVALID_ARGUMENT")
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
    }
    answer.body["error"]["details"] = [info | {"metadata": {"service": "youtube.googleapis.com"}}]  # type: ignore[index]
    return answer


def no_key() -> Answer:
    """403 for a call without a key."""
    message = "Method doesn't allow unregistered callers (callers without established identity)."
    return error(403, "forbidden", message, "global", status="PERMISSION_DENIED")
