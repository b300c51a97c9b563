import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from places import free_ports

from ingest import doctor, publish
from ingest.land.probe import PROPERTIES
from ingest.settings import Settings, load


def finding(settings: Settings, part: str) -> dict[str, object]:
    [found] = [row for row in doctor.examine(settings) if row["part"] == part]
    return found


def broken(settings: Settings) -> Settings:
    """The same stack, its addresses given, so that only what they hold is examined."""
    own = {name: getattr(settings, name) for name in settings.model_fields_set}
    return load(_env_file=None, **own | {"kafka_bootstrap": settings.kafka, "s3_endpoint": settings.s3})


@pytest.mark.stack
def test_topics_and_store_of_a_fresh_stack_are_well(settings: Settings):
    rows = doctor.examine(broken(settings))
    about = [row for row in rows if str(row["part"]).startswith(("topic ", "object store"))]
    assert len(about) == len(publish.PARTITIONS) + len(PROPERTIES)
    assert [row for row in about if not row["ok"]] == []


@pytest.mark.stack
def test_a_topic_with_the_producers_clock_is_found_with_the_next_step(settings: Settings):
    theirs = load(
        _env_file=None,
        **{name: getattr(settings, name) for name in settings.model_fields_set} | {"topic_prefix": "bad."},
    )
    admin = KafkaAdminClient(**publish.client_settings(theirs))
    right = publish.topic_configuration("posts")
    admin.create_topics(
        [NewTopic("bad.posts", 1, 1, topic_configs=right | {"message.timestamp.type": "CreateTime"})],
        wait_for_metadata=True,
    )
    admin.close()
    wrong = finding(broken(theirs), "topic bad.posts")
    assert not wrong["ok"]
    assert "message.timestamp.type=CreateTime, wanted LogAppendTime" in str(wrong["finding"])
    assert "--topic bad.posts" in str(wrong["next_step"])
    assert finding(broken(theirs), "topic bad.accounts")["next_step"] == "`assay up` makes it"


def test_each_part_of_a_stack_that_is_down_has_its_next_step(tmp_path):
    rows = doctor.examine(load(_env_file=None, var_dir=tmp_path, **free_ports()))
    down = [row for row in rows if str(row["finding"]).startswith("down")]
    assert len(down) == 8
    assert all(row["next_step"] == "`assay up`" for row in down)
    assert {row["part"] for row in rows} >= {"machine", "member key", "watch list", "disk", "logs"}
