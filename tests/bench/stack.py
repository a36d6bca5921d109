"""What the benches of the proxy share: stores and a proxy of their own, mock upstreams, and as many keys as asked for.

The mock upstreams and the load generator are those of overhead.py in a directory beside the checkout.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.fixtures.gateway import Proxy, Rows, running_proxy
from tests.fixtures.servers import Postgres, Valkey, running_postgres, running_valkey, wait_until

from scutum_server.infra.ids import new_id

PLAIN, STREAM = "bench", "bench-stream"
UPSTREAMS = {PLAIN: "http://127.0.0.1:9100/v1", STREAM: "http://127.0.0.1:9101/v1"}
PRICE = {"input_nano": 150, "output_nano": 600}
RATES = {"rpm": 10**9, "tpm": 10**12}
TEAMS = 200


def bench_option(parser: argparse.ArgumentParser) -> None:
    here = Path(__file__).parents[2].parent / "shared" / "bench"
    parser.add_argument("--bench", type=Path, default=here, help="directory of overhead.py")


def script_in(directory: Path) -> Path:
    script = directory / "overhead.py"
    if not script.exists():
        sys.exit(f"{script} is not there: give its directory with --bench")
    return script


@contextlib.contextmanager
def mock_upstreams(directory: Path) -> Iterator[None]:
    """The mock upstreams on ports 9100 (at once) and 9101 (30 chunks, 10 ms apart)."""
    # A session of its own: the script's children outlive it when only it is told to stop.
    server = subprocess.Popen(
        [sys.executable, script_in(directory), "--serve"], stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        wait_until(lambda: server.poll() is not None or all(map(_listens, (9100, 9101))), what="the mock upstreams")
        if server.poll() is not None:
            sys.exit("the mock upstreams did not start: are the ports 9100 and 9101 in use?")
        yield
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def stores() -> Iterator[tuple[Postgres, Valkey]]:
    with running_postgres() as postgres, running_valkey() as valkey:
        yield postgres, valkey


@dataclass
class Stack:
    """A worker, and a key that its clients may use."""

    proxy: Proxy
    key: str


@contextlib.contextmanager
def stack(
    servers: tuple[Postgres, Valkey], *, keys: int = 0, limits: bool = True, traces: bool = False
) -> Iterator[Stack]:
    """One proxy worker with both models, one key to use and `keys` others, each of a team.

    With `limits`: rpm and tpm on key, team and model, and a budget, none of which is ever reached. With `traces` every
    request belongs to a trace that is exported.
    """
    postgres, valkey = servers
    with tempfile.TemporaryDirectory() as directory:
        database = postgres.app(postgres.clone())
        rows = Rows(database, secrets.token_bytes(32))
        rows.seed()
        add_keys(rows, keys)
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"} if traces else {}
        with running_proxy(
            database, valkey.settings(), Path(directory), seed=False, environment=environment
        ) as proxy:
            key = proxy.rows.key()
            for model, url in UPSTREAMS.items():
                provider = proxy.rows.provider(model, "openai", url, api_key="sk-up")
                proxy.rows.deployment(model, provider, "gpt-4o-mini", settings={"price": PRICE})
            if limits:
                _limit(proxy.rows)
            proxy.rows.alias("last", PLAIN)
            proxy.wait_for("last")
            yield Stack(proxy, key)


def add_keys(rows: Rows, count: int) -> None:
    """As many keys that no request uses, with the fields that a key of an application has; before the proxy starts."""
    if not count:
        return
    with rows.transaction() as conn:
        conn.execute(
            "INSERT INTO teams (id, org_id, name) SELECT 'team_' || n, 'org_default', 'team ' || n "
            "FROM generate_series(1, %s) n", (TEAMS,),
        )  # fmt: skip
        conn.execute(
            "INSERT INTO api_keys (id, team_id, name, hash, hint, owner, allowed_models) "
            "SELECT %s || n, 'team_' || (1 + n %% %s), 'application ' || n, sha256(('sk-' || n)::bytea), 'abcd', "
            "'user ' || n %% 997, ARRAY['bench', 'bench-stream'] FROM generate_series(1, %s) n",
            (new_id("key"), TEAMS, count),
        )


def _limit(rows: Rows) -> None:
    with rows.transaction() as conn:
        row = conn.execute("SELECT id, team_id FROM api_keys WHERE team_id = 'team_default'").fetchone()
    assert row is not None
    rows.limit("key", key_id=row[0], **RATES)
    rows.limit("team", team_id=row[1], **RATES)
    for model in UPSTREAMS:
        rows.limit("model", model=model, **RATES)
    rows.budget("team", team_id=row[1], amount_nano_usd=9 * 10**15)
