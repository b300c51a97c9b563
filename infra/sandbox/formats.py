"""What accounts publish on each kind of platform: formats, relations, and the ends that a post's counters run towards.

A table takes the expected first counter of each post and 24 draws a post. The ends are, in order: views, likes,
comments, shares, saves, quotes.
"""

from collections.abc import Callable

from infra.sandbox.draw import Floats

Row = tuple[str, str, int, tuple[float, ...]]
"""format, relation, duration in seconds, ends"""
Table = Callable[[Floats, Floats], list[Row]]
IN_EVENTS = {"archive": "video", "highlight": "video", "upload": "video"}
"""Formats of the world that events have another word for."""


def _each(one: Callable[[float, list[float]], Row]) -> Table:
    """A table of what is made of one post."""

    def table(reach: Floats, u: Floats) -> list[Row]:
        return [one(base, row) for base, row in zip(reach.tolist(), u.tolist(), strict=True)]

    return table


@_each
def videos(base: float, row: list[float]) -> Row:
    """A platform of videos and short ones."""
    kind = "short" if row[2] < 0.35 else "live" if row[2] > 0.98 else "video"
    views = base * (1.8 if kind == "short" else 1.0)
    likes = views * (0.02 + 0.045 * row[3])
    comments = views * (0.0015 + 0.005 * row[4])
    seconds = int(15 + 44 * row[5]) if kind == "short" else int(180 + 2400 * row[5] ** 2)
    return kind, "original", seconds * (4 if kind == "live" else 1), (views, likes, comments, 0.0, 0.0, 0.0)


def _relation(draw: float) -> str:
    return "reply" if draw < 0.22 else "quote" if draw < 0.28 else "original"


def _note_format(relation: str, draw: float) -> str:
    if relation == "reply" or draw < 0.5:
        return "text"
    return "image" if draw < 0.8 else "link" if draw < 0.93 else "video"


def notes(boosts: float, saves: float) -> Table:
    """A platform without views, where a like is the measure and the rest go with it."""

    @_each
    def table(base: float, row: list[float]) -> Row:
        relation = _relation(row[2])
        likes = base * (0.25 if relation == "reply" else 1.0)
        kind = _note_format(relation, row[5])
        shares = likes * boosts * (0.5 + row[4])
        ends = (0.0, likes, likes * (0.04 + 0.1 * row[3]), shares, likes * saves, likes * 0.03 * row[7])
        return kind, relation, int(10 + 80 * row[6]) if kind == "video" else 0, ends

    return table


@_each
def tweets(base: float, row: list[float]) -> Row:
    """Short posts whose impressions are public."""
    relation = _relation(row[2])
    kind = _note_format(relation, row[5])
    seen = base * (0.2 if relation == "reply" else 1.0)
    likes = seen * (0.005 + 0.03 * row[3])
    comments, shares = likes * (0.05 + 0.1 * row[4]), likes * 0.16 * (0.5 + row[8])
    ends = (seen, likes, comments, shares, likes * 0.06, likes * 0.04 * row[7])
    return kind, relation, int(10 + 80 * row[6]) if kind == "video" else 0, ends


@_each
def pictures(base: float, row: list[float]) -> Row:
    """Pictures, rows of pictures and short videos."""
    kind = "short" if row[2] < 0.4 else "image" if row[2] < 0.7 else "carousel"
    views = base * (1.6 if kind == "short" else 1.0)
    likes = views * (0.03 + 0.05 * row[3])
    ends = (views, likes, likes * (0.01 + 0.04 * row[4]), likes * 0.05 * row[7], likes * 0.08 * row[8], 0.0)
    return kind, "original", int(8 + 80 * row[5]) if kind == "short" else 0, ends


@_each
def clips(base: float, row: list[float]) -> Row:
    """Short videos, and now and then photographs."""
    kind = "image" if row[2] < 0.1 else "short"
    likes = base * (0.03 + 0.09 * row[3])
    ends = (base, likes, likes * (0.01 + 0.03 * row[4]), likes * 0.06 * row[7], likes * 0.1 * row[8], 0.0)
    return kind, "original", int(8 + 120 * row[5] ** 2) if kind == "short" else 0, ends


@_each
def submissions(base: float, row: list[float]) -> Row:
    """Submissions that are voted on: likes stand for the score."""
    kind = "text" if row[2] < 0.4 else "link" if row[2] < 0.65 else "image" if row[2] < 0.9 else "video"
    ends = (0.0, base, base * (0.1 + 0.4 * row[3]), base * 0.01 * row[7], 0.0, 0.0)
    return kind, "original", int(10 + 80 * row[6]) if kind == "video" else 0, ends


@_each
def broadcasts(base: float, row: list[float]) -> Row:
    """Streams, which stay as archives, and videos cut from them. An archive is published as its stream begins."""
    kind = "archive" if row[2] < 0.7 else "highlight" if row[2] < 0.9 else "upload"
    seconds = int(3600 * (1.5 + 5 * row[5])) if kind == "archive" else int(120 + 1800 * row[5] ** 2)
    return kind, "original", seconds, (base, 0.0, 0.0, 0.0, 0.0, 0.0)
