"""Which trace a request belongs to, and whether it is sampled."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from scutum_server.proxy.call import new_request_id
from scutum_server.proxy.telemetry.tracing import Tracing

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def traced(share: float, *headers: tuple[bytes, bytes], request_id: str | None = None) -> SimpleNamespace:
    call = SimpleNamespace(
        id=request_id or new_request_id(),
        exchange=SimpleNamespace(scope={"headers": list(headers)}),
        trace=None,
        trace_fields=b"",
    )
    Tracing(share).begin(call)  # type: ignore[arg-type]
    return call


def parent(text: str) -> tuple[bytes, bytes]:
    return b"traceparent", text.encode()


def test_a_trace_that_begins_here_is_named_by_the_request() -> None:
    call = traced(1.0)
    digits = call.id.replace("-", "")
    assert call.trace == digits
    assert call.trace_fields == f"traceparent: 00-{digits}-{digits[16:]}-01\r\n".encode()


def test_the_clients_trace_goes_on_under_our_span() -> None:
    call = traced(0.0, parent(f"00-{TRACE}-{SPAN}-01"))
    assert call.trace == f"{TRACE}-{SPAN}"
    assert call.trace_fields == f"traceparent: 00-{TRACE}-{call.id.replace('-', '')[16:]}-01\r\n".encode()


def test_what_the_client_does_not_sample_is_passed_on_and_not_kept() -> None:
    call = traced(1.0, parent(f"00-{TRACE}-{SPAN}-00"))
    assert call.trace is None
    assert call.trace_fields.startswith(f"traceparent: 00-{TRACE}-".encode())
    assert call.trace_fields.endswith(b"-00\r\n")


def test_the_state_of_the_clients_trace_goes_with_it() -> None:
    states = ((b"tracestate", b"rojo=1"), (b"tracestate", b"congo=2"))
    assert traced(1.0, parent(f"00-{TRACE}-{SPAN}-01"), *states).trace_fields.endswith(
        b"\r\ntracestate: rojo=1,congo=2\r\n"
    )
    assert b"tracestate" not in traced(1.0, *states).trace_fields
    forged = (b"tracestate", b"a=b\x0bAuthorization: x")
    assert b"tracestate" not in traced(1.0, parent(f"00-{TRACE}-{SPAN}-01"), forged).trace_fields


@pytest.mark.parametrize(
    "value",
    [
        "", "00", f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01-more", f"00-{TRACE}-{SPAN}", f"00-{TRACE}-{SPAN}-1",
        f" 00-{TRACE}-{SPAN}-01", f"00-{TRACE[:-1]}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01\r\nx: y",
    ],
)  # fmt: skip
def test_what_is_no_traceparent_begins_a_trace_of_ours(value: str) -> None:
    call = traced(1.0, parent(value))
    assert call.trace == call.id.replace("-", "")


def test_two_traceparents_are_none() -> None:
    call = traced(1.0, parent(f"00-{TRACE}-{SPAN}-01"), parent(f"00-{TRACE}-{SPAN}-01"))
    assert call.trace == call.id.replace("-", "")


def test_a_later_version_is_understood_as_far_as_it_is_ours() -> None:
    assert traced(0.0, parent(f"01-{TRACE}-{SPAN}-01-what.comes")).trace == f"{TRACE}-{SPAN}"


def test_the_share_is_taken_from_the_random_end_of_the_id() -> None:
    assert traced(0.5, request_id="0199ffff-ffff-7fff-bf7f-ffffffffffff").trace is None
    kept = traced(0.5, request_id="0199ffff-ffff-7fff-8080-000000000000")
    assert kept.trace is not None
    assert kept.trace_fields.endswith(b"-01\r\n")
    sampled = sum(traced(0.25).trace is not None for _ in range(4000))
    assert 800 < sampled < 1200
    assert all(traced(0.0).trace is None for _ in range(50))
