"""The roles and what each may do, as the table of permissions has it."""

from typing import Any

from fastapi import APIRouter

from scutum_server.access.models import ROLES, Role
from scutum_server.access.schemas import RoleInfo, RoleList
from scutum_server.admin import permissions
from scutum_server.errors import NotFound

router = APIRouter(tags=["access"])
DESCRIPTIONS: dict[Role, str] = {
    "owner": "Answers for the gateway: everything.",
    "admin": "Runs it for others: teams, people, and all that an operator does.",
    "operator": "On call: providers, models, keys, limits, budgets, settings, maintenance.",
    "approver": "Decides on what others ask for; reads everything, and the audit trail.",
    "viewer": "Reads configuration and spend, changes nothing.",
}


def _info(role: Role) -> dict[str, Any]:
    return {
        "name": role,
        "description": DESCRIPTIONS[role],
        "permissions": permissions.of(role, None),
        "permissions_in_org": permissions.of(role, ""),
    }


@router.get("/roles", response_model=RoleList)
async def list_roles() -> dict[str, Any]:
    """The roles, from the one that may do most to the one that may do least."""
    return {"items": [_info(role) for role in ROLES], "next": None}


@router.get("/roles/{name}", response_model=RoleInfo)
async def get_role(name: str) -> dict[str, Any]:
    """One role and its permissions."""
    for role in ROLES:
        if role == name:
            return _info(role)
    raise NotFound(f"There is no role “{name}”.", code="role_not_found", hint=f"Roles are: {', '.join(ROLES)}.")
