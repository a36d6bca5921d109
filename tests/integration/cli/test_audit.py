"""`scutum audit`: the real command, a real worker that keeps the trail, and a superuser who tampers."""

from __future__ import annotations

import csv
import json
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.fixtures.servers import Postgres, wait_until
from tests.integration.cli.conftest import ROOT, Cli, Gateway


@pytest.fixture
def team(cli: Cli, request: pytest.FixtureRequest) -> str:
    name = f"audited-{abs(hash(request.node.name)) % 10**6}"
    cli.ok("teams", "create", name)
    return name


@pytest.fixture
def superuser(postgres: Postgres, gateway: Gateway) -> psycopg.Connection:
    """In the gateway's own database."""
    with psycopg.connect(**postgres.superuser(gateway.database).conninfo(), autocommit=True) as conn:
        yield conn


def test_what_was_done_is_found_by_whatever_is_known_of_it(cli: Cli, team: str) -> None:
    team_id = cli.ok("teams", "show", team, "-o", "json").json["id"]
    out = cli.ok("audit", "query", "--resource", team_id, "--utc").out.splitlines()
    assert len(out) == 2 and " UTC " in out[1] and "team.create" in out[1] and team_id in out[1]
    for flags in (["--action", "team.create"], ["--actor", "master"], ["--type", "team"], ["--source", "cli"],
                  ["--outcome", "success"], ["--text", team.upper()], ["--since", "1h"], ["--org", "default"]):  # fmt: skip
        rows = cli.ok("audit", "query", *flags, "--resource", team_id, "-o", "json").json["items"]
        assert [row["diff"]["after"]["name"] for row in rows] == [team], flags
    assert cli.ok("audit", "query", "--resource", team_id, "--count", "-o", "json").json == {"count": 1}
    assert cli("audit", "query", "--text", team, "--count").code == 2
    nothing = cli.ok("audit", "query", "--actor", "nobody")
    assert (nothing.out, nothing.err) == ("", "Nothing like that was done.\n")
    shown = cli.ok("audit", "query", "--resource", team_id, "--columns", "change,ip", "-o", "csv").out
    assert shown.startswith("change,ip\n") and team in shown
    assert cli("audit", "query", "--outcome", "perhaps").code == 2
    assert cli("audit", "list", "--sort", "actor").code == 2


def test_the_list_goes_on_as_far_as_asked(cli: Cli, team: str) -> None:
    cut = cli.ok("audit", "list", "--limit", "1")
    assert len(cut.out.splitlines()) == 2 and "--all" in cut.err
    everything = cli.ok("audit", "list", "--all", "-o", "json").json
    assert everything["next"] is None and len(everything["items"]) > 10
    assert cli.ok("audit", "list", "--all", "--filter", "action=team.create", "-o", "json").json["items"]


@pytest.mark.parametrize("width", [60, 80, 160])
def test_a_list_fits_the_terminal(cli: Cli, team: str, width: int) -> None:
    import pty
    import os
    import fcntl
    import struct
    import termios

    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    env = cli.environment({"COLUMNS": str(width)})
    cli("login", "--api-key-stdin", stdin="sk-scutum-wrong-0123456789")
    subprocess.run([sys.executable, "-m", "scutum_cli.app", "audit", "list", "--limit", "5", "--no-color"], stdout=side, stderr=side, env=env, cwd=ROOT, timeout=60, check=True)
    os.close(side)
    text = b""
    try:
        while chunk := os.read(main, 65_536):
            text += chunk
    except OSError:
        pass
    lines = text.decode().splitlines()
    assert len(lines) >= 6 and max(len(line) for line in lines) <= width, lines
    assert "ACTION" in lines[0] and "WHAT" in lines[0]
    assert any(" denied " in line for line in lines), "what was refused says so at any width"


def test_an_export_is_whole_private_and_the_same_in_every_format(cli: Cli, team: str, tmp_path: Path) -> None:
    wanted = cli.ok("audit", "query", "--text", team, "-o", "json").json["items"]
    assert wanted
    for ending in ("csv", "json", "parquet"):
        target = tmp_path / f"trail.{ending}"
        assert f"{len(wanted)} row" in cli.ok("audit", "query", "--text", team, "--export", str(target)).err
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
        if ending == "csv":
            rows = list(csv.DictReader(target.read_text().splitlines()))
        elif ending == "json":
            rows = json.loads(target.read_text())
        else:
            from pyarrow import parquet

            rows = parquet.read_table(target).to_pylist()
        assert [row["id"] for row in rows] == [row["id"] for row in wanted], ending
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith((".", "trail"))) == [
        "trail.csv", "trail.json", "trail.parquet",
    ]  # fmt: skip
    assert cli("audit", "query", "--export", str(tmp_path / "trail.xls")).code == 2
    assert cli("audit", "query", "--export", str(tmp_path / "no" / "trail.csv")).code == 8


def test_tail_shows_what_comes(cli: Cli, team: str) -> None:
    last = cli.ok("audit", "tail", "-n", "3").out.splitlines()
    assert len(last) == 3 and any("team.create" in line and team in line for line in last)
    follower = subprocess.Popen(
        [sys.executable, "-u", "-m", "scutum_cli.app", "audit", "tail", "-f", "-n", "1", "--action", "team.delete", "-o", "json"],
        env=cli.environment(), cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        cli.ok("teams", "delete", team, "--yes")
        assert follower.stdout is not None
        while team not in (line := follower.stdout.readline()):
            assert follower.poll() is None
        assert json.loads(line)["action"] == "team.delete"
    finally:
        follower.kill()
        follower.wait(10)
        follower.stdout.close()


def test_an_auditor_verifies_tampers_and_is_told(
    cli: Cli, gateway: Gateway, team: str, superuser: psycopg.Connection, tmp_path: Path
) -> None:
    made = cli.ok("audit", "checkpoint", "-o", "json").json
    assert made["failures"] == {} and made["found"] == 0
    key = gateway.home / "config" / "audit-keys" / "signing.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert cli.ok("audit", "shipments", "-o", "json").json["items"][0]["behind"] == 0
    good = cli.ok("audit", "verify")
    assert good.out.startswith("Intact: ") and "confirmed" in good.out
    kept, pem = tmp_path / "kept.jsonl", tmp_path / "keys.pem"
    kept.write_text("".join(path.read_text() for path in (gateway.home.parent / "elsewhere").rglob("*.jsonl")))
    pem.write_text(cli.ok("audit", "keys", "export").out)
    assert cli.ok("audit", "verify", "--trust", str(pem), "--checkpoints", str(kept), "-o", "json").json["intact"]

    where = "resource_id = %s AND action = 'team.create'"
    team_id = cli.ok("teams", "show", team, "-o", "json").json["id"]
    superuser.execute(f"UPDATE audit_logs SET actor_id = 'mallory' WHERE {where}", (team_id,))
    bad = cli("audit", "verify")
    assert (bad.code, "changed" in bad.out, "actor_id" in bad.err) == (1, True, True), bad
    wait_until(lambda: superuser.execute("SELECT 1 FROM events_outbox WHERE type = 'audit.tampered'").fetchone(), what="the event")
    superuser.execute(f"UPDATE audit_logs SET actor_id = 'master' WHERE {where}", (team_id,))
    assert cli.ok("audit", "verify", "--from", "1h").out.startswith("Intact")
    listed = cli.ok("audit", "verifications", "-o", "json").json["items"]
    assert [task["result"]["intact"] for task in listed[:3]] == [True, False, True]

    before = cli.ok("audit", "keys", "list", "-o", "json").json["items"]
    assert cli.ok("audit", "keys", "rotate", "--dry-run").out.startswith("would ")
    cli.ok("audit", "keys", "rotate", "--yes")
    after = cli.ok("audit", "keys", "list", "-o", "json").json["items"]
    assert len(after) == len(before) + 1 and sum(one["retired_at"] is None for one in after) == 1
    cli.ok("teams", "delete", team, "--yes")
    cli.ok("audit", "checkpoint")
    assert cli.ok("audit", "verify", "-o", "json").json["intact"]
    assert not cli("audit", "verify", "--trust", str(pem), "-o", "json").json["intact"], "the new key is not in this file"
    assert cli("audit", "verify", "--trust", str(kept)).code == 2
