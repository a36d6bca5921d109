"""What install.sh starts, with nothing but the standard library: a signal counts from the first line on."""

from __future__ import annotations

import os
import signal
import sys


def _leave(number: int, _: object) -> None:
    sys.stderr.write("interrupted before anything was changed; run the same command again\n")
    sys.stderr.flush()
    os._exit(128 + number)


def main() -> None:
    """Loads the installer, and ends in one line when it is told to before that is done."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    from scutum_cli.host import installer

    installer.main()


if __name__ == "__main__":
    main()
