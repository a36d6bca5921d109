"""What is leased."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from scutum_server.infra.windows import Period

Unit = Literal["requests", "tokens", "slots", "money"]


class Meter(Struct, frozen=True, kw_only=True):
    """One quota: `capacity` units in each window of `period` in the time zone `zone`; slots have no period.

    Money is in nano-USD. `id` is the same for as long as the quota exists, whatever becomes of its capacity.
    """

    id: str
    unit: Unit
    period: Period | None
    capacity: int
    zone: str = "UTC"
    fail_open: bool = False
    whose: str = ""
    """The end of the sentence “The limit of …”, such as “for this key”."""
