"""The file of contexts."""

from __future__ import annotations

from pathlib import Path

import pytest

from scutum_cli import settings
from scutum_cli.settings import Context


@pytest.fixture(autouse=True)
def own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def test_new_addresses_reach_the_contexts_of_that_root_only() -> None:
    with settings.edit() as known:
        known.put(Context("local", "http://a:1", "http://p:1", home="/one", key="sk-kept"))
        known.put(Context("local-2", "http://a:2", "http://p:2", home="/two"))
    assert settings.refresh(Path("/one"), "http://a:9", "http://p:9") == ["local"]
    assert settings.refresh(Path("/one"), "http://a:9", "http://p:9") == []
    contexts = settings.load().contexts
    assert (contexts["local"].admin_url, contexts["local"].proxy_url) == ("http://a:9", "http://p:9")
    assert contexts["local"].key == "sk-kept"
    assert contexts["local-2"].admin_url == "http://a:2"
