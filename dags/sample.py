"""sample_<platform>: every week, sample the audiences of the watched accounts, as features only."""

from datetime import timedelta

from airflow.sdk import dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from ingest.orchestration import defaults, later, run_id
from ingest.platforms import PLATFORMS

INTERVAL = timedelta(days=7)


def sample_dag(platform: str) -> None:
    """Define the DAG of one platform."""

    @dag(
        dag_id=f"sample_{platform}",
        schedule=later("30 3 * * 1"),
        catchup=False,
        max_active_runs=1,
        tags=["sample", platform],
        default_args=defaults(retries=3, pool=f"api_{platform}", execution_timeout=timedelta(hours=6)),
    )
    def sample() -> None:
        """
        Reads a sample of each watched account's audience (followers; on YouTube commenters) and publishes the members'
        features under keyed hashes: no name, handle, id or text of a member leaves this task.

        **When it fails**
        - *Refused*: the task's message has the next step; nothing is retried until somebody acts. Without a member key
          (`ASSAY_MEMBER_KEY`, made by `assay up`) nothing is sampled.
        - *Throttled*, *Unavailable*: it waits as long as the platform says and tries again, three times. Then clear
          it, or let the next week do it: an estimate keeps its own date, and no other is made up for it.
        - *Skipped*: the budget of a longer window is spent. Clear it after the reset.
        """

        @task(task_id="sample")
        def run() -> dict[str, int]:
            from datetime import UTC, datetime

            from ingest.collect.outcome import Exhausted
            from ingest.collect.run import sample
            from ingest.settings import load

            identity = run_id(get_current_context(), INTERVAL)
            try:
                batch = sample(load(), platform, now=datetime.now(UTC), run_id=identity, progress=print)
            except Exhausted as spent:
                raise AirflowSkipException(str(spent)) from spent
            return {"followers": batch.followers or 0, "dead_letters": batch.dead_letters or 0}

        run()

    sample()


for platform in PLATFORMS:
    sample_dag(platform)
