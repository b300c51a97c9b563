"""`python -m infra.sandbox.watchlist` writes the watch list: the watched accounts of the platforms collected."""

import csv
from collections.abc import Iterable
from pathlib import Path

from infra.sandbox.world import World

_ROOT = Path(__file__).parents[2]
_COLUMNS = ("creator_id", "creator_name", "platform", "account", "market", "tags")


def collected() -> set[str]:
    """The platforms that have a collector: one file each."""
    files = (_ROOT / "ingest" / "collect" / "platforms").glob("[!_]*.py")
    return {file.stem for file in files}


def rows(world: World, platforms: Iterable[str]) -> list[tuple[str, ...]]:
    """The lines of the watch list for these platforms, creator by creator."""
    wanted = set(platforms)
    watched = [a for a in world.accounts if a.is_watched and a.platform in wanted]
    watched.sort(key=lambda a: (a.creator_id, a.number))
    return [(a.creator_id, a.creator_name, a.platform, a.account, a.market, a.topic) for a in watched]


def main() -> None:
    """Write the file and say what it holds."""
    path, found = _ROOT / "dbt_project" / "seeds" / "watchlist.csv", rows(World(), collected())
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(_COLUMNS)
        lines.writerows(found)
    print(f"{path.relative_to(_ROOT)}: {len(found)} accounts of {len({row[2] for row in found})} platforms")


if __name__ == "__main__":
    main()
