"""Whose address counts, and how failures are counted."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from scutum_server.proxy.http.addresses import MAX_ADDRESSES, Throttle, TrustedProxies


def client(peer: str | None, *forwarded: str, trusted: tuple[str, ...] = ("10.0.0.0/8", "2001:db8::/32")) -> str:
    headers = [(b"host", b"x"), *((b"x-forwarded-for", value.encode()) for value in forwarded)]
    return str(TrustedProxies(trusted).client({"client": (peer, 1) if peer else None, "headers": headers}))


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.1", (), "192.0.2.1"),
        ("192.0.2.1", ("203.0.113.9",), "192.0.2.1"),  # whoever connects directly may claim what he likes
        ("10.0.0.1", ("203.0.113.9",), "203.0.113.9"),
        ("10.0.0.1", ("1.1.1.1, 203.0.113.9",), "203.0.113.9"),  # the left part is the client's own claim
        ("10.0.0.1", ("1.1.1.1, 203.0.113.9, 10.0.0.2",), "203.0.113.9"),
        ("10.0.0.1", ("1.1.1.1", "203.0.113.9 ,10.0.0.2"), "203.0.113.9"),
        ("10.0.0.1", ("10.0.0.3, 10.0.0.2",), "10.0.0.3"),
        ("10.0.0.1", ("203.0.113.9:4711",), "203.0.113.9"),
        ("2001:db8::1", ("[2001:470::9]:4711",), "2001:470::9"),
        ("::ffff:10.0.0.1", ("::ffff:203.0.113.9",), "203.0.113.9"),
        ("10.0.0.1", ("203.0.113.9, unknown",), "10.0.0.1"),
        ("10.0.0.1", ("",), "10.0.0.1"),
        ("10.0.0.1", (), "10.0.0.1"),
        (None, ("203.0.113.9",), "None"),
    ],
)
def test_the_nearest_address_that_is_no_trusted_proxy(peer: str | None, forwarded: tuple[str, ...], expected: str) -> None:
    assert client(peer, *forwarded) == expected


def test_nobody_is_trusted_unless_named() -> None:
    assert client("10.0.0.1", "203.0.113.9", trusted=()) == "10.0.0.1"


def test_failures_are_counted_by_address_and_minute() -> None:
    now = 0.0
    throttle = Throttle(2, lambda: now)
    one, other = ip_address("192.0.2.1"), ip_address("192.0.2.2")
    assert [throttle.failed(one) for _ in range(3)] == [None, None, 60]
    now = 30.5
    assert throttle.failed(one) == 30
    assert throttle.failed(other) is None
    now = 60.0
    assert throttle.failed(one) is None


def test_an_ipv6_client_has_a_whole_network() -> None:
    throttle = Throttle(1, lambda: 0.0)
    assert throttle.failed(ip_address("2001:db8::1")) is None
    assert throttle.failed(ip_address("2001:db8::2")) == 60
    assert throttle.failed(ip_address("2001:db8:0:1::1")) is None


def test_memory_is_bounded_and_nothing_is_counted_without_a_limit() -> None:
    throttle = Throttle(1, lambda: 0.0)
    for number in range(MAX_ADDRESSES + 500):
        throttle.failed(ip_address(number))
    assert len(throttle._failures) == MAX_ADDRESSES
    off = Throttle(0, lambda: 0.0)
    assert [off.failed(ip_address(1)) for _ in range(1000)] == [None] * 1000
