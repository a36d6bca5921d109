"""An entry of the audit trail, and how two states of an object become a diff without secrets."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from scutum_server.infra.archives import Part

Outcome = Literal["success", "denied"]
Source = Literal["cli", "tui", "api", "sre-agent", "system"]
GLOBAL = "global"
"""The org of what belongs to no org: providers, models, aliases, settings, logins."""
REDACTED = "[redacted]"

_SECRET_WORDS = frozenset(
    {
        "password", "passwd", "passphrase", "pwd", "secret", "secrets", "token", "authorization", "credential",
        "credentials", "hash", "wrapped", "ciphertext", "cookie", "plaintext",
    }
)  # fmt: skip
_SECRET_PAIRS = re.compile(r"(api|private|master|service|access|signing|encryption|license|licence|secret)_?key$")
_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_SECRET_TEXT = re.compile(
    r"""\bsk-[A-Za-z0-9_\-]{16,} | \b(?:Bearer|Basic)\s+[A-Za-z0-9._~+/=\-]{8,} | \beyJ[\w\-]+\.[\w\-]+\.[\w\-]+
    | \bAKIA[0-9A-Z]{16}\b | \bgh[pousr]_[A-Za-z0-9]{20,} | \bxox[abprs]-[\w\-]{10,} | \bAIza[\w\-]{30,}
    | (?<=://)[^/\s:@]*:[^/\s@]+(?=@) | -----BEGIN[\ A-Z]*PRIVATE\ KEY-----.*""",
    re.VERBOSE | re.DOTALL,
)


class AuditEntry(Struct, frozen=True, kw_only=True):
    """One administrative act. `diff` is already free of secrets; time and chain are set by the database."""

    org_id: str
    actor_id: str
    actor_kind: str
    actor_email: str | None = None
    ip: str | None = None
    action: str
    resource_type: str
    resource_id: str
    diff: dict[str, Any]
    request_id: str | None = None
    outcome: Outcome = "success"
    source: Source = "api"


class AuditRow(Struct, frozen=True, kw_only=True):
    """An entry as it was written."""

    timestamp: dt.datetime
    id: str
    org_id: str
    seq: int
    actor_id: str
    actor_kind: str
    actor_email: str | None
    ip: str | None
    action: str
    resource_type: str
    resource_id: str
    diff: dict[str, Any]
    request_id: str | None
    outcome: str
    source: str


Place = tuple[dt.datetime, str]
"""Where a row stands among all: its time and id."""


class Filter(Struct, frozen=True, kw_only=True):
    """Which rows are wanted: all fields that are set must hold. `actor` is an id, or an e-mail address if it has an @;
    rows from `since` up to `until`; `text` is anywhere in what a row tells, in upper or lower case.
    """

    since: dt.datetime | None = None
    until: dt.datetime | None = None
    actor: str | None = None
    action: str | None = None
    resource_type: str | None = None
    resource_id: str | None = None
    org: str | None = None
    source: str | None = None
    outcome: str | None = None
    text: str | None = None

    def equal(self) -> dict[str, str]:
        """Columns with the value that they must have."""
        actor = "actor_email" if self.actor and "@" in self.actor else "actor_id"
        wanted = {
            actor: self.actor, "action": self.action, "resource_type": self.resource_type,
            "resource_id": self.resource_id, "org_id": self.org, "source": self.source, "outcome": self.outcome,
        }  # fmt: skip
        return {name: value for name, value in wanted.items() if value is not None}


class Holdings(Struct, frozen=True, kw_only=True):
    """The install's id, the parts whose rows are in the archives alone, and the roots of other installs."""

    install: str | None
    parts: list[Part]
    others: list[str]


def _is_secret(name: str) -> bool:
    if name.endswith(("_hint", "Hint")):
        return False
    words = [word.lower() for word in _WORDS.findall(name)]
    return not _SECRET_WORDS.isdisjoint(words) or bool(_SECRET_PAIRS.search("_".join(words)))


def redact(value: Any) -> Any:
    """The value with every secret replaced: by the name of its field, or by its look inside any text."""
    if isinstance(value, Mapping):
        return {
            redact(name): REDACTED if _is_secret(str(name)) and held is not None else redact(held)
            for name, held in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    return _SECRET_TEXT.sub(REDACTED, value) if isinstance(value, str) else value


def diff(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> dict[str, Any]:
    """`before` and `after` with the fields that differ; the missing side of a creation or deletion is None.

    Compared before redaction, so that a changed secret shows as changed.
    """
    if before is None or after is None:
        return {
            "before": None if before is None else redact(before),
            "after": None if after is None else redact(after),
        }
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return {
        "before": redact({name: before.get(name) for name in changed}),
        "after": redact({name: after.get(name) for name in changed}),
    }
