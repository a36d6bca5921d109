"""One request's services over one transaction."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request

from scutum_server.admin.auth import authenticate, runtime_of
from scutum_server.admin.changes import Changes, Context
from scutum_server.admin.runtime import utc_now
from scutum_server.admin.services import Services
from scutum_server.infra.db import transaction


async def unit_of_work(request: Request, context: Annotated[Context, Depends(authenticate)]) -> AsyncIterator[None]:
    """One transaction around the handler: committed, with its audit rows, before the answer leaves."""
    runtime = runtime_of(request)
    changes = Changes(context)
    async with transaction(runtime.pool) as conn:
        for name, service in vars(Services(conn, runtime.box, changes, utc_now)).items():
            setattr(request.state, name, service)
        yield
        await changes.write(conn)
