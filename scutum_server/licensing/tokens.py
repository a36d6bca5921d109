"""Reading a licence: one algorithm, one form, nothing tolerated but white space.

PyJWT would be lenient where this must not be (duplicate fields, loose base64) and its claims' checks would not be used,
since an expired licence must still tell its tier. So only the signature is left to a library: `cryptography`.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidSignature

from scutum_server.licensing.models import Claims, LicenceRefused
from scutum_server.licensing.trust import TrustedKey

ALGORITHM: Final = "EdDSA"
MAX_TOKEN: Final = 16_384
"""Characters; a licence with every feature spelled out has about 900."""
_SIGNATURE_BYTES: Final = 64
_HEADER_FIELDS: Final = frozenset({"alg", "typ", "kid"})
_LAST_SECOND: Final = 253_402_300_799
"""Of the year 9999."""
_MAX_DAYS: Final = 36_525
_COMPACT: Final = re.compile(r"[A-Za-z0-9_.\-]+")
_AGAIN: Final = "Copy all of it from the mail or file that it came in, and activate it again."


def read(text: str, trusted: Sequence[TrustedKey]) -> Claims:
    """The claims of a licence that one of the trusted authorities has signed; says nothing about its dates.

    Raises LicenceRefused with what is wrong and what to do.
    """
    header_part, payload_part, signature_part = _parts(text)
    kid = _key_id(_object(header_part, "head"))
    signature = _decoded(signature_part, "signature")
    if len(signature) < _SIGNATURE_BYTES:
        raise _truncated(f"of its signature only {len(signature)} of {_SIGNATURE_BYTES} bytes are there")
    if len(signature) > _SIGNATURE_BYTES:
        raise _malformed("its signature is too long")
    _verify(f"{header_part}.{payload_part}".encode(), signature, kid, trusted)
    return _claims(_object(payload_part, "content"))


def _parts(text: str) -> tuple[str, str, str]:
    # A mail program may have broken the one long line.
    if len(text) > 4 * MAX_TOKEN or len(compact := "".join(text.split())) > MAX_TOKEN:
        raise LicenceRefused(
            f"This is too long for a licence: it has at most {MAX_TOKEN} characters.",
            code="license_too_large",
            hint=_AGAIN,
        )
    if not compact:
        raise _malformed("it is empty")
    if compact.startswith("-----BEGIN"):
        raise _malformed("it is a key file")
    if not _COMPACT.fullmatch(compact):
        raise _malformed("it holds characters that none has")
    parts = compact.split(".")
    if len(parts) > 3:
        raise _malformed(f"it has {len(parts)} parts instead of 3")
    if len(parts) < 3 or not all(parts):
        if not compact.startswith("eyJ"):
            raise _malformed("it does not begin like one")
        raise _truncated(f"{len([part for part in parts if part])} of its 3 parts arrived")
    return parts[0], parts[1], parts[2]


def _key_id(header: dict[str, Any]) -> str | None:
    if header.get("alg") != ALGORITHM:
        said = str(header.get("alg"))[:20]
        raise LicenceRefused(
            f"It names the algorithm {said!r}; licences are signed with Ed25519 ({ALGORITHM}) and nothing else.",
            code="license_algorithm",
            hint="This did not come from a Scutum authority: ask your vendor for another one.",
        )
    unknown = sorted(header.keys() - _HEADER_FIELDS)
    if unknown:
        raise _malformed(f"its head has a field that none has ({unknown[0][:40]})")
    kid = header.get("kid")
    if header.get("typ", "JWT") != "JWT" or not isinstance(kid, str | None):
        raise _malformed("its head is not that of a licence")
    return kid


def _verify(message: bytes, signature: bytes, kid: str | None, trusted: Sequence[TrustedKey]) -> None:
    named = [key for key in trusted if key.kid == kid]
    for key in named or trusted:
        try:
            key.public.verify(signature, message)
        except InvalidSignature:
            continue
        return
    if named:
        raise LicenceRefused(
            "It was changed after it was signed, or a piece of it is missing.",
            code="license_tampered",
            hint=_AGAIN,
        )
    known = ", ".join(key.kid for key in trusted)
    raise LicenceRefused(
        f"It is signed by an authority that this install does not trust ({(kid or 'unnamed')[:40]}; trusted: {known}).",
        code="license_untrusted",
        hint="Put its issuer's public key into the file of trusted authorities, or ask for a licence from a known one.",
    )


def _claims(payload: dict[str, Any]) -> Claims:
    try:
        claims = msgspec.convert(payload, Claims, strict=True)
    except msgspec.ValidationError as error:
        raise _malformed(f"its content is wrong ({error})") from None
    times = (claims.iat, claims.exp, claims.nbf or 0)
    if not all(0 <= time <= _LAST_SECOND for time in times) or claims.exp <= claims.iat:
        raise _malformed("its dates make no sense")
    numbers = [value for value in claims.features.values() if value is not None]
    if any(not 0 <= number <= 10**9 for number in numbers):
        raise _malformed("one of its features is out of all bounds")
    retention = claims.features.get("audit_retention_days", 1)
    if isinstance(retention, bool) or retention is None or not 1 <= retention <= _MAX_DAYS:
        raise _malformed("its audit_retention_days is no number of days")
    for text in (claims.iss, claims.jti, claims.sub, claims.email, claims.company, *claims.features):
        if not text or len(text) > 200 or not text.isprintable():
            raise _malformed("one of its texts is empty, too long or cannot be shown")
    return claims


def _object(part: str, what: str) -> dict[str, Any]:
    """Strict JSON: no field twice, no NaN, an object at the top."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a field twice")
        return found

    def no_constant(name: str) -> Any:
        raise ValueError(name)

    raw = _decoded(part, what)
    try:
        found = json.loads(raw.decode("utf-8", "strict"), object_pairs_hook=once, parse_constant=no_constant)
    except (ValueError, RecursionError):
        raise _malformed(f"its {what} cannot be read") from None
    if not isinstance(found, dict):
        raise _malformed(f"its {what} is not what a licence has")
    return found


def _decoded(part: str, what: str) -> bytes:
    """Base64url without padding, in the one spelling that these bytes have."""
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise _truncated(f"its {what} breaks off") from None
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != part:
        # The last character carries bits that belong to a character which is missing.
        raise _truncated(f"its {what} breaks off")
    return raw


def _truncated(why: str) -> LicenceRefused:
    return LicenceRefused(f"It was cut short when it was copied: {why}.", code="license_truncated", hint=_AGAIN)


def _malformed(why: str) -> LicenceRefused:
    return LicenceRefused(f"This is no licence: {why}.", code="license_malformed", hint=_AGAIN)
