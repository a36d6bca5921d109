"""`scutum archives` as operators use it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from scutum_server.worker.jobs import CATCH_UP, last_due
from tests.fixtures.archives import fill_spend
from tests.fixtures.servers import Postgres, wait_until
from tests.integration.cli.conftest import Cli, Gateway
from tests.integration.cli.test_terminal import on_terminal

@pytest.fixture
def fill(cli: Cli, gateway: Gateway, postgres: Postgres) -> Callable[[dt.date], None]:
    """Makes a month that is old even for the gateway's Enterprise licence, once the night's own run is over."""

    su = postgres.superuser(gateway.database)

    def ran() -> bool:
        with psycopg.connect(**su.conninfo()) as conn:  # type: ignore[arg-type]
            found = conn.execute("SELECT 1 FROM scutum_jobs.procrastinate_jobs WHERE status = 'succeeded'").fetchone()
        return found is not None

    def make(month: dt.date) -> None:
        now = dt.datetime.now(dt.UTC)
        if now - last_due("03:17", now) < CATCH_UP:
            wait_until(ran, seconds=60, what="the night's run")
        idle(cli)
        fill_spend(su, month, 1200)

    return make


def idle(cli: Cli) -> None:
    def rests() -> bool:
        return not cli.ok("archives", "status", "-o", "json").json["running"]

    wait_until(rests, seconds=60, what="the archiver to rest")


def archived(cli: Cli, month: str) -> list[dict]:
    found = cli.ok("archives", "list", "-o", "json").json["items"]
    return [item for item in found if item["dropped_at"] and item["month"].startswith(month)]


def test_a_month_is_rehearsed_archived_shown_and_proven(cli: Cli, fill: Callable[[dt.date], None]) -> None:
    fill(dt.date(2017, 3, 1))
    status = cli.ok("archives", "status").out
    assert "spend_logs 2017-03" in status and "2557 days" in status and "03:17" in status
    rehearsed = cli.ok("archives", "run", "--dry-run").out
    assert rehearsed.startswith("would archive spend_logs 2017-03 (") and archived(cli, "2017-03") == []
    done = cli.ok("archives", "run")
    assert "Archiving spend_logs 2017-03" in done.err and "scutum archives list" in done.err
    wait_until(lambda: archived(cli, "2017-03"), seconds=60, what="the month to be archived")
    (item,) = archived(cli, "2017-03")
    assert (item["month"], item["rows"]) == ("2017-03-01", 1200)
    shown = cli.ok("archives", "show", item["id"][-6:]).out
    assert item["sha256"] in shown and "1,200" in shown and "archived" in shown
    assert f"spend_logs 2017-03 ({item['id']}): whole" in cli.ok("archives", "verify", "--all").out
    (file,) = (Path(item["store_url"].removeprefix("file://"))).rglob("part-0000.parquet")
    kept = file.read_bytes()
    file.write_bytes(kept[:100] + b"?" + kept[101:])
    bad = cli("archives", "verify", item["id"])
    assert bad.code == 1 and "damaged" in bad.out and "was changed" in bad.out
    assert cli("archives", "verify", item["id"], "-o", "json").json["items"][0]["ok"] is False
    file.write_bytes(kept)
    idle(cli)
    assert "No month is due" in cli.ok("archives", "run").err


def test_a_narrow_terminal_shows_whole_words(cli: Cli, fill: Callable[[dt.date], None]) -> None:
    fill(dt.date(2017, 4, 1))
    cli.ok("archives", "run")
    wait_until(lambda: archived(cli, "2017-04"), seconds=60, what="the month to be archived")
    (item,) = archived(cli, "2017-04")
    for columns in (60, 80, 160):
        code, shown = on_terminal(cli, "archives", "list", COLUMNS=str(columns))
        assert code == 0 and "2017-04" in shown and item["id"] in shown and "archived" in shown, shown


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("archives", "verify"), 2, "Name an archive, or take --all"),
        (("archives", "show", "arc_nothing"), 3, "There is no archive"),
        (("archives", "confirm", "30", "--yes"), 5, "The licence gives 2557 days, not 30"),
        (("archives", "confirm", "soon", "--yes"), 2, "whole number"),
        (("archives", "confirm", "2557"), 2, "--yes"),
        (("settings", "set", "archive.url=s3://user:secret@bucket"), 2, "This is no place for objects"),
        (("settings", "set", "archive.at=25:00"), 2, "archive.at"),
    ],
)
def test_what_is_wrong_is_said_in_three_lines(
    arguments: tuple[str, ...], code: int, words: str, cli: Cli, gateway: Gateway
) -> None:
    result = cli(*arguments)
    assert result.code == code and words in result.err and len(result.err.splitlines()) <= 3, result


def test_the_lock_is_tried_out(cli: Cli, gateway: Gateway) -> None:
    said = cli.ok("archives", "probe").err
    assert "There is no retention lock at file://" in said
    assert cli.ok("archives", "probe", "-o", "json").json["enforced"] is False
