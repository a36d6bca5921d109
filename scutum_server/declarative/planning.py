"""From a file and the live state to the changes that lead from one to the other. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from scutum_server.declarative.form import BUDGET_SCOPES, DEFAULT_ORG, LIMIT_SCOPES, SECTIONS, Section
from scutum_server.declarative.models import (
    Change,
    Fault,
    Identity,
    InvalidFile,
    Item,
    Live,
    Plan,
    Sections,
    State,
    shown,
)

_KEPT: Final[Mapping[str, set[Identity]]] = {"orgs": {(DEFAULT_ORG,)}, "teams": {(DEFAULT_ORG, "default")}}
"""What the master key is charged to stays."""
SECRET: Final = "api_key"  # noqa: S105 - the field's name
_OTHER: Final = "another secret"


def plan(
    sections: Sections,
    state: State,
    *,
    prune: bool,
    strict: bool = True,
    told: frozenset[str] = frozenset(),
    differing: frozenset[str] = frozenset(),
) -> Plan:
    """The changes in the order in which they are made.

    `told` are the references to secrets whose values are known; `differing` the ids of providers that hold another one.
    Raises InvalidFile (unless not `strict`) for an object that refers to one that neither the file nor the install has.
    """
    faults = list(_dangling(sections, state)) if strict else []
    if faults:
        raise InvalidFile(faults)
    changes: list[Change] = []
    missing: dict[str, None] = {}
    for name, section in SECTIONS.items():
        live = state.get(name, {})
        for identity, item in sections.get(name, {}).items():
            there = live.get(identity)
            fields = _differences(
                section, item.fields, there.fields if there is not None else {}, created=there is None
            )
            if name == "providers":
                _secret(item, there, fields, told, differing, missing)
            if there is None or fields:
                action = "create" if there is None else "update"
                changes.append(_change(action, name, identity, fields, item))
    if prune:
        for name in reversed(SECTIONS):
            if name in sections:
                changes += _pruned(name, sections[name], state.get(name, {}))
    secrets = {item.fields[SECRET] for item in sections.get("providers", {}).values() if SECRET in item.fields}
    return Plan(changes=changes, secrets=sorted(secrets), missing=list(missing), digest=_digest(changes))


def _change(action: Any, name: str, identity: Identity, fields: dict[str, tuple[Any, Any]], item: Item) -> Change:
    return Change(
        action=action,
        section=name,
        noun=SECTIONS[name].noun,
        name=shown(identity),
        fields=fields,
        identity=identity,
        place=item.place if item.place.line else None,
        places=item.places,
    )


def _differences(
    section: Section, wanted: Mapping[str, Any], have: Mapping[str, Any], *, created: bool
) -> dict[str, tuple[Any, Any]]:
    found = {}
    for name, field in section.fields.items():
        if field.kind == "reference" or (field.keeps and name not in wanted):
            continue
        before, after = have.get(name, field.default), wanted.get(name, field.default)
        if before != after:
            found[name] = (None if created else before, after)
    return found


def _secret(
    item: Item,
    there: Live | None,
    fields: dict[str, tuple[Any, Any]],
    told: frozenset[str],
    differing: frozenset[str],
    missing: dict[str, None],
) -> None:
    """A key is set when there is none, when its reference is another one, and when its value is known to be."""
    wanted = item.fields.get(SECRET)
    if wanted is None:
        return
    have = None if there is None else there.fields.get(SECRET)
    if have != wanted:
        fields[SECRET] = (have, wanted)
        if wanted not in told:
            missing[wanted] = None
    elif there is not None and there.id in differing:
        fields[SECRET] = (have, f"{wanted} ({_OTHER})")


def _pruned(name: str, items: dict[Identity, Item], live: dict[Identity, Live]) -> Iterator[Change]:
    for identity, there in sorted(live.items()):
        if identity not in items and identity not in _KEPT.get(name, set()):
            yield Change(
                action="delete",
                section=name,
                noun=SECTIONS[name].noun,
                name=shown(identity),
                fields={field: (value, None) for field, value in there.fields.items()},
                identity=identity,
            )


def _digest(changes: list[Change]) -> str:
    told = [[change.action, change.section, change.identity, change.fields] for change in changes]
    return hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()


def _dangling(sections: Sections, state: State) -> Iterator[Fault]:
    """Objects that refer to what is neither in the file nor in the install."""
    names = {identity[1] for identity in _known("models", sections, state)}
    for name in SECTIONS:
        for item in sections.get(name, {}).values():
            for target, identity, field in _references(name, item):
                if identity not in _known(target, sections, state):
                    said = f"there is no {SECTIONS[target].noun} “{shown(identity)}”, neither here nor in the file"
                    yield Fault(f"{name} {shown(item.identity)}.{field}", said, item.places.get(field, item.place))
            for model, field in _models(name, item):
                if model not in names:
                    said = f"there is no model “{model}”, neither here nor in the file"
                    yield Fault(f"{name} {shown(item.identity)}.{field}", said, item.places.get(field, item.place))


def _known(section: str, sections: Sections, state: State) -> set[Identity]:
    return state.get(section, {}).keys() | sections.get(section, {}).keys()


def _references(name: str, item: Item) -> Iterator[tuple[str, Identity, str]]:
    identity = item.identity
    if name in {"units", "teams"}:
        yield "orgs", identity[:1], "org"
        if item.fields.get("unit"):
            yield "units", (identity[0], item.fields["unit"]), "unit"
    elif name == "users":
        if item.fields.get("org"):
            yield "orgs", (item.fields["org"],), "org"
    elif name == "service_accounts":
        if identity[0]:
            yield "orgs", identity[:1], "org"
    elif name == "keys":
        yield "teams", identity[:2], "team"
    elif name == "models":
        yield "providers", identity[:1], "provider"
    elif name in {"limits", "budgets"}:
        named = dict(zip(SECTIONS[name].identity, identity, strict=True))
        needs = (LIMIT_SCOPES if name == "limits" else BUDGET_SCOPES)[named["scope"]]
        if "key" in needs:
            yield "keys", (named["org"], named["team"], named["key"]), "key"
        elif "team" in needs:
            yield "teams", (named["org"], named["team"]), "team"
        elif "unit" in needs:
            yield "units", (named["org"], named["unit"]), "unit"
        elif "org" in needs:
            yield "orgs", (named["org"],), "org"


def _models(name: str, item: Item) -> Iterator[tuple[str, str]]:
    if name == "aliases":
        for target in item.fields.get("targets", ()):
            yield target, "targets"
    elif name == "limits" and item.identity[5]:
        yield item.identity[5], "model"
