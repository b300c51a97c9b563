import pytest

from ingest.land.store import Put, S3Store
from ingest.settings import Settings

pytestmark = pytest.mark.stack


def test_each_test_has_a_bucket_and_topics_of_its_own(stack: Settings, settings: Settings):
    assert S3Store(settings).put("probe", b"1", if_absent=True) is Put.WRITTEN
    assert S3Store(settings).put("probe", b"2", if_absent=True) is Put.REFUSED
    assert S3Store(stack).get("probe") is None
    assert settings.topic("posts") != stack.topic("posts")
