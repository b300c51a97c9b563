"""Begin and end of the logs, asked of a Kafka whose partitions change their leaders."""

from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException

from ingest.errors import DependencyFailed, Misconfigured
from ingest.land import broker
from ingest.land.broker import Broker, Log, Topic
from ingest.land.chain import Slot
from ingest.settings import load
from tests.land.memory import TestClock

POSTS = Topic("posts", "an id", partitions=2)
LOGS = {Slot("posts", 0): Log(100, 110), Slot("posts", 1): Log(101, 111)}


class Admin:
    """Stands for Kafka's admin client: partition 1 answers each request with the next of `codes`, None for offsets."""

    def __init__(self, codes):
        self.codes, self.asked = codes, 0

    def list_offsets(self, wanted, **_):
        code = next(self.codes)
        self.asked += 1
        assert self.asked < 1_000, "asked without end"
        answers = {}
        for place, spec in wanted.items():
            answers[place] = Future()
            if code is not None and place.partition == 1:
                answers[place].set_exception(KafkaException(KafkaError(code)))
            else:
                offset = (100 if spec is broker.EARLIEST else 110) + place.partition
                answers[place].set_result(SimpleNamespace(offset=offset))
        return answers


@pytest.fixture
def asking(tmp_path, monkeypatch):
    """A landing's broker and its admin client, which answers with these codes; only waiting takes time."""

    def make(codes):
        admin, clock = Admin(iter(codes)), TestClock()
        monkeypatch.setattr(broker, "AdminClient", lambda _: admin)
        monkeypatch.setattr(broker, "time", SimpleNamespace(monotonic=clock.now, sleep=clock.wait))
        return Broker(load(_env_file=None, var_dir=tmp_path)), admin, clock

    return make


def forever(code):
    while True:
        yield code


@pytest.mark.parametrize(
    "code",
    [
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
    ],
)
def test_a_partition_without_a_leader_is_asked_again_until_one_answers(asking, code):
    kafka, admin, clock = asking([code, code, None, code, None])
    begun = clock.now()
    assert kafka.logs([POSTS]) == LOGS
    assert (admin.asked, clock.now() > begun) == (5, True)


def test_a_partition_that_never_gets_a_leader_fails_within_the_time_of_a_request(asking):
    kafka, admin, clock = asking(forever(KafkaError.LEADER_NOT_AVAILABLE))
    begun = clock.now()
    with pytest.raises(DependencyFailed, match="failed"):
        kafka.logs([POSTS])
    assert admin.asked > 1
    assert broker.REQUEST_SECONDS <= clock.now() - begun < broker.REQUEST_SECONDS + 1


def test_what_is_no_election_is_not_asked_again(asking):
    kafka, admin, _ = asking(forever(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    with pytest.raises(Misconfigured, match="refuses"):
        kafka.logs([POSTS])
    assert admin.asked == 1
