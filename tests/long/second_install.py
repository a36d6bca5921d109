"""A second install on a host, killed half-way, finished, removed, made again, and removed with all that it had.

    python -m pytest tests/long/second_install.py
"""

from __future__ import annotations

import json
import subprocess

from tests.e2e.conftest import index, install_place, installed, shared_install  # noqa: F401 - fixtures
from tests.fixtures.install import Installed, Place


def test_a_second_install_killed_again_and_again_finishes_beside_the_first(
    installed: Installed, install_place: Place
) -> None:
    second = install_place.new_root("second one with spaces, ä")
    for seconds in (0.4, 5.0):
        attempt = install_place.start(*second.install_argv)
        try:
            attempt.wait(seconds)
        except subprocess.TimeoutExpired:
            attempt.kill()
        attempt.communicate()
    secrets = (second.home / "config" / ".env").read_text()
    done = second.install()
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert (second.home / "config" / ".env").read_text() == secrets, "secrets are made once"
    assert second.complete() and installed.complete()
    ports = [json.loads(root.ok("config", "show", "-o", "json")) for root in (installed, second)]
    used = [value for found in ports for name, value in found.items() if name.endswith(".port")]
    assert len(set(used)) == 8
    contexts = json.loads((install_place.user_home / ".config" / "scutum" / "contexts.json").read_text())
    assert set(contexts["contexts"]) == {"local", "local-2"}

    kept = second.scutum("uninstall", "--yes")
    assert kept.returncode == 0, kept.stderr
    assert second.processes() == []
    assert sorted(path.name for path in second.home.iterdir()) == ["backups", "config", "data", "logs"]
    assert (install_place.user_home / ".local" / "bin" / "scutum").exists(), "the link is the first install's"
    assert second.install().returncode == 0
    assert (second.home / "config" / ".env").read_text() == secrets
    (second.home / "config" / "ca.pem").write_text("an operator's own file")
    asked = second.scutum("uninstall", "--delete-data")
    assert asked.returncode == 2 and "--yes" in asked.stderr
    gone = second.scutum("uninstall", "--delete-data", "--yes")
    assert gone.returncode == 0 and "config/ca.pem" in gone.stderr
    assert [path.name for path in second.home.rglob("*")] == ["config", "ca.pem"]
    assert installed.complete()
