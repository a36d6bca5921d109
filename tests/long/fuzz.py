"""Every endpoint and whatever it is given, by ever new seeds: what `tests/integration/proxy/test_fuzz.py` does, longer.

    python -m pytest tests/long/fuzz.py

About two minutes. A failure prints what was sent; make it a case of the short one.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from tests.fixtures.fuzz import FIELDS, NAUGHTY, OF_EACH_FIELD, POSTS, Judge
from tests.fixtures.gateway import Proxy
from tests.integration.proxy.test_fuzz import OPERATIONS, judge, keeps_to_the_document, proxy, survives_any_bytes

__all__ = ["judge", "proxy"]
LONG = settings(
    max_examples=1000, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("label", [label for label in OPERATIONS if label.startswith("POST")])
def test_answers_keep_to_the_document(proxy: Proxy, label: str, mode: GenerationMode) -> None:
    keeps_to_the_document(proxy, label, mode, LONG)


def test_any_bytes_on_a_connection(proxy: Proxy) -> None:
    survives_any_bytes(proxy, settings(LONG, max_examples=10_000))


def test_any_bytes_as_a_body(judge: Judge) -> None:
    @given(body=st.binary(max_size=4000), path=st.sampled_from(list(POSTS)))
    @settings(LONG, max_examples=10_000)
    def check(body: bytes, path: str) -> None:
        judge.send("POST", path, body)

    check()


def test_several_fields_with_any_value(judge: Judge) -> None:
    values = [*OF_EACH_FIELD, *NAUGHTY]
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    for turn in range(20_000):
        path = dice.choice(list(POSTS))
        odd = {dice.choice(FIELDS): dice.choice(values) for _ in range(dice.randrange(1, 5))}
        try:
            judge.send("POST", path, POSTS[path] | odd)
        except Exception as error:
            raise AssertionError(f"seed {seed}, turn {turn}: {path} {odd!r}") from error
