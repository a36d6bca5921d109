"""Records that are sent again after a loss of the stream, and when they are known to be there."""

from __future__ import annotations

from pathlib import Path

from scutum_server.usage.journal import Journal
from tests.fixtures.records import line_of
from tests.unit.usage.test_journal import MemoryStream, quick, record, running, until  # noqa: F401


async def test_all_that_was_appended_is_there_once_it_says_so(tmp_path: Path) -> None:
    stream = MemoryStream()
    stream.away = True
    async with running(Journal(tmp_path, stream)) as journal:
        ids = []
        for _ in range(5):
            one = record()
            ids.append(one.request_id)
            journal.append([line_of(one)])
        there = journal.send_again()
        assert not there()
        stream.away = False
        await until(there)
        assert set(ids) <= set(stream.ids())
        # What comes afterwards is another matter.
        stream.away = True
        journal.append([line_of(record())])
        assert there() and not journal.send_again()()


async def test_what_a_flush_took_is_sent_again(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("scutum_server.usage.journal.SETTLE_SECONDS", 0.3)
    stream = MemoryStream()
    async with running(Journal(tmp_path, stream)) as journal:
        one = record()
        journal.append([line_of(one)])
        await until(stream.ids)
        stream.entries.clear()
        there = journal.send_again()
        await until(there)
        assert stream.ids() == [one.request_id]
