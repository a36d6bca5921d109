"""The admin API by what it does: one typed method per route; every one may raise CliError."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, TypedDict, TypeVar, cast

from scutum_cli import settings
from scutum_cli.client import reminder
from scutum_cli.client.http import ANSWER_SECONDS, AdminClient, segment

if TYPE_CHECKING:
    from scutum_cli.client import types

Item = TypeVar("Item")
V1 = "/api/v1"
PAGE = 500
USAGE_PAGE = 5000


class Page(TypedDict, Generic[Item]):
    """Part of a list; `next` is None when nothing follows."""

    items: list[Item]
    next: str | None


class Api:
    """One server's admin API. `limit` None means every item; `ref` is an id, a unique part of one, or a name."""

    def __init__(self, client: AdminClient) -> None:
        self.client = client

    def orgs(self, limit: int | None = None, **asked: str | None) -> Page[types.Org]:
        return cast("Page[types.Org]", self._list("orgs", limit, asked))

    def org(self, ref: str) -> types.Org:
        return cast("types.Org", self._get("orgs", ref))

    def create_org(self, body: types.OrgCreate) -> types.Org:
        return cast("types.Org", self._create("orgs", body))

    def update_org(self, ref: str, body: types.OrgUpdate) -> types.Org:
        return cast("types.Org", self.client.patch(f"{V1}/orgs/{segment(ref)}", body))

    def delete_org(self, ref: str) -> None:
        self._delete("orgs", ref)

    def units(self, limit: int | None = None, **asked: str | None) -> Page[types.Unit]:
        return cast("Page[types.Unit]", self._list("units", limit, asked))

    def unit(self, ref: str) -> types.Unit:
        return cast("types.Unit", self._get("units", ref))

    def create_unit(self, body: types.UnitCreate) -> types.Unit:
        return cast("types.Unit", self._create("units", body))

    def update_unit(self, ref: str, body: types.UnitUpdate) -> types.Unit:
        return cast("types.Unit", self.client.patch(f"{V1}/units/{segment(ref)}", body))

    def delete_unit(self, ref: str) -> None:
        self._delete("units", ref)

    def teams(self, limit: int | None = None, **asked: str | None) -> Page[types.Team]:
        return cast("Page[types.Team]", self._list("teams", limit, asked))

    def team(self, ref: str) -> types.Team:
        return cast("types.Team", self._get("teams", ref))

    def create_team(self, body: types.TeamCreate) -> types.Team:
        return cast("types.Team", self._create("teams", body))

    def update_team(self, ref: str, body: types.TeamUpdate) -> types.Team:
        return cast("types.Team", self.client.patch(f"{V1}/teams/{segment(ref)}", body))

    def delete_team(self, ref: str) -> None:
        self._delete("teams", ref)

    def keys(self, limit: int | None = None, **asked: str | None) -> Page[types.Key]:
        return cast("Page[types.Key]", self._list("keys", limit, asked))

    def key(self, ref: str) -> types.Key:
        return cast("types.Key", self._get("keys", ref))

    def create_key(self, body: types.KeyCreate) -> types.IssuedKey:
        return cast("types.IssuedKey", self._create("keys", body))

    def update_key(self, ref: str, body: types.KeyUpdate) -> types.Key:
        return cast("types.Key", self.client.patch(f"{V1}/keys/{segment(ref)}", body))

    def delete_key(self, ref: str) -> None:
        self._delete("keys", ref)

    def revoke_key(self, ref: str) -> types.Key:
        return cast("types.Key", self.client.post(f"{V1}/keys/{segment(ref)}/revoke"))

    def rotate_key(self, ref: str, body: types.KeyRotate) -> types.IssuedKey:
        return cast("types.IssuedKey", self.client.post(f"{V1}/keys/{segment(ref)}/rotate", body))

    def providers(self, limit: int | None = None, **asked: str | None) -> Page[types.Provider]:
        return cast("Page[types.Provider]", self._list("providers", limit, asked))

    def provider(self, ref: str) -> types.Provider:
        return cast("types.Provider", self._get("providers", ref))

    def create_provider(self, body: types.ProviderCreate) -> types.Provider:
        return cast("types.Provider", self._create("providers", body))

    def update_provider(self, ref: str, body: types.ProviderUpdate) -> types.Provider:
        return cast("types.Provider", self.client.patch(f"{V1}/providers/{segment(ref)}", body))

    def delete_provider(self, ref: str, *, cascade: bool = False) -> None:
        """With `cascade` its models go too; without, a provider that has some is a conflict that names them."""
        self._delete("providers", ref, {"cascade": "true" if cascade else None})

    def test_provider(self, ref: str) -> types.Probe:
        return cast("types.Probe", self.client.post(f"{V1}/providers/{segment(ref)}/test"))

    def presets(self, limit: int | None = None) -> Page[types.Preset]:
        return cast("Page[types.Preset]", self._list("provider-presets", limit, paged=False))

    def provider_keys(self, ref: str, limit: int | None = None) -> Page[types.ProviderKey]:
        path = f"providers/{segment(ref)}/keys"
        return cast("Page[types.ProviderKey]", self._list(path, limit, paged=False))

    def add_provider_key(self, ref: str, body: types.ProviderKeyCreate) -> types.ProviderKey:
        return cast("types.ProviderKey", self.client.post(f"{V1}/providers/{segment(ref)}/keys", body))

    def remove_provider_key(self, ref: str, key: str) -> None:
        self.client.delete(f"{V1}/providers/{segment(ref)}/keys/{segment(key)}")

    def catalog(self, limit: int | None = None, provider: str | None = None) -> Page[types.CatalogModel]:
        return cast("Page[types.CatalogModel]", self._list("catalog", limit, {"provider": provider}))

    def models(self, limit: int | None = None, **asked: str | None) -> Page[types.Model]:
        return cast("Page[types.Model]", self._list("models", limit, asked))

    def model(self, ref: str) -> types.Model:
        return cast("types.Model", self._get("models", ref))

    def create_model(self, body: types.ModelCreate) -> types.Model:
        return cast("types.Model", self._create("models", body))

    def update_model(self, ref: str, body: types.ModelUpdate) -> types.Model:
        return cast("types.Model", self.client.patch(f"{V1}/models/{segment(ref)}", body))

    def delete_model(self, ref: str) -> None:
        self._delete("models", ref)

    def aliases(self, limit: int | None = None, **asked: str | None) -> Page[types.Alias]:
        return cast("Page[types.Alias]", self._list("aliases", limit, asked))

    def alias(self, name: str) -> types.Alias:
        return cast("types.Alias", self._get("aliases", name))

    def set_alias(self, name: str, body: types.AliasPut) -> types.Alias:
        return cast("types.Alias", self.client.put(f"{V1}/aliases/{segment(name)}", body))

    def delete_alias(self, name: str) -> None:
        self._delete("aliases", name)

    def whoami(self) -> types.Me:
        return cast("types.Me", self.client.get(f"{V1}/auth/whoami"))

    def logout(self) -> None:
        """Ends the session at the server, for all who hold it."""
        self.client.post(f"{V1}/auth/logout")

    def change_password(self, body: types.PasswordChange) -> None:
        self.client.put(f"{V1}/auth/password", body)

    def sso(self) -> types.SsoSettings:
        return cast("types.SsoSettings", self.client.get(f"{V1}/sso"))

    def set_sso(self, body: types.SsoPut) -> types.SsoSettings:
        return cast("types.SsoSettings", self.client.put(f"{V1}/sso", body))

    def delete_sso(self) -> None:
        self.client.delete(f"{V1}/sso")

    def users(self, limit: int | None = None) -> Page[types.User]:
        return cast("Page[types.User]", self._list("users", limit))

    def user(self, ref: str) -> types.User:
        return cast("types.User", self._get("users", ref))

    def create_user(self, body: types.UserCreate) -> types.User:
        return cast("types.User", self._create("users", body))

    def update_user(self, ref: str, body: types.UserUpdate) -> types.User:
        return cast("types.User", self.client.patch(f"{V1}/users/{segment(ref)}", body))

    def sign_out_user(self, ref: str) -> types.SignedOut:
        return cast("types.SignedOut", self.client.post(f"{V1}/users/{segment(ref)}/sign-out"))

    def delete_user(self, ref: str) -> None:
        self._delete("users", ref)

    def service_accounts(self, limit: int | None = None) -> Page[types.ServiceAccount]:
        return cast("Page[types.ServiceAccount]", self._list("service-accounts", limit))

    def service_account(self, ref: str) -> types.ServiceAccount:
        return cast("types.ServiceAccount", self._get("service-accounts", ref))

    def create_service_account(self, body: types.ServiceAccountCreate) -> types.IssuedServiceAccount:
        return cast("types.IssuedServiceAccount", self._create("service-accounts", body))

    def update_service_account(self, ref: str, body: types.ServiceAccountUpdate) -> types.ServiceAccount:
        return cast("types.ServiceAccount", self.client.patch(f"{V1}/service-accounts/{segment(ref)}", body))

    def rotate_service_account(self, ref: str, body: types.ServiceAccountRotate) -> types.IssuedServiceAccount:
        path = f"{V1}/service-accounts/{segment(ref)}/rotate"
        return cast("types.IssuedServiceAccount", self.client.post(path, body))

    def revoke_service_account(self, ref: str) -> types.ServiceAccount:
        return cast("types.ServiceAccount", self.client.post(f"{V1}/service-accounts/{segment(ref)}/revoke"))

    def delete_service_account(self, ref: str) -> None:
        self._delete("service-accounts", ref)

    def roles(self, limit: int | None = None) -> Page[types.RoleInfo]:
        return cast("Page[types.RoleInfo]", self._list("roles", limit, paged=False))

    def role(self, name: str) -> types.RoleInfo:
        return cast("types.RoleInfo", self._get("roles", name))

    def limits(self, limit: int | None = None, **asked: str | None) -> Page[types.RateLimit]:
        return cast("Page[types.RateLimit]", self._list("limits", limit, asked))

    def limit(self, ref: str) -> types.RateLimit:
        return cast("types.RateLimit", self._get("limits", ref))

    def create_limit(self, body: types.LimitCreate) -> types.RateLimit:
        return cast("types.RateLimit", self._create("limits", body))

    def update_limit(self, ref: str, body: types.LimitUpdate) -> types.RateLimit:
        return cast("types.RateLimit", self.client.patch(f"{V1}/limits/{segment(ref)}", body))

    def delete_limit(self, ref: str) -> None:
        self._delete("limits", ref)

    def budgets(self, limit: int | None = None, **asked: str | None) -> Page[types.Budget]:
        return cast("Page[types.Budget]", self._list("budgets", limit, asked))

    def budget(self, ref: str) -> types.Budget:
        return cast("types.Budget", self._get("budgets", ref))

    def create_budget(self, body: types.BudgetCreate) -> types.Budget:
        return cast("types.Budget", self._create("budgets", body))

    def update_budget(self, ref: str, body: types.BudgetUpdate) -> types.Budget:
        return cast("types.Budget", self.client.patch(f"{V1}/budgets/{segment(ref)}", body))

    def delete_budget(self, ref: str) -> None:
        self._delete("budgets", ref)

    def settings(self, limit: int | None = None, **asked: str | None) -> Page[types.Setting]:
        return cast("Page[types.Setting]", self._list("settings", limit, asked))

    def setting(self, key: str) -> types.Setting:
        return cast("types.Setting", self._get("settings", key))

    def reset_setting(self, key: str) -> None:
        self._delete("settings", key)

    def set_setting(self, key: str, body: types.SettingPut) -> types.Setting:
        return cast("types.Setting", self.client.put(f"{V1}/settings/{segment(key)}", body))

    def license(self) -> types.License:
        return cast("types.License", self.client.public(f"{V1}/license"))

    def activate_license(self, body: types.LicenseActivate, *, dry_run: bool = False) -> types.License:
        asked = {"dry_run": "true"} if dry_run else None
        return cast("types.License", self.client.post(f"{V1}/license/activate", body, asked))

    def license_history(self, limit: int | None = None) -> Page[types.LicenseActivation]:
        return cast("Page[types.LicenseActivation]", self._list("license/history", limit))

    def export_config(self) -> types.ConfigFile:
        return cast("types.ConfigFile", self.client.get(f"{V1}/config/export"))

    def diff_config(self, body: types.ConfigDiff) -> types.ConfigPlan:
        return cast("types.ConfigPlan", self.client.post(f"{V1}/config/diff", body))

    def apply_config(self, body: types.ConfigApply, *, dry_run: bool = False) -> types.ConfigPlan:
        asked = {"dry_run": "true"} if dry_run else None
        return cast("types.ConfigPlan", self.client.post(f"{V1}/config/apply", body, asked))

    def config_drift(self) -> types.ConfigDrift:
        return cast("types.ConfigDrift", self.client.get(f"{V1}/config/drift"))

    def forget_config(self) -> None:
        self.client.delete(f"{V1}/config/drift")

    def archives(self, limit: int | None = None) -> Page[types.Archive]:
        return cast("Page[types.Archive]", self._list("archives", limit))

    def archive(self, ref: str) -> types.Archive:
        return cast("types.Archive", self._get("archives", ref))

    def archive_status(self) -> types.ArchiveStatus:
        return cast("types.ArchiveStatus", self.client.get(f"{V1}/archives/status"))

    def run_archives(self, *, dry_run: bool = False) -> types.ArchiveRun:
        asked = {"dry_run": "true" if dry_run else None}
        return cast("types.ArchiveRun", self.client.post(f"{V1}/archives/run", params=asked))

    def verify_archive(self, ref: str) -> types.ArchiveCheck:
        return cast("types.ArchiveCheck", self.client.post(f"{V1}/archives/{segment(ref)}/verify"))

    def probe_archives(self) -> types.ArchiveProbe:
        return cast("types.ArchiveProbe", self.client.post(f"{V1}/archives/probe"))

    def confirm_retention(self, body: types.ArchiveRetentionConfirm) -> types.ArchiveRetention:
        return cast("types.ArchiveRetention", self.client.post(f"{V1}/archives/retention", body))

    def usage(self, asked: Mapping[str, str | None], *, limit: int | None) -> types.UsageReport:
        """Requests, tokens and cost per group, dearest first, with the totals over all groups."""
        path, most = f"{V1}/usage", USAGE_PAGE
        report = cast("types.UsageReport", self.client.get(path, {**asked, "limit": _size(limit, 0, most)}))
        # The cursor pins the window: "24h" would mean another one a moment later.
        while report["next"] is not None and (limit is None or len(report["items"]) < limit):
            size = _size(limit, len(report["items"]), most)
            page = cast("types.UsageReport", self.client.get(path, {**asked, "limit": size, "cursor": report["next"]}))
            report["items"] += page["items"]
            report["next"] = page["next"]
        return report

    def listed(self, noun: str, limit: int | None) -> Page[Any]:
        """A paged list of the API by its path."""
        return self._list(noun, limit)

    def _list(
        self, noun: str, limit: int | None, params: Mapping[str, Any] | None = None, *, paged: bool = True
    ) -> Page[Any]:
        """All pages up to `limit`; a list that is not `paged` comes whole."""
        items: list[Any] = []
        cursor: str | None = None
        while True:
            window = {"limit": _size(limit, len(items)), "cursor": cursor} if paged else {}
            page = self.client.get(f"{V1}/{noun}", {**(params or {}), **window})
            if not isinstance(page, dict) or not isinstance(page.get("items"), list):
                raise self.client.not_scutum()
            items += page["items"]
            cursor = page.get("next")
            if cursor is None or (limit is not None and len(items) >= limit):
                return {"items": items, "next": cursor}

    def _get(self, noun: str, ref: str) -> Any:
        return self.client.get(f"{V1}/{noun}/{segment(ref)}")

    def _create(self, noun: str, body: Any) -> Any:
        return self.client.post(f"{V1}/{noun}", body)

    def _delete(self, noun: str, ref: str, params: Mapping[str, Any] | None = None) -> None:
        self.client.delete(f"{V1}/{noun}/{segment(ref)}", params=params)


def _size(limit: int | None, have: int, most: int = PAGE) -> int:
    return most if limit is None else min(most, limit - have)


def connect(*, seconds: float = ANSWER_SECONDS, dry_run: bool = False) -> Api:
    """The admin API of the current context; `seconds` bounds the wait for an answer.

    With `dry_run` the server runs every change, answers what would be then, and takes it back.
    """
    client = AdminClient(settings.load().current, seconds=seconds, dry_run=dry_run)
    reminder.watch(client)
    return Api(client)
