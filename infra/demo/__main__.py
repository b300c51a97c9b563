"""`make demo`: the stack up, thirty simulated days collected, landed, checked, built and published, then Airflow.

The month runs through the same functions as the DAGs, only with `now` moved on. After it Airflow takes over: the demo
triggers the collectors' DAGs and nothing else; their notices start `land`, the lake's asset starts `marts`.
"""

import signal
import sys
import time
from datetime import UTC, datetime

from infra.demo import airflow, month, report
from ingest import stack
from ingest.errors import AssayError
from ingest.settings import load


def main() -> int:
    """Run the demo; the exit code. A failure or Ctrl-C takes the stack down again."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends the demo, the stack goes down
    settings = load()
    if settings.source == "sandbox" and not settings.tiktok_research_eligibility:
        # Nobody in the sandbox is real, so that its Research API needs no approval.
        settings = settings.model_copy(update={"tiktok_research_eligibility": "sandbox"})
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:5.0f} s] {text}", flush=True)

    try:
        say("assay demo: about 6 minutes on 2 cores, under 5 GiB of memory; state under var/")
        stack.up(settings, names=stack.STORES, progress=say)
        month.play(settings, until=datetime.now(UTC), progress=say)
        stack.up(settings, progress=say)
        airflow.collect_and_wait(settings, progress=say)
        say("done; what came out:")
        report.show(settings, now=datetime.now(UTC))
    except KeyboardInterrupt:
        say("stopped by hand; taking the stack down")
        stack.down(settings, progress=say)
        return 130
    except AssayError as error:
        print(f"demo: {error}", file=sys.stderr)
        stack.down(settings, progress=say)
        return error.exit_code
    except BaseException:
        stack.down(settings, progress=say)
        raise
    return 0


if __name__ == "__main__":  # the platforms' processes import this module again
    sys.exit(main())
