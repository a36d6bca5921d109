"""The password of a provider's own forward proxy: set through its settings, and never shown among them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from scutum_server.gateway.models import BadField
from scutum_server.infra.crypto import SecretBox
from scutum_server.upstream import forward_proxy

PASSWORD = "proxy_password"  # noqa: S105 - the field's name
SECRET = "proxy_secret"  # noqa: S105 - as above


class ProxyPassword(Struct, frozen=True):
    """What a change does to it: `keeps` the former one, or puts `plain` in its place, None being none."""

    keeps: bool
    plain: str | None = None

    def wrapped(self, box: SecretBox, provider_id: str) -> str | None:
        """As `providers.settings` has it."""
        return None if self.plain is None else box.wrap_text(self.plain, context(provider_id))


def context(provider_id: str) -> str:
    return f"{provider_id}/proxy"


def take_password(settings: Mapping[str, Any]) -> tuple[dict[str, Any], ProxyPassword]:
    """The settings without it, and what becomes of it; raises BadField. A new proxy is not sent the former's."""
    rest = dict(settings)
    if SECRET in rest:
        raise BadField(f"settings.{SECRET}: there is no such setting.", param=f"settings.{SECRET}")
    password = rest.pop(PASSWORD, None)
    if password is not None and not isinstance(password, str):
        raise BadField(f"settings.{PASSWORD} is a text.", param=f"settings.{PASSWORD}")
    keeps = PASSWORD not in settings and "proxy" not in settings
    return rest, ProxyPassword(keeps, password or None)


def check(settings: Mapping[str, Any], password: ProxyPassword) -> None:
    """Raises BadField for a proxy that is none, that holds its password, or that has no user for it."""
    url, name = settings.get("proxy"), "settings.proxy"
    if url is not None and url != forward_proxy.DIRECT:
        try:
            forward_proxy.parse(url)
        except ValueError as error:
            hint = "For example: http://proxy.example.com:3128, or direct for none."
            raise BadField(f"{name} {error}.", param=name, hint=hint) from None
        if urlsplit(url).password is not None:
            raise BadField(f"{name} must not hold a password: give it as settings.{PASSWORD}.", param=name)
    if password.plain is not None and (url is None or not urlsplit(url).username):
        raise BadField(
            f"settings.{PASSWORD} needs a settings.proxy with a user: http://USER@HOST:PORT.",
            param=f"settings.{PASSWORD}",
        )
