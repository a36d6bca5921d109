"""Moderations, rerank, images and audio with OpenAI's own client, against OpenAI's wire over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from tests.fixtures.gateway import Proxy
from tests.fixtures.openai_vendor import PICTURE, SOUND, Vendor
from tests.fixtures.servers import wait_until
from tests.integration.proxy.scripted import PROVIDER_KEY, ask_path, error, new_key, provide, record_for, record_of, send_form

PRICE = {"price": {"input_nano": 1000, "output_nano": 5000}}


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with Vendor() as server:
        yield server


@pytest.fixture
async def model(proxy: Proxy, vendor: Vendor) -> str:
    return await provide(proxy, vendor.base_url, deployment=PRICE)


async def test_moderations(
    proxy: Proxy, vendor: Vendor, model: str, chat_client: openai.AsyncOpenAI
) -> None:
    answer = await chat_client.moderations.with_raw_response.create(model=model, input=["hello", "there"])
    assert answer.parse().results[0].flagged
    assert answer.headers["x-scutum-model"] == model
    assert answer.headers["x-scutum-cost"] == "0"
    assert "x-their" not in answer.headers
    (seen,) = vendor.seen
    assert seen.json == {"model": "upstream-model", "input": ["hello", "there"]}
    assert seen.headers["authorization"] == f"Bearer {PROVIDER_KEY}"
    record = await record_of(proxy, dict(answer.headers))
    assert (record["route"], record["requested_model"]) == ("/v1/moderations", model)
    assert record["price_source"] == "unknown"
    assert record.get("cost_nano_usd", 0) == 0


async def test_a_moderation_without_a_model_goes_to_openais_default(
    proxy: Proxy, vendor: Vendor, model: str, chat_client: openai.AsyncOpenAI
) -> None:
    await asyncio.to_thread(proxy.rows.alias, "omni-moderation-latest", model)
    await asyncio.to_thread(proxy.wait_for, "omni-moderation-latest")
    assert (await chat_client.moderations.create(input="x")).results
    assert vendor.seen[-1].json["model"] == "upstream-model"


async def test_rerank_is_charged_by_the_tokens_it_reports(proxy: Proxy, vendor: Vendor, model: str) -> None:
    body = {"model": model, "query": "q", "documents": ["a", "b"], "top_n": 1}
    status, headers, answer = await ask_path(proxy, "/v1/rerank", body)
    assert status == 200 and json.loads(answer)["results"][0]["index"] == 0
    assert vendor.seen[-1].json == body | {"model": "upstream-model"}
    record = await record_of(proxy, headers)
    assert (record["tokens_in"], record["cost_nano_usd"]) == (33, 33_000)
    assert headers["x-scutum-cost"] == "0.000033"


async def test_an_image_is_passed_on_and_charged(
    proxy: Proxy, model: str, chat_client: openai.AsyncOpenAI
) -> None:
    answer = await chat_client.images.with_raw_response.generate(model=model, prompt="a fox", size="1024x1024")
    (picture,) = answer.parse().data or []
    assert picture.b64_json == PICTURE
    record = await record_of(proxy, dict(answer.headers))
    assert (record["tokens_in"], record["tokens_out"], record["usage_source"]) == (50, 1000, "reported")
    assert record["cost_nano_usd"] == 50 * 1000 + 1000 * 5000
    assert record["price_source"] == "operator"


async def test_a_streamed_image(proxy: Proxy, model: str, chat_client: openai.AsyncOpenAI) -> None:
    events = [
        event async for event in await chat_client.images.generate(model=model, prompt="a fox", stream=True)
    ]
    assert [event.type for event in events] == ["image_generation.partial_image", "image_generation.completed"]
    assert events[-1].b64_json == PICTURE
    record = await record_for(proxy, model)
    assert (record["tokens_out"], record["stream"]) == (1000, True)


async def test_images_to_edit_arrive_whole(
    vendor: Vendor, model: str, chat_client: openai.AsyncOpenAI
) -> None:
    first, second = b"\x89PNG first", b"\x89PNG\r\n--second"
    made = await chat_client.images.edit(
        model=model, prompt='say "hi"\r\nthere', image=[("one.png", first, "image/png"), ("t wo.png", second, "image/png")]
    )
    assert made.data and made.data[0].b64_json == PICTURE
    parts = vendor.seen[-1].parts
    assert [(p.name, p.filename, p.kind, p.content) for p in parts if p.filename] == [
        ("image[]", "one.png", "image/png", first),
        ("image[]", "t wo.png", "image/png", second),
    ]
    assert vendor.seen[-1].fields == {"model": "upstream-model", "prompt": 'say "hi"\r\nthere'}


async def test_variations_use_openais_default_model(
    proxy: Proxy, vendor: Vendor, model: str, chat_client: openai.AsyncOpenAI
) -> None:
    await asyncio.to_thread(proxy.rows.alias, "dall-e-2", model)
    await asyncio.to_thread(proxy.wait_for, "dall-e-2")
    with pytest.deprecated_call():
        await chat_client.images.create_variation(image=("a.png", b"\x89PNG", "image/png"), n=1)
    assert vendor.seen[-1].fields["model"] == "upstream-model"


async def test_edits_as_json_go_on_as_json(proxy: Proxy, vendor: Vendor, model: str) -> None:
    body = {"model": model, "prompt": "x", "images": [{"image_url": "data:image/png;base64,AAAA"}]}
    status, _, _ = await ask_path(proxy, "/v1/images/edits", body)
    assert status == 200
    assert vendor.seen[-1].json == body | {"model": "upstream-model"}


async def test_speech_comes_piece_by_piece(
    proxy: Proxy, vendor: Vendor, model: str, chat_client: openai.AsyncOpenAI
) -> None:
    vendor.speak.clear()
    async with chat_client.audio.speech.with_streaming_response.create(
        model=model, voice="alloy", input="hello"
    ) as answer:
        assert answer.headers["content-type"] == "audio/mpeg"
        assert "set-cookie" not in answer.headers
        pieces = answer.iter_bytes()
        got = await anext(pieces)  # while the provider holds back the rest
        vendor.speak.set()
        async for piece in pieces:
            got += piece
    assert got == SOUND
    record = await record_of(proxy, dict(answer.headers))
    assert record["route"] == "/v1/audio/speech"
    assert record["price_source"] == "unknown"


async def test_speech_in_events_is_charged_by_its_usage(
    proxy: Proxy, model: str, chat_client: openai.AsyncOpenAI
) -> None:
    async with chat_client.audio.speech.with_streaming_response.create(
        model=model, voice="alloy", input="hello", stream_format="sse"
    ) as answer:
        text = (await answer.read()).decode()
    assert "x-scutum-cost=0.000519" in text
    record = await record_of(proxy, dict(answer.headers))
    assert (record["tokens_in"], record["tokens_out"], record["cost_nano_usd"]) == (14, 101, 519_000)


async def test_a_transcription_is_charged_by_its_tokens(
    proxy: Proxy, vendor: Vendor, model: str, chat_client: openai.AsyncOpenAI
) -> None:
    usage = {"type": "tokens", "input_tokens": 14, "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
             "output_tokens": 45, "total_tokens": 59}  # fmt: skip
    vendor.transcription = {"text": "hello", "usage": usage}
    answer = await chat_client.audio.transcriptions.with_raw_response.create(
        model=model, file=("a.mp3", SOUND, "audio/mpeg"), language="en", timestamp_granularities=["word", "segment"]
    )
    assert answer.parse().text == "hello"
    seen = vendor.seen[-1]
    assert (seen.file.filename, seen.file.kind, seen.file.content) == ("a.mp3", "audio/mpeg", SOUND)
    assert seen.fields["language"] == "en"
    assert [p.content for p in seen.parts if p.name == "timestamp_granularities[]"] == [b"word", b"segment"]
    record = await record_of(proxy, dict(answer.headers))
    assert (record["tokens_in"], record["tokens_out"]) == (14, 45)
    assert record["cost_nano_usd"] == 14 * 1000 + 45 * 5000


async def test_transcriptions_as_text_and_in_events(
    proxy: Proxy, vendor: Vendor, model: str, chat_client: openai.AsyncOpenAI
) -> None:
    file = ("a.mp3", SOUND, "audio/mpeg")
    vendor.transcription = b"1\n00:00:00 --> 00:00:01\nhello\n"
    text = await chat_client.audio.transcriptions.create(model=model, file=file, response_format="srt")
    assert text == vendor.transcription.decode()
    usage = {"type": "tokens", "input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    vendor.transcription = [{"type": "transcript.text.delta", "delta": "hel"},
                            {"type": "transcript.text.done", "text": "hello", "usage": usage}]  # fmt: skip
    stream = await chat_client.audio.transcriptions.create(model=model, file=file, stream=True)
    assert [event.type async for event in stream] == ["transcript.text.delta", "transcript.text.done"]
    await asyncio.to_thread(wait_until, lambda: len(_rows(proxy, model)) == 2, what="both records")
    assert sorted(record.get("tokens_out", 0) for record in _rows(proxy, model)) == [0, 4]


def _rows(proxy: Proxy, model: str) -> list[dict[str, Any]]:
    return [record for record in proxy.records() if record.get("requested_model") == model]


async def test_translations_and_a_model_named_after_the_file(proxy: Proxy, vendor: Vendor, model: str) -> None:
    vendor.transcription = {"text": "hello", "usage": {"type": "duration", "seconds": 9}}
    status, _, _ = await asyncio.to_thread(send_form, proxy, "/v1/audio/translations", [("file", SOUND[:1000]), ("model", model)])
    assert status == 200
    assert vendor.seen[-1].file.content == SOUND[:1000]
    assert vendor.seen[-1].fields == {"model": "upstream-model"}


async def test_a_large_file_must_not_come_before_its_model(proxy: Proxy, vendor: Vendor, model: str) -> None:
    parts = [("file", SOUND), ("model", model)]
    status, _, body = await asyncio.to_thread(send_form, proxy, "/v1/audio/transcriptions", parts)
    assert status == 400
    assert "x-scutum-model" in error(body)["message"]
    assert not vendor.seen
    vendor.transcription = {"text": "hello"}
    named = {"x-scutum-model": model}
    status, _, _ = await asyncio.to_thread(send_form, proxy, "/v1/audio/transcriptions", parts, headers=named)
    assert status == 200
    assert vendor.seen[-1].file.content == SOUND


@pytest.mark.parametrize("name", ["Model", "model[]", " model", "purpose[]"])
async def test_nothing_passes_for_a_field_that_was_read(proxy: Proxy, vendor: Vendor, model: str, name: str) -> None:
    for parts in ([("model", model), (name, "gpt-secret"), ("file", b"x")], [("model", model), ("model", b"gpt-secret")]):
        status, _, body = await asyncio.to_thread(send_form, proxy, "/v1/audio/transcriptions", parts)
        assert (status, error(body)["code"]) == (400, "invalid_request")
    assert not vendor.files


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        ("application/json", b"{}", "invalid_request"),
        ("multipart/form-data", b"x", "invalid_request"),
        ("multipart/form-data; boundary=xx", b"nonsense without any boundary", "invalid_form"),
        ("multipart/form-data; boundary=xx", b'--xx\r\nContent-Disposition: form-data; name="model"\r\n\r\nm', "invalid_form"),
        ("multipart/form-data; boundary=xx", b'--xx\r\nContent-Disposition: form-data; name="n"\r\n\r\nm\r\n--xx--', "invalid_request"),
    ],
)  # fmt: skip
async def test_bad_forms_are_the_clients_fault(proxy: Proxy, kind: str, body: bytes, code: str) -> None:
    path, headers = "/v1/audio/transcriptions", {"Content-Type": kind}
    status, _, answer = await asyncio.to_thread(
        lambda: proxy.request("POST", path, body, key=proxy.master_key, headers=headers)
    )
    assert (status, error(answer)["code"]) == (400, code)


async def test_keys_are_held_to_their_models_and_routes(proxy: Proxy, vendor: Vendor, model: str) -> None:
    elsewhere = await new_key(proxy, allowed_models=["other"])
    narrow = await new_key(proxy, allowed_routes=["/v1/audio/translations"])
    parts = [("model", model), ("file", b"x")]
    for key, path, code in (
        (elsewhere, "/v1/audio/transcriptions", "model_not_allowed"),
        (narrow, "/v1/audio/transcriptions", "route_not_allowed"),
        ("sk-wrong", "/v1/audio/transcriptions", "invalid_api_key"),
    ):
        status, _, body = await asyncio.to_thread(send_form, proxy, path, parts, key=key)
        assert error(body)["code"] == code, (status, path)
    assert not vendor.seen


async def test_what_a_provider_lacks_is_said(proxy: Proxy) -> None:
    status, _, body = await ask_path(proxy, "/v1/moderations", {"model": "sim-embedding", "input": "x"})
    assert (status, error(body)["code"]) == (400, "unsupported_by_provider")


async def test_a_provider_that_refuses_early_is_heard_and_not_asked_again(
    proxy: Proxy, vendor: Vendor, model: str
) -> None:
    vendor.refuse_at = 1
    parts = [("model", model), ("file", SOUND * 4)]
    status, headers, body = await asyncio.to_thread(send_form, proxy, "/v1/audio/transcriptions", parts)
    assert (status, error(body)["message"]) == (413, "too big for us")
    assert len(vendor.seen) == 1
    assert (await record_of(proxy, headers))["status"] == 413


async def test_a_listener_that_leaves_ends_the_providers_work(proxy: Proxy, vendor: Vendor, model: str) -> None:
    vendor.speak.clear()
    body = json.dumps({"model": model, "voice": "v", "input": "x"}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, limit=4096)
    writer.write(
        b"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\nContent-Length: %d\r\n\r\n%b"
        % (proxy.master_key.encode(), len(body), body)
    )
    assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()
    await vendor.hung_up.wait()
    record = await record_for(proxy, model)
    assert (record["status"], record["error_kind"]) == (499, "client_disconnected")
