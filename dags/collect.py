"""collect_<platform>: every hour, read the accounts and posts that are due, and publish what was seen."""

from datetime import timedelta

from airflow.sdk import dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from ingest.orchestration import START, defaults, run_id
from ingest.platforms import PLATFORMS

INTERVAL = timedelta(hours=1)


def collect_dag(platform: str) -> None:
    """Define the DAG of one platform."""

    @dag(
        dag_id=f"collect_{platform}",
        schedule="0 * * * *",
        start_date=START,
        catchup=False,
        max_active_runs=1,
        tags=["collect", platform],
        default_args=defaults(retries=3, pool=f"api_{platform}"),
    )
    def collect() -> None:
        """
        Reads one platform's accounts and posts that are due now, and publishes them to Kafka with a notice at the end,
        which starts `land`.

        **When it fails**
        - *Refused*: credentials, permission or configuration. The task's message has the next step; nothing is retried
          until somebody acts. The other platforms go on. Then clear the task.
        - *Throttled*, *Unavailable*: it waits as long as the platform says and tries again, three times. After that
          the next hour does; what was missed is collected then, as it is then.
        - *Skipped*: the budget of a longer window (YouTube's day) is spent. It stays skipped until the reset.
        - *DependencyFailed*: Kafka or the object store. `assay status`; then clear the task: a run of this hour
          publishes the same ids again, and staging keeps one of each.

        A run cleared more than an hour late collects under an id of its own: platforms have no past.
        """

        @task(task_id="collect")
        def run() -> dict[str, int]:
            from datetime import UTC, datetime

            from ingest.collect.outcome import Exhausted
            from ingest.collect.run import collect
            from ingest.settings import load

            identity = run_id(get_current_context(), INTERVAL)
            try:
                batch = collect(load(), platform, now=datetime.now(UTC), run_id=identity, progress=print)
            except Exhausted as spent:
                raise AirflowSkipException(str(spent)) from spent
            return {"posts": batch.posts or 0, "accounts": batch.accounts or 0, "dead_letters": batch.dead_letters or 0}

        run()

    collect()


for platform in PLATFORMS:
    collect_dag(platform)
