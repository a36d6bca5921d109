"""One chat completion through the proxy, streamed or whole, over http.client."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from scutum_cli import __version__, errors
from scutum_cli.client.http import ANSWER_SECONDS, MAX_ANSWER, Connection, exit_code_of, unreachable
from scutum_cli.errors import CliError
from scutum_cli.settings import Context

PATH = "/v1/chat/completions"
# A model may think for minutes before its first word.
FIRST_WORD_SECONDS = 10 * ANSWER_SECONDS
MAX_LINE = 2**20
COST_COMMENT = "x-scutum-cost="


@dataclass(slots=True)
class Told:
    """What the proxy tells beside the words; None where it told nothing."""

    model: str | None = None
    provider: str | None = None
    request_id: str | None = None
    simulated: bool = False
    cost_usd: Decimal | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    seconds: float = 0.0


class Completion:
    """An answer on its way. `words()` yields its text as it comes; `told` is complete once the text has ended."""

    def __init__(self, context: Context, key: str, body: dict[str, Any]) -> None:
        self.told = Told()
        self._context = context
        self._started = time.monotonic()
        self._connection = Connection(context.proxy_url, seconds=FIRST_WORD_SECONDS)
        headers = {
            "authorization": f"Bearer {key}",
            "content-type": "application/json",
            "user-agent": f"scutum/{__version__}",
        }
        try:
            self._response = self._connection.send("POST", PATH, json.dumps(body).encode(), headers)
            self._read_headers()
            if self._response.status != 200:
                raise self._refused(self._response.read(MAX_ANSWER))
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self._lost(error) from None
        except BaseException:
            self.close()
            raise

    def whole(self) -> dict[str, Any]:
        """The unstreamed answer as the proxy sent it."""
        try:
            document = json.loads(self._response.read(MAX_ANSWER))
        except (OSError, http.client.HTTPException) as error:
            raise self._lost(error) from None
        except ValueError:
            raise self._garbage() from None
        finally:
            self.close()
        if not isinstance(document, dict):
            raise self._garbage()
        self._read_usage(document)
        self.told.seconds = time.monotonic() - self._started
        return document

    def words(self) -> Iterator[str]:
        """The streamed text, piece by piece; closing the iterator closes the connection."""
        try:
            for event in self._events():
                self._read_usage(event)
                if "error" in event:
                    raise self._broken_off(event["error"])
                for choice in event.get("choices") or []:
                    piece = (choice.get("delta") or {}).get("content")
                    if piece:
                        yield piece
        except (OSError, http.client.HTTPException) as error:
            raise self._lost(error) from None
        except (ValueError, TypeError, AttributeError):
            raise self._garbage() from None
        finally:
            self.told.seconds = time.monotonic() - self._started
            self.close()

    def close(self) -> None:
        self._connection.close()

    def _events(self) -> Iterator[dict[str, Any]]:
        while True:
            line = self._response.readline(MAX_LINE)
            if not line:
                raise http.client.IncompleteRead(b"")
            if line.startswith(b":"):
                self._read_comment(line[1:].decode(errors="replace").strip())
            if not line.startswith(b"data:"):
                continue
            data = line[5:].strip()
            if data == b"[DONE]":
                return
            yield json.loads(data)

    def _read_headers(self) -> None:
        headers = self._response.headers
        self.told.request_id = headers.get("x-request-id")
        self.told.model = headers.get("x-scutum-model")
        self.told.provider = headers.get("x-scutum-provider")
        self.told.simulated = headers.get("x-scutum-simulated") == "true"
        self._read_cost(headers.get("x-scutum-cost"))

    def _read_comment(self, comment: str) -> None:
        if comment.startswith(COST_COMMENT):
            self._read_cost(comment.removeprefix(COST_COMMENT))

    def _read_cost(self, text: str | None) -> None:
        try:
            self.told.cost_usd = Decimal(text) if text else self.told.cost_usd
        except InvalidOperation:
            self.told.cost_usd = None

    def _read_usage(self, document: dict[str, Any]) -> None:
        usage = document.get("usage")
        if isinstance(usage, dict):
            self.told.tokens_in, self.told.tokens_out = usage.get("prompt_tokens"), usage.get("completion_tokens")

    def _refused(self, body: bytes) -> CliError:
        try:
            error = json.loads(body)["error"]
            message, code = str(error["message"]), str(error["code"] or error["type"])
        except (ValueError, KeyError, TypeError):
            return self._garbage()
        status = self._response.status
        return CliError(
            message, exit_code=exit_code_of(status), code=code, hint=_hint(code), request_id=self.told.request_id
        )

    def _broken_off(self, error: Any) -> CliError:
        told = error if isinstance(error, dict) else {}
        return CliError(
            str(told.get("message") or "The answer broke off."),
            exit_code=errors.UNREACHABLE,
            code=str(told.get("code") or told.get("type") or "upstream_error"),
            hint="scutum providers test PROVIDER" if self.told.provider is None else _test(self.told.provider),
            request_id=self.told.request_id,
        )

    def _lost(self, error: Exception) -> CliError:
        if self.told.request_id is None:
            return unreachable(self._context, self._context.proxy_url, "proxy", error)
        return self._broken_off(None)

    def _garbage(self) -> CliError:
        return CliError(
            f"{self._context.proxy_url} answered, but not as Scutum's proxy does.",
            exit_code=errors.UNREACHABLE,
            code="not_scutum",
            hint="check the address: scutum context list",
            request_id=self.told.request_id,
        )


def _test(provider: str) -> str:
    return f"scutum providers test {provider}"


def _hint(code: str) -> str | None:
    if code == "invalid_api_key":
        return "make a key and keep it for this command: scutum keys create NAME --use"
    if code == "model_not_found":
        return "scutum models list"
    return "scutum providers list, then: scutum providers test NAME" if code.startswith("upstream") else None
