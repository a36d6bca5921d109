"""What operators give as a provider's key, in the form that its lane wants."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from scutum_server.gateway.models import BadField

# In a header, after a scheme.
_PLAIN = re.compile(r"[\x21-\x7e]{1,8192}")
_AWS_LINE = re.compile(r"^\s*(?:export\s+)?(aws_\w+)\s*=\s*\"?([^\s\"]+)\"?\s*$", re.IGNORECASE | re.MULTILINE)
_AWS_NAMES = {
    "accesskeyid": "access_key_id", "secretaccesskey": "secret_access_key", "sessiontoken": "session_token",
}  # fmt: skip
_GOOGLE_FIELDS = ("client_email", "private_key", "token_uri")


def credential(kind: str, settings: Mapping[str, Any], text: str | None) -> str | None:
    """The key to keep, one line; raises BadField for what this provider cannot be called with."""
    if text is None:
        return None
    if kind == "sim":
        raise BadField("The simulator takes no key.", param="api_key")
    vendor = str(settings.get("vendor", ""))
    if vendor == "bedrock":
        found = _aws(text)
        if found is not None:
            return json.dumps(found)
    if vendor.startswith("vertex_ai"):
        return _google(text)
    if not _PLAIN.fullmatch(text):
        raise BadField("The key holds spaces, line ends or other characters that no header carries.", param="api_key")
    return text


def hint_at(secret: str) -> str:
    """Enough to tell two keys apart, and nothing of a short one; of credentials in parts, that of their public id."""
    fields = _object(secret)
    if fields is not None:
        secret = str(fields.get("access_key_id") or fields.get("private_key_id") or "")
    return f"{secret[:3]}…{secret[-4:]}" if len(secret) >= 16 else "…"


def _aws(text: str) -> dict[str, str] | None:
    """Out of JSON as AWS's own tools print it, or lines as in its credentials file; None when it is neither."""
    document = _object(text)
    if document is None:
        given: Mapping[str, Any] = dict(_AWS_LINE.findall(text))
        if not given:
            return None
    else:
        given = next((each for each in document.values() if isinstance(each, dict)), document)
    found: dict[str, str] = {}
    for name, value in given.items():
        ours = _AWS_NAMES.get(name.lower().removeprefix("aws").replace("_", ""))
        if ours is not None and isinstance(value, str):
            found[ours] = value
    if not {"access_key_id", "secret_access_key"} <= found.keys():
        raise BadField(
            "AWS's credentials need access_key_id and secret_access_key.",
            param="api_key",
            hint='For example: {"access_key_id": "AKIA…", "secret_access_key": "…"}',
        )
    return found


def _google(text: str) -> str:
    document = _object(text)
    if document is None or document.get("type") != "service_account":
        raise BadField(
            "Vertex AI wants a service account's JSON key.",
            param="api_key",
            hint="Give the whole file: --api-key-stdin < service-account.json",
        )
    missing = [name for name in _GOOGLE_FIELDS if not isinstance(document.get(name), str)]
    if missing:
        raise BadField(f"The service account's JSON key has no {missing[0]}.", param="api_key")
    return json.dumps(document)


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
