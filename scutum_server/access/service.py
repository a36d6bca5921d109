"""The rules of users and service accounts."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from scutum_server.access.models import (
    ROLES,
    AccountRevoked,
    BadField,
    IssuedAccount,
    LastOwner,
    NameTaken,
    OrgNotFound,
    Principal,
    Role,
    RoleTooHigh,
    ServiceAccount,
    ServiceAccountNotFound,
    User,
    UserNotFound,
    above,
)
from scutum_server.access.seats import Licence, Seats
from scutum_server.access.sessions.store import SessionStore
from scutum_server.access.store import AccessStore
from scutum_server.infra import crypto, refs
from scutum_server.infra.changes import Changes, plain
from scutum_server.infra.ids import new_id
from scutum_server.infra.listing import Ask
from scutum_server.infra.paging import Page

MAX_LIFETIME = dt.timedelta(days=3650)
TOKEN_PREFIX = "sk-service-"  # noqa: S105
EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

Clock = Callable[[], dt.datetime]


def email_key(email: str) -> str:
    """An address of mail as it is compared: people do not tell capitals apart."""
    return email.strip().lower()


class Bounds:
    """What the one who asks may give to others: no role above their own, no org but theirs."""

    def __init__(self, holder: Principal, store: AccessStore) -> None:
        self._holder = holder
        self._store = store

    def role(self, role: Role) -> Role:
        """Raises RoleTooHigh for a role above one's own."""
        if above(role, self._holder.role):
            raise RoleTooHigh(
                f"Your role {self._holder.role} may not give or change the role {role}.",
                hint="Ask somebody who has that role.",
                param="role",
            )
        return role

    async def org(self, ref: str | None) -> str | None:
        """The id of an org; None (the whole install) only for those who are of the whole install."""
        if ref is None:
            return self._holder.org_id
        ref = refs.canonical(ref)
        missing = OrgNotFound(f"There is no org “{ref}”.", param="org", hint="See: scutum orgs list")
        org_id = refs.choose(ref, await self._store.org_candidates(ref), missing)
        if not await self._store.hold_org(org_id):
            raise missing
        return org_id

    async def within(self, ask: Ask, org: str | None) -> Ask:
        """The list as it was asked for, of one org if one is named."""
        found = {"org": await self.org(org) or ""} if org is not None else {}
        given = {name: email_key(value) if name == "email" else value for name, value in ask.filters.items()}
        return msgspec.structs.replace(ask, filters={**given, **found})


class UserService:
    def __init__(
        self, store: AccessStore, sessions: SessionStore, changes: Changes, holder: Principal, licence: Licence
    ) -> None:
        self._store = store
        self._seats = Seats(store, licence)
        self._sessions = sessions
        self._changes = changes
        self._holder = holder
        self._bounds = Bounds(holder, store)

    async def page(self, ask: Ask, org: str | None) -> Page[User]:
        return await self._store.users(await self._bounds.within(ask, org))

    async def get(self, ref: str) -> User:
        """By id, address of mail or short form; raises UserNotFound or AmbiguousRef."""
        missing = UserNotFound(f"There is no user “{ref}”.", hint="See: scutum users list")
        ref = email_key(refs.canonical(ref))
        user = await self._store.user(refs.choose(ref, await self._store.user_candidates(ref), missing))
        if user is None:
            raise missing
        return user

    async def create(self, fields: Mapping[str, Any], hashed: str | None) -> User:
        """Without a password (`hashed` None) somebody comes by single sign-on only."""
        email, role, user_id = fields["email"], self._bounds.role(fields["role"]), new_id("user")
        if EMAIL.fullmatch(email) is None:
            raise BadField("This is not an address of mail.", param="email")
        created = await self._store.insert_user(
            id=user_id,
            org_id=await self._bounds.org(fields.get("org")),
            email=email,
            email_key=email_key(email),
            name=_person(fields.get("name")),
            role=role,
            password_hash=hashed,
        )
        if not created:
            raise NameTaken("Somebody has this address of mail already.", param="email")
        user = await self.get(user_id)
        await self._seats.check(user)
        self._changes.note("user.create", "user", user.id, org_id=user.org_id, after=_told(user))
        return user

    async def update(self, ref: str, fields: Mapping[str, Any], hashed: str | None) -> User:
        """Changes the fields that are given; a new password, or being disabled, ends the user's sessions."""
        before = await self._locked(ref)
        changed: dict[str, Any] = {}
        if "name" in fields:
            changed["name"] = _person(fields["name"])
        if "role" in fields:
            changed["role"] = self._bounds.role(fields["role"])
        if "org" in fields:
            changed["org_id"] = await self._bounds.org(fields["org"])
        if "disabled" in fields:
            changed["state"] = "disabled" if fields["disabled"] else "active"
        after = msgspec.structs.replace(before, **changed)
        if _owns(before) and not (_owns(after) and after.org_id == before.org_id):
            await self._keep_an_owner(before)
        if after != before:
            await self._seats.check(after, before)
            await self._store.update_user(after)
            shown = await self.get(before.id)
            self._changes.note(
                "user.update", "user", after.id, org_id=before.org_id or after.org_id,
                before=_told(before), after=_told(shown),
            )  # fmt: skip
        if hashed is not None:
            await self.set_password(before, hashed)
        elif after.state == "disabled":
            await self._sessions.end_of_user(before.id, "disabled", None)
        return await self.get(before.id)

    async def set_password(self, user: User, hashed: str, *, but: str | None = None) -> None:
        """Ends the user's sessions, but one."""
        await self._store.set_password(user.id, hashed)
        await self._sessions.end_of_user(user.id, "password", but)
        self._changes.note("user.password", "user", user.id, org_id=user.org_id)

    async def sign_out(self, ref: str) -> int:
        """Ends every session of somebody, at once in all processes; tells how many there were."""
        user = await self._locked(ref)
        ended = await self._sessions.end_of_user(user.id, "sign_out", None)
        self._changes.note("user.sign_out", "user", user.id, org_id=user.org_id, after={"sessions": len(ended)})
        return len(ended)

    async def delete(self, ref: str) -> None:
        user = await self._locked(ref)
        if _owns(user):
            await self._keep_an_owner(user)
        await self._store.delete_user(user.id)
        self._changes.note("user.delete", "user", user.id, org_id=user.org_id, before=_told(user))

    async def _locked(self, ref: str) -> User:
        """Somebody whom the one who asks may change."""
        found = await self.get(ref)
        if not await self._store.lock_user(found.id):
            raise UserNotFound(f"There is no user “{ref}”.")
        user = await self.get(found.id)
        self._bounds.role(user.role)
        self._changes.expect(user.updated_at)
        return user

    async def _keep_an_owner(self, user: User) -> None:
        """The install keeps an owner, and so does an org, unless somebody of the whole install says otherwise."""
        if user.org_id is not None and self._holder.org_id is None:
            return
        if not [owner for owner in await self._store.owners(user.org_id) if owner != user.id]:
            raise LastOwner(
                f"{user.email} is the last owner.", hint="Make somebody else an owner first: scutum users update"
            )


class ServiceAccountService:
    def __init__(self, store: AccessStore, changes: Changes, clock: Clock, holder: Principal) -> None:
        self._store = store
        self._changes = changes
        self._clock = clock
        self._bounds = Bounds(holder, store)

    async def page(self, ask: Ask, org: str | None) -> Page[ServiceAccount]:
        return await self._store.service_accounts(await self._bounds.within(ask, org))

    async def get(self, ref: str) -> ServiceAccount:
        """By id, name or short form; raises ServiceAccountNotFound or AmbiguousRef."""
        ref = refs.canonical(ref)
        missing = ServiceAccountNotFound(
            f"There is no service account “{ref}”.", hint="See: scutum service-accounts list"
        )
        found = refs.choose(ref, await self._store.service_account_candidates(ref), missing)
        account = await self._store.service_account(found)
        if account is None:
            raise missing
        return account

    async def create(self, fields: Mapping[str, Any]) -> IssuedAccount:
        """Its token is in the answer only."""
        plaintext = crypto.new_key(TOKEN_PREFIX)
        account = await self._insert(fields, crypto.key_hash(plaintext), _hint(plaintext), self._expiry(fields))
        return IssuedAccount(account, plaintext)

    async def _insert(
        self, fields: Mapping[str, Any], digest: bytes, hint: str, expires_at: dt.datetime | None
    ) -> ServiceAccount:
        name, account_id = _name(fields["name"]), new_id("sa")
        created = await self._store.insert_service_account(
            id=account_id,
            org_id=await self._bounds.org(fields.get("org")),
            name=name,
            role=self._bounds.role(fields["role"]),
            hash=digest,
            hint=hint,
            expires_at=expires_at,
        )
        if not created:
            raise NameTaken(
                f"There is a service account “{name}” already.", param="name", hint="Rotate that one instead."
            )
        account = await self.get(account_id)
        self._note("create", after=account)
        return account

    async def update(self, ref: str, fields: Mapping[str, Any]) -> ServiceAccount:
        before = await self._live(ref)
        changed: dict[str, Any] = {}
        if "name" in fields:
            changed["name"] = _name(fields["name"])
        if "role" in fields:
            changed["role"] = self._bounds.role(fields["role"])
        if "expires_at" in fields or "expires_in" in fields:
            changed["expires_at"] = self._expiry(fields)
        after = msgspec.structs.replace(before, **changed)
        if after == before:
            return before
        if not await self._store.update_service_account(after):
            raise NameTaken(f"There is a service account “{after.name}” already.", param="name")
        after = await self.get(before.id)
        self._note("update", before, after)
        return after

    async def rotate(self, ref: str, overlap_seconds: int) -> IssuedAccount:
        """A new token; the former one, and sessions that it opened, go on for `overlap_seconds`."""
        before, plaintext = await self._live(ref), crypto.new_key(TOKEN_PREFIX)
        await self._store.rotate_service_account(
            before.id, crypto.key_hash(plaintext), _hint(plaintext), overlap_seconds
        )
        after = await self.get(before.id)
        self._note("rotate", before, after)
        return IssuedAccount(after, plaintext)

    async def revoke(self, ref: str) -> ServiceAccount:
        """For good and at once, with every session that it has open."""
        before = await self._locked(ref)
        if before.state == "revoked":
            return before
        await self._store.revoke_service_account(before.id)
        after = await self.get(before.id)
        self._note("revoke", before, after)
        return after

    async def delete(self, ref: str) -> None:
        account = await self._locked(ref)
        await self._store.delete_service_account(account.id)
        self._note("delete", account)

    def _note(self, verb: str, before: ServiceAccount | None = None, after: ServiceAccount | None = None) -> None:
        shown = after or before
        if shown is not None:
            self._changes.note(
                f"service_account.{verb}", "service_account", shown.id, org_id=shown.org_id,
                before=_told(before) if before else None, after=_told(after) if after else None,
            )  # fmt: skip

    async def _locked(self, ref: str) -> ServiceAccount:
        found = await self.get(ref)
        if not await self._store.lock_service_account(found.id):
            raise ServiceAccountNotFound(f"There is no service account “{ref}”.")
        account = await self.get(found.id)
        self._bounds.role(account.role)
        self._changes.expect(account.updated_at)
        return account

    async def _live(self, ref: str) -> ServiceAccount:
        account = await self._locked(ref)
        if account.state == "revoked":
            raise AccountRevoked(
                f"Service account “{account.name}” is revoked.", hint="Create one: scutum service-accounts create"
            )
        return account

    def _expiry(self, fields: Mapping[str, Any]) -> dt.datetime | None:
        at, seconds = fields.get("expires_at"), fields.get("expires_in")
        if at is not None and seconds is not None:
            raise BadField("Give expires_at or expires_in, not both.", param="expires_at")
        now = self._clock()
        if seconds is not None:
            return now + dt.timedelta(seconds=seconds)
        if at is not None and not now < at <= now + MAX_LIFETIME:
            raise BadField("A token expires in the future, ten years ahead at most.", param="expires_at")
        return at if at is None else at.astimezone(dt.UTC)


def roles_up_to(role: Role) -> tuple[Role, ...]:
    """The roles that somebody may give."""
    return ROLES[ROLES.index(role) :]


def _owns(user: User) -> bool:
    return user.role == "owner" and user.state == "active"


def _told(item: User | ServiceAccount) -> dict[str, Any]:
    return {name: value for name, value in plain(item).items() if name != "last_login_at"}


def _hint(plaintext: str) -> str:
    return f"{plaintext[:13]}…{plaintext[-4:]}"


def _name(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise BadField("A service account's name is letters, digits, dots, dashes and underscores.", param="name")
    return name


def _person(name: str | None) -> str | None:
    name = refs.canonical(name).strip() if name else None
    if name and not name.isprintable():
        raise BadField("A name has printable characters only.", param="name")
    return name or None
