"""The fuzzer's short form, and that it sees what it is for. The long form: `make fuzz`."""

import random
import sys
from pathlib import Path

import pytest

from tests.land.fuzz import fuzz
from tests.land.fuzzed import NEIGHBOUR, batch
from tests.land.mutations import WAYS

BROKEN = """
import os
from tests.land import fuzz, fuzzed
from ingest.land.decode import Decoded

def decode(topic, payloads, whole=fuzzed.decode):
    found = whole(topic, payloads)
    {}
    return found

fuzzed.decode = decode
fuzz.main()
"""
FAULTS = {
    "a parser that ends the process": (
        "any(b'}{' in (one or b'') for one in payloads) and os.abort()",
        "the process ended by SIGABRT reading",
    ),
    "an exception": (
        "assert not any(b'null' in (one or b'') for one in payloads)",
        "the process ended by exit code 1 reading",
    ),
    "events that get each other's offsets": (
        "found = Decoded(found.table.take(list(range(len(payloads)))[::-1]), found.errors, found.beyond)",
        "in the batch: event_id differs in rows",
    ),
    "poison that passes": ("found = Decoded(found.table, {}, found.beyond)", "errors differ"),
    "a payload that is not kept": ("found = Decoded(found.table, found.errors)", "rows beyond the contract differ"),
    "a lost row": (
        "found = Decoded(found.table.slice(0, max(1, len(payloads) - 1)), found.errors, found.beyond)",
        "rows, not",
    ),
}


def test_every_bent_payload_is_a_row_or_a_dead_letter_and_no_process_ends(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    result = fuzz(seed, 2_000, findings=tmp_path)
    assert result.faults == [], f"seed {seed}"
    assert result.payloads >= 2_000
    assert {way for way, _ in result.counts} >= WAYS.keys() - {"huge"}
    assert {verdict for _, verdict in result.counts} == {"good", "beyond", "poison"}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_fuzzer_sees(fault: str, tmp_path: Path) -> None:
    broken, said = FAULTS[fault]
    result = fuzz(1, 80, enough=2, findings=tmp_path, child=[sys.executable, "-c", BROKEN.format(broken)])
    assert any(said in one for one in result.faults), result.faults
    assert list(tmp_path.glob("1-*.json"))


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert all(batch(5, number) == batch(5, number) for number in range(20))
    assert batch(5, 1) != batch(6, 1)


def test_neighbours_stand_among_the_bent_ones() -> None:
    found = [batch(3, number) for number in range(60)]
    assert any(one.ways.count(NEIGHBOUR) not in (0, len(one.ways)) for one in found)
    assert {one.topic for one in found} == {"posts", "accounts", "followers", "dead_letters", "notices", "consents"}
