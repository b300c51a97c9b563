"""The two commands of collecting: `collect` reads accounts and posts that are due, `sample` draws audience samples."""

import difflib
from collections.abc import Callable, Sequence
from datetime import datetime

from ingest import watchlist
from ingest.collect import known, members
from ingest.collect.cycle import Cycle
from ingest.collect.platform import Platform
from ingest.collect.platforms import platform as registered
from ingest.collect.sampling import Sampling
from ingest.collect.session import Session, run_session
from ingest.errors import Misconfigured
from ingest.events import CONTRACT, BatchPublished, event_id, instant
from ingest.land.store import S3Store
from ingest.settings import Settings
from ingest.watchlist import Watched

Progress = Callable[[str], None] | None
NO_ACCOUNTS = "the watch list has no account of this platform"


def collect(
    settings: Settings,
    platform: str,
    *,
    now: datetime,
    run_id: str,
    accounts: Sequence[str] | None = None,
    progress: Progress = None,
) -> BatchPublished:
    """Read one platform's watched accounts and their posts that are due, publish what was seen, and the notice of it.

    `accounts` are watch-list values; None means all. The same `run_id` publishes the same event ids. Whatever was read
    before a failure is published, and the notice too.

    Raises Misconfigured for a fault of the watch list or an account that is not on it; Refused, Exhausted, Throttled or
    Unavailable when the platform lets us read nothing more; DependencyFailed when Kafka or the store fails.
    """
    chosen = registered(platform)
    watched = [one.account for one in watched_by(settings, chosen, accounts)]
    if not watched:
        return _nothing(chosen, now, run_id, progress)
    store = S3Store(settings)
    with known.read(store, platform) as posts:

        async def work(session: Session) -> None:
            await Cycle(session, posts, now, is_whole=accounts is None).run(watched)
            session.publisher.flush()  # known is only what is on Kafka
            posts.write(store, platform, now)

        return run_session(settings, chosen, work, store=store, now=now, run_id=run_id, key=None, progress=progress)


def sample(
    settings: Settings,
    platform: str,
    *,
    now: datetime,
    run_id: str,
    accounts: Sequence[str] | None = None,
    progress: Progress = None,
) -> BatchPublished:
    """Draw a sample of each watched account's audience and publish it as features without identity.

    Of each account as many members as settings and the platform's price allow. Raises as `collect` does, and
    Misconfigured without a member key.
    """
    chosen = registered(platform)
    watched, size = [one.account for one in watched_by(settings, chosen, accounts)], chosen.sample_size(settings)
    if not watched or size < 1:
        why = "no samples are drawn by these settings" if watched else NO_ACCOUNTS
        return _nothing(chosen, now, run_id, progress, why)
    key, store = members.required(settings), S3Store(settings)

    async def work(session: Session) -> None:
        await Sampling(session, size).run(watched)

    return run_session(settings, chosen, work, store=store, now=now, run_id=run_id, key=key, progress=progress)


def watched_by(settings: Settings, platform: Platform, accounts: Sequence[str] | None) -> list[Watched]:
    """The platform's lines of the watch list, or those of `accounts`.

    Raises Misconfigured for a fault of the watch list or an account that is not on it.
    """
    path = settings.watchlist_path
    lines = [one for one in watchlist.read(path) if one.platform == platform.name]
    if faults := [one for one in lines if platform.normalise(one.account) is None]:
        shown = "\n  ".join(
            f"{path}:{one.line}: {one.account!r} cannot be an account of {platform.name}" for one in faults
        )
        raise Misconfigured(f"the watch list has faults:\n  {shown}\nCorrect them: a handle or the platform's own id")
    if accounts is None:
        return lines
    by_name = {platform.normalise(one.account): one for one in lines}
    wanted = {account: platform.normalise(account) for account in accounts}
    for account, name in wanted.items():
        if name not in by_name:
            near = difflib.get_close_matches(account, [one.account for one in lines], n=3, cutoff=0.5)
            hint = f"Near: {', '.join(near)}" if near else f"It has {len(lines)} accounts of {platform.name}"
            raise Misconfigured(f"{account!r} is not on the watch list {path} as an account of {platform.name}. {hint}")
    return [by_name[name] for name in dict.fromkeys(wanted.values())]


def _nothing(
    platform: Platform, now: datetime, run_id: str, progress: Progress, why: str = NO_ACCOUNTS
) -> BatchPublished:  # fmt: skip
    """What a run without work returns; nothing is published."""
    if progress:
        progress(f"{platform.name}: {why}; nothing to do")
    return BatchPublished(
        event_id=event_id(BatchPublished, platform.name, (), "", run_id),
        contract=CONTRACT,
        platform=platform.name,  # type: ignore[arg-type]  # the registry's names are the contract's
        run_id=run_id,
        observed_at=instant(now),
        finished_at=instant(now),
        collector=platform.collector,
        expected_accounts=0,
    )
