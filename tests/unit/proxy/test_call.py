"""Request ids and money in headers."""

from __future__ import annotations

import time
from decimal import Decimal
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from scutum_server.infra.ids import uuid7_time
from scutum_server.proxy.call import new_request_id, usd


def test_request_ids_are_uuids_of_version_7_that_sort_by_time() -> None:
    ids = []
    for _ in range(200):
        ids.append(new_request_id())
        parsed = UUID(ids[-1])
        assert (parsed.version, parsed.variant, str(parsed)) == (7, "specified in RFC 4122", ids[-1])
        assert abs(uuid7_time(parsed).timestamp() - time.time()) < 5
    assert len(set(ids)) == 200
    assert [i[:13] for i in ids] == sorted(i[:13] for i in ids)


@given(st.integers(0, 10**18))
def test_dollars_are_exact_and_plain(nano: int) -> None:
    shown = usd(nano)
    assert Decimal(shown) == Decimal(nano) / 10**9
    assert "e" not in shown.lower()
    assert not shown.endswith(".")
