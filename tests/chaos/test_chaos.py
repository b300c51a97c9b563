"""The short form of `make chaos`: every fault at once for less than a minute, on a stack of its own."""

import random

import pytest

from ingest.land.store import S3Store
from ingest.publish import create_topics
from tests.bench.own_stack import own_stack
from tests.chaos.chaos import chaos

pytestmark = pytest.mark.stack

MINUTES = 0.6
EVENTS_A_SECOND = 500


def test_faults_of_store_processes_and_broker_lose_no_row_and_double_none() -> None:
    seed = random.SystemRandom().randrange(1_000_000)  # another one each time; the report says which
    with own_stack() as settings:
        S3Store(settings).create_bucket()
        create_topics(settings)
        assert chaos(settings, MINUTES, seed, EVENTS_A_SECOND)
