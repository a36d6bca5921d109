"""An install on a Postgres and a Valkey that somebody else runs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import psycopg
import pytest

from tests.fixtures.index import RecordingIndex
from tests.fixtures.install import Installed, Place
from tests.fixtures.servers import Postgres, Valkey, running_postgres, running_valkey, service_user, wait_until

pytestmark = [pytest.mark.xdist_group("install"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def stores() -> Iterator[tuple[Postgres, Valkey]]:
    with running_postgres(ours=False) as postgres, running_valkey() as valkey:
        yield postgres, valkey


def test_urls_are_all_it_needs(
    install_place: Place, index: RecordingIndex, stores: tuple[Postgres, Valkey]
) -> None:
    postgres, valkey = stores
    database_url = f"postgresql://postgres:{postgres.superuser_password}@127.0.0.1:{postgres.port}/gateway"
    redis_url = f"redis://:{valkey.password}@127.0.0.1:{valkey.port}/0"
    made = install_place.new_root("external")
    argv = [*made.install_argv, "--database-url"]
    refused = install_place.run(*argv, database_url)
    assert refused.returncode == 2
    assert "holds a password" in refused.stderr and not (made.home / "config").exists()

    done = subprocess.run(
        [str(part) for part in (*argv, "-", "--redis-url", "-")], input=f"{database_url}\n{redis_url}\n",
        env=install_place.env(PIP_INDEX_URL=index.url), cwd=install_place.user_home, text=True, capture_output=True,
        timeout=240, **service_user(),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"database roles and schema at 127.0.0.1:{postgres.port}" in done.stderr
    assert not (made.home / "data" / "postgres").exists()
    assert {process.service for process in made.processes()} == {"supervisor", "admin", "worker", "proxy"}
    rows = made.ps()
    assert rows["postgres"]["external"] == f"127.0.0.1:{postgres.port}"
    assert rows["postgres"]["state"] == rows["valkey"]["state"] == "running"
    assert json.loads(made.ok("status", "-o", "json"))["status"] == "healthy"
    assert made.complete()["choices"]
    wait_until(lambda: json.loads(made.ok("usage", "-o", "json"))["total"]["requests"] >= 2, what="the spend records")

    told = done.stderr + made.ok("config", "show") + (made.home / "logs" / "install.log").read_text()
    for process in made.processes():
        with open(f"/proc/{process.pid}/cmdline", encoding="utf-8") as file:
            told += file.read()
    assert postgres.superuser_password not in told and valkey.password not in told
    proxy = next(process for process in made.processes() if process.service == "proxy")
    with open(f"/proc/{proxy.pid}/environ", encoding="utf-8") as file:
        assert postgres.superuser_password not in file.read()

    again = install_place.run(*made.install_argv)
    assert again.returncode == 0 and "Nothing to do" in again.stderr
    assert made.scutum("restart", "postgres").returncode == 2
    made.ok("restart")
    valkey.kill()
    try:
        status = made.scutum("status", "-o", "json")
        seen = json.loads(status.stdout)
        assert status.returncode == 1 and seen["status"] == "degraded"
        assert any(finding.startswith("valkey is down") and "cannot be reached" in finding for finding in seen["findings"])
        assert made.complete()["choices"], "completions go on"
    finally:
        valkey.start()
    done = made.scutum("uninstall", "--delete-data", "--yes")
    assert done.returncode == 0, done.stderr
    assert f"Leaves the external postgres at 127.0.0.1:{postgres.port} as it is." in done.stderr
    assert made.processes() == [] and not made.home.exists()
    with psycopg.connect(**postgres.superuser("gateway").conninfo()) as conn:
        assert conn.execute("SELECT count(*) > 0 FROM api_keys").fetchone() == (True,)
