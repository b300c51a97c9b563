"""land: as soon as a batch is announced, and every ten minutes, land what Kafka holds in the lake."""

from datetime import timedelta

from airflow.providers.apache.kafka.triggers.shared_stream import KafkaSharedStreamTrigger
from airflow.sdk import (
    Asset,
    AssetOrTimeSchedule,
    AssetWatcher,
    CronTriggerTimetable,
    dag,
    task,
)
from airflow.sdk.exceptions import AirflowSkipException

from ingest.orchestration import LAKE, START, defaults
from ingest.settings import load

# The topic of low rate, never one of the events'.
trigger = KafkaSharedStreamTrigger(topics=[load().topic("notices")], kafka_config_id="kafka_default", poll_timeout=1.0)
notice = Asset("landing_notice", watchers=[AssetWatcher(name="notices", trigger=trigger)])


@dag(
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable("*/10 * * * *", timezone="UTC"), assets=[notice]),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    tags=["land"],
    default_args=defaults(retry_delay=timedelta(seconds=20)),
)
def land() -> None:
    """
    Lands everything that Kafka held at its start, exactly once, and starts `marts` if the lake holds anything that no
    check has covered: whoever landed it, also `assay land --follow`. Else it ends skipped, which is no fault.

    **When it fails**
    - Nothing is lost: events wait on Kafka for 14 days (notices for 3), and the next run goes on where this one ended.
    - Broker or store down: `assay status`, `assay doctor`.
    - *A topic was made anew*, or its log ends before the lake: the message has the two ways out.
    - A gap (events expired before they were landed) is no failure here: `upkeep` and the health mart report it.
    """

    @task(outlets=[LAKE])
    def drain() -> dict[str, int]:
        from ingest.land.store import S3Store
        from ingest.land.worker import drain
        from ingest.warehouse.manifests import anything_unchecked

        settings = load()
        landed = drain(settings, progress=print)
        if not anything_unchecked(S3Store(settings)):
            raise AirflowSkipException("nothing has landed since the last check")
        return {name: sum(row[name] for row in landed) for name in ("rows", "poison", "objects")}

    drain()


land()
