"""CPU per request beside LiteLLM's proxy: ours with all governance on, theirs with all of it off.

    python -m tests.bench.against_litellm [--venv DIR] [-d 6] [-n 3] [--json]

LiteLLM's proxy is installed into a virtual environment of its own (--venv keeps it for the next run; `pip` must reach
an index) and runs as its documentation says for production: LITELLM_MODE=PRODUCTION, one worker, log level ERROR, no
database, no callbacks. Both have one worker on the same core, in turns, in front of the same mock upstream. Needs gcc
and wrk; the load comes from overhead.py beside the checkout (--bench DIR).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

from tests.bench.figures import KEYS, overhead_in
from tests.bench.stack import PLAIN, UPSTREAMS, bench_option, mock_upstreams, stack, stores
from tests.fixtures.servers import free_port, wait_until

# Two of its releases carried a thief of credentials.
LITELLM = "litellm[proxy]!=1.82.7,!=1.82.8"
CONFIG = """
model_list:
  - model_name: {model}
    litellm_params: {{model: openai/gpt-4o-mini, api_base: {url}, api_key: sk-up}}
litellm_settings: {{request_timeout: 600, set_verbose: false, json_logs: true}}
general_settings: {{master_key: os.environ/LITELLM_MASTER_KEY, disable_spend_logs: true}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    bench_option(parser)
    parser.add_argument("--venv", type=Path, help="where LiteLLM is, or is to be installed")
    parser.add_argument("-d", type=int, default=6, help="seconds per window")
    parser.add_argument("-n", type=int, default=3, help="windows")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    overhead = overhead_in(options.bench)
    with contextlib.ExitStack() as entered:
        directory = Path(entered.enter_context(tempfile.TemporaryDirectory()))
        venv = _installed(options.venv or directory / "venv")
        entered.enter_context(mock_upstreams(options.bench))
        ours = entered.enter_context(stack(entered.enter_context(stores()), keys=KEYS))
        their_pid, their_url, their_key = entered.enter_context(_litellm(venv, directory))
        sides = {
            "scutum": (ours.proxy.process.pid, ours.proxy.url, ours.key),
            "litellm": (their_pid, their_url, their_key),
        }
        found: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
        for turn in range(options.n + 1):
            for name, (pid, url, key) in sides.items():
                overhead.pin(pid, 0)
                load = SimpleNamespace(c=32, d=options.d)
                window = overhead.window(name, pid, url, {"KEY": key, "MODEL": PLAIN}, load)
                if window["bad"]:
                    sys.exit(f"{name} failed {window['bad']} of {window['n']} requests")
                if turn:
                    found[name].append(window)
        rows = {
            name: {
                "us": round(statistics.median(each["us"] for each in windows), 1),
                "requests_a_second": round(statistics.median(each["rps"] for each in windows)),
                "rss_mb": overhead.rss_mb(sides[name][0]),
            }
            for name, windows in found.items()
        }
    times = rows["litellm"]["us"] / rows["scutum"]["us"]
    if options.json:
        print(json.dumps(rows | {"times": round(times, 1)}))
        return
    for name, row in rows.items():
        print(f"{name:8} {row['us']:9.1f} us CPU/request {row['requests_a_second']:7.0f} requests/s {row['rss_mb']} MB")
    print(f"litellm {_version(venv)} takes {times:.0f} times the CPU of scutum for a request")


def _installed(venv: Path) -> Path:
    if not (venv / "bin" / "litellm").exists():
        print(f"installing LiteLLM's proxy into {venv}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin" / "pip", "install", "--quiet", LITELLM], check=True)
    return venv


def _version(venv: Path) -> str:
    code = "import importlib.metadata as m; print(m.version('litellm'))"
    return subprocess.run([venv / "bin" / "python", "-c", code], check=True, capture_output=True, text=True).stdout.strip()


@contextlib.contextmanager
def _litellm(venv: Path, directory: Path) -> Iterator[tuple[int, str, str]]:
    """Its proxy with one worker: process id, URL and key."""
    config, log, port, key = directory / "litellm.yaml", directory / "litellm.log", free_port(), "sk-" + secrets.token_hex(8)
    config.write_text(CONFIG.format(model=PLAIN, url=UPSTREAMS[PLAIN]))
    env = os.environ | {
        "LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR", "LITELLM_MASTER_KEY": key,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True", "PATH": f"{venv / 'bin'}:{os.environ['PATH']}",
    }  # fmt: skip
    env.pop("PYTHONPATH", None)
    command = [venv / "bin" / "litellm", "--config", config, "--port", str(port), "--host", "127.0.0.1", "--num_workers", "1"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=env, stdout=out, stderr=out, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: process.poll() is not None or _answers(f"{url}/health/liveliness"), seconds=120, what="LiteLLM")
        if process.poll() is not None:
            sys.exit(f"LiteLLM's proxy did not start:\n{log.read_text()[-2000:]}")
        yield process.pid, url, key
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False


if __name__ == "__main__":
    main()
