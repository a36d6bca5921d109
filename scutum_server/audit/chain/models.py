"""What the proof of the audit trail speaks of: rows as they were written, signed checkpoints, and what is wrong."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import msgspec
from msgspec import Struct

Kind = Literal["changed", "removed", "inserted", "checkpoint", "archive"]
"""What happened to a row; `checkpoint` and `archive` speak of the evidence itself."""
COLUMNS: Final = (
    "seq", "timestamp", "id", "org_id", "actor_id", "actor_kind", "actor_email", "ip", "action", "resource_type",
    "resource_id", "request_id", "outcome", "source",
)  # fmt: skip
"""The columns that queries show and `canonical` repeats, in the order of `ChainRow.columns`; `diff` stands apart."""


class Canonical(Struct, frozen=True, forbid_unknown_fields=True):
    """What `audit_append()` hashed; `diff` stays the text that it was."""

    seq: int
    timestamp: str
    id: str
    org_id: str
    actor_id: str
    actor_kind: str
    actor_email: str | None
    ip: str | None
    action: str
    resource_type: str
    resource_id: str
    diff: msgspec.Raw
    request_id: str | None
    outcome: str
    source: str

    def columns(self) -> tuple[int | str | None, ...]:
        """In the order of COLUMNS."""
        return (
            self.seq, self.timestamp, self.id, self.org_id, self.actor_id, self.actor_kind, self.actor_email, self.ip,
            self.action, self.resource_type, self.resource_id, self.request_id, self.outcome, self.source,
        )  # fmt: skip


class ChainRow(NamedTuple):
    """A row as it is stored: `columns` by COLUMNS, with the time in the words of `canonical`; `diff` as JSON text."""

    columns: tuple[int | str | None, ...]
    diff: str
    canonical: str
    prev_hash: bytes
    hash: bytes


class Head(NamedTuple):
    """Where an org's chain ends by its own account."""

    org_id: str
    seq: int
    hash: bytes


class Checkpoint(Struct, frozen=True, kw_only=True):
    """A signed statement: at `signed_at` the row `seq` of the org's chain had this hash.

    `timestamp` is that row's time, `count` the rows that the signer read since its checkpoint before. Times are RFC
    3339 in UTC with microseconds; `hash` and `signature` are hexadecimal.
    """

    org_id: str
    seq: int
    timestamp: str
    hash: str
    count: int
    signed_at: str
    key_id: str
    signature: str = ""

    def message(self) -> bytes:
        """What is signed: this JSON with sorted names and no spaces, without the signature."""
        fields = msgspec.structs.asdict(self)
        del fields["signature"]
        return msgspec.json.encode(fields, order="sorted")


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that is wrong. `seq` to `last_seq` are the rows concerned; `timestamp` and `id` those of the first one,
    where it is still there, else of the row before it.
    """

    kind: Kind
    detail: str
    org_id: str | None = None
    seq: int | None = None
    last_seq: int | None = None
    id: str | None = None
    timestamp: str | None = None
    month: str | None = None
