"""The real command as a process, against real servers: an admin, a proxy and a worker over a real Postgres and Valkey."""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.fixtures.licences import Authority
from tests.fixtures.servers import Postgres, Valkey, free_port, running_valkey, wait_until

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Result:
    """What a run of the command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def error(self) -> dict:
        return json.loads(self.err)["error"]


@dataclass
class Cli:
    """Runs `scutum` with a configuration directory of its own."""

    config: Path
    env: dict[str, str] = field(default_factory=dict)

    def __call__(self, *args: str, stdin: str = "", **env: str) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "scutum_cli.app", *args], input=stdin, capture_output=True, text=True,
            env=self.environment(env), cwd=ROOT, timeout=60,
        )  # fmt: skip
        assert "Traceback" not in done.stderr or "--debug" in args, done.stderr
        return Result(done.returncode, done.stdout, done.stderr)

    def ok(self, *args: str, stdin: str = "", **env: str) -> Result:
        result = self(*args, stdin=stdin, **env)
        assert result.code == 0, result
        return result

    def environment(self, extra: dict[str, str] | None = None) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SCUTUM_", "NO_COLOR"))}
        return {**kept, "XDG_CONFIG_HOME": str(self.config), "XDG_CACHE_HOME": str(self.config / "cache"), "COLUMNS": "80", **self.env, **(extra or {})}

    @property
    def contexts_file(self) -> Path:
        return self.config / "scutum" / "contexts.json"

    def write_contexts(self, *contexts: dict, current: str) -> None:
        self.contexts_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        known = {context["name"]: context for context in contexts}
        self.contexts_file.write_text(json.dumps({"current": current, "contexts": known}))
        self.contexts_file.chmod(0o600)

    def stored(self, name: str) -> dict:
        return json.loads(self.contexts_file.read_text())["contexts"][name]


@dataclass(frozen=True)
class Gateway:
    """Where the servers are, and the deploy root that the command reads the master key from."""

    admin_url: str
    proxy_url: str
    master_key: str
    home: Path
    authority: Authority
    database: str

    def context(self, name: str = "local", **more) -> dict:
        return {"name": name, "admin_url": self.admin_url, "proxy_url": self.proxy_url, **more}


@contextmanager
def _process(name: str, env: dict[str, str], log: Path, port: int | None = None) -> Iterator[None]:
    with log.open("wb") as stderr:
        process = subprocess.Popen([sys.executable, "-m", "scutum_server", name], env=env, cwd=ROOT, stderr=stderr)
    try:
        if port is not None:
            wait_until(lambda: _answers(port, process), what=f"the {name} to listen; see {log}")
        yield
    finally:
        process.terminate()
        process.wait(60)


def _answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the process ended"
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running_gateway(directory: Path, postgres: Postgres, valkey: Valkey) -> Iterator[Gateway]:
    """An admin, a proxy and a worker on a fresh database, and a deploy root with their master key."""
    home = directory / "home"
    (home / "config").mkdir(parents=True)
    (home / "spill").mkdir()
    name = postgres.clone()
    database, authority = postgres.app(name), Authority()
    admin_port, proxy_port, master_key = free_port(), free_port(), "sk-scutum-" + secrets.token_urlsafe(32)
    (home / "config" / ".env").write_text(f"# secrets\nSCUTUM_API_KEY={master_key}\n")
    env = {
        **os.environ,
        "SCUTUM_API_KEY": master_key,
        "JWT_SECRET_KEY": secrets.token_urlsafe(32),
        "INTERNAL_SERVICE_KEY": secrets.token_urlsafe(32),
        "SCUTUM_ENCRYPTION_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        "POSTGRES_HOST": database.host,
        "POSTGRES_PORT": str(database.port),
        "POSTGRES_USER": database.user,
        "POSTGRES_DB": name,
        "POSTGRES_PASSWORD": database.password,
        "POSTGRES_ARCHIVER_PASSWORD": postgres.archiver_password,
        "SCUTUM_ARCHIVE_URL": (directory / "archives").as_uri(),
        "VALKEY_HOST": "127.0.0.1",
        "VALKEY_PORT": str(valkey.port),
        "VALKEY_PASSWORD": valkey.password,
        "SCUTUM_ADMIN_PORT": str(admin_port),
        "SCUTUM_PROXY_PORT": str(proxy_port),
        "SCUTUM_PROXY_URL": f"http://127.0.0.1:{proxy_port}",
        "SCUTUM_SPILL_DIR": str(home / "spill"),
        "SCUTUM_AUDIT_KEYS": str(home / "config" / "audit-keys"),
        "SCUTUM_AUDIT_SHIP": (directory / "elsewhere").as_uri(),
        # Licensed, so that no command has anything to remind of.
        "SCUTUM_LICENSE_TRUST": str(authority.trusted(home / "config")),
        "LICENSE_KEY": authority.issue(tier="enterprise"),
    }
    gateway = Gateway(f"http://127.0.0.1:{admin_port}", f"http://127.0.0.1:{proxy_port}", master_key, home, authority, name)
    with ExitStack() as stack:
        stack.callback(postgres.drop, name)
        stack.enter_context(_process("admin", env, directory / "admin.log", admin_port))
        _wait_for_admin(gateway, directory)
        stack.enter_context(_process("proxy", env, directory / "proxy.log", proxy_port))
        stack.enter_context(_process("worker", env, directory / "worker.log"))
        yield gateway


def _wait_for_admin(gateway: Gateway, directory: Path) -> None:
    """A listening admin may still be on its way to its first objects."""
    cli = Cli(directory / "probe")
    cli.write_contexts(gateway.context(home=str(gateway.home)), current="local")
    last = {}

    def seeded() -> bool:
        last["result"] = cli("aliases", "-o", "json")
        return "fast" in last["result"].out

    try:
        wait_until(seeded, seconds=30, what="the admin to make its first objects")
    except AssertionError:
        raise AssertionError(f"{last['result']}; admin's log: {(directory / 'admin.log').read_text()[-2000:]}") from None


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Gateway]:
    """With a Valkey of its own: its worker would take other tests' records out of a shared one."""
    with (
        running_valkey() as valkey,
        running_gateway(tmp_path_factory.mktemp("gateway"), postgres, valkey) as running,
    ):
        yield running


@pytest.fixture
def bare(tmp_path: Path) -> Cli:
    """The command on a machine that knows no server."""
    return Cli(tmp_path / "config")


@pytest.fixture
def cli(bare: Cli, gateway: Gateway) -> Cli:
    """The command beside a running install."""
    bare.write_contexts(gateway.context(home=str(gateway.home)), current="local")
    return bare
