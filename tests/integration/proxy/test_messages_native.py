"""Anthropic's client at providers of Anthropic's own format: bytes pass, and what was used is charged."""

from __future__ import annotations

import json

import anthropic
import pytest
from anthropic._constants import ANTHROPIC_API_VERSION
from tests.fixtures import anthropic_wire as wire
from tests.fixtures.gateway import Proxy
from tests.fixtures.upstream import LAST, STREAM_HEAD, Upstream, answer, chunk
from tests.integration.proxy.scripted import PROVIDER_KEY, ask_path, provide, record_for

QUESTION = [{"role": "user", "content": "hello"}]


async def test_a_request_passes_as_it_is(
    proxy: Proxy, upstream: Upstream, messages_client: anthropic.AsyncAnthropic
) -> None:
    model = await provide(proxy, upstream.base_url, "anthropic")
    thought = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    upstream.says(answer(wire.message(thought, wire.text("hi"))))
    said = await messages_client.messages.create(
        model=model, max_tokens=2048, messages=QUESTION, thinking={"type": "enabled", "budget_tokens": 1024},
        system=[{"type": "text", "text": "be kind", "cache_control": {"type": "ephemeral"}}],
        extra_headers={"anthropic-beta": "something-2026-01-01"}, extra_body={"of_the_future": {"a": [1]}},
    )  # fmt: skip
    assert [block.type for block in said.content] == ["thinking", "text"]
    assert said.usage.cache_read_input_tokens == 20
    (request,) = upstream.requests
    assert request.line == "POST /v1/messages HTTP/1.1"
    assert request.headers["x-api-key"] == PROVIDER_KEY
    assert "authorization" not in request.headers
    assert request.headers["anthropic-version"] == ANTHROPIC_API_VERSION, "the client says which version it speaks"
    assert request.headers["anthropic-beta"] == "something-2026-01-01"
    assert request.json["model"] == "upstream-model"
    assert request.json["of_the_future"] == {"a": [1]}
    assert request.json["system"][0]["cache_control"] == {"type": "ephemeral"}
    record = await record_for(proxy, model)
    assert (record["tokens_in"], record["tokens_out"], record["tokens_cached"]) == (33, 6, 20)
    assert (record["route"], record["usage_source"]) == ("/v1/messages", "reported")


async def test_a_stream_passes_as_it_is(
    proxy: Proxy, upstream: Upstream, messages_client: anthropic.AsyncAnthropic
) -> None:
    model = await provide(proxy, upstream.base_url, "anthropic")
    whole = wire.message(wire.text("hello you"), wire.tool_use("weather", {"city": "Bern"}), stop="tool_use")
    upstream.says(*wire.streamed(whole))
    async with messages_client.messages.stream(model=model, max_tokens=99, messages=QUESTION) as stream:
        said = await stream.get_final_message()
    assert [block.model_dump(include={"type", "text", "input"}, exclude_none=True) for block in said.content] == [
        {"type": "text", "text": "hello you"}, {"type": "tool_use", "input": {"city": "Bern"}},
    ]  # fmt: skip
    assert said.stop_reason == "tool_use"
    record = await record_for(proxy, model)
    assert (record["tokens_in"], record["tokens_out"], record["tokens_cached"]) == (33, 6, 20)
    assert record["stream"] is True


async def test_a_streams_bytes_and_its_cost(proxy: Proxy, upstream: Upstream) -> None:
    model = await provide(proxy, upstream.base_url, "anthropic")
    whole = wire.message(wire.text("hello"))
    upstream.says(*wire.streamed(whole))
    status, headers, body = await ask_path(
        proxy, "/v1/messages", {"model": model, "max_tokens": 9, "messages": QUESTION, "stream": True}
    )
    made = wire.events(whole)
    assert status == 200
    assert body == b"".join(made[:-1]) + b": x-scutum-cost=0\n\n" + made[-1]
    assert headers["request-id"] == headers["x-request-id"]


@pytest.mark.parametrize(
    ("status", "kind", "raised"),
    [
        (400, "invalid_request_error", anthropic.BadRequestError),
        (429, "rate_limit_error", anthropic.RateLimitError),
        (529, "overloaded_error", anthropic.APIStatusError),
    ],
)
async def test_a_refusal_keeps_status_type_and_words(
    proxy: Proxy, upstream: Upstream, messages_client: anthropic.AsyncAnthropic, status: int, kind: str, raised: type
) -> None:
    model = await provide(proxy, upstream.base_url, "anthropic")
    upstream.says(answer(wire.failure(kind, "their words"), status, extra="Retry-After: 7\r\n"))
    with pytest.raises(raised) as caught:
        await messages_client.messages.create(model=model, max_tokens=9, messages=QUESTION)
    assert caught.value.status_code == status
    assert caught.value.body["error"]["type"] == kind
    assert caught.value.body["error"]["message"] == "their words"
    assert caught.value.response.headers["retry-after"] == "7"


async def test_our_own_refusals_have_anthropics_shape(proxy: Proxy, messages_client: anthropic.AsyncAnthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as missing:
        await messages_client.messages.create(model="no-such-model", max_tokens=9, messages=QUESTION)
    told = missing.value.body
    assert (told["type"], told["error"]["type"], told["error"]["code"]) == (
        "error", "not_found_error", "model_not_found",
    )  # fmt: skip
    assert told["request_id"] == missing.value.response.headers["x-request-id"]
    async with anthropic.AsyncAnthropic(base_url=proxy.url, api_key="sk-wrong", max_retries=0) as stranger:
        with pytest.raises(anthropic.AuthenticationError):
            await stranger.messages.create(model="sim", max_tokens=9, messages=QUESTION)


async def test_the_operators_key_is_not_the_clients_fault(
    proxy: Proxy, upstream: Upstream, messages_client: anthropic.AsyncAnthropic
) -> None:
    model = await provide(proxy, upstream.base_url, "anthropic")
    upstream.says(answer(wire.failure("authentication_error", f"invalid x-api-key {PROVIDER_KEY}"), 401))
    with pytest.raises(anthropic.APIStatusError) as caught:
        await messages_client.messages.create(model=model, max_tokens=9, messages=QUESTION)
    assert caught.value.status_code == 502
    assert PROVIDER_KEY not in caught.value.response.text


async def test_a_stream_that_dies_ends_with_an_error_and_is_charged(
    proxy: Proxy, upstream: Upstream, messages_client: anthropic.AsyncAnthropic
) -> None:
    model = await provide(proxy, upstream.base_url, "anthropic")
    begun = wire.events(wire.message(wire.text("twelve bytes")))[:5]
    upstream.says(STREAM_HEAD, *(chunk(each) for each in begun), close=True)
    with pytest.raises(anthropic.APIStatusError, match="connection ended"):
        async with messages_client.messages.stream(model=model, max_tokens=9, messages=QUESTION) as stream:
            await stream.get_final_message()
    record = await record_for(proxy, model)
    assert record["error_kind"] == "upstream_disconnected"
    assert (record["tokens_in"], record["tokens_cached"], record["usage_source"]) == (33, 20, "estimated")
    assert 1 <= record["tokens_out"] <= 3


async def test_a_stream_that_stops_short_is_no_answer(
    proxy: Proxy, upstream: Upstream, messages_client: anthropic.AsyncAnthropic
) -> None:
    model = await provide(proxy, upstream.base_url, "anthropic")
    begun = wire.events(wire.message(wire.text("twelve bytes")))[:5]
    upstream.says(STREAM_HEAD, *(chunk(each) for each in begun), LAST)
    with pytest.raises(anthropic.APIStatusError, match="in the middle"):
        async with messages_client.messages.stream(model=model, max_tokens=9, messages=QUESTION) as stream:
            await stream.get_final_message()


async def test_an_error_inside_a_stream_is_passed_on(
    proxy: Proxy, upstream: Upstream, messages_client: anthropic.AsyncAnthropic
) -> None:
    model = await provide(proxy, upstream.base_url, "anthropic")
    begun = wire.events(wire.message(wire.text("twelve bytes")))[:5]
    trouble = wire.event(wire.failure("overloaded_error", "Overloaded"))
    upstream.says(STREAM_HEAD, *(chunk(each) for each in [*begun, trouble]), LAST)
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        async with messages_client.messages.stream(model=model, max_tokens=9, messages=QUESTION) as stream:
            await stream.get_final_message()
    assert (await record_for(proxy, model))["error_kind"] == "upstream_stream_error"


async def test_tokens_are_counted_by_the_provider(
    proxy: Proxy, upstream: Upstream, messages_client: anthropic.AsyncAnthropic
) -> None:
    model = await provide(proxy, upstream.base_url, "anthropic")
    upstream.says(answer({"input_tokens": 2095}))
    counted = await messages_client.messages.with_raw_response.count_tokens(model=model, messages=QUESTION)
    assert (await counted.parse()).input_tokens == 2095
    assert "x-scutum-estimated" not in counted.headers
    assert upstream.requests[0].line == "POST /v1/messages/count_tokens HTTP/1.1"
    record = await record_for(proxy, model)
    assert (record["status"], record["route"]) == (200, "/v1/messages/count_tokens")
    assert not record.get("tokens_in"), "counting is not using"


async def test_tokens_are_estimated_where_the_provider_cannot_count(messages_client: anthropic.AsyncAnthropic) -> None:
    counted = await messages_client.messages.with_raw_response.count_tokens(
        model="sim", system="s" * 40, messages=[{"role": "user", "content": "u" * 80}], extra_body={"user": "ann"}
    )
    assert 30 <= (await counted.parse()).input_tokens <= 40
    assert counted.headers["x-scutum-estimated"] == "true"


async def test_a_base_url_with_the_version_works_too(proxy: Proxy, upstream: Upstream) -> None:
    assert upstream.base_url.endswith("/v1")
    model = await provide(proxy, upstream.base_url + "/", "anthropic")
    upstream.says(answer(wire.message(wire.text("hi"))))
    status, _, body = await ask_path(proxy, "/v1/messages", {"model": model, "max_tokens": 9, "messages": QUESTION})
    assert (status, json.loads(body)) == (200, wire.message(wire.text("hi")))


async def test_an_answer_that_is_no_message(
    proxy: Proxy, upstream: Upstream, messages_client: anthropic.AsyncAnthropic
) -> None:
    model = await provide(proxy, upstream.base_url, "anthropic")
    with pytest.raises(anthropic.APIStatusError, match="not a message"):
        await messages_client.messages.create(model=model, max_tokens=9, messages=QUESTION)
