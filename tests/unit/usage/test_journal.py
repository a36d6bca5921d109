"""The journal against a stream that can be away, restart and forget."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from scutum_server.errors import Unavailable
from scutum_server.infra.ids import uuid7
from scutum_server.infra.tasks import Heed
from scutum_server.usage import journal as journal_module
from scutum_server.usage.journal import Journal
from scutum_server.usage.models import UsageRecord
from scutum_server.usage.segment import _lock
from tests.fixtures.records import line_of


class MemoryStream:
    """What a server holds; `away` refuses, `crash()` starts another run without what was not settled."""

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self.settled = 0
        self.run = 1
        self.away = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def add(self, lines: bytes) -> None:
        await self.server()
        self.entries.append(lines)
        await self.gate.wait()

    async def server(self) -> str:
        if self.away:
            raise Unavailable("away")
        return str(self.run)

    async def settle(self) -> str:
        run = await self.server()
        self.settled = len(self.entries)
        return run

    def crash(self) -> None:
        self.run += 1
        del self.entries[self.settled :]

    def ids(self) -> list[str]:
        return [json.loads(line)["request_id"] for entry in self.entries for line in entry.splitlines()]


def record(**fields: object) -> UsageRecord:
    return UsageRecord(request_id=str(uuid7()), status=200, **fields)  # type: ignore[arg-type]


async def until(check) -> None:  # type: ignore[no-untyped-def]
    async with asyncio.timeout(10):
        while not check():
            await asyncio.sleep(0.002)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "SETTLE_SECONDS", 0.02)
    monkeypatch.setattr(journal_module, "GATHER_SECONDS", 0.001)
    monkeypatch.setattr(journal_module, "BACKOFF_SECONDS", (0.002, 0.01))


@asynccontextmanager
async def running(journal: Journal) -> AsyncIterator[Journal]:
    journal.open()
    flusher = asyncio.create_task(journal.run())
    try:
        yield journal
    finally:
        flusher.cancel()
        await asyncio.gather(flusher, return_exceptions=True)
        await journal.close(0.05)


def files(directory: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(directory.glob("*.journal"))]


async def test_a_record_is_on_disk_when_append_returns(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "spill", MemoryStream())
    journal.open()
    one = record(model="sim")
    journal.append([line_of(one)])
    (content,) = files(tmp_path / "spill")
    assert json.loads(content)["request_id"] == one.request_id
    assert content.endswith(b"\n")
    assert (tmp_path / "spill").stat().st_mode & 0o777 == 0o700
    assert next((tmp_path / "spill").iterdir()).stat().st_mode & 0o777 == 0o600
    await journal.close()


async def test_what_the_stream_holds_for_certain_leaves_the_disk(tmp_path: Path) -> None:
    stream = MemoryStream()
    async with running(Journal(tmp_path, stream)) as journal:
        sent = [record() for _ in range(10)]
        for one in sent:
            journal.append([line_of(one)])
        await until(lambda: files(tmp_path) == [b""])
        assert stream.ids() == [one.request_id for one in sent]
    assert list(tmp_path.iterdir()) == []


async def test_batches_have_at_most_500_records_and_half_a_megabyte(tmp_path: Path) -> None:
    stream = MemoryStream()
    async with running(Journal(tmp_path, stream)) as journal:
        for _ in range(1200):
            journal.append([line_of(record())])
        for _ in range(40):
            journal.append([line_of(record(session_id="s" * 40_000))])
        journal.append([line_of(record(session_id="s" * 700_000))])
        await until(lambda: files(tmp_path) == [b""])
    assert len(stream.ids()) == len(set(stream.ids())) == 1241
    assert max(entry.count(b"\n") for entry in stream.entries) == 500
    assert all(len(entry) <= 512 * 1024 or entry.count(b"\n") == 1 for entry in stream.entries)


async def test_an_outage_keeps_records_on_disk_and_not_in_memory(tmp_path: Path) -> None:
    stream = MemoryStream()
    stream.away = True
    async with running(Journal(tmp_path, stream)) as journal:
        sent = [record() for _ in range(2000)]
        for one in sent:
            journal.append([line_of(one)])
        await asyncio.sleep(0.05)
        assert journal._held == 0
        assert sum(map(len, files(tmp_path))) == journal.pending_bytes > 0
        stream.away = False
        await until(lambda: journal.pending_bytes == 0)
    assert stream.ids() == [one.request_id for one in sent]


async def test_a_server_that_restarted_unnoticed_gets_again_what_it_may_have_lost(tmp_path: Path) -> None:
    stream = MemoryStream()
    journal = Journal(tmp_path, stream)
    journal.open()
    first, second = record(), record()
    journal.append([line_of(first)])
    await journal._flush(Heed())
    await journal._settle()
    journal.append([line_of(second)])
    await journal._flush(Heed())
    stream.crash()
    assert stream.ids() == [first.request_id]
    await journal._settle()
    await journal._flush(Heed())
    assert stream.ids() == [first.request_id, second.request_id]
    await journal.close()


async def test_settling_while_a_batch_is_under_way_loses_no_record(tmp_path: Path) -> None:
    stream = MemoryStream()
    journal = Journal(tmp_path, stream)
    journal.open()
    journal.append([line_of(record())])
    await journal._flush(Heed())
    stream.run += 1  # restarted: everything is to be sent again
    await journal._settle()
    stream.gate.clear()
    flush = asyncio.create_task(journal._flush(Heed()))
    await until(lambda: len(stream.entries) == 2)
    journal._current.acknowledge((0, journal._current.size))  # an answer that came late
    journal._current.reset()
    late = record()
    journal.append([line_of(late)])
    stream.gate.set()
    await flush
    assert late.request_id in stream.ids()
    assert journal._current.sent == journal._current.size
    await journal.close()


async def test_a_full_file_is_followed_by_another_and_removed_when_sent(tmp_path: Path) -> None:
    stream = MemoryStream()
    stream.away = True
    async with running(Journal(tmp_path, stream, rotate_bytes=2000)) as journal:
        for _ in range(100):
            journal.append([line_of(record())])
        assert len(files(tmp_path)) > 3
        assert max(map(len, files(tmp_path))) < 2200
        stream.away = False
        await until(lambda: files(tmp_path) == [b""])
    assert len(set(stream.ids())) == 100


async def test_a_successor_sends_what_a_dead_process_left(tmp_path: Path) -> None:
    stream = MemoryStream()
    stream.away = True
    left = [record() for _ in range(3)]
    async with running(Journal(tmp_path, stream)) as journal:
        for one in left:
            journal.append([line_of(one)])
    assert len(files(tmp_path)) == 1
    stream.away = False
    async with running(Journal(tmp_path, stream)) as journal:
        await until(lambda: journal.pending_bytes == 0)
        assert journal.counters.adopted == 1
    assert stream.ids() == [one.request_id for one in left]


async def test_half_a_record_is_moved_aside_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = b'{"request_id":"a","status":200}\n'
    (tmp_path / "1-a.journal").write_bytes(whole + b'{"request_id":"b","sta')
    (tmp_path / "1-b.journal").write_bytes(b"no newline" * 20_000)
    (tmp_path / "1-c.journal").write_bytes(b"")
    stream = MemoryStream()
    async with running(Journal(tmp_path, stream)) as journal:
        await until(lambda: journal.pending_bytes == 0 and not list(tmp_path.glob("1-*.journal")))
    assert stream.entries == [whole]
    assert (tmp_path / "1-a.torn").read_bytes() == b'{"request_id":"b","sta'
    assert (tmp_path / "1-b.torn").read_bytes() == b"no newline" * 20_000
    assert sum("half a record" in line.message for line in caplog.records) == 2


HOLD = """
import sys
from pathlib import Path
from scutum_server.usage.segment import Segment
segment = Segment.create(Path(sys.argv[1]))
segment.write(b'{"request_id":"a","status":200}\\n')
print("ready", flush=True)
sys.stdin.read()
"""


async def test_the_file_of_a_living_process_is_its_own(tmp_path: Path) -> None:
    stream = MemoryStream()
    owner = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with owner:
        assert owner.stdout is not None
        owner.stdout.readline()
        async with running(Journal(tmp_path, stream)) as journal:
            journal._adopt()
            await asyncio.sleep(0.02)
            assert stream.entries == []
            owner.kill()
            owner.wait()
            journal._adopt()
            await until(lambda: len(stream.entries) == 1)


def test_a_file_that_was_removed_while_we_waited_for_its_lock_is_not_ours(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "1-a.journal", os.O_RDWR | os.O_CREAT)
    (tmp_path / "1-a.journal").unlink()
    assert not _lock(fd)
    os.close(fd)


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Files that cannot grow beyond that, as on a full disk: a write takes a part, the next one fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_breaks_no_request_and_loses_no_record(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stream = MemoryStream()
    stream.away = True
    sent = [record() for _ in range(50)]
    async with running(Journal(tmp_path, stream)) as journal:
        with disk_of(1000):
            for one in sent:
                journal.append([line_of(one)])
            assert journal.counters.failed > 20
            (content,) = files(tmp_path)
            assert content.endswith(b"\n")
            assert [json.loads(line)["request_id"] for line in content.splitlines()]
            stream.away = False
            await until(lambda: journal.pending_bytes == 0)
        journal.append([line_of(late := record())])
        await until(lambda: late.request_id in stream.ids())
    assert sorted(stream.ids()) == sorted(one.request_id for one in [*sent, late])
    assert sum("cannot be written" in line.message for line in caplog.records) == 1


async def test_room_on_the_disk_takes_back_what_waits_in_memory(tmp_path: Path) -> None:
    stream = MemoryStream()
    stream.away = True
    journal = Journal(tmp_path, stream)
    journal.open()
    with disk_of(10):
        journal.append([line_of(record())])
    assert journal._held > 0
    with pytest.raises(Unavailable):
        await journal._flush(Heed())
    stream.away = False
    await journal._flush(Heed())
    assert journal._held == 0
    assert len(stream.ids()) == 1
    await journal.close()


async def test_what_neither_disk_nor_memory_takes_is_counted_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stream = MemoryStream()
    stream.away = True
    journal = Journal(tmp_path, stream, rotate_bytes=1000, limit_bytes=3000, memory_bytes=1000)
    journal.open()
    for _ in range(200):
        journal.append([line_of(record())])
    assert sum(map(len, files(tmp_path))) < 4500
    assert journal._held <= 1000
    assert journal.counters.dropped > 100
    assert any("cannot be written" in line.message for line in caplog.records if line.levelno == logging.ERROR)
    stream.away = False
    kept = 200 - journal.counters.dropped
    await journal.close()
    assert len(set(stream.ids())) == kept


async def test_a_defect_in_the_flusher_does_not_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stream = MemoryStream()
    broken = [RuntimeError("defect")]
    add = stream.add

    async def failing(lines: bytes) -> None:
        if broken:
            raise broken.pop()
        await add(lines)

    monkeypatch.setattr(stream, "add", failing)
    async with running(Journal(tmp_path, stream)) as journal:
        journal.append([line_of(one := record())])
        await until(lambda: stream.ids() == [one.request_id])
    assert any("starts again" in line.message for line in caplog.records)


class DeafStream(MemoryStream):
    """Swallows a cancellation, as `asyncio.wait_for` of Python 3.11 does inside redis-py."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = asyncio.Event()

    async def add(self, lines: bytes) -> None:
        self.entries.append(lines)
        self.entered.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return


async def test_a_cancellation_that_redis_swallows_still_ends_the_flusher(tmp_path: Path) -> None:
    stream = DeafStream()
    journal = Journal(tmp_path, stream)
    journal.open()
    flusher = asyncio.create_task(journal.run())
    journal.append([line_of(record())])
    await stream.entered.wait()
    flusher.cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(flusher, return_exceptions=True)
    journal.append([line_of(record())])
    async with asyncio.timeout(5):
        await journal.close(0.05)


async def test_closing_does_not_wait_for_a_stream_that_hangs(tmp_path: Path) -> None:
    stream = MemoryStream()
    stream.gate.clear()
    journal = Journal(tmp_path, stream)
    journal.open()
    journal.append([line_of(record())])
    async with asyncio.timeout(5):
        await journal.close(0.05)
    assert len(files(tmp_path)) == 1


def test_a_directory_that_cannot_be_used_is_noticed_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "spill").write_text("a file")
    with pytest.raises(OSError, match="spill"):
        Journal(tmp_path / "spill", MemoryStream()).open()
