"""What each role may do: the one table of routes and permissions, checked before any route runs.

A new route gets a line in ROUTES, a new permission one in PERMISSIONS and one in the table of docs/access.md; the
application does not start while a route has none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from scutum_server.access.models import Role
from scutum_server.errors import Forbidden, SettingsError


@dataclass(frozen=True, slots=True)
class Permission:
    """`install`: not for a session that is bound to one org, since what it touches belongs to all of them."""

    roles: frozenset[Role]
    install: bool = False


_ALL: frozenset[Role] = frozenset({"owner", "admin", "operator", "approver", "viewer"})
_RUNNERS: frozenset[Role] = frozenset({"owner", "admin", "operator"})
_ADMINS: frozenset[Role] = frozenset({"owner", "admin"})
_REVIEWERS: frozenset[Role] = _RUNNERS | {"approver"}

PERMISSIONS: dict[str, Permission] = {
    "session": Permission(_ALL),
    "orgs.read": Permission(_ALL),
    "orgs.write": Permission(_ADMINS, install=True),
    "teams.read": Permission(_ALL),
    "teams.write": Permission(_ADMINS),
    "keys.read": Permission(_ALL),
    "keys.write": Permission(_RUNNERS),
    "providers.read": Permission(_ALL, install=True),
    "providers.write": Permission(_RUNNERS, install=True),
    "models.read": Permission(_ALL),
    "models.write": Permission(_RUNNERS, install=True),
    "limits.read": Permission(_ALL),
    "limits.write": Permission(_RUNNERS),
    "budgets.read": Permission(_ALL),
    "budgets.write": Permission(_RUNNERS),
    "settings.read": Permission(_ALL, install=True),
    "settings.write": Permission(_RUNNERS, install=True),
    "usage.read": Permission(_ALL),
    "audit.read": Permission(_REVIEWERS),
    "audit.keys": Permission(_ADMINS, install=True),
    "config.read": Permission(_REVIEWERS, install=True),
    "config.write": Permission(_ADMINS, install=True),
    "archives.read": Permission(_REVIEWERS, install=True),
    "archives.run": Permission(_RUNNERS, install=True),
    "archives.shorten": Permission(_ADMINS, install=True),
    "license.read": Permission(_ALL, install=True),
    "license.write": Permission(frozenset({"owner"}), install=True),
    "users.read": Permission(_REVIEWERS),
    "users.write": Permission(_ADMINS),
    "service-accounts.read": Permission(_REVIEWERS),
    "service-accounts.write": Permission(_ADMINS),
    "sso.read": Permission(_ADMINS, install=True),
    "sso.write": Permission(frozenset({"owner"}), install=True),
}
"""Who may do what. `session` is what everybody who is logged in may do."""

ROUTES: dict[str, str] = {
    "get_openapi_document": "session",
    "whoami": "session",
    "logout": "session",
    "change_password": "session",
    "list_roles": "session",
    "get_role": "session",
    "list_users": "users.read",
    "get_user": "users.read",
    "create_user": "users.write",
    "update_user": "users.write",
    "delete_user": "users.write",
    "sign_out_user": "users.write",
    "get_sso": "sso.read",
    "put_sso": "sso.write",
    "delete_sso": "sso.write",
    "list_service_accounts": "service-accounts.read",
    "get_service_account": "service-accounts.read",
    "create_service_account": "service-accounts.write",
    "update_service_account": "service-accounts.write",
    "rotate_service_account": "service-accounts.write",
    "revoke_service_account": "service-accounts.write",
    "delete_service_account": "service-accounts.write",
    "list_orgs": "orgs.read",
    "get_org": "orgs.read",
    "create_org": "orgs.write",
    "update_org": "orgs.write",
    "delete_org": "orgs.write",
    "list_units": "teams.read",
    "get_unit": "teams.read",
    "create_unit": "teams.write",
    "update_unit": "teams.write",
    "delete_unit": "teams.write",
    "list_teams": "teams.read",
    "update_team": "teams.write",
    "get_team": "teams.read",
    "create_team": "teams.write",
    "delete_team": "teams.write",
    "list_keys": "keys.read",
    "get_key": "keys.read",
    "create_key": "keys.write",
    "update_key": "keys.write",
    "delete_key": "keys.write",
    "revoke_key": "keys.write",
    "rotate_key": "keys.write",
    "list_providers": "providers.read",
    "get_provider": "providers.read",
    "list_provider_keys": "providers.read",
    "create_provider": "providers.write",
    "update_provider": "providers.write",
    "delete_provider": "providers.write",
    "add_provider_key": "providers.write",
    "remove_provider_key": "providers.write",
    "test_provider": "providers.write",
    "list_presets": "models.read",
    "list_catalog": "models.read",
    "list_models": "models.read",
    "get_model": "models.read",
    "create_model": "models.write",
    "update_model": "models.write",
    "delete_model": "models.write",
    "list_aliases": "models.read",
    "get_alias": "models.read",
    "put_alias": "models.write",
    "delete_alias": "models.write",
    "list_limits": "limits.read",
    "get_limit": "limits.read",
    "create_limit": "limits.write",
    "update_limit": "limits.write",
    "delete_limit": "limits.write",
    "list_budgets": "budgets.read",
    "get_budget": "budgets.read",
    "create_budget": "budgets.write",
    "update_budget": "budgets.write",
    "delete_budget": "budgets.write",
    "list_settings": "settings.read",
    "get_setting": "settings.read",
    "reset_setting": "settings.write",
    "put_setting": "settings.write",
    "get_usage": "usage.read",
    "list_audit_logs": "audit.read",
    "count_audit_logs": "audit.read",
    "export_config": "config.read",
    "diff_config": "config.read",
    "get_config_drift": "config.read",
    "apply_config": "config.write",
    "forget_config": "config.write",
    "list_archives": "archives.read",
    "get_archive": "archives.read",
    "get_archive_status": "archives.read",
    "verify_archive": "archives.read",
    "run_archives": "archives.run",
    "probe_archive_store": "archives.run",
    "confirm_archive_retention": "archives.shorten",
    "list_license_history": "license.read",
    "activate_license": "license.write",
    "verify_audit_logs": "audit.read",
    "list_audit_verifications": "audit.read",
    "get_audit_verification": "audit.read",
    "list_audit_checkpoints": "audit.read",
    "list_audit_keys": "audit.read",
    "list_audit_shipments": "audit.keys",
    "make_audit_checkpoints": "audit.keys",
    "rotate_audit_key": "audit.keys",
}
"""The permission that a route asks for, by its name (the name of its function)."""

OPEN = frozenset(
    {
        "finish_device_login",
        "finish_sso",
        "get_health",
        "get_license",
        "login",
        "refresh_session",
        "start_device_login",
        "start_sso",
    }
)
"""Routes that need no session."""


def may(role: Role, org_id: str | None, permission: str) -> bool:
    """Whether a session of this role, bound to an org or (None) to none, has the permission."""
    rule = PERMISSIONS[permission]
    return role in rule.roles and (org_id is None or not rule.install)


def of(role: Role, org_id: str | None) -> list[str]:
    """The permissions of such a session."""
    return [permission for permission in PERMISSIONS if may(role, org_id, permission)]


def demand(role: Role, org_id: str | None, route: str) -> None:
    """Raises Forbidden unless such a session may use the route."""
    permission = ROUTES[route]
    if may(role, org_id, permission):
        return
    if may(role, None, permission):
        raise Forbidden(
            f"This belongs to the whole install, and your role {role} is for one org ({permission}).",
            hint="Ask somebody whose account is for the whole install.",
        )
    able = ", ".join(sorted(PERMISSIONS[permission].roles))
    raise Forbidden(f"Your role {role} may not do this ({permission}).", hint=f"It takes one of the roles: {able}.")


def verify(app: FastAPI, authenticators: Collection[Callable[..., Any]]) -> None:
    """Raises SettingsError, which names the routes, when the table and the application's routes do not fit."""
    found = [context for context in iter_route_contexts(app.routes) if isinstance(context.original_route, APIRoute)]
    names = [str(context.name) for context in found]
    wrong = [
        *(f"{name}: no line in ROUTES" for name in names if name not in ROUTES and name not in OPEN),
        *(f"{name}: there is no such route" for name in sorted((ROUTES.keys() | OPEN) - set(names))),
        *(f"{name}: two routes have this name" for name in sorted(set(names)) if names.count(name) > 1),
        *(f"{name}: no permission {ROUTES[name]}" for name in ROUTES if ROUTES[name] not in PERMISSIONS),
        *(f"{context.name}: nobody is authenticated" for context in found if _unguarded(context, authenticators)),
    ]
    if wrong:
        raise SettingsError(f"The table of permissions does not fit the routes: {'; '.join(wrong)}.")


def _unguarded(context: RouteContext, authenticators: Collection[Callable[..., Any]]) -> bool:
    return context.name not in OPEN and not _calls(context.dependant, authenticators)


def _calls(dependant: Any, wanted: Collection[Callable[..., Any]]) -> bool:
    return dependant.call in wanted or any(_calls(below, wanted) for below in dependant.dependencies)
