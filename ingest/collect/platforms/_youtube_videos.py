"""YouTube's videos, read into events."""

from datetime import datetime
from typing import Any

from ingest.collect import values
from ingest.collect.call import Call
from ingest.collect.platform import Observer
from ingest.collect.values import count, flag, lenient, mapping, moment, text, when

SHORT_SECONDS = 180
# Views were counted otherwise before each of these dates: never compare across them.
DEFINITIONS = (("2026-08-24", "views-2026-08"), ("2025-03-31", "views-2025-03"), ("", "views-2012"))


def read_video(call: Call, post_id: str, item: dict[str, Any], observe: Observer, *, counters_alone: bool) -> None:
    """A video; `counters_alone`: as a call shows it that tells little else."""
    snippet, details = mapping(item.get("snippet")), mapping(item.get("contentDetails"))
    statistics, status = mapping(item.get("statistics")), lenient(item.get("status"))
    title, description = text(snippet.get("title")), text(snippet.get("description"))
    written = "\n".join(part for part in (title, description) if part)
    thousandths = count(details.get("durationMillis"))
    duration = values.seconds(details.get("duration")) if thousandths is None else values.number(thousandths / 1000)
    on_air = snippet.get("liveBroadcastContent") in ("live", "upcoming")
    whole = bool(statistics) and not call.param("fields")
    absent = [why for key, why in (("likeCount", "likes:hidden"), ("commentCount", "comments:disabled"))
              if whole and key not in statistics]  # fmt: skip
    private, removed = status.get("privacyStatus") == "private", status.get("uploadStatus") in ("deleted", "rejected")
    kind = "live" if on_air else "short" if _is_short(snippet, duration, written) else "video"
    observe.post(
        text(snippet.get("channelId")),
        post_id,
        state="hidden" if private else "gone" if removed else "visible",
        state_reason="private" if private else text(status.get("uploadStatus")) if removed else None,
        published_at=when(moment(snippet.get("publishedAt") or snippet.get("publishTime"))),
        url=f"https://www.youtube.com/watch?v={post_id}",
        format=_format(kind, duration, counters_alone=counters_alone) if snippet or details else None,
        relation="original",
        title=title,
        text=description,
        language=text(snippet.get("defaultAudioLanguage")) or text(snippet.get("defaultLanguage")),
        duration_seconds=duration,
        hashtags=values.tags_in(written) if title else None,
        links=values.links_in(description) if "description" in snippet else None,
        is_paid_partnership=flag(lenient(item.get("paidProductPlacementDetails")).get("hasPaidProductPlacement")),
        views=count(statistics.get("viewCount")),
        likes=count(statistics.get("likeCount")),
        dislikes=count(statistics.get("dislikeCount")),
        comments=count(statistics.get("commentCount")),
        viewers=count(lenient(item.get("liveStreamingDetails")).get("concurrentViewers")) if on_air else None,
        unavailable=absent or None,
        definition=definition(observe.at),
        raw=values.raw(item),
    )


def _format(kind: str, duration: float | None, *, counters_alone: bool) -> str | None:
    """The kind; but counters alone come with too little to tell a short by, so that only length speaks against one."""
    is_open = counters_alone and (duration is None or duration <= SHORT_SECONDS)
    return None if is_open else kind


def _is_short(snippet: dict[str, Any], duration: float | None, written: str) -> bool:
    """There is no such field: at most three minutes, and upright pictures or the tag."""
    if duration is None or duration > SHORT_SECONDS:
        return False
    sizes = [(p.get("height"), p.get("width")) for p in map(lenient, lenient(snippet.get("thumbnails")).values())]
    upright = any(isinstance(high, int) and isinstance(wide, int) and high > wide for high, wide in sizes)
    return upright or not {"short", "shorts"}.isdisjoint(values.tags_in(written))


def definition(at: datetime) -> str:
    """What views counted at a moment."""
    return next(name for since, name in DEFINITIONS if at.date().isoformat() >= since)
