"""docs/metrics.md from the descriptions of the published models: `python -m ingest.warehouse.dictionary`.

The descriptions in dbt_project/ are the one source: they are also the column comments in Postgres and dbt's own pages.
"""

from typing import Any

import yaml

from ingest.settings import ROOT

MARTS = ROOT / "dbt_project" / "models" / "marts"
PAGE = ROOT / "docs" / "metrics.md"

HEAD = """# Metrics: what every published table and column means

Written by `python -m ingest.warehouse.dictionary` from the descriptions in `dbt_project/models/marts/`: change those,
not this page.

- Null is unknown or not offered, never 0; a zero or unknown denominator gives null.
- Shares and rates are 0-1. Times are UTC. A counter may fall: platforms purge, and authors delete.
- A window holds the posts published in it, each valued at its last visible observation at or before the end of the day,
  so a row of last year says what could be known then.
- An estimate never stands in a measured column: it has a name of its own, an interval, its method, and a reason where
  there is none.
- `published_to_bi_at`, in every table in Postgres, is when the row was published.
"""


def dictionary() -> str:
    """The page: a section for each published table, in the order of their names, with its grain, key and columns."""
    models: list[dict[str, Any]] = []
    for path in sorted(MARTS.glob("*.yml")):
        models += yaml.safe_load(path.read_text()).get("models", [])
    return "\n".join([HEAD, *(_section(model) for model in sorted(models, key=lambda model: str(model["name"])))])


def _section(model: dict[str, Any]) -> str:
    rows = [f"| `{one['name']}` | {one['data_type']} | {_cell(one['description'])} |" for one in model["columns"]]
    table = "\n".join(["| column | type | meaning |", "|---|---|---|", *rows])
    return f"## {model['name']}\n\n{_cell(model['description'])}\n\n{table}\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(dictionary())
