"""`python -I …/litellm_process/__main__.py FD`: started by path, since this environment does not have our package."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path


def main() -> None:
    """Loads the modules beside this one as a package of their own and serves on the socket that was handed over."""
    place = Path(__file__).parent
    spec = importlib.util.spec_from_file_location(
        place.name, place / "__init__.py", submodule_search_locations=[str(place)]
    )
    if spec is None:
        raise SystemExit(2)
    sys.modules[place.name] = importlib.util.module_from_spec(spec)
    importlib.import_module(f"{place.name}.server").main(int(sys.argv[1]))


if __name__ == "__main__":
    main()
