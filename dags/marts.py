"""marts: whenever the lake has grown, check what landed, build, check the marts, publish them."""

from airflow.sdk import dag, task

from ingest.orchestration import LAKE, START, defaults


@dag(
    schedule=[LAKE],
    start_date=START,
    catchup=False,
    max_active_runs=1,
    tags=["marts"],
    default_args=defaults(),
)
def marts() -> None:
    """
    check → build → check_marts → publish → known_posts. Each works from what is in the lake and the warehouse, not from
    the event that started it, so that any run does the work of all before it.

    **When it fails**
    - *check*: it cannot read the lake or a suite in `expectations/`. A quarantine is no failure:
      `assay quarantine list` has the reasons, `assay quarantine release` lets a range in.
    - *build*: a model or a test failed, or another process holds the warehouse (the message has its pid).
      The log of dbt is under `var/warehouse/logs`. Everything can be built again: `assay build --full-refresh`.
    - *check_marts*: a critical expectation does not hold for a built mart, so that it is not published; Postgres keeps
      the last good marts. Data Docs show what was seen.
    - *publish*: Postgres refused; nothing has changed there. `assay publish` does the same by hand.
    - *known_posts*: the collectors go on with the older list; clear the task.

    After mending the cause, clear the failed task or trigger this DAG.
    """

    @task
    def check() -> dict[str, int]:
        from collections import Counter
        from datetime import UTC, datetime

        from ingest.settings import load
        from ingest.warehouse.check import check_landed

        return dict(Counter(row["verdict"] for row in check_landed(load(), now=datetime.now(UTC))))

    @task(pool="warehouse")
    def build() -> dict[str, int]:
        from ingest.settings import load
        from ingest.warehouse.build import build

        return {row["name"]: row["rows"] for row in build(load(), progress=print)}

    @task(pool="warehouse")
    def check_marts() -> dict[str, int]:
        from ingest.settings import load
        from ingest.warehouse.check import check_marts

        return {row["mart"]: row["rows"] for row in check_marts(load())}

    @task(pool="warehouse")
    def publish() -> dict[str, int]:
        from datetime import UTC, datetime

        from ingest.settings import load
        from ingest.warehouse.publish import publish

        return {row["mart"]: row["rows"] for row in publish(load(), now=datetime.now(UTC))}

    @task(pool="warehouse")
    def known_posts() -> dict[str, int]:
        from ingest.settings import load
        from ingest.warehouse.known_posts import write

        return {row["platform"]: row["posts"] for row in write(load())}

    check() >> build() >> check_marts() >> publish() >> known_posts()


marts()
