"""Files at a provider: uploaded, listed, looked at, fetched, deleted.

A batch's requests name models, each in a line: those lines are read on their way up, so that a key reaches no model
that it may not use, and so that clients write the names that they know.
"""

from __future__ import annotations

from time import perf_counter
from typing import Final

import msgspec

from scutum_server.errors import InvalidInput, UpstreamError
from scutum_server.proxy.attempts import watched
from scutum_server.proxy.call import Call
from scutum_server.proxy.config.snapshot import Deployment
from scutum_server.proxy.ids.objects import team_of, with_upstream_ids, wrap
from scutum_server.proxy.ids.wrapped import unknown
from scutum_server.proxy.keyring import Reply
from scutum_server.proxy.passthrough.answers import MAX_OBJECT_BYTES, check, relay
from scutum_server.proxy.passthrough.forms import Form
from scutum_server.proxy.passthrough.objects import (
    Document,
    accounts,
    admitted,
    ask_about,
    listing,
    object_id,
    path_at,
    respond,
)
from scutum_server.proxy.pipeline import route
from scutum_server.upstream.native import FILES
from scutum_server.wire.body import ANYTHING, decode, with_model
from scutum_server.wire.multipart import Event, Field, File, FileEnd

BATCH: Final = "batch"
_MARK: Final = "scutum."
_MOST: Final = 10_000
_PAGE: Final = 1_000


class FileForm(Form):
    """An upload. Its deployment is that of the named model; without one, a batch's first line names it, and any other
    file goes to the only provider there is.
    """

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self._lines: Lines | None = None

    def field(self, field: Field) -> None:
        if field.name == "file" or (field.name == "purpose" and "purpose" in self.fields):
            # Which of two a provider takes, or what it makes of a file without a name, is a guess.
            raise InvalidInput(f"The field `{field.name}` is there twice, or is no file.", param=field.name)
        super().field(field)

    def ready(self) -> bool:
        if "purpose" not in self.fields:
            return False
        if self.named or "model" in self.fields:
            return True
        return self._is_batch and self._first_line is not None

    @property
    def _is_batch(self) -> bool:
        return self.fields.get("purpose") == BATCH

    @property
    def _first_line(self) -> bytes | None:
        """Of the file as far as it is held; None while it is not complete."""
        content = b"".join(event for event in self.held if isinstance(event, bytes)).lstrip()
        line, end, _ = content.partition(b"\n")
        return line if end or (self.complete and line) else None

    def insist(self) -> None:
        if "purpose" not in self.fields:
            raise InvalidInput("The field `purpose` must come before the file.", param="purpose")
        if self._is_batch:
            super().insist()

    def choose(self) -> Deployment:
        call = self.call
        if "purpose" not in self.fields:
            raise InvalidInput("The field `purpose` is missing.", param="purpose")
        model = self.named or self.fields.get("model")
        if not model and self._is_batch:
            model = _first_model(self._first_line or b"{}")
        if model:
            call.requested_model = model
            return self.best(route(call))
        places = accounts(call, FILES)
        if len(places) != 1:
            raise InvalidInput(
                "Which provider the file is for is not clear: name one of its models in the field `model`, before the "
                "file, or in the header `x-scutum-model`.",
                param="model",
            )
        call.requested_model = places[0].name
        return places[0]

    def path(self) -> str:
        # Azure's files belong to the resource, not to one of its deployments.
        return path_at(self.deployment, FILES)

    def first_parts(self) -> bytes:
        return b""

    def part(self, event: Event) -> bytes:
        if isinstance(event, File):
            if self._is_batch:
                self._lines = Lines(self.call, self.deployment)
            marked = f"{_mark(self.call)}{self.deployment.id}.{event.filename}"
            return super().part(File(event.name, marked, event.content_type))
        if self._lines is not None and isinstance(event, bytes):
            return self._lines.feed(event)
        if self._lines is not None and isinstance(event, FileEnd):
            return self._lines.end() + super().part(event)
        return super().part(event)

    async def answer(self, reply: Reply) -> None:
        await check(self.deployment, reply)
        try:
            made = msgspec.json.decode(await reply.body(MAX_OBJECT_BYTES))
            shown = _shown(self.call, self.deployment, made)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, TypeError, KeyError, AttributeError):
            raise UpstreamError(
                f"The provider {self.deployment.provider.name} answered with something that is not a file.",
                code="upstream_bad_answer",
            ) from None
        respond(self.call, shown)


class Lines:
    """The requests of a batch on their way up: the client's model becomes the provider's, and ids of files too."""

    def __init__(self, call: Call, deployment: Deployment) -> None:
        self._call = call
        self._deployment = deployment
        self._tail = b""
        self._number = 0
        self._most = call.gateway.max_body_bytes

    def feed(self, data: bytes) -> bytes:
        """The lines that are complete now; raises InvalidInput for one that is no request for this model."""
        *lines, self._tail = (self._tail + data).split(b"\n")
        if len(self._tail) > self._most:
            raise InvalidInput(f"Line {self._number + len(lines) + 1} of the batch is larger than {self._most} bytes.")
        return b"".join(self._line(line) for line in lines)

    def end(self) -> bytes:
        """What is left when the file ended without a line end."""
        return self._line(self._tail)

    def _line(self, line: bytes) -> bytes:
        self._number += 1
        if not line.strip():
            return b""
        try:
            return self._request(decode(with_upstream_ids(self._call, line, self._deployment), ANYTHING))
        except InvalidInput as error:
            error.detail = f"Line {self._number} of the batch cannot be used. {error.detail}"
            raise

    def _request(self, request: Document) -> bytes:
        model = _model_of(request)
        if model not in {self._call.requested_model, self._deployment.name}:
            raise InvalidInput(
                f"It names the model `{model[:100]}`, others `{self._call.requested_model[:100]}`: a batch is for one.",
                param="model",
            )
        request["body"] = msgspec.Raw(with_model(msgspec.json.encode(request["body"]), self._deployment.upstream_model))
        return msgspec.json.encode(request) + b"\n"


def _model_of(request: Document) -> str:
    body = request.get("body")
    model = body.get("model") if isinstance(body, dict) else None
    if not isinstance(model, str):
        raise InvalidInput("It is no request of a batch: `body.model` is missing.", param="model")
    return model


def _first_model(line: bytes) -> str:
    try:
        return _model_of(decode(line, ANYTHING))
    except InvalidInput as error:
        error.detail = f"Line 1 of the batch cannot be used. {error.detail}"
        raise


async def upload(call: Call) -> None:
    """POST /v1/files."""
    await FileForm(call).run()


async def list_files(call: Call) -> None:
    """GET /v1/files: those that this team uploaded through the gateway."""
    document = await listing(
        call,
        FILES,
        lambda place, entry: _listed(call, place, entry),
        most=_MOST,
        page=_PAGE,
        passed=("purpose", "order"),
    )
    respond(call, document)


async def get_file(call: Call) -> None:
    """GET /v1/files/{id}."""
    deployment, path = await admitted(call, FILES)
    respond(call, _shown(call, deployment, await ask_about(call, deployment, "GET", path)))


async def delete_file(call: Call) -> None:
    """DELETE /v1/files/{id}."""
    deployment, path = await admitted(call, FILES)
    respond(call, _shown(call, deployment, await ask_about(call, deployment, "DELETE", path)))


async def get_content(call: Call) -> None:
    """GET /v1/files/{id}/content, of any size."""
    deployment, path = await admitted(call, FILES)
    call.provider_sent = perf_counter()
    with watched(call, deployment):
        reply = await deployment.provider.lane.ask("GET", f"{path}/content", fields=call.trace_fields)
        try:
            if reply.status == 404:
                raise unknown(object_id(call))
            await relay(call, deployment, reply, metered=False)
        finally:
            reply.close()


def _mark(call: Call) -> str:
    return f"{_MARK}{team_of(call)}."


def _shown(call: Call, deployment: Deployment, entry: Document) -> Document:
    """A file as the client knows it."""
    name, mark = entry.get("filename"), _mark(call)
    shown = entry | {"id": wrap(call, deployment.id, entry["id"])}
    if isinstance(name, str) and name.startswith(mark):
        shown["filename"] = name.removeprefix(mark).partition(".")[2]
    return shown


def _listed(call: Call, place: Deployment, entry: Document) -> Document | None:
    """A file of this team, with the deployment that it was uploaded for; None for any other."""
    name, mark = entry.get("filename"), _mark(call)
    if not isinstance(name, str) or not name.startswith(mark) or not isinstance(entry.get("id"), str):
        return None
    owner = call.snapshot.deployments.get(name.removeprefix(mark).partition(".")[0])
    return _shown(call, owner, entry) if owner is not None and owner.provider.id == place.provider.id else None
