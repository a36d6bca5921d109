"""End-to-end fixtures: one real install for the whole run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fixtures.index import RecordingIndex, recording_index
from tests.fixtures.install import Installed, Place, place


@pytest.fixture(scope="session")
def install_place() -> Iterator[Place]:
    with place() as made:
        yield made


@pytest.fixture(scope="session")
def index() -> Iterator[RecordingIndex]:
    """The package index that the shared install was told of."""
    with recording_index() as made:
        yield made


@pytest.fixture(scope="session")
def shared_install(install_place: Place, index: RecordingIndex) -> Installed:
    """A running install; tests leave it running and healthy."""
    made = install_place.new_root("shared")
    done = made.install(PIP_INDEX_URL=index.url)
    assert done.returncode == 0, done.stdout + done.stderr
    return made


@pytest.fixture
def installed(shared_install: Installed) -> Installed:
    """The shared install, brought up again if the test before this one broke it."""
    if shared_install.scutum("status").returncode != 0:
        shared_install.ok("up")
    return shared_install
