"""The audit trail: who did what to which thing, what its verification found, checkpoints and keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from scutum_cli.render.columns import Column
from scutum_cli.render.text import NOTHING, Face, age, clock, count, plural, span, when

if TYPE_CHECKING:
    from scutum_cli.client.types import AuditKey, AuditLog, AuditTask, Checkpoint, Shipment

SPARE = ("SOURCE",)
"""What a narrow terminal does without."""
_LONG = 40


def who(row: AuditLog) -> str:
    """The address if there is one: people know it better than an id."""
    return row["actor_email"] or row["actor_id"]


def did(row: AuditLog) -> str:
    """`key.revoke`, or `denied key.revoke`: that it was not allowed must not go for want of room."""
    return row["action"] if row["outcome"] == "success" else f"{row['outcome']} {row['action']}"


def resource(row: AuditLog) -> str:
    """`key key_01j9c0x4`; an id that says its type already stands alone."""
    kind, name = row["resource_type"], row["resource_id"]
    return name if name.startswith(f"{kind[:4]}") or kind == name else f"{kind} {name}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONG else text[: _LONG - 1] + "…"


def change(row: AuditLog) -> str:
    """`name: a → b, owner: ops`: what differs, in one line."""
    before, after = row["diff"].get("before"), row["diff"].get("after")
    if not isinstance(after, dict):
        return f"was {_short(before.get('name', before))}" if isinstance(before, dict) and before else NOTHING
    told = []
    for name, value in after.items():
        former = before.get(name) if isinstance(before, dict) else None
        if value is not None or former is not None:
            told.append(f"{name}: {_short(value)}" if former is None else f"{name}: {_short(former)} → {_short(value)}")
    return ", ".join(told) or NOTHING


COLUMNS: list[Column[AuditLog]] = [
    Column("timestamp", "WHEN", lambda row, face: clock(row["timestamp"], face)),
    Column("actor", "WHO", lambda row, _: who(row), value=who),
    Column("action", "ACTION", lambda row, _: did(row)),
    Column("source", "SOURCE"),
    Column("resource", "WHAT", lambda row, _: resource(row), value=resource),
    Column("change", "CHANGE", lambda row, _: change(row), extra=True, value=lambda row: row["diff"]),
    Column("outcome", "OUTCOME", extra=True),
    Column("id", "ID", extra=True),
    Column("org_id", "ORG", extra=True),
    Column("seq", "SEQ", right=True, extra=True),
    Column("actor_id", "ACTOR ID", extra=True),
    Column("actor_kind", "KIND", extra=True),
    Column("actor_email", "E-MAIL", extra=True),
    Column("ip", "ADDRESS", extra=True),
    Column("resource_type", "TYPE", extra=True),
    Column("resource_id", "RESOURCE ID", extra=True),
    Column("request_id", "REQUEST", extra=True),
]
FIELDS = (
    "timestamp", "id", "org_id", "seq", "actor_id", "actor_kind", "actor_email", "ip", "action", "resource_type",
    "resource_id", "outcome", "source", "request_id", "diff",
)  # fmt: skip
"""A row's fields in the order of an export."""


def line(row: AuditLog, face: Face) -> str:
    """One row on one line, for `tail`."""
    told = change(row)
    end = "" if told == NOTHING else f"  {told}"
    return f"{clock(row['timestamp'], face)}  {who(row)}  {did(row)}  {resource(row)}{end}"


def _row(finding: Mapping[str, Any]) -> str:
    first, last = finding["seq"], finding["last_seq"]
    if first is None:
        return NOTHING
    return count(first) if last in {None, first} else f"{count(first)} to {count(last)}"


FINDINGS: list[Column[dict[str, Any]]] = [
    Column("kind", "FOUND"),
    Column("org_id", "ORG"),
    Column("seq", "ROW", lambda finding, _: _row(finding), right=True),
    Column("id", "ID"),
    Column("timestamp", "WHEN", lambda finding, face: clock(finding["timestamp"], face)),
    Column("detail", "WHAT"),
]


def verdict(result: Mapping[str, Any]) -> str:
    """One line: intact or not, and what was read."""
    months = result["months_hot"] + result["months_archived"]
    archived = f" ({result['months_archived']} archived)" if result["months_archived"] else ""
    read = (
        f"{plural(result['rows'], 'row')} of {plural(result['orgs'], 'org')} in {plural(months, 'month')}{archived}, "
        f"{plural(result['checkpoints'], 'checkpoint')} confirmed, in {span(result['seconds'])}"
    )
    if result["intact"]:
        return f"Intact: {read}."
    return f"Not intact: {plural(result['found'], 'finding')} in {read}."


def going(progress: Mapping[str, Any], seconds: float) -> str:
    """How far a verification is: `1,234,567 of 10,000,000 rows, 2026-03, 80 s left`."""
    rows, total = progress.get("rows", 0), progress.get("total")
    if not rows:
        return "begins"
    left = f", {span((total - rows) * seconds / rows)} left" if total and total > rows and seconds > 1 else ""
    month = f", {progress['month']}" if progress.get("month") else ""
    found = f", {plural(progress['found'], 'finding')}" if progress.get("found") else ""
    return f"{count(rows)}{f' of {count(total)}' if total else ''} rows{month}{found}{left}"


def _said(task: AuditTask) -> str:
    result = task["result"] or {}
    if task["state"] == "failed":
        return str(result.get("error", "failed"))
    return verdict(result) if task["state"] == "done" else going(task["progress"], 0)


def _state(key: AuditKey, face: Face) -> str:
    return "signs" if key["retired_at"] is None else f"retired {age(key['retired_at'], face)}"


VERIFICATIONS: list[Column[AuditTask]] = [
    Column("created_at", "WHEN", lambda task, face: age(task["created_at"], face)),
    Column("state", "STATE"),
    Column("result", "RESULT", lambda task, _: _said(task)),
    Column("id", "ID"),
]
CHECKPOINTS: list[Column[Checkpoint]] = [
    Column("signed_at", "SIGNED", lambda one, face: age(one["signed_at"], face)),
    Column("org_id", "ORG"),
    Column("seq", "ROW", lambda one, _: count(one["seq"]), right=True),
    Column("count", "NEW", lambda one, _: count(one["count"]), right=True),
    Column("key_id", "KEY"),
    Column("hash", "HASH", extra=True),
    Column("timestamp", "ROW'S TIME", lambda one, face: clock(one["timestamp"], face), extra=True),
    Column("signature", "SIGNATURE", extra=True),
]
KEYS: list[Column[AuditKey]] = [
    Column("id", "ID"),
    Column("retired_at", "STATE", _state),
    Column("pem", "PEM", extra=True),
]
SHIPMENTS: list[Column[Shipment]] = [
    Column("target", "TARGET"),
    Column("shipped_at", "LAST", lambda one, face: age(one["shipped_at"], face)),
    Column("behind", "BEHIND", lambda one, _: count(one["behind"]), right=True),
    Column("error", "TROUBLE"),
    Column("failing_since", "SINCE", lambda one, face: when(one["failing_since"], face), extra=True),
]
