"""The platforms that assay collects from: the one list of them."""

from ingest.collect.platform import Platform
from ingest.collect.platforms import bluesky, instagram, mastodon, reddit, tiktok, twitch, x, youtube
from ingest.errors import Misconfigured

REGISTRY: dict[str, Platform] = {
    "bluesky": bluesky.PLATFORM,
    "instagram": instagram.PLATFORM,
    "mastodon": mastodon.PLATFORM,
    "reddit": reddit.PLATFORM,
    "tiktok": tiktok.PLATFORM,
    "twitch": twitch.PLATFORM,
    "x": x.PLATFORM,
    "youtube": youtube.PLATFORM,
}


def platform(name: str) -> Platform:
    """The platform of this name. Raises Misconfigured with the names there are."""
    if name not in REGISTRY:
        raise Misconfigured(f"unknown platform {name!r}; collectors stand for {', '.join(REGISTRY)}")
    return REGISTRY[name]
