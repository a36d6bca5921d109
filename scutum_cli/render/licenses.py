"""Licences: what this install is licensed for, and what it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from scutum_cli.render.columns import Column
from scutum_cli.render.text import NOTHING, Face, age, plural, when

if TYPE_CHECKING:
    from scutum_cli.client.types import License, LicenseActivation

SOON_DAYS = 14
_WORDS = {
    "max_admins": "admins", "mcp_servers": "MCP servers", "audit_retention_days": "days of audit rows",
    "sso": "single sign-on", "sre_agent": "SRE agent", "cost_predictor": "cost predictor",
    "budget_webhook": "budget webhook",
}  # fmt: skip


def state(item: License) -> str:
    """One word or two for how it stands."""
    if not item["present"]:
        return "none"
    if item["expired"]:
        return "expired"
    return "in force" if item["valid"] else "not valid"


def words(item: Mapping[str, Any]) -> str:
    """`business, 10 days left`: the licence in one look."""
    if not item.get("present"):
        return "none"
    if not item.get("valid"):
        return f"{item['tier']}, expired" if item.get("expired") else "not valid"
    return f"{item.get('tier')}, {plural(int(item.get('days_remaining') or 0), 'day')} left"


def reminder(item: License) -> str | None:
    """What every command reminds of: a licence that is missing, wrong, or ends within two weeks."""
    left = item["days_remaining"]
    if item["error"] is not None:
        return item["error"]
    if left is not None and left <= SOON_DAYS:
        return f"The licence expires in {plural(left, 'day')}. Renew it, and then: scutum license activate FILE"
    return None


def features(item: License | LicenseActivation, face: Face | None = None) -> str:
    """`50 admins, single sign-on, …`: what it has, in words."""
    del face
    found = []
    for name, value in item["features"].items():
        words = _WORDS.get(name, name.replace("_", " "))
        if value is None:
            found.append(f"{words} without bound")
        elif value is True:
            found.append(words)
        elif value is not False and value:
            found.append(f"{value} {words}")
    return ", ".join(found) or NOTHING


def _left(item: License, face: Face) -> str:
    del face
    return NOTHING if item["days_remaining"] is None else plural(item["days_remaining"], "day")


DETAILS: list[Column[License]] = [
    Column("state", "LICENCE", lambda item, _: state(item)),
    Column("tier", "TIER"),
    Column("company", "COMPANY"),
    Column("customer_email", "E-MAIL"),
    Column("issued_at", "ISSUED", lambda item, face: when(item["issued_at"], face)),
    Column("expires_at", "EXPIRES", lambda item, face: when(item["expires_at"], face)),
    Column("days_remaining", "LEFT", _left),
    Column("features", "HAS", features),
]

COLUMNS: list[Column[LicenseActivation]] = [
    Column("tier", "TIER"),
    Column("company", "COMPANY"),
    Column("state", "STATE"),
    Column("activated_at", "ACTIVATED", lambda item, face: age(item["activated_at"], face)),
    Column("expires_at", "EXPIRES", lambda item, face: age(item["expires_at"], face)),
    Column("activated_by", "BY"),
    Column("id", "ID"),
    Column("license_id", "LICENCE", extra=True),
    Column("issuer", "ISSUER", extra=True),
    Column("customer_email", "E-MAIL", extra=True),
    Column("issued_at", "ISSUED", lambda item, face: when(item["issued_at"], face), extra=True),
    Column("superseded_at", "SUPERSEDED", lambda item, face: when(item["superseded_at"], face), extra=True),
    Column("source", "FROM", extra=True),
    Column("features", "HAS", features, extra=True),
]
