"""What an uninstall takes away."""

from __future__ import annotations

from pathlib import Path

import pytest

from scutum_cli.host import removal
from scutum_cli.host.layout import Layout


@pytest.mark.parametrize("place", ["archives", "audit_keys", "postgres_data", "spill", "proxy_state", "env_file"])
def test_what_an_install_writes_stays_until_data_goes_too(tmp_path: Path, place: str) -> None:
    layout = Layout(tmp_path)
    path: Path = getattr(layout, place)
    path.mkdir(parents=True)
    name = str(path.relative_to(tmp_path))
    assert removal.plan(layout, delete_data=False) == []
    assert removal.plan(layout, delete_data=True) == [name]


def test_what_an_operator_put_there_is_not_the_installs(tmp_path: Path) -> None:
    (tmp_path / "data" / "notes").mkdir(parents=True)
    assert removal.plan(Layout(tmp_path), delete_data=True) == []
