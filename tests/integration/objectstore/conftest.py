from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fixtures.object_stores import S3Server, running_moto, running_rclone


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Server]:
    with running_moto() as server:
        yield server


@pytest.fixture(scope="session")
def rclone() -> Iterator[S3Server]:
    with running_rclone() as server:
        yield server
