"""How the installer ends when it is told to, and which places it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scutum_cli import errors
from scutum_cli.errors import CliError
from scutum_cli.host import installer, packages, preflight, source
from scutum_cli.host.install import Request
from scutum_cli.host.layout import Layout

ROOT = Path(__file__).parents[3]
SLOW_IMPORT = """
import sys, time
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "scutum_cli.host.installer":
            print("importing", flush=True)
            time.sleep(60)
sys.meta_path.insert(0, Slow())
from scutum_cli.host import bootstrap
bootstrap.main()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_the_installer_loads_is_one_line(number: signal.Signals, code: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SLOW_IMPORT], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None and running.stdout.readline() == "importing\n"
        running.send_signal(number)
        _, said = running.communicate(timeout=20)
    assert running.returncode == code
    assert said.splitlines() == ["interrupted before anything was changed; run the same command again"]


def test_sigterm_ends_an_install_with_143_and_the_way_to_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(request: Request) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)

    monkeypatch.setattr(installer, "Install", told)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(CliError) as caught:
        installer.perform(Request(Path("/x")), dry_run=False, ask=False)
    assert caught.value.exit_code == errors.TERMINATED == 143
    assert "run the same command again" in (caught.value.hint or "")
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("arguments", [["--proxy-port", "many"], ["--frob"], ["--home"]])
def test_wrong_arguments_are_said_in_our_form(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", *arguments])
    with pytest.raises(SystemExit) as caught:
        installer.main()
    assert caught.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("error: ") and lines[-1] == "next: sh install.sh --help" and len(lines) == 2


@pytest.mark.parametrize("character", ['"', "$", "`", "\\", "\n", "\x1b", "\x7f"])
def test_a_place_that_files_and_shells_would_misread_is_refused(character: str) -> None:
    with pytest.raises(CliError, match="may not hold") as caught:
        preflight.home(Path(f"/srv/a{character}b"))
    assert caught.value.exit_code == 2


def test_a_place_that_this_user_may_not_look_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.stat

    def guarded(path: Path, **more: bool) -> os.stat_result:
        if path.is_relative_to(tmp_path / "theirs") and path != tmp_path / "theirs":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **more)

    monkeypatch.setattr(Path, "stat", guarded)
    with pytest.raises(CliError, match="may not look into") as caught:
        preflight.home(tmp_path / "theirs" / "deep" / "home")
    assert caught.value.exit_code == 2
    preflight.home(tmp_path / "mine" / "with spaces, ä")


def test_an_extra_is_needed_once_asked_for_and_comes_with_later_releases(tmp_path: Path) -> None:
    own = source.find(str(ROOT), None)
    layout = Layout(tmp_path / "home")
    release = layout.release(own.version)
    (release / "venv").mkdir(parents=True)
    (release / ".dependencies").write_text(json.dumps({"locks": own.lock_digest("runtime.txt")}))
    assert packages.need(layout, own).extras == ()
    assert packages.need(layout, own, ["litellm"]).extras == ("litellm",)
    (layout.releases / "extras").write_text("litellm\n")
    assert packages.need(layout, own).extras == ("litellm",)
    (release / "venv" / "litellm").mkdir()
    (release / "venv" / "litellm" / ".complete").write_text(json.dumps({"locks": own.lock_digest("litellm.txt")}))
    assert packages.need(layout, own, ["litellm"]).extras == ()
    (release / ".dependencies").unlink()
    assert packages.need(layout, own).extras == ("litellm",), "it goes with the environment that it lies in"


def test_with_takes_only_what_there_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", "--with", "everything"])
    with pytest.raises(SystemExit) as caught:
        installer.main()
    assert caught.value.code == 2
    assert "litellm" in capsys.readouterr().err


def test_the_releases_of_litellm_that_stole_credentials_are_not_locked() -> None:
    (line,) = [line for line in (ROOT / "requirements" / "litellm.txt").read_text().splitlines() if line.startswith("litellm==")]
    version = tuple(int(part) for part in line.split("==")[1].split()[0].split("."))
    assert version >= (1, 83)
