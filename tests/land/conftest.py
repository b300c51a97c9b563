"""The second store, for whoever asks for it."""

from collections.abc import Iterator

import pytest
from places import temporary_directory

from ingest.errors import AssayError
from ingest.settings import Settings
from tests.land.versitygw import build, serve


@pytest.fixture(scope="session")
def versitygw(stack: Settings) -> Iterator[str]:
    """Address of a versitygw that takes the stack's keys; skipped, with the reason, where it cannot be built."""
    try:
        program = build(stack.cache_dir)
    except AssayError as error:
        pytest.skip(str(error))
    with temporary_directory() as directory, serve(program, stack, directory) as address:
        yield address
