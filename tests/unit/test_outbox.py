"""Writes that are made together at the end of a turn of the event loop."""

from __future__ import annotations

import asyncio
import socket

import uvloop

from scutum_server.infra.outbox import LARGE_BYTES, outbox_of


async def connected() -> tuple[asyncio.Transport, socket.socket]:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
    return transport, theirs


def turns(work) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())


def test_a_transport_that_was_closed_meanwhile_takes_nobody_s_bytes_with_it() -> None:
    async def work() -> None:
        (gone, peer), (there, reader) = await connected(), await connected()
        outbox = outbox_of(asyncio.get_running_loop())
        gone.abort()
        for _ in range(5):
            await asyncio.sleep(0)  # until the loop has forgotten it
        outbox.put(gone, b"lost")
        outbox.put(there, b"one, ")
        outbox.put(there, b"two")
        await asyncio.sleep(0)
        assert await asyncio.get_running_loop().sock_recv(reader, 100) == b"one, two"
        there.close()
        for each in (peer, reader):
            each.close()

    turns(work)


def test_what_is_large_goes_at_once_and_in_its_order() -> None:
    async def work() -> None:
        transport, reader = await connected()
        outbox = outbox_of(asyncio.get_running_loop())
        outbox.put(transport, b"first")
        outbox.put(transport, b"x" * (LARGE_BYTES + 1))
        assert reader.recv(5) == b"first", "before the turn is over"
        transport.close()
        reader.close()

    turns(work)
