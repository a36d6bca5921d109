"""CPU per request of one proxy worker as a multiple of nginx's, unstreamed and streamed.

    python -m tests.bench.overhead [--bench ../shared/bench] [-d 4] [-n 3] [--only plain|stream] [--limits] [--traces] [--json]

Starts a Postgres, a Valkey and a proxy of its own with key check and spend record on. The mock upstreams, nginx and the
load come from overhead.py in the bench directory, which is not part of this repository. Needs gcc, nginx and wrk.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fixtures.gateway import Proxy, running_proxy
from tests.fixtures.servers import running_postgres, running_valkey

PRICE = {"input_nano": 150, "output_nano": 600}
MODES = {
    "plain": ("bench", "http://127.0.0.1:9100/v1", []),
    "stream": ("bench-stream", "http://127.0.0.1:9101/v1", ["--stream"]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, default=Path(__file__).parents[2].parent / "shared" / "bench")
    parser.add_argument("-d", default="4", help="seconds per window")
    parser.add_argument("-n", default="3", help="windows")
    parser.add_argument("--only", choices=MODES)
    parser.add_argument("--limits", action="store_true", help="rpm and tpm on key, team and model, and a budget")
    parser.add_argument("--traces", action="store_true", help="every request belongs to a trace that is exported")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    script = options.bench / "overhead.py"
    if not script.exists():
        sys.exit(f"{script} is not there: give its directory with --bench")
    with (
        tempfile.TemporaryDirectory() as directory,
        running_postgres() as postgres,
        running_valkey() as valkey,
        running_proxy(
            postgres.app(postgres.clone()), valkey.settings(), Path(directory),
            environment={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"} if options.traces else {},
        ) as proxy,
    ):
        key = proxy.rows.key()
        for model, url, _ in MODES.values():
            provider = proxy.rows.provider(model, "openai", url, api_key="sk-up")
            proxy.rows.deployment(model, provider, "gpt-4o-mini", settings={"price": PRICE})
            proxy.wait_for(model)
        if options.limits:
            _limit(proxy)
        figures = {}
        for mode, (model, _, flags) in MODES.items():
            if options.only in {None, mode}:
                figures[mode] = _measure(script, proxy.process.pid, proxy.url, key, model, flags, options)
        if options.json:
            print(json.dumps(figures))


def _limit(proxy: Proxy) -> None:
    """Limits that are never reached, and a first request to wait out the grace of a new Valkey."""
    rows = proxy.rows
    with rows.transaction() as conn:
        row = conn.execute("SELECT id, team_id FROM api_keys").fetchone()
    rates = {"rpm": 10**9, "tpm": 10**12}
    rows.limit("key", key_id=row[0], **rates)
    rows.limit("team", team_id=row[1], **rates)
    for model, _, _ in MODES.values():
        rows.limit("model", model=model, **rates)
    rows.budget("team", team_id=row[1], amount_nano_usd=9 * 10**15)
    rows.alias("last", "bench")
    proxy.wait_for("last")


def _measure(
    script: Path, pid: int, url: str, key: str, model: str, flags: list[str], options: argparse.Namespace
) -> object:
    command = [sys.executable, script, "--pid", str(pid), "--url", url, "--key", key, "--model", model, "--json",
               "-d", options.d, "-n", options.n, *flags]  # fmt: skip
    figures = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    if not options.json:
        for name in ("nginx", "gateway"):
            row = figures[name]
            print(f"{model:13}{name:8}{row['us']:9.1f} us CPU/request  {row['rps']:7.0f} rps  p99 {row['p99']:.2f} ms  "
                  f"failed {row['bad']} of {row['n']}")  # fmt: skip
        print(f"{model:13}{figures['ratio_to_nginx']} x nginx, {figures['gateway']['rss_mb']} MB", flush=True)
    return figures


if __name__ == "__main__":
    main()
