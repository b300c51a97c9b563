"""One platform's rounds, in a process of its own: kept apart so that the process imports nothing of the warehouse."""

import multiprocessing
import os
import signal
import threading
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


def belong_to_the_parent() -> None:
    """Leave Ctrl-C, which reaches every process of a terminal, to the parent; and end when it ends, however it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
