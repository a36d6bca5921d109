"""JSON over HTTP to the admin API on http.client: starts fast, keeps one connection, turns failures into CliError."""

from __future__ import annotations

import http.client
import json
import secrets
import shlex
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from scutum_cli import __version__, errors, output
from scutum_cli.client.session import Session, not_logged_in, not_scutum
from scutum_cli.errors import CliError
from scutum_cli.settings import Context

MAX_ANSWER = 64 * 2**20
OWN_CREDENTIALS = "/api/v1/auth/password"
"""A 401 there is about the password in the body, not about the session."""
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer; header names in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Connection:
    """One kept-alive connection to one server; `seconds` bounds every wait for bytes."""

    def __init__(self, url: str, *, seconds: float = ANSWER_SECONDS) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise CliError(f"{url!r} is not an http or https address.", code="bad_url", hint="scutum context list")
        self.url = url.rstrip("/")
        self.prefix = parts.path.rstrip("/")
        self.seconds = seconds
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=CONNECT_SECONDS)
        self._fresh = True

    def send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """Sends a request and returns the answer's head, unread; raises OSError or http.client.HTTPException.

        A kept connection that the server has closed meanwhile is opened again once.
        """
        while True:
            reused = self._connection.sock is not None and not self._fresh
            try:
                if self._connection.sock is None:
                    self._connection.connect()
                    self._wait_at_most(self.seconds)
                self._connection.request(method, self.prefix + path, body, dict(headers))
                response = self._connection.getresponse()
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                self.close()
                if not reused:
                    raise
                continue
            self._fresh = False
            return response

    def close(self) -> None:
        self._connection.close()
        self._fresh = True

    def _wait_at_most(self, seconds: float) -> None:
        sock: socket.socket | None = self._connection.sock
        if sock is not None:
            sock.settimeout(seconds)


class AdminClient:
    """The admin API of one context; logs in by itself where the context has what it takes.

    Methods return parsed JSON (None for an empty answer) and raise CliError with the exit codes of `errors`. With
    `dry_run` the server runs every change, and takes it back.
    """

    def __init__(self, context: Context, *, seconds: float = ANSWER_SECONDS, dry_run: bool = False) -> None:
        self.context = context
        self.talked = False
        self.dry_run = dry_run
        """Whether the server has answered as it should, once at least."""
        self._connection = Connection(context.admin_url, seconds=seconds)
        self.session = Session(context, self.open)

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        return self.request("GET", path, params=params)

    def post(self, path: str, body: Any = None, params: Mapping[str, Any] | None = None) -> Any:
        return self.request("POST", path, body, params)

    def put(self, path: str, body: Any = None, params: Mapping[str, Any] | None = None) -> Any:
        return self.request("PUT", path, body, params)

    def patch(self, path: str, body: Any = None, params: Mapping[str, Any] | None = None) -> Any:
        return self.request("PATCH", path, body, params)

    def delete(self, path: str, body: Any = None, params: Mapping[str, Any] | None = None) -> Any:
        return self.request("DELETE", path, body, params)

    def request(self, method: str, path: str, body: Any = None, params: Mapping[str, Any] | None = None) -> Any:
        """One authenticated call; a session that the server no longer takes is renewed once, where that can be."""
        if self.dry_run and method != "GET":
            params = {**(params or {}), "dry_run": "true"}
        token = self.session.token()
        answer = self._exchange(method, path, body, params, token)
        if answer.status == errors.HTTP_UNAUTHORIZED and not path.startswith(OWN_CREDENTIALS):
            answer = self._exchange(method, path, body, params, self.session.renew(token))
            if answer.status == errors.HTTP_UNAUTHORIZED:
                self.session.forget()
                raise not_logged_in(self.context, expired=True, request_id=_request_id(answer))
        return self._parsed(answer)

    def public(self, path: str, *, seconds: float | None = None) -> Any:
        """`GET` of what needs no session."""
        if seconds is not None:
            self._connection.close()
            self._connection.seconds = seconds
        return self._parsed(self._exchange("GET", path, None, None, None))

    def health(self) -> tuple[int, Any]:
        """`GET /health` without a session: the status (200, or 503 when degraded) and the document."""
        answer = self._exchange("GET", "/health", None, None, None)
        return answer.status, self._json(answer)

    def login(self, master_key: str | None = None) -> str:
        """Trades the master key (default: the context's) for a token, keeps it and returns it."""
        key = master_key or self.context.master_key()
        if key is None:
            raise not_logged_in(self.context, expired=False)
        return self.session.log_in({"master_key": key})

    def open(self, path: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        """A POST without a session: 401 and what was said, or the parsed answer; CliError for everything else."""
        answer = self._exchange("POST", path, body, None, None)
        if answer.status == errors.HTTP_UNAUTHORIZED:
            return answer.status, self._json(answer)
        return answer.status, self._parsed(answer)

    def close(self) -> None:
        self._connection.close()

    def _exchange(
        self, method: str, path: str, body: Any, params: Mapping[str, Any] | None, token: str | None
    ) -> Answer:
        headers = {"accept": "application/json", "user-agent": f"scutum/{__version__}", "x-scutum-source": "cli"}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
            if method == "POST":
                # A connection that breaks is opened again, and the request repeated: it must not happen twice.
                headers["idempotency-key"] = secrets.token_hex(16)
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["content-type"] = "application/json"
        sent = {name: value for name, value in (params or {}).items() if value is not None}
        target = f"{path}?{urlencode(sent)}" if sent else path
        started = time.monotonic()
        try:
            response = self._connection.send(method, target, data, headers)
            content = response.read(MAX_ANSWER + 1)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise unreachable(self.context, self.context.admin_url, "admin API", error) from None
        if len(content) > MAX_ANSWER:
            self._connection.close()
            raise self.not_scutum()
        answer = Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)
        elapsed = (time.monotonic() - started) * 1000
        output.verbose(f"{method} {target} {answer.status} in {elapsed:.0f} ms, request {_request_id(answer) or '-'}")
        return answer

    def _parsed(self, answer: Answer) -> Any:
        if 200 <= answer.status < 300:
            self.talked = True
            return self._json(answer) if answer.body else None
        problem = self._json(answer)
        if not isinstance(problem, dict) or not isinstance(problem.get("code"), str):
            raise self.not_scutum()
        raise from_problem(answer.status, problem, _request_id(answer))

    def _json(self, answer: Answer) -> Any:
        try:
            return json.loads(answer.body)
        except ValueError:
            raise self.not_scutum() from None

    def not_scutum(self) -> CliError:
        """Something answered that is not the admin API."""
        return not_scutum(self.context)


def segment(ref: str) -> str:
    """`ref` as one path segment."""
    return quote(ref, safe="")


def exit_code_of(status: int) -> int:
    """The exit code that an HTTP error status means."""
    if status in {401, 403}:
        return errors.NOT_ALLOWED
    if status in {404, 410}:
        return errors.NOT_FOUND
    if status in {409, 412, 428}:
        return errors.CONFLICT
    if status in {402, 423, 429, 451}:
        return errors.REFUSED
    return errors.UNREACHABLE if status >= 500 else errors.USAGE


def from_problem(status: int, problem: Mapping[str, Any], request_id: str | None = None) -> CliError:
    """A problem-details answer as the error that people see, with the fields at fault named."""
    message = str(problem.get("detail") or problem.get("title") or f"The server answered {status}.")
    faults = problem.get("errors")
    return CliError(
        message,
        exit_code=exit_code_of(status),
        code=str(problem.get("code", "error")),
        why=_fields_at_fault(faults) if isinstance(faults, list) and len(faults) > 1 else None,
        hint=_hint(problem.get("hint")),
        request_id=_text(problem.get("request_id")) or request_id,
    )


def unreachable(context: Context, url: str, what: str, error: Exception) -> CliError:
    """Nothing useful came back from `url`: says why in words, and how to start the server or check the address."""
    step = f"scutum up --home {shlex.quote(context.home)}" if context.home is not None else None
    if isinstance(error, ssl.SSLCertVerificationError):
        step = f"make {url} a name that the certificate has, or name who vouches for it: SSL_CERT_FILE=ca.pem scutum …"
    return CliError(
        f"The {what} at {url} does not answer: {_reason(error)}.",
        exit_code=errors.UNREACHABLE,
        code="unreachable",
        hint=step or f"check that {url} is right and reachable from here",
    )


def _reason(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return "its name does not resolve"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return "it does not speak TLS"
    if isinstance(error, http.client.RemoteDisconnected | ConnectionResetError | BrokenPipeError):
        return "it closed the connection"
    if isinstance(error, http.client.HTTPException):
        return "what it sent is not HTTP"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return type(error).__name__


def _fields_at_fault(faults: list[Any]) -> str:
    return "; ".join(_fault(fault) for fault in faults[:5] if isinstance(fault, dict))


def _fault(fault: Mapping[str, Any]) -> str:
    line = f"line {fault['line']}: " if fault.get("line") else ""
    return f"{line}{fault.get('field')}: {fault.get('message')}"


def _hint(value: Any) -> str | None:
    """The server's hint as the next step: people read it behind `next: `."""
    return str(value).removeprefix("See: ").removeprefix("See ") if value else None


def _text(value: Any) -> str | None:
    return str(value) if value else None


def _request_id(answer: Answer) -> str | None:
    return answer.headers.get("x-request-id")
