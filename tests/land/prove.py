"""`make model`: the long form of the model. 5,000 examples of the real design, and every broken one must be caught.

    python -m tests.land.prove [EXAMPLES] [SEED]

The seed is printed and makes the run repeatable. Exit code 1 when the design fails, or a broken one is not caught.
"""

import logging
import random
import sys
import time
import traceback

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.land import broken
from tests.land.machine import Landing, machine
from tests.land.workers import Design

STEPS = 50
CONTROL_EXAMPLES = 10_000


def failure(design: type[Design], examples: int, number: int, *, shrink: bool) -> BaseException | None:
    """How the design fails within so many examples; None when it does not."""
    found = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        print_blob=False,
        report_multiple_bugs=False,
        phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
    )
    try:
        run_state_machine_as_test(seed(number)(machine(design)), settings=found)
    except AssertionError as error:
        return error
    return None


def main() -> int:
    """Run it all; the exit code."""
    logging.disable(logging.CRITICAL)
    examples = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    number = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32)
    print(f"seed {number}: {examples} examples of up to {STEPS} steps, {Design.workers} workers of one partition")
    begun, good = time.monotonic(), True
    fault = failure(Design, examples, number, shrink=True)
    print(f"the design: {'FAILED' if fault else 'holds'}, {time.monotonic() - begun:.0f} s")
    if fault is not None:
        good = False
        traceback.print_exception(fault)
    print("  " + ", ".join(f"{count:,} {what}" for what, count in sorted(Landing.counted.items())))
    print(f"{len(broken.ALL)} broken designs, each of which must fail:")
    for design in broken.ALL:
        started = time.monotonic()
        fault = failure(design, CONTROL_EXAMPLES, number, shrink=False)
        good = good and fault is not None
        verdict = f"caught: {str(fault).splitlines()[0][:80]}" if fault else "NOT CAUGHT"
        print(f"  {design.__name__:24} {time.monotonic() - started:5.1f} s  {verdict}", flush=True)
    print(f"{'all as it must be' if good else 'FAILED'}, {time.monotonic() - begun:.0f} s in all")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
