"""Answers of routes that work in a transaction: each object's ETag, and what is left to do before one leaves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from msgspec import UNSET, UnsetType

from scutum_server.admin.changes import tag_of
from scutum_server.infra.changes import NEVER


class _Versioned(msgspec.Struct):
    updated_at: dt.datetime | UnsetType | None = UNSET


_DECODER = msgspec.json.Decoder(_Versioned)


class Transactional(APIRoute):
    """Leaves the finished answer at `request.state.answer`, for whoever commits: a dependency never sees it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def answered(request: Request) -> Response:
            response = await handler(request)
            tag(response)
            request.state.answer = response
            return response

        return answered


def adopt(router: APIRouter) -> APIRouter:
    """The router with all its routes transactional."""
    for route in router.routes:
        if isinstance(route, APIRoute):
            route.__class__ = Transactional
    return router


def tag(response: Response) -> None:
    """Gives the answer an ETag when it is one object that tells when it was last changed."""
    if response.media_type != "application/json":
        return
    try:
        version = _DECODER.decode(response.body).updated_at
    except msgspec.MsgspecError:
        # A list, or an object whose `updated_at` is something else.
        return
    if version is not UNSET:
        response.headers["etag"] = f'"{tag_of(version or NEVER)}"'
