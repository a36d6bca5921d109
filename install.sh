#!/bin/sh
# Sets up Scutum on this host. From a checkout:   sh install.sh
# Piped, with a released wheel:                   curl -fsSL …/install.sh | sh -s -- --from URL --sha256 HEX
# Options: sh install.sh --help
set -eu

fail() {
  echo "error: $1" >&2
  [ $# -lt 2 ] || echo "next: $2" >&2
  exit 2
}

find_python() {
  for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
    if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 &&
      "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      echo "$candidate"
      return
    fi
  done
  return 1
}

python=$(find_python) || fail "Python 3.11 or newer is needed, and none was found." \
  "install it (Debian, Ubuntu: apt-get install python3 python3-venv), or name it: PYTHON=/path/to/python3 sh install.sh"
"$python" -c 'import venv, ensurepip' >/dev/null 2>&1 || fail "$python lacks the venv module." \
  "install it (Debian, Ubuntu: apt-get install python3-venv), then run this again"

from='' sha256='' previous=''
for argument in "$@"; do
  case $previous in
    --from) from=$argument ;;
    --sha256) sha256=$argument ;;
  esac
  case $argument in
    --from=*) from=${argument#--from=} ;;
    --sha256=*) sha256=${argument#--sha256=} ;;
  esac
  previous=$argument
done

# When this is piped into sh, $0 is the shell and there is no checkout around it.
checkout=''
case $0 in
  *install.sh) checkout=$(cd "$(dirname "$0")" && pwd -P) ;;
esac
if [ -n "$checkout" ] && [ ! -f "$checkout/scutum_cli/host/bootstrap.py" ]; then checkout=''; fi

cleanup=''
case $from in
  '')
    [ -n "$checkout" ] || fail "There is no checkout here to install from." \
      "sh -s -- --from URL --sha256 HEX, both as the release page gives them"
    code=$checkout ;;
  http://* | https://*)
    [ -n "$sha256" ] || fail "A wheel from an address needs its sum." "add --sha256 HEX"
    cleanup=$(mktemp -d)
    trap 'rm -rf "$cleanup"' EXIT
    # The sum is compared before anything of the file runs.
    code=$("$python" - "$from" "$sha256" "$cleanup" <<'PYTHON'
import hashlib, sys, urllib.request
url, wanted, directory = sys.argv[1:]
path = directory + "/" + url.rpartition("/")[2].partition("?")[0]
try:
    with urllib.request.urlopen(url, timeout=60) as answer:
        content = answer.read()
except (OSError, ValueError) as error:
    sys.exit(f"error: {url} cannot be fetched: {error}\nnext: check the address and the network")
found = hashlib.sha256(content).hexdigest()
if found != wanted.strip().lower():
    sys.exit(f"error: what {url} holds is not what --sha256 stands for; nothing of it was run.\nIts sha256 is {found}.")
with open(path, "wb") as file:
    file.write(content)
print(path)
PYTHON
    ) || exit 2
    set -- "$@" --from "$code" ;;
  *)
    code=$from
    [ -e "$code" ] || fail "$from does not exist." "--from takes a checkout, a wheel, or the address of a wheel"
    case $from in
      *.whl)
        if [ -n "$sha256" ]; then
          found=$("$python" -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$from")
          [ "$found" = "$sha256" ] || fail "$from is not the file that --sha256 stands for; nothing of it was run." \
            "compare its sum, $found, with the release page"
        fi ;;
    esac ;;
esac

case $code in
  /*) ;;
  *) code=$(cd "$(dirname "$code")" && pwd -P)/$(basename "$code") ;;
esac
PYTHONPATH=$code
PYTHONDONTWRITEBYTECODE=1
export PYTHONPATH PYTHONDONTWRITEBYTECODE
if [ -n "$cleanup" ]; then
  "$python" -P -m scutum_cli.host.bootstrap "$@"
else
  exec "$python" -P -m scutum_cli.host.bootstrap "$@"
fi
