"""How fast a month goes from Postgres into the object store, verified and dropped, and with how much memory: prints
figures, asserts nothing.

python -m tests.bench.archive [ROWS] [directory|s3]
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import psutil

from scutum_server.archives.moving.plan import Order, Plan, Report
from tests.fixtures.archives import Chains, fill_audit, fill_spend, month_of
from tests.fixtures.object_stores import S3Server, running_rclone
from tests.fixtures.servers import Postgres, running_postgres


def _cpu(postgres: Postgres) -> float:
    """Seconds that the server's processes have used, those that are gone too."""
    assert postgres.process is not None
    server = psutil.Process(postgres.process.pid)
    times = [server.cpu_times(), *(child.cpu_times() for child in server.children())]
    return sum(each.user + each.system for each in times) + times[0].children_user + times[0].children_system


def _archive(postgres: Postgres, database: str, url: str, s3: S3Server | None) -> None:
    """One run in the archiver's own process."""
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "POSTGRES_PORT": str(postgres.port), "POSTGRES_DB": database, "POSTGRES_PASSWORD": postgres.app_password,
        "POSTGRES_ARCHIVER_PASSWORD": postgres.archiver_password, "VALKEY_PASSWORD": "v" * 32,
    }  # fmt: skip
    if s3 is not None:
        environment |= {
            "S3_ENDPOINT_URL": s3.settings.endpoint or "", "S3_ACCESS_KEY_ID": s3.settings.access_key or "",
            "S3_SECRET_ACCESS_KEY": s3.settings.secret_key or "",
        }  # fmt: skip
    order = Order(url=url, plan=Plan(days={"audit_logs": 30, "spend_logs": 30}))
    process = subprocess.Popen(
        [sys.executable, "-m", "scutum_server.worker.moving"], env=environment, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    before = _cpu(postgres)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(msgspec.json.encode(order) + b"\n")
    process.stdin.flush()
    for line in process.stdout:
        report = msgspec.json.decode(line, type=Report)
        done = report.outcome
        if done is None or done.error:
            raise SystemExit(report.error or (done and done.error))
        print(
            f"{done.table:<10} {done.rows:>9,} rows in {done.seconds:6.1f} s: {done.rows / done.seconds:>8,.0f} rows/s,"
            f" {done.bytes / done.rows:.0f} bytes a row in the store"
        )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    print(
        f"CPU: {usage.ru_utime + usage.ru_stime:.1f} s the archiver's process, {_cpu(postgres) - before:.1f} s Postgres; "
        f"{usage.ru_maxrss / 1024:.0f} MB of memory at most"
    )


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 500_000
    kind = sys.argv[2] if len(sys.argv) > 2 else "directory"
    month = month_of(dt.datetime.now(dt.UTC).date(), 4)
    with running_postgres() as postgres, tempfile.TemporaryDirectory() as directory:
        database = postgres.clone()
        owner = postgres.superuser(database)
        began = time.perf_counter()
        fill_audit(owner, month, rows, Chains(), orgs=16)
        fill_spend(owner, month, rows)
        print(f"two months of {rows:,} rows filled in {time.perf_counter() - began:.0f} s; load {os.getloadavg()[0]:.1f}")
        if kind == "s3":
            with running_rclone() as s3:
                _archive(postgres, database, f"s3://{s3.bucket()}/bench", s3)
        else:
            _archive(postgres, database, (Path(directory) / "objects").as_uri(), None)


if __name__ == "__main__":
    main()
