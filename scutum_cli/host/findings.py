"""What is wrong with an install, each in one sentence with the next step."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from scutum_cli.host import health, state, words
from scutum_cli.host.layout import Layout
from scutum_cli.host.state import ServiceState

LOW_SHARE = 0.05
LOW_BYTES = 200_000_000
BACKLOG_BYTES = 50_000_000
# A check of the admin API: the service that it is about, and what people call its failure.
_CHECKS = {
    "database": ("postgres", "the admin API cannot use the database"),
    "redis": ("valkey", "the admin API cannot reach Valkey"),
    "worker": ("worker", "the worker does not work, so usage is not booked"),
    "traces": ("", "traces do not reach the collector"),
    "spend_rejects": ("", "usage records were refused and are in the table spend_rejects"),
    "jobs": ("", "background jobs failed"),
    "partitions": ("", "the database has no place for the rows of a coming month"),
    "archives": ("", "a month could not be archived and stays in the database; see scutum archives list"),
    "audit": ("", "the proof of the audit trail is in trouble; see scutum audit verify and scutum audit shipments"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """`hint` is the next command."""

    text: str
    hint: str


def all_of(layout: Layout, services: list[ServiceState], proxy: health.Answer, admin: health.Answer) -> list[Finding]:
    """Everything that is wrong, the services first."""
    bad = {service.name for service in services if service.state != state.RUNNING}
    found = [_of_service(layout, service) for service in services if service.name in bad]
    found += _of_proxy(layout, services, proxy) if "proxy" not in bad or not proxy.ok else []
    found += _of_admin(layout, admin, bad)
    schema = admin.body.get("schema") or {}
    unread = (admin.body.get("checks") or {}).get("database") == "unavailable"
    if schema.get("current") != schema.get("expected") and not unread:
        text = f"the database's schema is {schema.get('current')}, not {schema.get('expected')}"
        found.append(Finding(text, layout.says("install")))
    return [*found, *_of_disk(layout), *_of_spill(layout)]


def _of_service(layout: Layout, service: ServiceState) -> Finding:
    text, logs = f"{service.name} is {service.state}", layout.says(f"logs --since 10m {service.name}")
    if service.external:
        return Finding(f"{text}: {service.last_reason}", "start the external store, or mend its URL in config/.env")
    if service.state == state.FROZEN:
        pids = " ".join(map(str, service.frozen))
        several = f" ({len(service.frozen)} of {service.wanted})" if service.wanted > 1 else ""
        return Finding(
            f"{text}{several}: stopped by a signal",
            f"kill -CONT {pids}   # or: {layout.says(f'restart {service.name}')}",
        )
    if service.abandoned:
        return Finding(f"{text}: its supervisor is gone (killed, or a power cut)", layout.says("up"))
    if service.state == state.DOWN:
        return Finding(text, layout.says("up"))
    return Finding(f"{text}: {service.last_reason}" if service.last_reason else text, logs)


def _of_proxy(layout: Layout, services: list[ServiceState], answer: health.Answer) -> list[Finding]:
    logs = layout.says("logs --since 10m proxy")
    if not answer.ok:
        return [Finding("the proxy is not ready" if answer.status else "the proxy does not answer", logs)]
    found = []
    if answer.body.get("stale"):
        age = words.duration(float(answer.body.get("age_seconds") or 0))
        text = f"the proxy serves from its last configuration, {age} old: it cannot reach the database"
        found.append(Finding(text, logs))
    if answer.body.get("maintenance"):
        found.append(Finding("maintenance is on: new requests are refused", "scutum maintenance off"))
    row = next(service for service in services if service.name == "proxy")
    ready = state.record(layout, "proxy").get("ready")
    waiting = [pid for pid in row.pids if isinstance(ready, list) and pid not in ready]
    if waiting:
        pids = ", ".join(map(str, waiting))
        verb = "is" if len(waiting) == 1 else "are"
        found.append(Finding(f"{len(waiting)} of {len(row.pids)} proxies {verb} not ready (pid {pids})", logs))
    return found


def _of_admin(layout: Layout, answer: health.Answer, bad: set[str]) -> list[Finding]:
    logs = layout.says("logs --since 10m admin")
    if not answer.status:
        return [Finding("the admin API does not answer", logs)]
    if answer.ok and answer.body.get("status", "ok") == "ok":
        return []
    found, explained = [], False
    for check, word in (answer.body.get("checks") or {}).items():
        service, text = _CHECKS.get(check, ("admin", f"{check} is not well"))
        # A service that is known to be down, and what nobody can know without it, are no findings of their own.
        if word in {"ok", "unknown"} or service in bad:
            explained = explained or word != "ok"
            continue
        verb = "logs --since 24h worker" if not service else f"logs --since 10m {service}"
        verb = "restart worker" if word == "no heartbeat" else verb
        found.append(Finding(f"{text} ({check}: {word})", layout.says(verb)))
    return found if found or explained else [Finding("the admin API says that it is degraded", logs)]


def _of_disk(layout: Layout) -> list[Finding]:
    usage = shutil.disk_usage(layout.home)
    if usage.free >= LOW_BYTES and usage.free >= usage.total * LOW_SHARE:
        return []
    share = 100 * usage.free / max(usage.total, 1)
    word = "full" if usage.free < LOW_BYTES // 20 else "almost full"
    text = f"the disk is {word}: {words.megabytes(usage.free)} ({share:.0f} %) free for {layout.home}"
    return [Finding(text, f"du -xsh {layout.home}/*   # make room")]


def _of_spill(layout: Layout) -> list[Finding]:
    size = 0
    try:
        for path in layout.spill.iterdir():
            size += path.stat().st_size
    except OSError:
        return []
    if size <= BACKLOG_BYTES:
        return []
    text = f"{words.megabytes(size)} of usage in data/spill wait to be booked"
    return [Finding(text, layout.says("logs --since 10m worker"))]
