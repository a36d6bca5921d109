"""Every domain's services over one connection."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from scutum_server.access.adoption import AdoptingAccounts
from scutum_server.access.service import UserService
from scutum_server.access.sessions.store import SessionStore
from scutum_server.access.sso.service import SsoService
from scutum_server.access.sso.store import SsoStore
from scutum_server.access.store import AccessStore
from scutum_server.admin import archives
from scutum_server.admin.changes import Changes
from scutum_server.admin.hand import SETTINGS, Hand
from scutum_server.audit.archived import Vaults
from scutum_server.audit.proof.service import ProofService
from scutum_server.audit.proof.store import ProofStore
from scutum_server.audit.service import AuditService
from scutum_server.audit.store import AuditStore
from scutum_server.declarative.service import DeclarativeService
from scutum_server.declarative.store import DeclarativeStore
from scutum_server.gateway.providers import ProviderService
from scutum_server.gateway.service import AliasService, ModelService
from scutum_server.gateway.settings import SettingService
from scutum_server.gateway.store import GatewayStore
from scutum_server.identity.org_store import OrgStore
from scutum_server.identity.orgs import OrgService, TeamService, UnitService
from scutum_server.identity.service import KeyService
from scutum_server.identity.store import IdentityStore
from scutum_server.infra.crypto import SecretBox
from scutum_server.infra.db import Connection
from scutum_server.licensing.service import LicenceService
from scutum_server.licensing.store import LicenceStore
from scutum_server.licensing.trust import NOBODY, Trust
from scutum_server.limits.service import BudgetService, LimitService
from scutum_server.limits.store import LimitStore
from scutum_server.usage.report_store import ReportStore
from scutum_server.usage.service import ReportService

Clock = Callable[[], dt.datetime]


class Services:
    """They note what they change in `changes`, which the caller writes before it commits.

    `scope` is the id of the one org that they may see, None for all; `trust` is whose licences are believed;
    archives go to `archive_url` while no setting says otherwise, and `vaults` are where their rows are read.
    """

    def __init__(
        self,
        conn: Connection,
        box: SecretBox,
        changes: Changes,
        clock: Clock,
        scope: str | None = None,
        trust: Trust = NOBODY,
        archive_url: str | None = None,
        vaults: Vaults | None = None,
    ) -> None:
        gateway, orgs = GatewayStore(conn, scope), OrgStore(conn, scope)
        self.licences = LicenceService(LicenceStore(conn), changes, trust, clock, changes.actor_id)
        self.settings = SettingService(gateway, changes)
        self.orgs = OrgService(orgs, changes, scope)
        self.units = UnitService(orgs, self.orgs, changes)
        self.teams = TeamService(orgs, self.orgs, self.units, changes)
        self.keys = KeyService(IdentityStore(conn, scope), self.teams, changes, self.settings, clock)
        access, holder = AccessStore(conn, scope), changes.context.holder
        self.users = UserService(access, SessionStore(conn), changes, holder, self.licences)
        self.sso = SsoService(SsoStore(conn), access, changes, box, holder, self.licences)
        self.service_accounts = AdoptingAccounts(access, changes, clock, holder)
        hand = Hand(conn, box, changes, clock, (self.users, self.service_accounts))
        self.declarative = DeclarativeService(DeclarativeStore(conn), changes, hand, SETTINGS, changes.actor_id)
        self.providers = ProviderService(gateway, box, changes)
        self.models = ModelService(gateway, changes)
        self.aliases = AliasService(gateway, changes)
        limits = LimitStore(conn, scope)
        self.limits = LimitService(limits, changes)
        self.budgets = BudgetService(limits, changes, clock)
        trail = AuditStore(conn, scope)
        self.audit = AuditService(trail, clock, None if vaults is None else vaults.of(trail.holdings, scope), scope)
        self.proof = ProofService(ProofStore(conn, scope), changes, clock, scope)
        self.archives = archives.service(conn, changes, self.licences, clock, archive_url)
        self.reports = ReportService(ReportStore(conn, scope), clock, scope)
