"""Clients that work unchanged: those with a toolchain or dependencies of their own, and the conformance probe.

    python -m tests.long.clients [node] [python] [probe]

Installs the clients from their lock files (npm is needed, once about 300 MB), starts a gateway before two strict
vendors, and runs Node's openai, @anthropic-ai/sdk and `ai`; Python's langchain-openai, litellm and llm; and llmprobe
against each vendor itself and through the gateway, which must not fail where the vendor does not.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

from tests.fixtures.servers import running_postgres, running_valkey
from tests.fixtures.vendors.world import World, running_world
from tests.integration.clients.asked import PNG

ROOT = Path(__file__).parents[2]
NODE = ROOT / "tests" / "clients_node"
PYTHON = ROOT / ".venv-clients"
LOCK = ROOT / "requirements" / "clients.txt"

KNOWN = {
    "messages-prompt-caching": "the probe counts cached tokens among the input tokens; Anthropic's format does not",
    "messages-prompt-cache-prefix": "the same",
    "messages-stop-sequence-echo": "OpenAI's servers do not say which stop sequence ended an answer; vLLM does",
    "completions-basic": "these vendors have no text completions",
    "responses-background": "refused by the gateway, which could not charge it",
}
"""What the probe finds missing behind a translation, and why it is."""


def plan() -> dict[str, Any]:
    simulated = {"model": "sim", "simulated": True}
    names = ["chat", "claude", "claude-newest", "gpt-5", "open-weights", "claude-old"]
    thinks = {
        "claude": {"type": "enabled", "budget_tokens": 1024},
        "claude-newest": {"type": "adaptive"},
        "gpt-5": {"type": "enabled", "budget_tokens": 1024},
    }
    plain = [{"model": name} for name in names]
    return {
        "png": PNG,
        "chat": [*plain[:3], simulated, *plain[3:]],
        "responses": [{"model": "responses", "kept": True}, *plain, simulated],
        "messages": [*({"model": name, "thinks": thinks.get(name)} for name in names), simulated],
        "embeddings": ["chat", "sim-embedding"],
    }


def stamped(directory: Path, lock: Path) -> bool:
    """Whether `directory` was made from `lock` as it is now; the stamp is written by `stamp`."""
    mark = directory / ".complete"
    return mark.exists() and mark.read_text() == hashlib.sha256(lock.read_bytes()).hexdigest()


def stamp(directory: Path, lock: Path) -> None:
    (directory / ".complete").write_text(hashlib.sha256(lock.read_bytes()).hexdigest())


def node() -> str:
    """Node.js of the version that the clients want, from the same lock file as they."""
    if shutil.which("npm") is None:
        raise SystemExit("npm is needed to install the Node.js clients: install Node.js 18 or newer.")
    modules, lock = NODE / "node_modules", NODE / "package-lock.json"
    if not stamped(modules, lock):
        subprocess.run(["npm", "ci", "--loglevel=error"], cwd=NODE, check=True)
        stamp(modules, lock)
    machine = {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]
    return str(modules / f"node-linux-{machine}" / "bin" / "node")


def python() -> str:
    """A Python with the clients whose dependencies do not go with the newest official ones."""
    if not stamped(PYTHON, LOCK):
        venv.create(PYTHON, clear=True, with_pip=True)
        pip = [str(PYTHON / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet"]
        subprocess.run([*pip, "install", "--require-hashes", "-r", str(LOCK)], check=True)
        stamp(PYTHON, LOCK)
    return str(PYTHON / "bin" / "python")


def run_clients(world: World, title: str, *command: str) -> bool:
    """Whether all went well and the vendors refused nothing."""
    for vendor in world.vendors.values():
        vendor.refused.clear()
    arguments = [world.proxy.url, world.proxy.master_key, json.dumps(plan())]
    done = subprocess.run([*command, *arguments], cwd=NODE, check=False)
    refused = {each for vendor in world.vendors.values() for each in vendor.refused}
    for each in refused:
        print(f"{title}: a vendor refused: {each}")
    print(f"{title}: {'good' if done.returncode == 0 and not refused else 'FAILED'}")
    return done.returncode == 0 and not refused


def probed(url: str, key: str, model: str) -> dict[str, dict[str, Any]]:
    """The probe's findings by the name of the check."""
    with tempfile.TemporaryDirectory() as home:
        report = Path(home, "report.json")
        command = [
            node(), str(NODE / "node_modules/llmprobe/bin/dist/llmprobe.mjs"), url, "-k", key, "-m", model,
            "--full", "--no-bench", "--no-save", "--no-color", "--save", str(report),
        ]  # fmt: skip
        subprocess.run(command, env=os.environ | {"HOME": home}, capture_output=True, check=False)
        document = json.loads(report.read_text())
    return {each["id"]: each for each in document["conformance"]["results"]}


def missed(found: dict[str, Any]) -> list[str]:
    return [each["message"] for each in found.get("failures") or () if each["severity"] == "MUST"]


def good_at_vendor(name: str, direct: dict[str, dict[str, Any]]) -> bool:
    """Whether the vendor itself passes a check: on that surface, or if it has no such surface, on one of its own."""
    surface, _, rest = name.partition("-")
    told = direct.get(name, {}).get("outcome")
    if told in {"pass", "fail"}:
        return bool(told == "pass")
    others = (f"{other}-{rest}" for other in ("chat", "messages", "responses") if other != surface)
    return any(direct.get(other, {}).get("outcome") == "pass" for other in others)


def spoken(model: str) -> tuple[str, ...]:
    """The surfaces on which a request to this model goes to its vendor as it is."""
    if model.startswith("claude"):
        return ("messages-", "count-tokens")
    return ("chat-", "embeddings-", *(["responses-"] if model.startswith("responses") else []))


def run_probe(world: World) -> bool:
    good = True
    direct: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for model, vendor in world.vendors.items():
        where = (vendor.url, world.upstream[model])
        if where not in direct:
            direct[where] = probed(vendor.url, "sk-vendor", world.upstream[model])
        found = probed(world.proxy.url, world.proxy.master_key, model)
        failures = {name: missed(each) for name, each in found.items() if each["outcome"] == "fail" and missed(each)}
        ours = {
            name: why for name, why in failures.items() if name not in KNOWN and good_at_vendor(name, direct[where])
        }
        passes = sum(each["outcome"] == "pass" for each in found.values())
        there = sum(each["outcome"] == "pass" for each in direct[where].values())
        print(f"llmprobe {model}: {passes} checks pass, {there} at the vendor itself; lost on the way: {ours or 'none'}")
        lost = [
            name for name, each in direct[where].items()
            if each["outcome"] == "pass" and name.startswith(spoken(model)) and found[name]["outcome"] != "pass"
            and name not in KNOWN
        ]  # fmt: skip
        if lost:
            print(f"llmprobe {model}: pass at the vendor, not here: {', '.join(lost)}")
        good = good and not ours and not lost
    return good


def main() -> int:
    wanted = sys.argv[1:] or ["node", "python", "probe"]
    outcomes = []
    with running_postgres() as postgres, running_valkey() as valkey, tempfile.TemporaryDirectory() as directory:
        with running_world(postgres.app(postgres.clone()), valkey.settings(), Path(directory)) as world:
            if "node" in wanted:
                outcomes.append(run_clients(world, "Node.js", node(), "clients.mjs"))
            if "python" in wanted:
                outcomes.append(run_clients(world, "Python", python(), str(ROOT / "tests/clients_python/clients.py")))
            if "probe" in wanted:
                outcomes.append(run_probe(world))
    return 0 if all(outcomes) else 1


if __name__ == "__main__":
    raise SystemExit(main())
