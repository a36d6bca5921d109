"""What calls cost, checked against prices worked out by hand and against genai-prices' own arithmetic."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ConditionalPrice, ModelPrice, StartDateConstraint
from hypothesis import given, settings
from hypothesis import strategies as st

from scutum_server.upstream import catalog
from scutum_server.upstream.catalog import Cost, Price, price, pricer
from scutum_server.upstream.rates import Apart, Tokens, rates_of


def cost(tokens: Tokens, model: str, base_url: str | None = None, override: Price | None = None) -> Cost:
    return price(tokens, provider_kind="openai", base_url=base_url, upstream_model=model, override=override)


def test_a_provider_of_anthropics_kind_has_anthropics_prices() -> None:
    made = pricer(provider_kind="anthropic", base_url=None, upstream_model="claude-sonnet-4-5", override=None)
    plain, cached, written = (
        made(Tokens(1000, 0)), made(Tokens(1000, 0, cached=1000)), made(Tokens(1000, 0, cache_write=1000)),
    )  # fmt: skip
    assert plain.source.startswith("genai-prices:")
    assert 0 < cached.nano_usd < plain.nano_usd < written.nano_usd


def test_cached_tokens_cost_less_and_are_part_of_the_input() -> None:
    found = cost(Tokens(1000, 100, cached=400), "gpt-4o")
    assert found.nano_usd == 600 * 2500 + 400 * 1250 + 100 * 10_000
    assert found.source.startswith("genai-prices:0.")


def test_reasoning_tokens_are_part_of_the_output() -> None:
    assert cost(Tokens(10, 100, reasoning=80), "o3-mini").nano_usd == 10 * 1100 + 100 * 4400


def test_reasoning_with_a_price_of_its_own() -> None:
    rates = rates_of(
        ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(5), output_reasoning_mtok=Decimal(3), requests_kcount=Decimal(6))
    )
    assert rates.nano_usd(Tokens(10, 100, reasoning=80)) == 10 * 1000 + 20 * 5000 + 80 * 3000 + 6_000_000


def test_a_fraction_of_a_nano_usd_is_rounded_once_half_to_even() -> None:
    rates = rates_of(ModelPrice(input_mtok=Decimal("0.0005"), output_mtok=Decimal("0.0005")))
    assert [rates.nano_usd(Tokens(n, 0)) for n in range(1, 6)] == [0, 1, 2, 2, 2]
    assert rates.nano_usd(Tokens(1, 1)) == 1


def test_long_requests_cost_the_tier_s_price_for_all_tokens() -> None:
    model, url = "claude-sonnet-4-5", "https://api.anthropic.com"
    assert cost(Tokens(200_000, 1), model, url).nano_usd == 200_000 * 3000 + 15_000
    assert cost(Tokens(200_001, 1), model, url).nano_usd == 200_001 * 6000 + 22_500


def test_writing_a_cache_costs_more() -> None:
    found = cost(Tokens(1000, 0, cached=100, cache_write=500), "claude-sonnet-4-5", "https://api.anthropic.com/v1")
    assert found.nano_usd == 400 * 3000 + 100 * 300 + 500 * 3750


@pytest.mark.parametrize(
    ("model", "provider", "url"),
    [("gpt-audio", "openai", None), ("gpt-image-1", "openai", None), ("gpt-realtime", "openai", None),
     ("claude-sonnet-4-5", "anthropic", "https://api.anthropic.com"), ("gpt-4o", "openai", None)],
)  # fmt: skip
@given(data=st.data())
@settings(max_examples=60)
def test_parts_priced_apart_agree_with_the_package_s_own_sum(model: str, provider: str, url: str | None, data: st.DataObject) -> None:
    """The package has to be told which cached tokens were sound or pictures: those that cannot have been text."""
    taken, given_out = data.draw(st.integers(0, 300_000)), data.draw(st.integers(0, 100_000))
    cached = data.draw(st.integers(0, taken))
    written = data.draw(st.integers(0, taken - cached)) if provider == "anthropic" else 0
    long, searches = data.draw(st.integers(0, written)), data.draw(st.integers(0, 5))
    modal = provider == "openai"
    sound_in = data.draw(st.integers(0, taken)) if modal else 0
    image_in = data.draw(st.integers(0, taken - sound_in)) if modal else 0
    sound_out = data.draw(st.integers(0, given_out)) if modal else 0
    again = max(0, cached - (taken - sound_in - image_in))
    usage = Usage(
        input_tokens=taken, output_tokens=given_out, cache_read_tokens=cached, cache_write_tokens=written,
        cache_write_1h_tokens=long, input_audio_tokens=sound_in, input_image_tokens=image_in,
        output_audio_tokens=sound_out, cache_audio_read_tokens=min(again, sound_in),
        cache_image_read_tokens=again - min(again, sound_in), web_searches=searches,
    )  # fmt: skip
    exact = calc_price(usage, model, provider_id=provider).total_price * 10**9
    apart = Apart(sound_in, image_in, sound_out)
    found = cost(Tokens(taken, given_out, cached, 0, written, long, searches, apart), model, url)
    assert found.nano_usd == int(exact.to_integral_value(ROUND_HALF_EVEN))


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4o-mini", "text-embedding-3-small", "o3-mini", "gpt-4.1"])
@given(data=st.data())
@settings(max_examples=50)
def test_it_agrees_with_the_package_s_own_sum(model: str, data: st.DataObject) -> None:
    taken = data.draw(st.integers(0, 2_000_000))
    tokens = Tokens(taken, data.draw(st.integers(0, 100_000)), cached=data.draw(st.integers(0, taken)))
    usage = Usage(input_tokens=tokens.input, output_tokens=tokens.output, cache_read_tokens=tokens.cached)
    exact = calc_price(usage, model, provider_id="openai").total_price * 10**9
    assert cost(tokens, model).nano_usd == int(exact.to_integral_value(ROUND_HALF_EVEN))


@pytest.mark.parametrize(
    ("base_url", "model"),
    [
        (None, "no-such-model"),
        (None, ""),
        ("https://llm.example.com/v1", "gpt-4o"),
        ("http://127.0.0.1:8000/v1", "gpt-4o"),
        ("http://vllm:8000/v1", "gpt-4o"),
        ("http://[::1]:8000/v1", "gpt-4o"),
        ("http://[broken", "gpt-4o"),
        ("", "no-such-model"),
    ],
)
def test_what_nobody_publishes_a_price_for_costs_nothing_and_says_unknown(base_url: str | None, model: str) -> None:
    assert cost(Tokens(1000, 1000), model, base_url) == Cost(0, "unknown")


@given(st.text(), st.text())
@settings(max_examples=300)
def test_no_name_and_no_address_makes_it_fail(base_url: str, model: str) -> None:
    assert cost(Tokens(1, 1), model, base_url).nano_usd >= 0
    assert cost(Tokens(1, 1), model).nano_usd >= 0


@given(*[st.integers(-10, 1000)] * 5)
def test_no_count_makes_it_fail_or_earn(taken: int, given_out: int, cached: int, reasoning: int, written: int) -> None:
    own = Price(2, 3, cached_nano=1)
    assert cost(Tokens(taken, given_out, cached, reasoning, written), "x", override=own).nano_usd >= 0


@pytest.mark.parametrize("taken", [50_000, 300_000])
def test_every_model_on_all_its_terms_agrees_with_the_package_s_own_sum(taken: int) -> None:
    compared, now = 0, dt.datetime.now(dt.UTC)
    for model in (each for provider in get_snapshot().providers for each in provider.models):
        for terms in [{}, *(variant.when for variant in model.price_variants or ())]:
            prices = model.get_prices(now, terms)
            usage = {"input_tokens": taken, "output_tokens": 2345, "cache_read_tokens": 1001, "output_reasoning_tokens": 99}
            if prices.cache_write_mtok is not None:
                usage |= {"cache_write_tokens": 503, "cache_write_1h_tokens": 201}
            exact = prices.calc_price(Usage(**usage))["total_price"] * 10**9
            written = (503, 201) if prices.cache_write_mtok is not None else (0, 0)
            found = rates_of(prices).nano_usd(Tokens(taken, 2345, 1001, 99, *written))
            assert found == int(exact.to_integral_value(ROUND_HALF_EVEN)), (model.id, terms)
            compared += found > 0
    assert compared > 1500


def test_what_stays_in_a_cache_for_an_hour_costs_more_still_and_searches_cost_each() -> None:
    made = pricer(provider_kind="anthropic", base_url=None, upstream_model="claude-sonnet-4-5", override=None)
    brief = made(Tokens(1_000, 0, cache_write=1_000)).nano_usd
    long = made(Tokens(1_000, 0, cache_write=1_000, cache_write_long=1_000)).nano_usd
    assert (brief, long) == (1_000 * 3_750, 1_000 * 6_000)
    assert made(Tokens(1_000, 0, cache_write=1_000, cache_write_long=400)).nano_usd == 600 * 3_750 + 400 * 6_000
    assert made(Tokens(0, 0, searches=3)).nano_usd == 3 * 10_000_000


@pytest.mark.parametrize(
    ("kind", "url", "model", "tokens"),
    [
        ("openai", None, "gpt-4o", 128_000),
        ("anthropic", None, "claude-haiku-4-5", 200_000),
        # Its price for more than 200 000 tokens tells that some customers may send more.
        ("anthropic", None, "claude-sonnet-4-5", 1_000_000),
        ("openai", None, "of-the-future", None),
        ("openai", "http://10.0.0.1/v1", "gpt-4o", None),
        ("sim", None, "gpt-4o", None),
    ],
)
def test_the_context_window_that_is_known(kind: str, url: str | None, model: str, tokens: int | None) -> None:
    assert catalog.window(provider_kind=kind, base_url=url, upstream_model=model) == tokens


def test_the_operator_s_price_comes_first() -> None:
    own = Price(input_nano=7, output_nano=11)
    assert cost(Tokens(10, 10, cached=5, reasoning=5), "gpt-4o", override=own) == Cost(180, "operator")
    assert cost(Tokens(10, 0, cached=5), "gpt-4o", override=Price(7, 11, cached_nano=1)) == Cost(40, "operator")


def test_simulated_calls_cost_nothing() -> None:
    free = pricer(provider_kind="sim", base_url=None, upstream_model="gpt-4o", override=Price(1, 1))
    assert free(Tokens(1000, 1000)) == Cost(0, "simulated")


def test_a_price_that_changes_with_time_is_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    model = get_snapshot().find_provider_model("gpt-4o", None, "openai", None)[1]
    later = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
    changing = type(model)(
        id="x", match=model.match,
        prices=[
            ConditionalPrice(prices=ModelPrice(input_mtok=Decimal(1))),
            ConditionalPrice(prices=ModelPrice(input_mtok=Decimal(2)), constraint=StartDateConstraint(later)),
        ],
    )  # fmt: skip
    clock = 100.0
    monkeypatch.setattr(catalog.time, "monotonic", lambda: clock)
    priced = catalog._catalogued(changing)
    assert priced(Tokens(1, 0)).nano_usd == 1000
    changing.prices[1].constraint = None
    assert priced(Tokens(1, 0)).nano_usd == 1000
    clock = 161.0
    assert priced(Tokens(1, 0)).nano_usd == 2000


def test_the_package_is_not_loaded_before_a_deployment_needs_it() -> None:
    code = """
import sys
from scutum_server.upstream.catalog import Price, Tokens, pricer
for kind, url, own in (("sim", None, None), ("openai", None, Price(1, 1)), ("openai", "http://127.0.0.1:1/v1", None)):
    pricer(provider_kind=kind, base_url=url, upstream_model="gpt-4o", override=own)(Tokens(1, 1))
assert "genai_prices" not in sys.modules and "pydantic" not in sys.modules
pricer(provider_kind="openai", base_url=None, upstream_model="gpt-4o", override=None)
assert "genai_prices" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
