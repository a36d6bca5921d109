"""Usage records as the proxy writes them: in two parts, one write for all of a turn of the loop."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from scutum_server.infra.outbox import Outbox
from scutum_server.proxy.config.snapshot import Key
from scutum_server.proxy.telemetry.metrics import Metrics
from scutum_server.proxy.telemetry.records import Records
from scutum_server.usage.journal import Journal
from scutum_server.usage.models import Reading, UsageRecord, Whose

DEPLOYMENT = SimpleNamespace(
    id="dep_1", name="fast", upstream_model="gpt", provider=SimpleNamespace(name="openai"), simulated=True
)
TEAM = SimpleNamespace(id="team_1", org_id="org_1")


class Disk:
    """A journal's writes, and what had been put into a transport when they came."""

    def __init__(self, order: list[bytes]) -> None:
        self.order = order

    def append(self, lines: list[bytes]) -> None:
        self.order.append(b"".join(lines))


class Wire:
    def __init__(self, order: list[bytes]) -> None:
        self.order = order

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes) -> None:
        self.order.append(data)


def made(order: list[bytes]) -> tuple[Records, Outbox, asyncio.WriteTransport]:
    outbox = Outbox(asyncio.get_running_loop())
    records = Records(cast(Journal, Disk(order)), Metrics(Path("unused"), lambda: ({}, {}, {})), outbox)
    records.worker = "1-abc"
    return records, outbox, cast(asyncio.WriteTransport, Wire(order))


def snapshot(version: int = 1) -> Any:
    return SimpleNamespace(version=version)


def decoded(lines: bytes) -> list[UsageRecord]:
    return [msgspec.json.decode(line, type=UsageRecord) for line in lines.splitlines()]


def test_the_two_parts_are_a_record() -> None:
    parts = Whose.__struct_fields__ + Reading.__struct_fields__
    assert sorted(parts) == sorted(UsageRecord.__struct_fields__)
    whole = {field.name: (field.type, field.default) for field in msgspec.structs.fields(UsageRecord)}
    for field in msgspec.structs.fields(Reading):
        assert whole[field.name] == (field.type, field.default)


async def test_a_record_is_on_disk_before_its_answer_and_those_of_a_turn_are_one_write() -> None:
    order: list[bytes] = []
    records, outbox, client = made(order)
    whose = records.subject(snapshot(), Key("key_1", "team_1"), TEAM, "/v1/x", 'a "name" \\ é', DEPLOYMENT)  # type: ignore[arg-type]
    for number in (1, 2):
        records.keep(whose, Reading(f"id-{number}", 200, tokens_in=number, error_kind='"'))
        outbox.put(client, b"answer")
    assert order == []
    await asyncio.sleep(0)
    written, *answers = order
    assert answers == [b"answer", b"answer"]
    first, second = decoded(written)
    assert second == msgspec.structs.replace(first, request_id="id-2", tokens_in=2)
    assert first == UsageRecord(
        request_id="id-1", status=200, org_id="org_1", team_id="team_1", key_id="key_1", route="/v1/x",
        requested_model='a "name" \\ é', deployment_id="dep_1", model="fast", upstream_model="gpt", provider="openai",
        simulated=True, error_kind='"', tokens_in=1, worker="1-abc",
    )  # fmt: skip


async def test_an_answer_too_large_to_wait_takes_its_record_along() -> None:
    order: list[bytes] = []
    records, outbox, client = made(order)
    records.keep(records.subject(snapshot(), Key("key_1", "team_1"), None, "/v1/x", None, None), Reading("id-1", 200))
    outbox.put(client, b"x" * 100_000)
    assert [len(decoded(order[0])), len(order[1])] == [1, 100_000]


async def test_a_record_without_an_answer_is_written_in_the_same_turn() -> None:
    order: list[bytes] = []
    records, _, _ = made(order)
    records.keep(records.subject(snapshot(), Key("key_1", "team_1"), None, "/v1/x", None, None), Reading("id-1", 499))
    await asyncio.sleep(0)
    assert [one.status for one in decoded(order[0])] == [499]


async def test_a_changed_configuration_is_told_by_the_next_record() -> None:
    records, _, _ = made([])
    arguments = (Key("key_1", "team_1"), TEAM, "/v1/x", "fast")
    before = records.subject(snapshot(1), *arguments, DEPLOYMENT)  # type: ignore[arg-type]
    after = records.subject(snapshot(2), *arguments, SimpleNamespace(**(vars(DEPLOYMENT) | {"upstream_model": "other"})))  # type: ignore[arg-type]
    assert (b'"upstream_model":"gpt"' in before.tail, b'"upstream_model":"other"' in after.tail) == (True, True)
