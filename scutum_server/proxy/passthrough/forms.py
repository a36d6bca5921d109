"""Forms with files on their way to a provider: images to edit, audio to write down. Nothing of them is kept.

The deployment must be known before the first byte can be sent, so `model` comes before the file or in the header
`x-scutum-model`. For clients that put it last, the form's beginning is held back; small forms work in any order.

What was sent cannot be sent again: there are no retries and no fallbacks.
"""

from __future__ import annotations

from contextlib import ExitStack, aclosing
from time import perf_counter
from typing import Final

from scutum_server.errors import InvalidInput
from scutum_server.proxy.attempts import watched
from scutum_server.proxy.call import Call
from scutum_server.proxy.config.snapshot import Deployment, Plan
from scutum_server.proxy.keyring import Reply, Sending
from scutum_server.proxy.passthrough.answers import relay
from scutum_server.proxy.passthrough.objects import header, path_at
from scutum_server.proxy.pipeline import complete, route
from scutum_server.wire.multipart import Event, Field, File, FileEnd, FormReader, FormWriter
from scutum_server.wire.passed import PassedRequest

HELD_BYTES: Final = 1024 * 1024
_READ: Final = frozenset({"model", "purpose"})
_MODELS: Final = {"images/edits": "gpt-image-1.5", "images/variations": "dall-e-2"}
"""OpenAI's own defaults where the client names none."""


class Form:
    """One form. `deployment` is there once the choice was made."""

    deployment: Deployment

    def __init__(self, call: Call) -> None:
        self.call = call
        self.fields: dict[str, str] = {}
        self.held: list[Event] = []
        self.complete = False
        self.named = header(call, b"x-scutum-model")
        self._held_bytes = 0
        self._writer = FormWriter()
        self._sending: Sending | None = None
        self._stack = ExitStack()

    async def run(self) -> None:
        """Takes the form in, sends it on, and answers."""
        with self._stack:
            try:
                reply = await self._send()
            finally:
                self.call.provider_done = perf_counter()
                if self._sending is not None:
                    self._sending.abort()
            try:
                await self.answer(reply)
            finally:
                reply.close()

    async def _send(self) -> Reply:
        call = self.call
        reader = FormReader(header(call, b"content-type").encode("latin-1"))
        async with aclosing(call.exchange.pieces(call.gateway.body_limit(call.endpoint.route))) as pieces:
            async for piece in pieces:
                for event in reader.feed(piece):
                    await self._arrived(event)
                if self._sending is not None and self._sending.answered:
                    break  # a refusal: the rest is not wanted
            else:
                reader.end()
                self.complete = True
                sending = await self._begun()
                await sending.send(self._writer.end)
        sending = await self._begun()
        self._sending = None
        return await sending.finish()

    async def _arrived(self, event: Event) -> None:
        if isinstance(event, Field | File):
            _check_name(event)
        if isinstance(event, Field):
            self.field(event)
        if self._sending is not None:
            await self._sending.send(self.part(event))
            return
        self.held.append(event)
        self._held_bytes += (
            len(event) if isinstance(event, bytes) else len(event.value) if isinstance(event, Field) else 0
        )
        if self.ready():
            await self._begun()
        elif self._held_bytes > HELD_BYTES:
            self.insist()
            await self._begun()

    async def _begun(self) -> Sending:
        """The upload, begun now if it was not: chooses the deployment and sends what was held back."""
        if self._sending is None:
            call = self.call
            self.deployment = deployment = self.choose()
            call.deployment = deployment
            call.parsed = PassedRequest(call.requested_model, self.fields.get("user"))
            path = self.path()
            await call.gateway.admission.admit(call, deployment)
            call.provider_sent = perf_counter()
            self._stack.enter_context(watched(call, deployment))
            lane = deployment.provider.lane
            self._sending = await lane.upload(path, self._writer.content_type, call.trace_fields)
            held, self.held = self.held, []
            await self._sending.send(self.first_parts())
            for event in held:
                await self._sending.send(self.part(event))
        return self._sending

    # -- what differs between forms

    def ready(self) -> bool:
        """Whether enough is known to choose the deployment."""
        return bool(self.named or "model" in self.fields)

    def insist(self) -> None:
        """No more is held back: raises InvalidInput when the deployment cannot be chosen yet."""
        raise InvalidInput(
            "The field `model` must come before the file, or in the header `x-scutum-model`.", param="model"
        )

    def choose(self) -> Deployment:
        """The deployment, with `requested_model` set; raises what `route` raises."""
        model = self.named or self.fields.get("model") or _MODELS.get(self.call.endpoint.wire)
        if not model:
            raise InvalidInput("The field `model` is missing.", param="model")
        self.call.requested_model = model
        return self.best(route(self.call))

    def best(self, plan: Plan) -> Deployment:
        """The first of the candidates that has the route and is not at rest; there will be no second attempt."""
        candidates = plan.candidates if plan.order is None else plan.order(False)
        having = [each for each in candidates if self.call.endpoint.wire in each.provider.lane.traits.paths]
        ready = [each for each in having if each.health.ready() and not each.health.resting]
        return (ready or having or list(candidates))[0]

    def path(self) -> str:
        """At the provider."""
        return self.deployment.path_prefix + path_at(self.deployment, self.call.endpoint.wire)

    def field(self, field: Field) -> None:
        """Takes note of a field."""
        self.fields.setdefault(field.name, field.value[:1024].decode("utf-8", "replace"))

    def first_parts(self) -> bytes:
        return self._writer.field("model", self.deployment.upstream_model.encode())

    def part(self, event: Event) -> bytes:
        """A part, or a piece of one, as it goes to the provider."""
        if isinstance(event, Field):
            return b"" if event.name == "model" else self._writer.field(event.name, event.value)
        if isinstance(event, File):
            return self._writer.file(event)
        return b"\r\n" if isinstance(event, FileEnd) else event

    async def answer(self, reply: Reply) -> None:
        await relay(self.call, self.deployment, reply)


def _check_name(part: Field | File) -> None:
    """Raises InvalidInput for what somebody else might take for one of the fields that were read here."""
    plain = part.name.strip().casefold().removesuffix("[]")
    if plain in _READ and (isinstance(part, File) or part.name != plain):
        raise InvalidInput(f"The part `{part.name[:100]}` could be taken for the field `{plain}`.", param=plain)


async def form(call: Call) -> None:
    """Images and audio. OpenAI takes edits of images as JSON too."""
    if call.endpoint.wire == "images/edits" and not header(call, b"content-type").lower().startswith("multipart/"):
        await complete(call)
    else:
        await Form(call).run()
