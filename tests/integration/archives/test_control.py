"""Archives as the control plane shows and orders them."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scutum_server.infra import jobs
from scutum_server.infra.db import connect
from scutum_server.infra.objectstore import ObjectStore
from scutum_server.object_settings import ArchiveSettings
from scutum_server.settings import DatabaseSettings, RedisSettings
from tests.fixtures.archives import fill_spend, month_of, run
from tests.fixtures.licences import Authority
from tests.fixtures.object_stores import S3Server
from tests.fixtures.servers import Postgres
from tests.integration.admin.conftest import Admin, admin_settings, running

NOW = dt.datetime.now(dt.UTC)
MONTH = month_of(NOW.date(), 4)


@pytest.fixture
async def admin(
    database: DatabaseSettings, redis_settings: RedisSettings, tmp_path: Path
) -> AsyncIterator[Admin]:
    archive = ArchiveSettings((tmp_path / "objects").as_uri())
    trust = Authority().trusted(tmp_path)
    async with running(admin_settings(database, redis_settings, archive=archive, license_trust=trust)) as client:
        yield client


async def test_a_run_is_rehearsed_ordered_once_and_audited(admin: Admin, postgres: Postgres) -> None:
    fill_spend(postgres.superuser(admin.database.dbname), MONTH, 40)
    rehearsed = await admin.make("/archives/run?dry_run=true", 202)
    assert [(month["table"], month["month"]) for month in rehearsed["months"]] == [("spend_logs", str(MONTH))]
    assert admin.audit("archive.run") == []
    assert (await admin.make("/archives/run", 202))["queued"]
    again = await admin.make("/archives/run", 202)
    assert (again["queued"], again["running"]) == (False, True)
    (row,) = admin.audit("archive.run")
    assert row["diff"]["after"] == {"months": [f"spend_logs {MONTH:%Y-%m}"]}
    async with await connect(admin.database, name="test") as conn:
        found = await (await conn.execute("SELECT count(*) AS n FROM scutum_jobs.procrastinate_jobs")).fetchone()
        assert found == {"n": 1}


async def test_an_archive_is_listed_shown_and_proven(
    admin: Admin, postgres: Postgres, directory: ObjectStore, tmp_path: Path
) -> None:
    su = postgres.superuser(admin.database.dbname)
    for month in (MONTH, month_of(NOW.date(), 3)):
        fill_spend(su, month, 40)
    run(postgres.archiver(admin.database.dbname), directory, now=NOW)
    young, old = (await admin.get("/archives"))["items"]
    assert (old["month"], old["rows"], old["state"], young["part"]) == (str(MONTH), 40, "verified", 0)
    assert (await admin.get("/archives", sort="month", limit=1))["items"] == [old]
    assert (await admin.get("/archives", table="audit_logs"))["items"] == []
    assert await admin.get(f"/archives/{old['id'][-6:]}") == old
    assert await admin.make(f"/archives/{old['id']}/verify", 200) == {"ok": True, "detail": None}
    (file,) = (tmp_path / "objects").rglob(f"{MONTH:%Y-%m}/part-0000.parquet")
    file.write_bytes(file.read_bytes() + b"x")
    found = await admin.make(f"/archives/{old['id']}/verify", 200)
    assert not found["ok"] and "was changed" in found["detail"]
    file.unlink()
    found = await admin.make(f"/archives/{old['id']}/verify", 200)
    assert not found["ok"] and "is gone" in found["detail"]
    await admin.fails("GET", "/archives/arc_nothing", 404, "archive_not_found")
    await admin.fails("POST", "/archives/arc_nothing/verify", 404, "archive_not_found")


async def test_a_month_that_failed_shows_in_health(admin: Admin, postgres: Postgres, directory: ObjectStore) -> None:
    su = postgres.superuser(admin.database.dbname)
    fill_spend(su, MONTH, 40)

    def late(step: str, *_: object) -> None:
        if step == "written":
            next(iter(Path(directory.url.removeprefix("file://")).rglob("*.parquet"))).write_bytes(b"")

    run(postgres.archiver(su.dbname), directory, now=NOW, on_step=late)
    health = (await admin.http.get("/health")).json()
    assert health["status"] == "degraded"
    assert health["checks"]["archives"] == f"spend_logs {MONTH:%Y-%m} failed"
    assert (health["checks"]["jobs"], health["checks"]["partitions"]) == ("ok", "ok")


async def test_a_partition_that_is_missing_and_a_job_that_failed_show_in_health(
    admin: Admin, postgres: Postgres
) -> None:
    next_month = month_of(NOW.date(), -1)
    import psycopg

    with psycopg.connect(**postgres.superuser(admin.database.dbname).conninfo()) as conn:  # type: ignore[arg-type]
        conn.execute(f"DROP TABLE audit_logs_{next_month:%Y%m}")  # type: ignore[arg-type]
        conn.execute("INSERT INTO scutum_jobs.procrastinate_jobs (queue_name, task_name, status) VALUES ('q', 't', 'failed')")
    checks = (await admin.http.get("/health")).json()["checks"]
    assert checks["partitions"] == f"audit_logs_{next_month:%Y%m} is missing"
    assert checks["jobs"] == "t failed once"


async def test_fewer_days_by_a_lesser_licence_wait_for_a_word(admin: Admin, tmp_path: Path) -> None:
    authority = Authority()
    authority.trusted(tmp_path)
    await admin.make("/license/activate", 200, license_key=authority.issue(tier="business"))
    assert (await admin.get("/archives/status"))["retention"]["days"] == 365
    admin.sql("INSERT INTO archive_retention (days) VALUES (365)")
    await admin.make("/license/activate", 200, license_key=authority.issue(tier="team", jti="other"))
    found = (await admin.get("/archives/status"))["retention"]
    assert (found["days"], found["licensed"], found["to_confirm"]) == (365, 90, 90)
    await admin.fails("POST", "/archives/retention", 409, "retention_conflict", json={"days": 30})
    found = await admin.make("/archives/retention", 200, days=90)
    assert (found["days"], found["to_confirm"]) == (90, None)
    (row,) = admin.audit("archive.retention")
    assert row["diff"] == {"before": {"days": 365}, "after": {"days": 90}}


async def test_an_operators_own_days_count_but_not_with_enterprise(admin: Admin, tmp_path: Path) -> None:
    authority = Authority()
    authority.trusted(tmp_path)
    await admin.make("/license/activate", 200, license_key=authority.issue(tier="business"))
    await admin.call("PUT", "/settings/archive.retention_days", json={"value": 60})
    assert (await admin.get("/archives/status"))["retention"]["days"] == 60
    await admin.make("/license/activate", 200, license_key=authority.issue(tier="enterprise", jti="other"))
    found = (await admin.get("/archives/status"))["retention"]
    assert (found["days"], found["wanted"]) == (2557, None)


@pytest.mark.parametrize("url", ["s3://key:secret@bucket", "ftp://x", "/tmp/x", "file:///", ""])
async def test_a_place_that_is_none_is_refused(admin: Admin, url: str) -> None:
    for key, value in (("archive.url", url), ("archive.other_roots", [url])):
        answer = await admin.call("PUT", f"/settings/{key}", json={"value": value})
        assert answer.status_code == 400, answer.text


async def test_the_lock_of_the_store_is_tried_out(
    database: DatabaseSettings, redis_settings: RedisSettings, moto: S3Server, admin: Admin
) -> None:
    found = await admin.make("/archives/probe", 200)
    assert not found["enforced"] and "directory has no retention lock" in found["reason"]
    settings = ArchiveSettings(f"s3://{moto.bucket(lock=True)}/here", s3=moto.settings)
    async with running(admin_settings(database, redis_settings, archive=settings)) as other:
        assert (await other.make("/archives/probe", 200))["enforced"]


async def test_without_a_store_nothing_runs(database: DatabaseSettings, redis_settings: RedisSettings) -> None:
    async with running(admin_settings(database, redis_settings)) as admin:
        assert "no place to go" in (await admin.get("/archives/status"))["problem"]
        await admin.fails("POST", "/archives/run", 409, "no_archive_store", json={})
        await admin.fails("POST", "/archives/probe", 409, "no_archive_store")


async def test_who_may_do_what(admin: Admin) -> None:
    viewer, approver = await admin.session("viewer"), await admin.session("approver")
    operator = await admin.session("operator")
    for headers, path, status in (
        (viewer, "/archives", 403), (approver, "/archives", 200), (operator, "/archives/status", 200),
    ):  # fmt: skip
        assert (await admin.call("GET", path, headers=headers)).status_code == status
    assert (await admin.call("POST", "/archives/run", headers=approver, json={})).status_code == 403
    assert (await admin.call("POST", "/archives/run?dry_run=true", headers=operator)).status_code == 202
    assert (await admin.call("POST", "/archives/retention", headers=operator, json={"days": 30})).status_code == 403


async def test_a_job_of_a_time_is_queued_once_and_with_its_transaction(database: DatabaseSettings) -> None:
    async with await connect(database, name="test") as conn:
        with pytest.raises(ZeroDivisionError):
            async with conn.transaction():
                assert await jobs.enqueue(conn, "t")
                raise ZeroDivisionError
        assert await jobs.schedule(conn, "t", NOW)
        assert not await jobs.schedule(conn, "t", NOW)
        assert not await jobs.schedule(conn, "t", NOW + dt.timedelta(days=1))  # the first one still waits
        await conn.execute("UPDATE scutum_jobs.procrastinate_jobs SET status = 'succeeded'")
        assert not await jobs.schedule(conn, "t", NOW)
        assert await jobs.schedule(conn, "t", NOW + dt.timedelta(days=1))
