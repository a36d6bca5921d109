"""One value of the environment at a time; a missing or default secret is refused."""

from __future__ import annotations

from collections.abc import Mapping

from scutum_server.errors import SettingsError

_FORBIDDEN = {"", "changeme", "change-me", "secret", "password", "postgres", "sk-1234", "admin", "default", "test"}
_MIN_SECRET = 16


class Environment:
    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def secret(self, name: str) -> str:
        value = self._env.get(name, "").strip()
        if value.lower() in _FORBIDDEN or len(value) < _MIN_SECRET:
            state = "missing" if not value else "a default or too short"
            raise SettingsError(
                f"{name} is {state}.",
                hint=f"Set {name} in config/.env to at least {_MIN_SECRET} random characters, then: scutum restart",
            )
        return value

    def optional(self, name: str) -> str | None:
        return self._env.get(name, "").strip() or None

    def text(self, name: str, default: str | None = None) -> str:
        value = self._env.get(name, "").strip() or default
        if value is None:
            raise SettingsError(f"{name} is not set.", hint=f"Set {name} in config/.env, then: scutum restart")
        return value

    def integer(self, name: str, default: int, low: int = 0, high: int = 2**31) -> int:
        raw = self._env.get(name, "").strip()
        if not raw:
            return default
        try:
            value = int(raw)
        except ValueError:
            raise SettingsError(f"{name} must be a whole number, not {raw!r}.") from None
        if not low <= value <= high:
            raise SettingsError(f"{name} must be between {low} and {high}, not {value}.")
        return value
