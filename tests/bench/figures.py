"""What the proxy costs, all figures in one run:

    python -m tests.bench.figures [-d 4] [-n 5] [--only NAME…] [--without-limits] [--traces] [--json]

One worker with everything on: key check, limits on key, team and model, budget, spend record, headers, metrics; 10 000
keys loaded. The mock upstreams, nginx and the load come from overhead.py beside the checkout (--bench DIR). Needs gcc,
nginx and wrk. CPU figures are ratios to nginx or to each other, and hold on a noisy machine; added times do not.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from tests.bench.stack import PLAIN, STREAM, Stack, add_keys, bench_option, mock_upstreams, script_in, stack, stores
from tests.fixtures.gateway import Rows, running_proxy
from tests.fixtures.servers import Postgres, Valkey

KEYS = 10_000
MANY_KEYS = 100_000
Servers = tuple[Postgres, Valkey]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    bench_option(parser)
    parser.add_argument("-d", type=int, default=4, help="seconds per window")
    parser.add_argument("-n", type=int, default=5, help="windows")
    parser.add_argument("--only", nargs="+", choices=FIGURES, default=list(FIGURES))
    parser.add_argument("--without-limits", action="store_true", help="plain and stream without limits and budget")
    parser.add_argument("--traces", action="store_true", help="plain and stream with a trace of every request")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: dict[str, Any] = {}
    with stores() as servers:
        for name in options.only:
            found[name] = FIGURES[name](servers, options)
            if not options.json:
                print(f"{name:12} {found[name]}", flush=True)
    if options.json:
        print(json.dumps(found))


def ratio(mode: str) -> Callable[[Servers, argparse.Namespace], dict[str, Any]]:
    """CPU per request of the worker and of nginx, from overhead.py."""

    def measure(servers: Servers, options: argparse.Namespace) -> dict[str, Any]:
        with stack(servers, keys=KEYS, limits=not options.without_limits, traces=options.traces) as one:
            command = [
                sys.executable, script_in(options.bench), "--pid", str(one.proxy.process.pid), "--url", one.proxy.url,
                "--key", one.key, "--model", mode, "--json", "-d", str(options.d), "-n", str(options.n),
                *(["--stream"] if mode == STREAM else []),
            ]  # fmt: skip
            out = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        return {
            "times_nginx": out["ratio_to_nginx"], "us": out["gateway"]["us"], "nginx_us": out["nginx"]["us"],
            "failed": out["gateway"]["bad"], "rss_mb": out["gateway"]["rss_mb"],
        }  # fmt: skip

    return measure


def added_times(servers: Servers, options: argparse.Namespace) -> dict[str, Any]:
    """What the proxy adds to the median at one connection: to a whole answer, and to a stream's first event."""
    with mock_upstreams(options.bench), stack(servers, keys=KEYS) as one:
        whole = _added(one, 9100, PLAIN, rounds=200 * options.n, stream=False)
        first = _added(one, 9101, STREAM, rounds=10 * options.n, stream=True)
    return {"p50_ms": whole, "first_event_ms": first}


def _added(one: Stack, port: int, model: str, *, rounds: int, stream: bool) -> float:
    body = json.dumps(
        {"model": model, "messages": [{"role": "user", "content": "What is the capital of France?"}], "stream": stream}
    ).encode()
    sockets = [socket.create_connection(("127.0.0.1", each)) for each in (port, one.proxy.port)]
    request = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (one.key.encode(), len(body), body)
    )
    took: tuple[list[float], list[float]] = [], []
    for turn in range(rounds + 20):
        for each, times in zip(sockets, took, strict=True):
            begin = time.perf_counter()
            each.sendall(request)
            times.append(_until_answered(each, begin, stream=stream))
            if turn < 20:
                times.clear()
    for each in sockets:
        each.close()
    direct, through = (statistics.median(times) for times in took)
    return round((through - direct) * 1000, 3)


def _until_answered(connection: socket.socket, begin: float, *, stream: bool) -> float:
    """Seconds until the first event of a stream, which is read to its end, or until the end of a whole answer."""
    data, first = b"", 0.0
    while True:
        data += connection.recv(65536)
        head, found, rest = data.partition(b"\r\n\r\n")
        if stream and not first and b"data:" in rest:
            first = time.perf_counter()
        if not found:
            continue
        if b"chunked" in head.lower():
            if rest.endswith(b"0\r\n\r\n"):
                return (first or time.perf_counter()) - begin
        elif len(rest) >= int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]):
            return time.perf_counter() - begin


def flatness(servers: Servers, options: argparse.Namespace) -> dict[str, Any]:
    """CPU per request with 100 000 keys as a multiple of that with 10, in turns."""
    overhead = overhead_in(options.bench)
    with (
        mock_upstreams(options.bench),
        stack(servers, keys=10) as few,
        stack(servers, keys=MANY_KEYS) as many,
    ):
        rows: tuple[list[float], list[float]] = [], []
        for turn in range(options.n + 1):
            for each, costs in zip((few, many), rows, strict=True):
                overhead.pin(each.proxy.process.pid, 0)
                env = {"KEY": each.key, "MODEL": PLAIN}
                window = overhead.window(
                    "x", each.proxy.process.pid, each.proxy.url, env, SimpleNamespace(c=32, d=options.d)
                )
                if turn:
                    costs.append(window["us"])
        times = statistics.median(b / a for a, b in zip(*rows, strict=True))
        size = overhead.rss_mb(many.proxy.process.pid)
    return {"times": round(times, 3), "rss_mb_at_100000": size}


def start(servers: Servers, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds from the process's start until it is ready, with 10 000 keys to load, and its size then."""
    overhead = overhead_in(options.bench)
    postgres, valkey = servers
    database = postgres.app(postgres.clone())
    rows = Rows(database, os.urandom(32))
    rows.seed()
    add_keys(rows, KEYS)
    seconds, sizes = [], []
    for _ in range(options.n):
        with tempfile.TemporaryDirectory() as directory:
            begin = time.perf_counter()
            with running_proxy(database, valkey.settings(), Path(directory), seed=False) as proxy:
                seconds.append(time.perf_counter() - begin)
                sizes.append(overhead.rss_mb(proxy.process.pid))
    return {"seconds": round(statistics.median(seconds), 2), "rss_mb": statistics.median(sizes)}


def overhead_in(directory: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("overhead", script_in(directory))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FIGURES: dict[str, Callable[[Servers, argparse.Namespace], dict[str, Any]]] = {
    "plain": ratio(PLAIN),
    "stream": ratio(STREAM),
    "added": added_times,
    "flatness": flatness,
    "start": start,
}

if __name__ == "__main__":
    main()
