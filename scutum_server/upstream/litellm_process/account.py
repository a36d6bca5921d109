"""From a provider's row to what the library wants to be called with."""

from __future__ import annotations

import json
from typing import Any, Final

from .failure import LaneError

_VERTEX_KINDS: Final = frozenset({"service_account", "authorized_user"})
"""Others name files to read, addresses to ask or programs to run: not from a secret that came over an API."""


def arguments(account: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments that name the provider, its address and its credentials; raises LaneError."""
    vendor, base_url, secret = account["vendor"], account.get("base_url"), account.get("secret")
    timeouts = account["timeouts"]
    made: dict[str, Any] = {
        "custom_llm_provider": vendor,
        "timeout": timeouts["total_ms"] / 1000,
        # Retries are the gateway's: it knows the other deployments and the breakers.
        "num_retries": 0,
        "max_retries": 0,
    }
    if vendor == "bedrock":
        return made | _bedrock(account, base_url, secret)
    if base_url:
        made["api_base"] = base_url
    if vendor.startswith("vertex_ai"):
        return made | _vertex(account, secret)
    return made | ({"api_key": secret} if secret else {})


def secrets_of(account: dict[str, Any]) -> list[str]:
    """Every text that must not show in an answer or a log."""
    secret = account.get("secret") or ""
    found = [secret]
    fields = _object(secret)
    if fields is not None:
        found += [value for value in fields.values() if isinstance(value, str)]
    return [text for text in found if len(text) >= 8 and text not in {account.get("project"), account.get("region")}]


def _bedrock(account: dict[str, Any], base_url: str | None, secret: str | None) -> dict[str, Any]:
    if not secret:
        raise LaneError("provider_misconfigured", "The provider has no credentials: AWS wants an access key.")
    made: dict[str, Any] = {"aws_region_name": account.get("region")}
    if base_url:
        made["aws_bedrock_runtime_endpoint"] = base_url
    keys = _object(secret)
    if keys is None:
        return made | {"api_key": secret}
    made |= {f"aws_{name}": keys[name] for name in ("access_key_id", "secret_access_key")}
    return made | ({"aws_session_token": keys["session_token"]} if keys.get("session_token") else {})


def _vertex(account: dict[str, Any], secret: str | None) -> dict[str, Any]:
    keys = _object(secret or "")
    if keys is None or keys.get("type") not in _VERTEX_KINDS:
        raise LaneError("provider_misconfigured", "The provider's secret is no service account's JSON key.")
    return {
        "vertex_credentials": json.dumps(keys),
        "vertex_project": account.get("project") or keys.get("project_id"),
        "vertex_location": account.get("region"),
    }


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
