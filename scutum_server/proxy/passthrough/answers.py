"""Answers of the pass-through routes on their way to the client, and what they cost.

Small ones are read whole, so that the cost can be told in a header; large ones and audio go on piece by piece, no
faster than the client takes them.
"""

from __future__ import annotations

import re
from time import perf_counter
from typing import Final

from scutum_server.errors import ScutumError
from scutum_server.proxy.call import Call, usd
from scutum_server.proxy.config.snapshot import Deployment
from scutum_server.proxy.keyring import Reply
from scutum_server.upstream.catalog import UNKNOWN, Cost
from scutum_server.upstream.tariff import tokens_of
from scutum_server.wire.errors import provider_error
from scutum_server.wire.passed import SpeechRequest
from scutum_server.wire.reported import Skimmer, Units, units_in

SMALL_BYTES: Final = 1024 * 1024
MAX_ERROR_BYTES: Final = 1024 * 1024
MAX_OBJECT_BYTES: Final = 64 * 1024 * 1024
_KIND: Final = re.compile(rb"[\w.+/; =-]{1,120}")
_EVENTS: Final = b"text/event-stream"


def charge(call: Call, deployment: Deployment, units: Units, source: str) -> None:
    """`source` says whether the provider reported the units, or the gateway counted them."""
    call.tokens, call.usage_source = tokens_of(units), source
    call.priced = deployment.tariff(units)


async def check(deployment: Deployment, reply: Reply) -> None:
    """Raises ProviderError unless the provider did what it was asked."""
    if not 200 <= reply.status < 300:
        refusal = await reply.body(MAX_ERROR_BYTES)
        raise provider_error(deployment.provider.name, reply.status, refusal, reply.header(b"retry-after"))


async def relay(call: Call, deployment: Deployment, reply: Reply, *, metered: bool = True) -> None:
    """The whole way of an answer that is passed on as it is; raises UpstreamError, or ProviderError.

    Nothing is read of it unless it is `metered`: a file's content may look like an answer and is none.
    """
    await check(deployment, reply)
    call.priced = Cost(0, UNKNOWN)
    if isinstance(call.parsed, SpeechRequest):
        charge(call, deployment, {"input_characters": len(call.parsed.input)}, "estimated")
    await _Flow(call, deployment, reply, metered=metered).run()


class _Flow:
    def __init__(self, call: Call, deployment: Deployment, reply: Reply, *, metered: bool) -> None:
        kind = reply.header(b"content-type") or b""
        self._call = call
        self._deployment = deployment
        self._reply = reply
        self._kind = kind if _KIND.fullmatch(kind) else b"application/octet-stream"
        self._events = kind.lower().startswith(_EVENTS)
        readable = metered and (self._events or b"json" in kind.lower())
        self._skimmer = Skimmer() if readable else None
        self._at_once = self._events or kind.lower().startswith((b"audio/", b"video/", b"application/octet-stream"))
        self._early: list[bytes] = []
        self._early_bytes = 0

    async def run(self) -> None:
        call, exchange = self._call, self._call.exchange
        call.provider_done = 0.0
        exchange.on_writable = self._reply.resume
        try:
            await self._reply.pump(self._feed)
        except ScutumError as error:
            if not exchange.response_started:
                raise
            # Bytes of an error have no place in the middle of a picture: the client sees that the answer was cut.
            call.error_kind = error.code
            self._finish()
            call.account(error.status)
            exchange.cut(b"")
            raise
        finally:
            exchange.on_writable = None
            call.provider_done = perf_counter()
        self._finish()
        if exchange.response_started:
            call.account(self._reply.status)
            exchange.end(b": x-scutum-cost=%b\n\n" % usd(call.cost).encode() if self._events else b"")
        else:
            call.account(self._reply.status)
            exchange.respond(self._reply.status, call.head(self._kind), b"".join(self._early))

    def _feed(self, data: bytes) -> bool:
        call, exchange = self._call, self._call.exchange
        if not call.first_byte:
            call.first_byte = perf_counter()
        if self._skimmer is not None:
            self._skimmer.feed(data)
            if self._events:
                self._look()
        if not exchange.response_started:
            self._early.append(data)
            self._early_bytes += len(data)
            if not self._at_once and self._early_bytes <= SMALL_BYTES:
                return True
            if call.on_start is not None:
                call.on_start()
            call.stream = True
            call.provider_done = perf_counter()
            extra = b"cache-control: no-cache\r\nx-accel-buffering: no\r\n" if self._events else b""
            exchange.start(self._reply.status, call.head(self._kind) + extra)
            call.provider_done = 0.0
            data, self._early = b"".join(self._early), []
        return exchange.write(data)

    def _look(self) -> None:
        if self._skimmer is not None:
            for document in self._skimmer.events():
                self._take(units_in(document, images=self._images))

    def _finish(self) -> None:
        if self._skimmer is not None and not self._events:
            self._take(units_in(self._skimmer.document(), images=self._images))

    @property
    def _images(self) -> bool:
        return self._call.endpoint.wire.startswith("images/")

    def _take(self, units: Units | None) -> None:
        if units is not None:
            charge(self._call, self._deployment, units, "reported")
