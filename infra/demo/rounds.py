"""One platform's rounds, in a process of its own: kept apart so that the process imports nothing of the warehouse."""

import signal
from collections.abc import Sequence
from datetime import datetime

from ingest.collect import run
from ingest.events import instant
from ingest.settings import Settings


def play(settings: Settings, platform: str, moments: Sequence[datetime]) -> int:
    """Collect one platform at each moment, and sample its audiences at the last; the number of events published."""
    published = 0
    for at in moments:
        batch = run.collect(settings, platform, now=at, run_id=f"demo/{instant(at)}")
        published += (batch.posts or 0) + (batch.accounts or 0)
    members = run.sample(settings, platform, now=moments[-1], run_id=f"demo_sample/{instant(moments[-1])}")
    return published + (members.followers or 0)


def leave_interrupts_to_the_parent() -> None:
    """Ctrl-C reaches every process of the terminal; only the parent shall act on it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
