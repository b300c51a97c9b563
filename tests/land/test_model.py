"""The landing under any order of events, and whether the model would see a fault. `make model` runs it longer."""

import logging
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.land import broken
from tests.land.machine import machine
from tests.land.workers import Design

PROOF = settings(
    max_examples=100, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
HUNT = settings(PROOF, max_examples=3000, phases=[Phase.generate], report_multiple_bugs=False)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Half of the model's time would be log lines."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_any_order_of_events_lands_every_record_exactly_once() -> None:
    run_state_machine_as_test(machine(Design), settings=PROOF)


@pytest.mark.parametrize("design", broken.ALL, ids=lambda design: design.__name__)
def test_the_model_catches_a_broken_landing(design: type[Design]) -> None:
    with pytest.raises(AssertionError):
        run_state_machine_as_test(machine(design), settings=HUNT)
