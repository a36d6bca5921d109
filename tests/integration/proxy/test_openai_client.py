"""The official client against the simulator, as an application would use it."""

from __future__ import annotations

import openai
import pytest
from tests.fixtures.gateway import Proxy

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


def test_a_whole_answer_carries_the_headers_and_is_recorded(proxy: Proxy, client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="sim", messages=QUESTION, user="ann")
    completion = raw.parse()
    assert completion.choices[0].message.content
    assert completion.usage is not None
    assert raw.headers["x-scutum-model"] == "sim"
    assert raw.headers["x-scutum-provider"] == "sim"
    assert raw.headers["x-scutum-cache"] == "bypass"
    assert raw.headers["x-scutum-simulated"] == "true"
    assert raw.headers["x-scutum-cost"] == "0"
    assert float(raw.headers["x-scutum-overhead-ms"]) >= 0
    assert "server" not in raw.headers
    record = proxy.record(raw.headers["x-request-id"])
    assert record["status"] == 200
    assert record["tokens_in"] == completion.usage.prompt_tokens
    assert record["tokens_out"] == completion.usage.completion_tokens
    assert (record["model"], record["user_id"], record["team_id"], record["org_id"]) == (
        "sim", "ann", "team_default", "org_default",
    )  # fmt: skip
    assert record["route"] == "/v1/chat/completions"
    assert record["usage_source"] == "reported"
    assert record["price_source"] == "simulated"


def test_a_stream_says_the_same_as_the_whole_answer(proxy: Proxy, client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="sim", messages=QUESTION)
    stream = client.chat.completions.create(model="sim", messages=QUESTION, stream=True)
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole.choices[0].message.content
    assert all(chunk.usage is None for chunk in chunks), "usage that nobody asked for"
    record = proxy.record(stream.response.headers["x-request-id"])
    assert record["stream"] is True
    assert record["tokens_out"] == whole.usage.completion_tokens
    assert record["ttft_us"] > 0


def test_usage_comes_on_the_stream_when_asked_for(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="fast", messages=QUESTION, stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0


def test_tools(client: openai.OpenAI) -> None:
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
    answer = client.chat.completions.create(model="sim", messages=QUESTION, tools=[tool], tool_choice="required")
    assert answer.choices[0].message.tool_calls[0].function.name == "weather"


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_embeddings(proxy: Proxy, client: openai.OpenAI, encoding: str) -> None:
    raw = client.embeddings.with_raw_response.create(model="sim-embedding", input=["a", "b"], encoding_format=encoding)
    answer = raw.parse()
    assert len(answer.data) == 2
    assert proxy.record(raw.headers["x-request-id"])["tokens_in"] == answer.usage.prompt_tokens


def test_embeddings_as_the_client_asks_by_default(client: openai.OpenAI) -> None:
    vectors = client.embeddings.create(model="sim-embedding", input="a").data
    assert all(isinstance(number, float) for number in vectors[0].embedding)


def test_models_are_listed_and_found(client: openai.OpenAI) -> None:
    assert {"sim", "sim-embedding", "fast"} <= {model.id for model in client.models.list()}
    assert client.models.retrieve("fast").id == "fast"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("nothing")
    assert caught.value.code == "model_not_found"


async def test_the_asynchronous_client(proxy: Proxy) -> None:
    async with openai.AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key=proxy.master_key) as client:
        stream = await client.chat.completions.create(model="sim", messages=QUESTION, stream=True)
        assert [chunk async for chunk in stream]
