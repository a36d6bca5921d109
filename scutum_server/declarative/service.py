"""The configuration as a file: written, compared, applied, and whether the install has left the file applied last."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any, Protocol

from scutum_server.declarative import document, writing
from scutum_server.declarative.models import (
    ApplyRunning,
    Change,
    Drift,
    Fault,
    InvalidFile,
    Plan,
    PlanChanged,
    Sections,
    State,
)
from scutum_server.declarative.planning import SECRET, plan
from scutum_server.declarative.store import DeclarativeStore
from scutum_server.infra.changes import Changes


class Hand(Protocol):
    """Who can change every kind of object; the composition root has all of their rules together."""

    async def same_secret(self, provider_id: str, secret: str) -> bool:
        """Whether the provider holds this very key."""

    async def perform(self, changes: Plan, state: State, secrets: Mapping[str, str]) -> None:
        """Makes every change in its order; raises what the rules of an object say, as InvalidFile with its place."""


class DeclarativeService:
    """`defaults` are the settings that there are, `actor` is who applies a file."""

    def __init__(
        self, store: DeclarativeStore, changes: Changes, hand: Hand, defaults: Mapping[str, Any], actor: str
    ) -> None:
        self._store = store
        self._changes = changes
        self._hand = hand
        self._defaults = defaults
        self._actor = actor

    async def export(self) -> str:
        """The file that makes this state."""
        state = await self._store.state(self._defaults)
        return await asyncio.to_thread(writing.write, state)

    async def diff(self, file: str, *, prune: bool) -> Plan:
        """What applying the file would change; raises InvalidFile. Secrets are compared by reference only."""
        sections = await self._parsed(file)
        return plan(sections, await self._store.state(self._defaults), prune=prune)

    async def apply(self, file: str, *, prune: bool, expected: str | None, secrets: Mapping[str, str]) -> Plan:
        """Makes every change, or none. `expected` is the digest of the plan that was agreed to.

        Raises InvalidFile, PlanChanged or ApplyRunning.
        """
        sections = await self._parsed(file)
        if not await self._store.lock():
            raise ApplyRunning(
                "Somebody else is applying a file right now.", hint="Look at what it did, and try again."
            )
        state = await self._store.state(self._defaults)
        agreed = plan(sections, state, prune=prune)
        if expected is not None and agreed.digest != expected:
            raise PlanChanged(
                "The configuration was changed since this plan was made, so nothing was done.",
                hint="Look at the new plan: scutum config diff FILE",
            )
        differing = await self._differing(sections, state, secrets)
        made = plan(sections, state, prune=prune, told=frozenset(secrets), differing=differing)
        self._refuse_missing(made, sections)
        if made.changes:
            await self._hand.perform(made, state, secrets)
        digest = hashlib.sha256(file.encode()).hexdigest()
        await self._store.remember(sections, sha256=digest, pruned=prune, applied_by=self._actor)
        counts = {name: made.count(name) for name in ("create", "update", "delete")}
        self._changes.note("config.apply", "config", digest[:16], after={"sha256": digest, "prune": prune, **counts})
        return made

    async def drift(self) -> Drift:
        """How the install differs from the file applied last, now."""
        applied = await self._store.applied()
        if applied is None:
            return Drift(applied=None, changes=[])
        return Drift(applied=applied, changes=await self._left(applied.pruned))

    async def forget(self) -> None:
        """No file is expected to hold any more."""
        applied = await self._store.applied()
        if applied is not None:
            await self._store.forget()
            self._changes.note("config.forget", "config", applied.sha256[:16], before={"sha256": applied.sha256})

    async def _left(self, pruned: bool) -> list[Change]:
        sections, state = await self._store.content(), await self._store.state(self._defaults)
        return drifted(sections, state, pruned=pruned)

    async def _parsed(self, file: str) -> Sections:
        # Ten thousand keys take a second: other requests must not wait for it.
        sections = await asyncio.to_thread(document.parse, file)
        for identity, item in sections.get("settings", {}).items():
            if identity[0] not in self._defaults:
                said = f"is not known here; known: {', '.join(sorted(self._defaults))}"
                raise InvalidFile([Fault(f"settings.{identity[0]}", said, item.place)])
        return sections

    async def _differing(self, sections: Sections, state: State, secrets: Mapping[str, str]) -> frozenset[str]:
        found = set()
        for identity, item in sections.get("providers", {}).items():
            there, secret = state["providers"].get(identity), secrets.get(item.fields.get(SECRET, ""))
            if there is None or secret is None or SECRET not in there.fields:
                continue
            if not await self._hand.same_secret(there.id, secret):
                found.add(there.id)
        return frozenset(found)

    @staticmethod
    def _refuse_missing(made: Plan, sections: Sections) -> None:
        faults = [
            Fault(f"providers {item.identity[0]}.{SECRET}", f"{item.fields[SECRET]} was not told", item.places[SECRET])
            for item in sections.get("providers", {}).values()
            if item.fields.get(SECRET) in made.missing
        ]
        if faults:
            raise InvalidFile(
                faults, hint="Set it where scutum config apply runs, or leave api_key out to keep what is."
            )


def drifted(sections: Sections, state: State, *, pruned: bool) -> list[Change]:
    """The changes that would bring the file's state back; objects beside the file's only where it was to be all."""
    return plan(sections, state, prune=pruned, strict=False).changes
