"""What the server says becomes the right exit code and at most three lines."""

from __future__ import annotations

import json
import ssl

import pytest

from scutum_cli import output
from scutum_cli.client.http import exit_code_of, from_problem, unreachable
from scutum_cli.errors import CliError
from scutum_cli.settings import Context


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, 2), (422, 2), (413, 2), (401, 4), (403, 4), (404, 3), (409, 5), (412, 5), (402, 6), (429, 6), (500, 7), (503, 7)],
)
def test_exit_codes(status: int, code: int) -> None:
    assert exit_code_of(status) == code


def test_a_problem_keeps_its_code_hint_and_request() -> None:
    error = from_problem(404, {"code": "key_not_found", "detail": "There is no key “x”.", "hint": "See: scutum keys list", "request_id": "r-1"})
    assert (error.exit_code, error.code, error.message) == (3, "key_not_found", "There is no key “x”.")
    assert (error.hint, error.request_id, error.why) == ("scutum keys list", "r-1", None)


def test_several_wrong_fields_are_all_named() -> None:
    faults = [{"field": "name", "message": "is missing"}, {"field": "kind", "message": "is wrong"}]
    error = from_problem(422, {"code": "invalid_request", "detail": "`name`: is missing.", "errors": faults})
    assert error.why == "name: is missing; kind: is wrong"


def test_an_error_is_three_lines_or_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    error = CliError("It broke.", exit_code=7, code="broken", why="For a reason.", hint="scutum up", request_id="r-1")
    assert output.fail(error) == 7
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["error: It broke. (request r-1)", "For a reason.", "next: scutum up"]
    monkeypatch.setattr(output.style, "format", "json")
    assert output.fail(error) == 7
    told = json.loads(capsys.readouterr().err)["error"]
    assert told == {"code": "broken", "message": "It broke. For a reason.", "hint": "scutum up", "request_id": "r-1"}


def test_a_certificate_that_is_not_trusted_is_not_mended_by_starting_the_server() -> None:
    context = Context(name="local", admin_url="http://h:1", proxy_url="https://h:2", home="/srv/scutum")
    refused = ssl.SSLCertVerificationError(1, "certificate verify failed")
    refused.verify_message = "self-signed certificate"
    error = unreachable(context, context.proxy_url, "proxy", refused)
    assert "not trusted (self-signed certificate)" in error.message
    assert "SSL_CERT_FILE" in (error.hint or "") and "scutum up" not in (error.hint or "")
