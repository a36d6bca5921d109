"""An example for every body in the OpenAPI document: put together from what fields of a name hold everywhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

Schema = Mapping[str, Any]
_MOMENT: Final = "2026-11-21T09:00:00.000000Z"
_OF_FIELD: Final[Mapping[str, Any]] = {
    "actor_email": "ada@example.com", "allowed_ips": ["192.0.2.0/24"], "allowed_models": ["fast"],
    "allowed_routes": None, "amount_usd": "250", "api_key_hint": "sk-…9f2c", "automatic": False,
    "base_url": "https://api.openai.com/v1", "breaker": None, "company": "Acme", "cost_usd": "0.0123",
    "customer_email": "ops@example.com", "description": "What it does.", "email": "ada@example.com", "error": None,
    "expires_at": None, "first_byte_ms": None, "hint": "sk-scutum-…7f3a", "ip": "192.0.2.7", "key": "ci",
    "left_usd": "208.3", "model": "gpt-5-mini", "models": ["gpt-5-mini"], "name": "search", "next": None, "org": "acme",
    "org_id": "org_0k3v8c1p7qz4m2tw", "output_tokens": 4096, "owner": "ada", "previous_valid_until": None,
    "provider": "openai-eu", "reply": "Hello.", "request_id": "019a9f5e-7c1b-7c55-9d0e-2f6c7a3b1d84",
    "resolves_to": "gpt-5-mini", "retries": 1, "revoked_at": None, "role": "admin", "route": "/v1/chat/completions",
    "simulated": False, "soft_percent": 80, "spent_usd": "41.7", "targets": ["gpt-5-mini", "sim"], "team": "search",
    "team_id": "team_0k3v8c1p7qz4m2tw", "time_zone": "Europe/Berlin", "token_type": "bearer", "total_ms": None,
    "unit": "research", "upstream_model": "gpt-5-mini", "user": "ada", "version": "0.1.0", "weights": None,
}  # fmt: skip
_PREFIXES: Final = {"RateLimit": "limit", "Provider": "prov", "ProviderKey": "pkey", "ServiceAccount": "sa"}
"""What ids begin with, where it is not the schema's name."""
_PATTERNED: Final = (_MOMENT, "9f2c7a3b1d84e650", "9f2c7a3b1d84e650" * 4)
"""Texts that patterns are tried on."""
_OF_SCHEMA: Final[Mapping[str, Mapping[str, Any]]] = {
    "Org": {"name": "acme"},
    "Unit": {"name": "research"},
    "Team": {"name": "search"},
    "Key": {"name": "ci"},
    "IssuedKey": {"name": "ci", "key": "sk-scutum-…"},
    "Provider": {"name": "openai-eu", "kind": "openai", "settings": {"timeouts": {"total_ms": 60000}}},
    "Model": {"name": "gpt-5-mini", "kind": "chat", "price": None, "price_source": "catalogue"},
    "Alias": {"name": "fast"},
    "Setting": {"key": "keys.default_ttl_days", "value": 90, "default": None},
    "RateLimit": {"scope": "team", "key": None, "user": None, "model": None, "rpm": 600, "tpm": None},
    "Budget": {"scope": "team", "org": "acme", "unit": None, "key": None, "user": None},
}
"""What is said of a schema's own fields, over what fields of that name hold elsewhere."""


def of(schema: Schema, schemas: Mapping[str, Schema], field: str = "") -> Any:
    """A value that the schema allows; `schemas` are the document's components."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return (
            _object(schemas[name], schemas, name)
            if "properties" in schemas[name]
            else of(schemas[name], schemas, field)
        )
    for said in ("const", "default"):
        if schema.get(said) is not None:
            return schema[said]
    if schema.get("examples"):
        return schema["examples"][0]
    if field in _OF_FIELD and _fits(_OF_FIELD[field], schema):
        return _OF_FIELD[field]
    if "anyOf" in schema:
        return of(schema["anyOf"][0], schemas, field)
    if "enum" in schema:
        return schema["enum"][0]
    return _plain(schema, schemas, field)


def _object(schema: Schema, schemas: Mapping[str, Schema], name: str) -> Any:
    if schema.get("examples"):
        return schema["examples"][0]
    own = _OF_SCHEMA.get(name, {})
    return {
        field: own[field] if field in own else of(inner, schemas, "id:" + name if field == "id" else field)
        for field, inner in schema["properties"].items()
    }


def _fits(value: Any, schema: Schema) -> bool:
    kinds = {each.get("type") for each in schema.get("anyOf", [schema])}
    actual = {str: "string", list: "array", dict: "object", bool: "boolean", int: "integer"}.get(type(value), "null")
    return actual in kinds and ("enum" not in schema or value in schema["enum"])


def _plain(schema: Schema, schemas: Mapping[str, Schema], field: str) -> Any:
    kind = schema.get("type")
    if kind == "string":
        if "pattern" in schema:
            return next((text for text in _PATTERNED if re.search(schema["pattern"], text)), "text")
        if schema.get("format") in {"date-time", "date"}:
            return _MOMENT if schema["format"] == "date-time" else _MOMENT[:10]
        if field.startswith("id:"):
            return f"{_PREFIXES.get(field[3:], field[3:].lower())}_0k3v8c1p7qz4m2tw"
        return field.removeprefix("id:")[: schema.get("maxLength", 100)] or "text"
    if kind in {"integer", "number"}:
        return max(schema.get("minimum", 0), schema.get("exclusiveMinimum", -1) + 1, min(12, schema.get("maximum", 12)))
    if kind == "array":
        return [of(schema.get("items", {}), schemas, field)]
    if kind == "object" and "additionalProperties" in schema and schema["additionalProperties"] is not True:
        inner = schema["additionalProperties"]
        return {field or "name": of(inner, schemas)} if isinstance(inner, Mapping) else {}
    return {"boolean": True, "object": {}}.get(str(kind))
