"""An OpenID provider as we talk to it: discovery, its keys, codes for tokens, and the strict reading of an ID token.

OpenID Connect Core 1.0 (3.1.3.7), RFC 7636 (PKCE, S256), RFC 8628 (devices), RFC 9207 (issuer in the answer).
"""

from __future__ import annotations

import base64
import hmac
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import jwt
import msgspec

from scutum_server.access.sso.models import Provider, ProviderDown, SsoFailed
from scutum_server.infra import http
from scutum_server.infra.http import UnreachableError

ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""Signatures with a public key only: `none` and keys that we share with the provider prove nothing."""
LEEWAY: Final = 60
_FRESH_S: Final = 600.0
_AGAIN_S: Final = 10.0
"""An unknown key makes us read the keys anew, this often at most."""
_LONGEST: Final = 64 * 1024
_TYPES: Final = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


class Metadata(msgspec.Struct, frozen=True):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    device_authorization_endpoint: str | None = None
    authorization_response_iss_parameter_supported: bool = False


class Client(msgspec.Struct, frozen=True):
    """We, at the provider; without a secret a public client."""

    id: str
    secret: str | None

    def __repr__(self) -> str:
        return f"Client({self.id})"


class _Key(msgspec.Struct, frozen=True):
    kind: str
    algorithm: str | None
    public: Any


class Pending(Exception):
    """The person has not answered yet; `slower` when we asked too often."""

    def __init__(self, *, slower: bool) -> None:
        super().__init__()
        self.slower = slower


class Issuer:
    """One provider; keeps what it publishes for ten minutes."""

    def __init__(self, issuer: str, ca_bundle: str | None) -> None:
        self.issuer = issuer
        self._ca = ca_bundle
        self._metadata: Metadata | None = None
        self._keys: dict[str, _Key] = {}
        self._read_at = self._keys_at = float("-inf")

    async def metadata(self) -> Metadata:
        """Raises ProviderDown; the document must name the very issuer that was asked."""
        if self._metadata is not None and time.monotonic() - self._read_at < _FRESH_S:
            return self._metadata
        document = await self._json("GET", f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        try:
            found = msgspec.convert(document, Metadata)
        except msgspec.ValidationError:
            raise self._down("what it publishes is no discovery document") from None
        if found.issuer != self.issuer:
            raise self._down(f"it calls itself {found.issuer[:200]}")
        endpoints = (found.authorization_endpoint, found.token_endpoint, found.jwks_uri)
        if not all(http.safe(url) for url in endpoints):
            raise self._down("its endpoints are not https")
        self._metadata, self._read_at = found, time.monotonic()
        return found

    async def exchange(self, client: Client, code: str, verifier: str, redirect_uri: str, nonce: str) -> dict[str, Any]:
        """The verified claims for an authorization code; raises SsoFailed or ProviderDown."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        status, answer = await self._token(client, form)
        if status != 200:
            raise SsoFailed("The provider does not take the code.", hint="Log in again.")
        return await self._claims(client, answer, nonce)

    async def device(self, client: Client, scopes: list[str]) -> Mapping[str, Any]:
        """What RFC 8628 calls a device authorization response."""
        endpoint = (await self.metadata()).device_authorization_endpoint
        if endpoint is None or not http.safe(endpoint):
            raise self._down("it has no login for devices")
        status, answer = await self._form(endpoint, client, {"scope": " ".join(scopes)})
        if status != 200:
            raise self._down(f"it refuses the login of a device ({str(answer.get('error', status))[:100]})")
        return answer

    async def device_tokens(self, client: Client, device_code: str) -> dict[str, Any]:
        """The verified claims once the person has agreed; raises Pending, SsoFailed or ProviderDown."""
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": device_code}
        status, answer = await self._token(client, form)
        if status == 200:
            return await self._claims(client, answer, None)
        if answer.get("error") in {"authorization_pending", "slow_down"}:
            raise Pending(slower=answer["error"] == "slow_down")
        raise SsoFailed("They did not agree, or took too long.", hint="Log in again.")

    async def _claims(self, client: Client, answer: Mapping[str, Any], nonce: str | None) -> dict[str, Any]:
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise _bad()
        claims = await self.verify(client.id, token, nonce)
        endpoint = (await self.metadata()).userinfo_endpoint
        access = answer.get("access_token")
        if endpoint is None or not http.safe(endpoint) or not isinstance(access, str):
            return claims
        more = await self._json("GET", endpoint, {"authorization": f"Bearer {access}"})
        if not isinstance(more, dict) or more.get("sub") != claims["sub"]:
            raise _bad()
        return {**more, **claims}

    async def verify(self, client_id: str, token: str, nonce: str | None) -> dict[str, Any]:
        """The claims of an ID token for this client; raises SsoFailed without telling what is wrong with it."""
        try:
            header = jwt.get_unverified_header(token) if len(token) <= _LONGEST else {}
            algorithm = header.get("alg")
            if algorithm not in ALGORITHMS:
                raise _bad()
            key = await self._key(header.get("kid"), str(algorithm))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[str(algorithm)],
                issuer=self.issuer,
                audience=client_id,
                leeway=LEEWAY,
                options={"require": ["iss", "sub", "aud", "exp", "iat"]},
            )
        except (jwt.PyJWTError, RecursionError):
            raise _bad() from None
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if (several or "azp" in claims) and claims.get("azp") != client_id:
            raise _bad()
        given = claims.get("nonce")
        if nonce is not None and not (isinstance(given, str) and hmac.compare_digest(given.encode(), nonce.encode())):
            raise _bad()
        if not isinstance(claims["sub"], str) or not 1 <= len(claims["sub"]) <= 255:
            raise _bad()
        return claims

    async def _key(self, kid: object, algorithm: str) -> Any:
        """The provider's key of this name; a name that we do not know may be new there."""
        age = time.monotonic() - self._keys_at
        if age > _FRESH_S or (not self._fitting(kid, algorithm) and age > _AGAIN_S):
            await self._read_keys()
        found = self._fitting(kid, algorithm)
        if len(found) != 1:
            raise _bad()
        return found[0]

    def _fitting(self, kid: object, algorithm: str) -> list[Any]:
        """The keys of this name that are for this algorithm, or for any of their type."""
        kind = _TYPES[algorithm[:2]]
        named = [key for name, key in self._keys.items() if kid is None or name == kid]
        return [key.public for key in named if key.kind == kind and key.algorithm in {None, algorithm}]

    async def _read_keys(self) -> None:
        document = await self._json("GET", (await self.metadata()).jwks_uri)
        keys: dict[str, _Key] = {}
        for number, entry in enumerate(document.get("keys", []) if isinstance(document, dict) else []):
            if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or entry.get("kty") == "oct":
                continue
            try:
                public = jwt.PyJWK.from_dict(entry).key
                keys[str(entry.get("kid", f"#{number}"))] = _Key(entry["kty"], entry.get("alg"), public)
            except (jwt.PyJWTError, ValueError):
                continue
        self._keys, self._keys_at = keys, time.monotonic()

    async def _token(self, client: Client, form: dict[str, str]) -> tuple[int, Mapping[str, Any]]:
        return await self._form((await self.metadata()).token_endpoint, client, form)

    async def _form(self, url: str, client: Client, form: dict[str, str]) -> tuple[int, Mapping[str, Any]]:
        headers, form = {}, {**form, "client_id": client.id}
        if client.secret is not None:
            del form["client_id"]
            pair = f"{quote(client.id, safe='')}:{quote(client.secret, safe='')}".encode()
            headers["authorization"] = "Basic " + base64.b64encode(pair).decode()
        reply = await self._ask("POST", url, form, headers)
        try:
            answer = msgspec.json.decode(reply.body)
        except msgspec.DecodeError:
            answer = None
        if not isinstance(answer, dict) or reply.status >= 500:
            raise self._down(f"it answers {reply.status}")
        return reply.status, answer

    async def _json(self, method: str, url: str, headers: Mapping[str, str] | None = None) -> Any:
        reply = await self._ask(method, url, None, headers)
        if reply.status != 200:
            raise self._down(f"it answers {reply.status}")
        try:
            return msgspec.json.decode(reply.body)
        except msgspec.DecodeError:
            raise self._down("its answer is not JSON") from None

    async def _ask(
        self, method: str, url: str, form: Mapping[str, str] | None, headers: Mapping[str, str] | None
    ) -> http.Reply:
        try:
            return await http.ask(method, url, form=form, headers=headers, ca_bundle=self._ca)
        except UnreachableError as error:
            raise self._down(str(error)) from None

    def _down(self, why: str) -> ProviderDown:
        return ProviderDown(
            f"The OpenID provider {self.issuer} cannot be used: {why}.", hint="Look at: GET /api/v1/sso"
        )


class Desk:
    """The providers that we have talked to: what they publish is kept."""

    def __init__(self) -> None:
        self._issuers: OrderedDict[tuple[str, str | None], Issuer] = OrderedDict()

    def of(self, provider: Provider) -> Issuer:
        key = (provider.issuer, provider.ca_bundle)
        if key not in self._issuers:
            self._issuers[key] = Issuer(*key)
            if len(self._issuers) > 4:
                self._issuers.popitem(last=False)
        return self._issuers[key]


def _bad() -> SsoFailed:
    return SsoFailed("The provider's answer does not prove who this is.", hint="Log in again.")
