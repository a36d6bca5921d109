"""Keys that are exchanged while the gateway runs."""

from __future__ import annotations

import datetime as dt

import pytest

from scutum_cli.host.services import BY_NAME
from scutum_server.errors import SettingsError
from scutum_server.key_rotation import Rotating, rotating
from scutum_server.settings import admin_settings

ENV = {
    "SCUTUM_API_KEY": "m" * 32, "JWT_SECRET_KEY": "j" * 32, "INTERNAL_SERVICE_KEY": "i" * 32,
    "SCUTUM_ENCRYPTION_KEY": "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=",
    "POSTGRES_PASSWORD": "p" * 32, "VALKEY_PASSWORD": "v" * 32,
}  # fmt: skip


def test_the_former_key_is_accepted_until_its_grace_ends() -> None:
    keys = rotating("JWT_SECRET_KEY", "new" * 10, "old" * 10, "2026-03-01T12:00:00Z")
    ends = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC).timestamp()
    assert keys.accepts("old" * 10, ends - 1) and not keys.accepts("old" * 10, ends)
    assert keys.accepts("new" * 10, ends + 1) and not keys.accepts("", ends - 1)
    assert "new" not in repr(keys) and "old" not in repr(keys)
    assert not Rotating("new").accepts("ñew", 0.0), "whatever a header holds"


@pytest.mark.parametrize("name", ["JWT_SECRET_KEY", "INTERNAL_SERVICE_KEY"])
def test_a_former_key_needs_a_good_end_and_must_not_be_weak(name: str) -> None:
    for until in (None, "", "tomorrow", "2026-03-01T12:00:00"):
        with pytest.raises(SettingsError, match=f"{name}_PREVIOUS_UNTIL"):
            rotating(name, "n" * 32, "o" * 32, until)
    weak = ENV | {f"{name}_PREVIOUS": "changeme", f"{name}_PREVIOUS_UNTIL": "2026-03-01T12:00:00Z"}
    with pytest.raises(SettingsError, match=f"{name}_PREVIOUS is"):
        admin_settings(weak)


def test_the_admin_process_is_handed_both_keys_and_reads_them() -> None:
    given = {f"{name}{part}" for name in ("JWT_SECRET_KEY", "INTERNAL_SERVICE_KEY") for part in ("", "_PREVIOUS", "_PREVIOUS_UNTIL")}
    assert given <= set(BY_NAME["admin"].secrets)
    rotated = ENV | {"JWT_SECRET_KEY_PREVIOUS": "o" * 32, "JWT_SECRET_KEY_PREVIOUS_UNTIL": "2099-01-01T00:00:00+01:00"}
    settings = admin_settings(rotated)
    assert settings.jwt_keys is not None and settings.jwt_keys.accepted(0.0) == ["j" * 32, "o" * 32]
    assert admin_settings(ENV).jwt_keys == Rotating("j" * 32)
