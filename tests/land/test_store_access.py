"""The ways to the object store: TLS with an authority of one's own, credentials of the AWS chain."""

import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.land import chain
from ingest.land.store import S3Store
from ingest.settings import Settings
from ingest.stack import freshness
from tests.land.forwarder import Forwarder
from tests.land.lake import rows, send
from tests.land.payloads import post, wire
from tests.land.secure import certificate

pytestmark = pytest.mark.stack
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def nowhere(tmp_path: Path) -> dict[str, str]:
    """An environment in which the AWS chain finds nothing."""
    return {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}


def test_a_store_behind_tls_is_trusted_by_its_authority_alone(settings: Settings, tmp_path: Path, assay: Run) -> None:
    send(settings, "posts", [wire(post())])
    file, key = certificate(tmp_path, "store")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    with Forwarder(settings.s3_port, context) as way:
        over_tls = settings.model_copy(update={"s3_endpoint": way.address})
        over_tls.model_fields_set.add("s3_endpoint")
        refused = assay(over_tls, "land")
        assert refused.returncode == 2, refused.stderr
        assert "Check ASSAY_S3_CA_FILE" in refused.stderr
        landed = assay(over_tls, "land", ASSAY_S3_CA_FILE=str(file))
        assert landed.returncode == 0, landed.stderr
        trusting = over_tls.model_copy(update={"s3_ca_file": file})
        assert freshness._last_arrival(trusting, [stored_key(settings)]) is not None
    assert len(rows(settings)) == 1


def stored_key(settings: Settings) -> str:

    return next(key for key in S3Store(settings).list(chain.dates_prefix("posts")) if chain.parse_key(key))


def test_without_a_key_the_aws_chain_is_asked(settings: Settings, assay: Run, nowhere: dict[str, str]) -> None:
    send(settings, "posts", [wire(post())])
    nobody = assay(settings, "land", ASSAY_S3_ACCESS_KEY="", **nowhere)
    assert nobody.returncode == 2, nobody.stderr
    assert "ASSAY_S3_ACCESS_KEY is empty" in nobody.stderr
    found = {"AWS_ACCESS_KEY_ID": settings.s3_access_key, "AWS_SECRET_ACCESS_KEY": "assay-local-only"}
    landed = assay(settings, "land", ASSAY_S3_ACCESS_KEY="", **nowhere, **found)
    assert landed.returncode == 0, landed.stderr
    assert len(rows(settings)) == 1
