from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scutum_server.infra.objectstore import ObjectStore, make_store
from scutum_server.object_settings import S3Settings
from tests.fixtures.object_stores import S3Server, running_moto, running_rclone


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Server]:
    with running_moto() as server:
        yield server


@pytest.fixture(scope="session")
def rclone() -> Iterator[S3Server]:
    with running_rclone() as server:
        yield server


@pytest.fixture
def directory(tmp_path: Path) -> ObjectStore:
    return make_store((tmp_path / "objects").as_uri(), S3Settings())
