"""`make clean`: stop the stack, then wipe what it has gathered, all of it together.

A lake without its broker (or the other way round) would make offsets lie: whoever wipes one wipes both. Secrets stay,
and the cache of Kafka's jars.
"""

import shutil
import sys
from collections.abc import Callable

from ingest.errors import AssayError, Misconfigured
from ingest.settings import Settings, load
from ingest.stack import down

GATHERED = ("kafka", "store", "warehouse", "postgres", "airflow", "docs", "log", "run")


def clean(settings: Settings, *, progress: Callable[[str], None]) -> None:
    """Stop the stack and delete its data. Raises Misconfigured when broker or lake are not the local ones."""
    for variable, address in {
        "ASSAY_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "ASSAY_S3_ENDPOINT": settings.s3_endpoint,
    }.items():
        if address:
            raise Misconfigured(
                f"{variable}={address}: broker and lake are wiped together or not at all, and this one is not ours. "
                "Delete its topics and its bucket by hand, then unset the variable and run `make clean` again"
            )
    down(settings, progress=progress)
    wiped = [name for name in GATHERED if (settings.var_dir / name).exists()]
    for name in wiped:
        shutil.rmtree(settings.var_dir / name)
    progress(f"wiped {', '.join(wiped)} in {settings.var_dir}" if wiped else f"nothing to wipe in {settings.var_dir}")


if __name__ == "__main__":
    try:
        clean(load(), progress=print)
    except AssayError as error:
        print(f"assay: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
