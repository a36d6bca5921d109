"""How many may administer an install, which its licence says."""

from __future__ import annotations

from typing import Final, Protocol

from scutum_server.access.models import Role, SeatsTaken, User
from scutum_server.access.store import AccessStore

_ADMINISTER: Final = frozenset({"owner", "admin"})


class Licence(Protocol):
    async def max_admins(self) -> int | None:
        """How many accounts may administer this install; None without bound."""


class Seats:
    """Owners and admins count, of the whole install and of its orgs; who is disabled does not."""

    def __init__(self, store: AccessStore, licence: Licence) -> None:
        self._store = store
        self._licence = licence

    async def check(self, user: User, before: User | None = None) -> None:
        """Raises SeatsTaken when somebody who did not administer before is one more than the licence has."""
        if _administers(user) and not (before is not None and _administers(before)):
            await self.take(user.id, user.role)

    async def take(self, user_id: str, role: Role) -> None:
        """Raises SeatsTaken when this account, which does not administer yet, would be one too many with this role."""
        if role not in _ADMINISTER:
            return
        most = await self._licence.max_admins()
        if most is not None and len([one for one in await self._store.administrators() if one != user_id]) >= most:
            raise SeatsTaken(
                f"The licence is for {most} owners and admins, and there are as many.",
                hint="Give somebody another role, or activate another licence: scutum license status",
            )


def _administers(user: User) -> bool:
    return user.role in _ADMINISTER and user.state == "active"
