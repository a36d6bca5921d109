"""Costs of images, audio, characters and seconds, as the price library has them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from genai_prices import Usage
from genai_prices.data_snapshot import get_snapshot

from scutum_server.upstream.catalog import Price, pricer
from scutum_server.upstream.tariff import Tariff, tariff


def of(model: str, *, kind: str = "openai", base_url: str | None = None, override: Price | None = None) -> Tariff:
    price = pricer(provider_kind=kind, base_url=base_url, upstream_model=model, override=override)
    return tariff(kind, base_url, model, override=override, price=price)


@pytest.mark.parametrize(
    ("model", "units"),
    [
        ("gpt-image-1", {"input_tokens": 50, "input_image_tokens": 40, "output_tokens": 1000, "output_image_tokens": 1000}),
        ("gpt-image-1.5", {"input_tokens": 50, "output_tokens": 1000, "output_image_tokens": 1000}),
        ("gpt-4o-transcribe", {"input_tokens": 100, "input_audio_tokens": 90, "output_tokens": 20}),
        ("whisper-1", {"audio_seconds": Decimal("61.5")}),
        ("tts-1", {"input_characters": 1234}),
        ("gpt-4o", {"input_tokens": 100, "output_tokens": 20, "cache_read_tokens": 30}),
    ],
)
def test_the_librarys_own_arithmetic_holds(model: str, units: dict[str, Any]) -> None:
    snapshot = get_snapshot()
    found = snapshot.find_provider(None, None, "https://api.openai.com/v1").find_model(model)
    assert found is not None and not isinstance(found.prices, list)
    cost = of(model)(units)
    assert cost.nano_usd == round(found.prices.calc_price(Usage(**units))["total_price"] * 10**9) > 0
    assert cost.source.startswith("genai-prices:")


def test_cached_tokens_that_nobody_says_to_be_pictures_or_text_are_text_first() -> None:
    units = {"input_tokens": 100, "input_image_tokens": 50, "input_text_tokens": 50, "output_tokens": 10}
    edited = of("gpt-image-1")
    assert edited(units | {"cache_read_tokens": 20}).nano_usd == 30 * 5000 + 20 * 1250 + 50 * 10_000 + 10 * 40_000
    assert edited(units | {"cache_read_tokens": 60}).nano_usd == 50 * 1250 + 40 * 10_000 + 10 * 2500 + 10 * 40_000


def test_more_cached_tokens_than_tokens_are_all_of_them() -> None:
    assert of("gpt-4o")({"input_tokens": 5, "cache_read_tokens": 50}).nano_usd == 5 * 1250


def test_what_has_no_price_is_unknown_and_free() -> None:
    for made, units in (
        (of("gpt-4o-mini-tts"), {"input_characters": 5}), (of("dall-e-9"), {"input_tokens": 5}), (of("gpt-4o"), {}),
        (of("gpt-4o", base_url="http://10.0.0.1/v1"), {"input_tokens": 5}),
    ):  # fmt: skip
        assert (made(units).nano_usd, made(units).source) == (0, "unknown")


def test_the_operators_price_is_for_tokens() -> None:
    made = of("x", override=Price(input_nano=3, output_nano=7))
    assert (made({"input_tokens": 10, "output_tokens": 2}).nano_usd, made({"input_tokens": 1}).source) == (44, "operator")
    assert made({"audio_seconds": 9}).source == "unknown"


def test_a_batch_has_a_price_of_its_own_where_there_is_one() -> None:
    units = {"input_tokens": 1000, "output_tokens": 1000}
    batch = ("processing", "batch")
    assert 0 < of("gpt-4o")(units, batch).nano_usd < of("gpt-4o")(units).nano_usd
    assert of("gpt-4o")(units, ("processing", "slow")) == of("gpt-4o")(units)
    assert of("tts-1")({"input_characters": 9}, batch) == of("tts-1")({"input_characters": 9})


def test_the_simulator_costs_nothing() -> None:
    assert of("sim", kind="sim")({"input_tokens": 9}).source == "simulated"
