"""Where Scutum's own package comes from: a checkout, a wheel, or a wheel at an address with a known sha256.

Never from an index: the name `scutum` there belongs to somebody else.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path

from scutum_cli.errors import CliError

LOCKS = ("runtime.txt", "supervisor.txt", "build.txt", "litellm.txt")
_IN_WHEEL = "scutum_cli/host/requirements/"
_PACKAGED = ("scutum_server", "scutum_cli", "migrations", "requirements")
_WHEEL_NAME = re.compile(r"^scutum_gateway-(?P<version>[^-]+)-.*\.whl$")
_HOW = "--from takes a checkout, a wheel of scutum-gateway, or the address of one"


@dataclass(frozen=True, slots=True)
class Source:
    """A package to install: its version, what identifies its content, and its lock files."""

    path: Path
    version: str
    digest: str

    @property
    def is_wheel(self) -> bool:
        return self.path.suffix == ".whl"

    def lock_text(self, name: str) -> str:
        """The text of one of LOCKS."""
        if not self.is_wheel:
            return (self.path / "requirements" / name).read_text()
        with zipfile.ZipFile(self.path) as archive:
            return archive.read(_IN_WHEEL + name).decode()

    def lock_digest(self, name: str) -> str:
        return hashlib.sha256(self.lock_text(name).encode()).hexdigest()


def find(given: str | None, sha256: str | None) -> Source:
    """The source that --from names, or the one that this very code runs from."""
    if given is None:
        return _own()
    if re.match(r"^https?://", given):
        return _wheel(_download(given, sha256), sha256)
    path = Path(given).expanduser().resolve()
    if path.is_dir():
        if sha256:
            raise CliError("--sha256 is for a wheel; a directory has none.", hint="leave --sha256 away")
        return _checkout(path)
    if path.suffix == ".whl" and path.is_file():
        return _wheel(path, sha256)
    raise CliError(f"{given} is neither a directory nor a wheel.", code="bad_source", hint=_HOW)


def _own() -> Source:
    """The checkout or wheel that this module lies in, or the wheel that its release was installed from."""
    here = Path(__file__)
    for parent in here.parents:
        if parent.suffix == ".whl":
            return _wheel(parent, None)
        if parent.name == "venv" and (kept := sorted((parent.parent / "dist").glob("*.whl"))):
            return _wheel(kept[-1], None)
    if (here.parents[2] / "pyproject.toml").is_file():
        return _checkout(here.parents[2])
    raise CliError("It is not known what to install.", code="bad_source", hint=_HOW)


def _checkout(path: Path) -> Source:
    project = path / "pyproject.toml"
    if not project.is_file() or 'name = "scutum-gateway"' not in project.read_text():
        raise CliError(f"{path} is not a checkout of Scutum.", code="bad_source", hint=_HOW)
    found = re.search(r'^version = "([^"]+)"', project.read_text(), re.MULTILINE)
    if found is None:
        raise CliError(f"{project} names no version.", code="bad_source")
    digest = hashlib.sha256(project.read_bytes())
    for name in _PACKAGED:
        for file in sorted((path / name).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(path)}\0".encode())
                digest.update(file.read_bytes())
    return Source(path, found[1], digest.hexdigest())


def _wheel(path: Path, sha256: str | None) -> Source:
    found = _WHEEL_NAME.match(path.name)
    if found is None:
        raise CliError(f"{path.name} is not a wheel of scutum-gateway.", code="bad_source", hint=_HOW)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if sha256 is not None and digest != sha256.strip().lower():
        raise CliError(
            f"{path.name} is not the file that --sha256 stands for; nothing of it was run.",
            code="wrong_sha256",
            why=f"Its sha256 is {digest}.",
            hint="download it again, or compare the sum with the release page",
        )
    source = Source(path, found["version"], digest)
    try:
        for name in LOCKS:
            source.lock_text(name)
    except (KeyError, zipfile.BadZipFile):
        raise CliError(f"{path.name} is broken or lacks its lock files.", code="bad_source", hint=_HOW) from None
    return source


def _download(url: str, sha256: str | None) -> Path:
    if sha256 is None:
        raise CliError("A wheel from an address needs its sum.", code="sha256_needed", hint="add --sha256 HEX")
    target = Path(tempfile.mkdtemp(prefix="scutum-wheel-")) / url.rpartition("/")[2].partition("?")[0]
    try:
        with urllib.request.urlopen(url, timeout=60) as answer, target.open("wb") as file:  # noqa: S310  (http or https)
            shutil.copyfileobj(answer, file)
    except (urllib.error.URLError, OSError) as error:
        raise CliError(f"{url} cannot be fetched: {error}.", code="download_failed", hint="check the address") from None
    return target
