"""A port that answers is no proof that it is our server's."""

from __future__ import annotations

from pathlib import Path


from scutum_cli.host.postgres import is_ready
from tests.fixtures.servers import Postgres


def test_a_cluster_is_ready_when_its_own_server_says_so(postgres: Postgres, tmp_path: Path) -> None:

    assert not is_ready(tmp_path)
    (tmp_path / "postmaster.pid").write_text("1\n/x\n2\n3\n\n127.0.0.1\n0\nstarting\n")
    assert not is_ready(tmp_path)
    assert is_ready(postgres.root / "data")
