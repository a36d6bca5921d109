"""What the server sorts and filters each list by: made by tests/tools/generate_client_types.py."""

from __future__ import annotations

from typing import NamedTuple


class Served(NamedTuple):
    """Columns that the server sorts by, and those that it filters by."""

    sorts: tuple[str, ...]
    filters: tuple[str, ...]


SERVED = {
    "aliases": Served(("name",), ("name",)),
    "archives": Served(("month", "rows"), ("table", "state")),
    "budgets": Served(("created_at", "scope", "amount_usd"), ("scope", "period", "org", "unit", "team", "key", "user")),
    "keys": Served(("created_at", "name", "expires_at"), ("name", "team", "owner", "state")),
    "limits": Served(("created_at", "scope"), ("scope", "team", "key", "user", "model")),
    "models": Served(("created_at", "name"), ("name", "provider", "kind")),
    "orgs": Served(("created_at", "name"), ("name",)),
    "providers": Served(("created_at", "name"), ("name", "kind")),
    "service-accounts": Served(("created_at", "name", "expires_at"), ("name", "role", "org", "state")),
    "settings": Served(("key",), ("key",)),
    "teams": Served(("created_at", "name"), ("name", "org", "unit")),
    "units": Served(("created_at", "name"), ("name", "org")),
    "users": Served(("created_at", "email", "last_login_at"), ("email", "role", "org", "state")),
}
