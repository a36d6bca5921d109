#!/bin/sh
# The one test command: installs what the tests need into .venv and runs everything that CI runs.
#   sh tests/run.sh                 everything
#   sh tests/run.sh -k journal      only these tests (arguments go to pytest), without the linters
set -eu
cd "$(dirname "$0")/.."

find_python() {
  for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
    if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 &&
      "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "error: Python 3.11 or newer is needed; none was found." >&2
  echo "next: install it, or name it: PYTHON=/path/to/python3 sh tests/run.sh" >&2
  exit 2
}

python=$(find_python)
venv=${SCUTUM_TEST_VENV:-.venv}
locks="requirements/dev.txt requirements/build.txt requirements/llm.txt"
stamp=$("$python" -c 'import hashlib, sys
print(hashlib.sha256(b"".join(open(f, "rb").read() for f in sys.argv[1:]) + sys.version.encode()).hexdigest())' \
  $locks pyproject.toml)

if [ "$(cat "$venv/.complete" 2>/dev/null || true)" != "$stamp" ]; then
  echo "Installing what the tests need into $venv (a minute or two, once)"
  rm -rf "$venv"
  "$python" -m venv "$venv" || { echo "next: install Python's venv module, on Debian: apt-get install python3-venv" >&2; exit 2; }
  pip="$venv/bin/python -m pip --disable-pip-version-check --no-input --quiet"
  $pip install --require-hashes -r requirements/dev.txt
  $pip install --require-hashes -r requirements/build.txt
  $pip install --require-hashes --no-deps -r requirements/llm.txt
  # The project itself, from here: no index is asked for its name.
  $pip install --no-index --no-deps --no-build-isolation --editable .
  echo "$stamp" > "$venv/.complete"
fi
PATH="$PWD/$venv/bin:$PATH"
case $venv in /*) PATH="$venv/bin:$PATH" ;; esac
export PATH

if [ $# -gt 0 ]; then
  exec python -m pytest "$@"
fi
ruff format --check scutum_server scutum_cli migrations
ruff check scutum_server scutum_cli migrations
mypy
lint-imports
exec python -m pytest -n 2 --dist loadgroup
