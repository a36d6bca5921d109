"""Writes scutum_cli/client/types.py from the admin API's OpenAPI document: python -m tests.tools.generate_client_types."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "scutum_cli" / "client" / "types.py"
LISTS = ROOT / "scutum_cli" / "client" / "lists.py"
LISTS_HEADER = '''"""What the server sorts and filters each list by: made by tests/tools/generate_client_types.py."""

from __future__ import annotations

from typing import NamedTuple


class Served(NamedTuple):
    """Columns that the server sorts by, and those that it filters by."""

    sorts: tuple[str, ...]
    filters: tuple[str, ...]


SERVED = {
'''
HEADER = '"""The admin API\'s bodies, generated from its OpenAPI document by tests/tools/generate_client_types.py."""'


def document() -> str:
    """The OpenAPI document, from the server's code."""
    return subprocess.run(
        [sys.executable, "-m", "scutum_server.admin.openapi"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout


def generate(openapi: str) -> str:
    """The module's text for an OpenAPI document."""
    with tempfile.TemporaryDirectory() as directory:
        source, target = Path(directory, "openapi.json"), Path(directory, "types.py")
        source.write_text(openapi)
        subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "datamodel_code_generator", "--input", source,
             "--input-file-type", "openapi", "--output", target, "--output-model-type", "typing.TypedDict",
             "--target-python-version", "3.11", "--disable-timestamp", "--use-union-operator",
             "--use-standard-collections", "--use-schema-description", "--formatters", "builtin",
             "--custom-file-header", HEADER],
            check=True,
        )  # fmt: skip
        text = target.read_text()
    # The standard library's TypedDict will do: what a closed one adds is checked by the server.
    text = re.sub(r"^from typing_extensions import TypedDict\n", "", text, flags=re.M)
    text = text.replace(", closed=True)", ")")
    return re.sub(r"^from typing import (?!.*TypedDict)(.*)$", r"from typing import \1, TypedDict", text, flags=re.M)


def lists(openapi: str) -> str:
    """The text of lists.py: what the server sorts and filters each list by."""
    rows = []
    for path, operations in sorted(json.loads(openapi)["paths"].items()):
        asked = {each["name"]: each["schema"] for each in operations.get("get", {}).get("parameters", [])}
        if "sort" in asked:
            sorts = [name for name in asked["sort"]["enum"] if not name.startswith("-")]
            filters = [name for name in asked if name not in {"sort", "limit", "cursor"}]
            rows.append(f"    {path.rpartition('/')[2]!r}: Served({tuple(sorts)!r}, {tuple(filters)!r}),\n".replace("'", '"'))
    return LISTS_HEADER + "".join(rows) + "}\n"


if __name__ == "__main__":
    TARGET.write_text(generate(document()))
    LISTS.write_text(lists(document()))
