"""One context's session: its tokens, where they are kept, and how they are renewed without anybody noticing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from scutum_cli import errors, keyring_store, output, settings
from scutum_cli.errors import CliError
from scutum_cli.settings import Context

# A token is not used in its last seconds: it would expire on the way.
MARGIN = 10.0
LOGIN = "/api/v1/auth/login"
REFRESH = "/api/v1/auth/refresh"
_KEPT = ("token", "token_expires_at", "refresh_token", "device_token")

Send = Callable[[str, Mapping[str, Any]], tuple[int, Any]]
"""Posts a body to a path without a session: the status and the parsed answer, which raises for all but 401."""


class Session:
    """`send` talks to the context's server. Other processes may hold the same session: all of them share one file."""

    def __init__(self, context: Context, send: Send) -> None:
        self._context = context
        self._send = send
        self._read = False

    def token(self) -> str:
        """An access token that is good for a while; renewed, or logged in anew, when the one at hand is not."""
        context = self._here()
        if context.token and (context.token_expires_at or 0.0) > time.time() + MARGIN:
            return context.token
        return self.renew(None)

    def renew(self, rejected: str | None) -> str:
        """Another token than `rejected`, which the server no longer takes. CliError (exit 4) when one must log in."""
        context = self._here()
        had = context.token is not None
        try:
            with settings.session_lock(context.name):
                self._reload()
                fresh = context.token and (context.token_expires_at or 0.0) > time.time() + MARGIN
                if fresh and context.token != rejected:
                    return str(context.token)
                if context.refresh_token and self._refresh(context.refresh_token):
                    return str(context.token)
                if context.account is None and context.master_key() is not None:
                    return self.log_in({"master_key": context.master_key()})
                self.forget()
        except CliError as error:
            if error.code != "contexts_unwritable" or context.master_key() is None:
                raise
            return self.log_in({"master_key": context.master_key()})
        raise not_logged_in(context, expired=had)

    def log_in(self, credentials: Mapping[str, Any], *, account: str | None = None, vault: bool = False) -> str:
        """Trades credentials for a session, keeps it and returns its access token.

        `account` is whose it is, None for the master key's; `vault` keeps it in the system's keyring.
        """
        context = self._here()
        if context.device_token and "email" in credentials:
            credentials = {**credentials, "device_token": context.device_token}
        status, answer = self._send(LOGIN, credentials)
        if status == errors.HTTP_UNAUTHORIZED:
            raise refused(answer)
        context.account, context.vault = account, vault
        self._take(answer)
        return str(context.token)

    def adopt(self, answer: Any, *, account: str, vault: bool) -> None:
        """Keeps a session that was opened in another way."""
        self._here()
        self._context.account, self._context.vault = account, vault
        self._take(answer)

    def forget(self) -> None:
        """Drops the tokens; the mark of this device stays, so that others' wrong guesses do not slow it down."""
        context = self._context
        context.token = context.token_expires_at = context.refresh_token = None
        self._keep()

    def _refresh(self, refresh_token: str) -> bool:
        status, answer = self._send(REFRESH, {"refresh_token": refresh_token})
        if status == errors.HTTP_UNAUTHORIZED:
            return False
        self._take(answer)
        return True

    def _take(self, answer: Any) -> None:
        context = self._context
        try:
            token, lifetime = str(answer["access_token"]), float(answer["expires_in"])
        except (KeyError, TypeError, ValueError):
            raise not_scutum(context) from None
        context.token, context.token_expires_at = token, time.time() + lifetime
        context.refresh_token = answer.get("refresh_token")
        context.device_token = answer.get("device_token") or context.device_token
        self._keep()

    def _here(self) -> Context:
        """The context with its tokens, out of the keyring if they are there."""
        if self._context.vault and not self._read:
            self._unlock()
        self._read = True
        return self._context

    def _reload(self) -> None:
        """What another process may have written since."""
        known = settings.load().contexts.get(self._context.name)
        if known is not None:
            self._context.account, self._context.vault = known.account, known.vault
            for name in _KEPT:
                setattr(self._context, name, getattr(known, name))
        if self._context.vault:
            self._unlock()

    def _unlock(self) -> None:
        try:
            kept = json.loads(keyring_store.read(self._context.name) or "{}")
        except ValueError:
            kept = {}
        for name in _KEPT:
            setattr(self._context, name, kept.get(name))

    def _keep(self) -> None:
        context = self._context
        kept: dict[str, Any] = {name: getattr(context, name) for name in _KEPT}
        try:
            if context.vault:
                keyring_store.write(context.name, json.dumps(kept))
                kept = dict.fromkeys(_KEPT)
            settings.remember(context.name, account=context.account, vault=context.vault, **kept)
        except CliError as error:
            if error.code == "keyring_unavailable":
                raise
            # A session that cannot be cached (a read-only home) costs a login per command, not the command.
            output.verbose(f"The session is not cached: {error.message}")


def refused(problem: Any) -> CliError:
    """The server does not take the credentials."""
    known = problem if isinstance(problem, dict) else {}
    return CliError(
        str(known.get("detail") or "The server does not take these credentials."),
        exit_code=errors.NOT_ALLOWED,
        code=str(known.get("code") or "invalid_credentials"),
        hint=known.get("hint") or "scutum login --help",
        request_id=known.get("request_id"),
    )


def not_logged_in(context: Context, *, expired: bool, request_id: str | None = None) -> CliError:
    """Nobody is, or no longer."""
    why = None
    if context.home is not None and context.account is None:
        why = f"The master key in {context.home}/config/.env cannot be read or is not the server's."
    return CliError(
        "The session has expired." if expired else f"You are not logged in to {context.name}.",
        exit_code=errors.NOT_ALLOWED,
        code="not_logged_in",
        why=why,
        hint="scutum login",
        request_id=request_id,
    )


def not_scutum(context: Context) -> CliError:
    """Something answered that is not the admin API."""
    return CliError(
        f"{context.admin_url} answered, but not as Scutum's admin API does.",
        exit_code=errors.UNREACHABLE,
        code="not_scutum",
        hint="check the address: scutum context list",
    )
