"""The rules of single sign-on: its settings, and who somebody is here whom the provider vouches for."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from scutum_server.access.models import Actor, BadField, LastOwner, Principal, Role
from scutum_server.access.seats import Licence, Seats
from scutum_server.access.service import EMAIL, Bounds, email_key
from scutum_server.access.sso.models import Person, Provider, Rule, SsoNotSet, SsoRefused
from scutum_server.access.sso.store import Known, SsoStore
from scutum_server.access.store import AccessStore
from scutum_server.infra import http
from scutum_server.infra.changes import Changes
from scutum_server.infra.crypto import SecretBox
from scutum_server.infra.ids import new_id

WRAPPED: Final = "sso"
"""The context under which the client's secret is wrapped."""
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


class SsoService:
    """`bounds` is what the one who asks may give: no rule gives a role above their own."""

    def __init__(
        self,
        store: SsoStore,
        accounts: AccessStore,
        changes: Changes,
        box: SecretBox,
        holder: Principal,
        licence: Licence,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._changes = changes
        self._box = box
        self._bounds = Bounds(holder, accounts)
        self._seats = Seats(accounts, licence)

    async def get(self) -> Provider:
        """Raises SsoNotSet."""
        found = await self._store.provider()
        if found is None:
            raise SsoNotSet("Single sign-on is not set up.", hint="See: scutum sso set --help")
        return found

    async def put(self, fields: Mapping[str, Any]) -> Provider:
        """Replaces the settings; a secret that is not given stays for the same issuer and client."""
        before = await self._store.provider()
        self._changes.expect(before.updated_at if before else None)
        issuer = _address(fields["issuer"], "issuer")
        given, same = fields.get("client_secret"), None
        if before is not None and (before.issuer, before.client_id) == (issuer, fields["client_id"]):
            same = before.secret
        provider = Provider(
            issuer=issuer,
            client_id=fields["client_id"],
            secret=self._box.wrap(given, WRAPPED) if given else same,
            scopes=_scopes(fields["scopes"]),
            redirect_uris=[_address(uri, "redirect_uris") for uri in fields["redirect_uris"]],
            groups_claim=fields["groups_claim"],
            rules=[await self._rule(rule) for rule in fields["rules"]],
            default_role=self._bounds.role(fields["default_role"]) if fields["default_role"] else None,
            ca_bundle=fields["ca_bundle"],
            updated_at=dt.datetime.now(dt.UTC),
        )
        await self._store.put_provider(provider)
        self._changes.note("sso.update", "sso", "sso", before=_told(before) if before else None, after=_told(provider))
        return await self.get()

    async def delete(self) -> None:
        before = await self.get()
        self._changes.expect(before.updated_at)
        await self._store.delete_provider()
        self._changes.note("sso.delete", "sso", "sso", before=_told(before))

    def secret(self, provider: Provider) -> str | None:
        return self._box.unwrap(provider.secret, WRAPPED) if provider.secret is not None else None

    async def admit(self, provider: Provider, claims: Mapping[str, Any]) -> Principal:
        """Who that is here; makes, links or moves their account. Raises SsoRefused, LastOwner, or SeatsTaken."""
        person = _person(provider, claims)
        known = await self._store.known(provider.issuer, person.subject)
        if known is None and person.email is not None and person.email_verified:
            linked = await self._store.link(provider.issuer, person.subject, email_key(person.email))
            if linked is not None:
                self._changes.note("user.link", "user", linked, after={"issuer": provider.issuer})
            known = await self._store.known(provider.issuer, person.subject)
        if known is None:
            known = await self._make(provider, person)
        elif known.sso_managed and known.active:
            known = await self._move(provider, person, known)
        if not known.active:
            raise SsoRefused("This account is disabled.", hint="Ask an admin of this install.")
        return Principal(Actor(known.id, "user", known.email), known.role, known.org_id)

    async def _make(self, provider: Provider, person: Person) -> Known:
        role, org_id = await self._place(provider, person)
        email = person.email
        if email is None or not person.email_verified or EMAIL.fullmatch(email) is None:
            raise SsoRefused(
                "The provider does not vouch for an address of mail.",
                hint="It must give the claims email and email_verified: see the scopes in GET /api/v1/sso.",
            )
        user_id = new_id("user")
        await self._seats.take(user_id, role)
        name = person.name if person.name and person.name.isprintable() and len(person.name) <= 200 else None
        made = await self._store.insert(
            id=user_id, org_id=org_id, email=email, email_key=email_key(email), name=name, role=role,
            issuer=provider.issuer, subject=person.subject,
        )  # fmt: skip
        if not made:
            raise SsoRefused(
                "There is an account with this address of mail that logs in another way.",
                hint="Ask an admin: an account without a password is taken over at the first login.",
            )
        told = {"email": email, "role": role, "org_id": org_id, "issuer": provider.issuer}
        self._changes.note("user.create", "user", user_id, org_id=org_id, after=told)
        return Known(id=user_id, email=email, role=role, org_id=org_id, sso_managed=True, active=True)

    async def _move(self, provider: Provider, person: Person, known: Known) -> Known:
        role, org_id = await self._place(provider, person)
        if (role, org_id) == (known.role, known.org_id):
            return known
        if known.role == "owner" and await self._accounts.owners(known.org_id) == [known.id]:
            raise LastOwner(
                f"{known.email} is the last owner, and their groups no longer make them one.",
                hint="Make somebody else an owner first: scutum users update",
            )
        if role != known.role:
            await self._seats.take(known.id, role)
        await self._store.place(known.id, role, org_id)
        self._changes.note(
            "user.update", "user", known.id, org_id=known.org_id or org_id,
            before={"role": known.role, "org_id": known.org_id}, after={"role": role, "org_id": org_id},
        )  # fmt: skip
        return msgspec.structs.replace(known, role=role, org_id=org_id)

    async def _place(self, provider: Provider, person: Person) -> tuple[Role, str | None]:
        """The role and org that the first fitting rule gives; raises SsoRefused when nothing does."""
        for rule in provider.rules:
            if rule.group in person.groups:
                if rule.org_id is not None and not await self._store.org_there(rule.org_id):
                    continue
                return rule.role, rule.org_id
        if provider.default_role is None:
            raise SsoRefused(
                "None of your groups may use this gateway.", hint="Ask an admin of this install for a group that may."
            )
        return provider.default_role, None

    async def _rule(self, rule: Mapping[str, Any]) -> Rule:
        org_id = await self._bounds.org(rule["org"]) if rule.get("org") else None
        return Rule(group=rule["group"], role=self._bounds.role(rule["role"]), org=rule.get("org"), org_id=org_id)


def _person(provider: Provider, claims: Mapping[str, Any]) -> Person:
    groups = claims.get(provider.groups_claim)
    listed = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
    email, name = claims.get("email"), claims.get("name")
    return Person(
        subject=claims["sub"],
        email=email if isinstance(email, str) else None,
        email_verified=claims.get("email_verified") is True,
        name=name if isinstance(name, str) else None,
        groups=frozenset(group for group in listed if isinstance(group, str)),
    )


def _told(provider: Provider) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(provider, secret=None))
    del told["updated_at"]
    return told | {"secret": "set" if provider.secret is not None else None}


def _address(url: str, field: str) -> str:
    if not http.safe(url) or "#" in url:
        raise BadField(f"{field} takes addresses with https, or http on this host.", param=field)
    return url


def _scopes(scopes: list[str]) -> list[str]:
    if not all(_SCOPE.fullmatch(scope) for scope in scopes):
        raise BadField("A scope is a word without spaces.", param="scopes")
    return list(dict.fromkeys(["openid", *scopes]))
