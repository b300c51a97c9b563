"""upkeep: every day, compare the lake with the broker and look after the stack's health."""

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task

from ingest.orchestration import defaults, later, raise_findings


@dag(
    schedule=later("40 4 * * *"),
    catchup=False,
    max_active_runs=1,
    tags=["upkeep"],
    default_args=defaults(retries=1, execution_timeout=timedelta(hours=2)),
)
def upkeep() -> None:
    """
    `verify` proves that the lake holds every offset of the broker once; `expire` deletes what is past its retention;
    `health` looks at every part of the stack.

    **When it fails**
    - *verify*: its message names the partitions that differ. Change nothing in the lake; `assay verify` again, and if
      it stays so, keep lake and topic as they are: both are needed to find out why.
    - *expire*: deletes raw objects past `ASSAY_LAKE_RAW_DAYS` (absent: none), and only from a lake that verifies. The
      message says what it could not reach; the next day goes on.
    - *health*: each finding has its next step; `assay doctor` shows them again.
    """

    @task
    def verify() -> dict[str, int]:
        from ingest.land.verify import verify
        from ingest.settings import load

        return raise_findings(verify(load(), progress=print))

    @task
    def health() -> dict[str, int]:
        from ingest.doctor import examine
        from ingest.settings import load

        return raise_findings(examine(load()))

    @task
    def expire() -> list[dict[str, Any]]:
        from datetime import UTC, datetime

        from ingest.settings import load
        from ingest.warehouse.expire import expire

        return expire(load(), now=datetime.now(UTC))

    verify() >> expire()
    health()


upkeep()
