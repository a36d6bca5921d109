"""The end of an install: the command's context, a first key, and one completion through the new stack."""

from __future__ import annotations

import http.client
import json
import os
import pwd
import re
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scutum_cli import settings
from scutum_cli.client.http import AdminClient
from scutum_cli.errors import HALF_WAY, CliError
from scutum_cli.host import health
from scutum_cli.host.config import HostConfig
from scutum_cli.host.layout import Layout
from scutum_cli.settings import Context

KEY_NAME = "default"
_QUESTION = "Say hello to a new operator in one sentence."


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer of the gateway; `cost_usd` is a decimal text."""

    text: str
    model: str
    provider: str
    cost_usd: str
    simulated: bool
    milliseconds: int


def context_of(home: Path) -> Context | None:
    """The context of this deploy root, if the user has one."""
    return next((context for context in settings.load().contexts.values() if context.home == str(home)), None)


def is_complete(home: Path, config: HostConfig) -> bool:
    """Whether the context is there, points at the right addresses, and its key still works."""
    context = context_of(home)
    if context is None or context.key is None:
        return False
    if (context.admin_url, context.proxy_url) != (config.admin_url, config.proxy_url):
        return False
    return _call(config, "GET", "/v1/models", context.key, None)[0] == 200


def ensure_context(home: Path, config: HostConfig) -> Context:
    """Makes or mends the context `local` (`local-2`, … for further installs).

    It becomes the current one, unless another that leads to an install on this host is in use.
    """
    with settings.edit() as contexts:
        context = next((item for item in contexts.contexts.values() if item.home == str(home)), None)
        if context is None:
            numbers = ("", *(f"-{number}" for number in range(2, 1000)))
            name = next(f"local{number}" for number in numbers if f"local{number}" not in contexts.contexts)
            context = Context(name, config.admin_url, config.proxy_url, home=str(home))
        context.admin_url, context.proxy_url = config.admin_url, config.proxy_url
        contexts.put(context, use=not _is_in_use(contexts))
    return context


def _is_in_use(contexts: settings.Contexts) -> bool:
    """Whether the current context is somebody's choice that still leads somewhere."""
    current = contexts.contexts.get(contexts.current_name or "")
    return current is not None and (current.home is None or Layout(Path(current.home)).exists())


def other_context(home: Path) -> str | None:
    """The name of this deploy root's context when another one is in use."""
    context = context_of(home)
    return None if context is None or settings.load().current_name == context.name else context.name


def ensure_key(context: Context, config: HostConfig) -> str | None:
    """Gives the context a key that works; the name of a new one, or None.

    A secret cannot be read back, and applications may use a key that is there already: it is never rotated here, the
    context gets one of its own instead.
    """
    if context.key and not _is_refused(config, context.key):
        return None
    own = f"cli-{_user_name()}"
    names = (KEY_NAME, own, *(f"{own}-{number}" for number in range(2, 1000)))
    with closing(AdminClient(context)) as client:
        name, context.key = _first_free(client, names)
    settings.remember(context.name, key=context.key)
    return name


def _first_free(client: AdminClient, names: Iterable[str]) -> tuple[str, str]:
    """Makes a key with the first of the names that nobody has; its name and secret."""
    for name in names:
        try:
            return name, client.post("/api/v1/keys", {"name": name})["key"]
        except CliError as error:
            if error.code != "name_taken":
                raise
    raise CliError("No name is left for another key.", code="name_taken", hint="scutum keys revoke what nobody uses")


def _is_refused(config: HostConfig, key: str) -> bool:
    return _call(config, "GET", "/v1/models", key, None)[0] in {401, 403}


def _user_name() -> str:
    """The name of this command's user as it may stand in a key's name."""
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        name = str(os.geteuid())
    return re.sub(r"[^A-Za-z0-9_.-]", "-", name)[:40]


def complete(config: HostConfig, key: str, logs: str = "scutum logs proxy", model: str = "sim") -> Completion:
    """Sends one chat request through the proxy, and waits a moment for a key that was made just now.

    The simulator answers at no cost; where an operator has removed it, `fast` does, whatever it leads to.
    """
    body = {"model": model, "messages": [{"role": "user", "content": _QUESTION}]}
    deadline = time.monotonic() + 10
    while True:
        started = time.monotonic()
        status, headers, answer = _call(config, "POST", "/v1/chat/completions", key, body)
        if status == 200:
            break
        if status == 404 and body["model"] != "fast":
            body["model"] = "fast"
            continue
        if time.monotonic() > deadline:
            reason = (answer.get("error") or {}).get("message") or answer.get("detail") or f"it answered {status}"
            raise CliError(
                "The stack runs, but its first completion failed.",
                exit_code=HALF_WAY,
                code="first_completion_failed",
                why=str(reason),
                hint=f"{logs}, then run the same command again",
            )
        time.sleep(0.2)
    return Completion(
        text=str(answer["choices"][0]["message"]["content"]).strip(),
        model=headers.get("x-scutum-model", model),
        provider=headers.get("x-scutum-provider", ""),
        cost_usd=headers.get("x-scutum-cost", "0"),
        simulated=headers.get("x-scutum-simulated") == "true",
        milliseconds=round((time.monotonic() - started) * 1000),
    )


def _call(
    config: HostConfig, method: str, path: str, key: str, body: Any
) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Status (0: nobody answered), headers in lower case, and the JSON object."""
    connection = health.to_proxy(config, 30)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        names = {name.lower(): value for name, value in response.getheaders()}
    except (OSError, http.client.HTTPException, ValueError) as error:
        return 0, {}, {"detail": str(error)}
    finally:
        connection.close()
    return response.status, names, answer if isinstance(answer, dict) else {}
