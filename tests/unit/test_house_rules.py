"""Rules of the house that a linter does not know."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("scutum_server", "scutum_cli")
GENERATED = {"scutum_cli/client/types.py"}


def tracked(*suffixes: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\n")  # fmt: skip
    return [ROOT / name for name in listed if name.endswith(suffixes) and (ROOT / name).is_file()]


def sources() -> list[Path]:
    return [
        path
        for path in tracked(".py")
        if path.relative_to(ROOT).parts[0] in PACKAGES and str(path.relative_to(ROOT)) not in GENERATED
    ]


def find_long(paths: list[Path], lines: int, function_lines: int) -> list[str]:
    found = []
    for path in paths:
        text = path.read_text()
        if text.count("\n") > lines:
            found.append(f"{path.name}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno
                if length > function_lines:
                    found.append(f"{path.name}:{node.lineno} {node.name}: {length} lines")
    return found


def find_swallowed(paths: list[Path]) -> list[str]:
    found = []
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            broad = isinstance(node, ast.ExceptHandler) and (
                node.type is None or getattr(node.type, "id", "") in {"Exception", "BaseException"}
            )
            if broad and all(isinstance(step, ast.Pass) for step in node.body):
                found.append(f"{path.name}:{node.lineno}")
    return found


def asked_from_an_index(text: str) -> list[str]:
    """Lines that would make pip look up the name `scutum` or `scutum-gateway`."""
    return [
        line
        for line in text.splitlines()
        if re.search(r"pip\S*\s+(install|download|index).*\bscutum(-gateway)?\b", line)
        or re.match(r"\s*[\"']?scutum(-gateway)?\s*([=<>~!\[;@\"']|$)", line)
    ]


def test_modules_and_functions_stay_short() -> None:
    assert find_long(sources(), 400, 60) == []


def test_no_error_is_swallowed_whole() -> None:
    assert find_swallowed(sources()) == []


def test_the_checks_themselves_find_what_they_look_for(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text("def f():\n" + "    x = 1\n" * 61 + "    try:\n        x\n    except Exception:\n        pass\n")
    assert len(find_long([planted], 50, 60)) == 2
    assert find_swallowed([planted]) == ["planted.py:65"]
    assert asked_from_an_index("pip install scutum\n") != []
    assert asked_from_an_index("scutum-gateway==0.1.0 \\\n") != []


def test_every_dependency_is_locked_with_hashes_and_without_an_index() -> None:
    locks = tracked("requirements/dev.txt", "requirements/runtime.txt", "requirements/supervisor.txt", "build.txt")
    assert len(locks) == 4
    for lock in locks:
        text = lock.read_text()
        assert "://" not in text and "index-url" not in text, lock.name
        names = re.findall(r"^([\w.-]+)==.*?(?=^\S|\Z)", text, re.M | re.S)
        blocks = re.split(r"^(?=[\w.-]+==)", text, flags=re.M)[1:]
        assert names and all("--hash=sha256:" in block for block in blocks), lock.name


def test_nothing_asks_an_index_for_our_name() -> None:
    """The name on the package index belongs to somebody else's project."""
    for path in tracked(".txt", ".in", ".sh", ".md", ".toml", ".yaml", ".yml", "run", "Dockerfile"):
        if path.name == "pyproject.toml":
            continue
        assert asked_from_an_index(path.read_text()) == [], path
    project = (ROOT / "pyproject.toml").read_text()
    assert 'name = "scutum-gateway"' in project
    assert [line for line in asked_from_an_index(project) if "scutum_" not in line] == []


def test_no_path_of_a_machine_is_committed() -> None:
    for path in tracked(".py", ".sh", ".md", ".toml", ".yaml", ".yml", ".fish", ".bash", ".zsh"):
        found = re.findall(r"(?<![\w.])/(?:work|farm|root|home)/(?!\.)[\w.-]+", path.read_text())
        assert found == [], path


@pytest.mark.parametrize("package", PACKAGES)
def test_the_two_packages_know_nothing_of_each_other(package: str) -> None:
    other = next(name for name in PACKAGES if name != package)
    for path in (ROOT / package).rglob("*.py"):
        assert not re.search(rf"^\s*(from|import) {other}\b", path.read_text(), re.M), path
