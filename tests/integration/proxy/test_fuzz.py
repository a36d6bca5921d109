"""Every endpoint and whatever it is given, by fixed seeds; `tests/long/fuzz.py` goes on for longer with others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from tests.fixtures.fuzz import FIELDS, NAUGHTY, OF_EACH_FIELD, POSTS, Judge, assert_unharmed, exchange, raw_bodies
from tests.fixtures.gateway import MASTER_KEY, Proxy, running_proxy
from tests.fixtures.servers import Postgres, Valkey

from scutum_server.proxy import openapi

EXAMPLES = 12
FIXED = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
SCHEMA = schemathesis.openapi.from_dict(json.loads(openapi.render()))
OPERATIONS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations()}


@pytest.fixture(scope="module")
def proxy(postgres: Postgres, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy that does not slow down who shows wrong keys, with limits and a budget on everything."""
    name = postgres.clone()
    patient = {"SCUTUM_FAILED_KEYS_PER_MINUTE": "1000000"}
    with running_proxy(postgres.app(name), valkey.settings(), tmp_path_factory.mktemp("fuzz"), environment=patient) as it:
        sim = it.rows.provider("sim", "sim")
        it.rows.deployment("sim", sim, settings={"kind": "chat"})
        it.rows.deployment("sim-embedding", sim, settings={"kind": "embedding"})
        it.rows.limit(tpm=2**31 - 1, rpm=2**31 - 1)
        it.rows.budget(amount_nano_usd=10**15)
        it.wait_for("sim", "sim-embedding")
        yield it
        assert_unharmed(it)
    postgres.drop(name)


@pytest.fixture
def judge(proxy: Proxy) -> Iterator[Judge]:
    made = Judge(proxy)
    yield made
    made.close()


def keeps_to_the_document(proxy: Proxy, label: str, mode: GenerationMode, limits: settings) -> None:
    @given(case=OPERATIONS[label].as_strategy(generation_mode=mode), named=st.integers(0, 2))
    @limits
    def check(case: schemathesis.Case, named: int) -> None:
        if named and isinstance(case.body, dict) and isinstance(case.body.get("model"), str):
            case.body["model"] = "sim-embedding" if case.path == "/v1/embeddings" else "sim"
        answer = case.call(base_url=proxy.url, headers={"Authorization": f"Bearer {MASTER_KEY}"})
        # What the gateway lets pass, the provider may refuse.
        case.validate_response(answer, excluded_checks=[schemathesis.checks.CHECKS.get_one("positive_data_acceptance")])

    check()


@pytest.mark.parametrize("label", OPERATIONS)
def test_answers_keep_to_the_document(proxy: Proxy, label: str) -> None:
    keeps_to_the_document(proxy, label, GenerationMode.POSITIVE, FIXED)
    if label.startswith("POST"):
        keeps_to_the_document(proxy, label, GenerationMode.NEGATIVE, FIXED)


def test_the_document_is_served_to_everybody(proxy: Proxy) -> None:
    status, _, body = proxy.request("GET", "/openapi.json")
    assert (status, body) == (200, openapi.render())


@pytest.mark.parametrize("path", POSTS)
def test_bodies_that_are_broken(judge: Judge, path: str) -> None:
    for _, body in raw_bodies(POSTS[path]):
        judge.send("POST", path, body)
    assert judge.seen.keys() >= {200, 400}


@pytest.mark.parametrize("path", POSTS)
def test_any_value_in_any_field(judge: Judge, path: str) -> None:
    for number, name in enumerate(FIELDS):
        for value in OF_EACH_FIELD[number % 3 :: 3]:
            judge.send("POST", path, POSTS[path] | {name: value})
            judge.send("POST", path, POSTS[path] | {name: value, "stream": True})


def test_naughty_strings_anywhere(judge: Judge) -> None:
    paths = list(POSTS)
    for number, text in enumerate(NAUGHTY):
        path = paths[number % len(paths)]
        body = json.loads(json.dumps(POSTS[path]).replace('"hello"', json.dumps(text)))
        judge.send("POST", path, {**body, "user": text, "metadata": {"user_id": text}, text: text, "stop": [text]})
        judge.send("POST", path, {**body, "model": text})
        judge.send("GET", f"/v1/models/{quote(text[:9000], safe='')}?{quote(text[:9000])}")
        header = text.encode("utf-8", "replace").translate(None, bytes(range(32)) + b"\x7f")[:900].decode("latin-1")
        judge.send("GET", "/v1/models", headers={"x-request-id": header, "traceparent": header, "user-agent": header})


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data", "application/json; charset=utf-16", "\xff", ""])
def test_content_types_do_not_matter(judge: Judge, kind: str) -> None:
    for path, body in POSTS.items():
        assert judge.send("POST", path, body, headers={"Content-Type": kind})[0] == 200


REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\nContent-Length: 62\r\n\r\n"
    b'{"model":"sim","messages":[{"role":"user","content":"hello"}]}' % MASTER_KEY.encode()
)
PIECES = [
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b";", b"\r\n\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\nConnection: upgrade\r\n", b"Connection: close\r\n", b"0\r\n\r\n", b"5\r\nhello\r\n",
    b"HTTP/1.0", b"GET / HTTP/1.1\r\n\r\n", b"\xff", b"%00", b"../", b"http://x/", b"{", b"}", b"[", b'"', b"\\u", b"1e999", REQUEST,
]  # fmt: skip
changes = st.lists(
    st.tuples(st.integers(0, len(REQUEST)), st.integers(0, 12), st.sampled_from(PIECES) | st.binary(max_size=8)),
    min_size=1, max_size=6,
)  # fmt: skip


def survives_any_bytes(proxy: Proxy, limits: settings) -> None:
    @given(edits=changes, junk=st.binary(max_size=300))
    @limits
    def check(edits: list[tuple[int, int, bytes]], junk: bytes) -> None:
        data = REQUEST
        for at, cut, piece in edits:
            data = data[:at] + piece + data[at + cut :]
        for sent in (data, junk, REQUEST + junk, data + data):
            got = exchange(proxy, sent)
            assert not any(b"HTTP/1.1 5%d" % digit in got for digit in range(10)), (sent, got)

    check()


def test_any_bytes_on_a_connection(proxy: Proxy) -> None:
    survives_any_bytes(proxy, settings(FIXED, max_examples=150))


def test_any_bytes_as_a_body(judge: Judge) -> None:
    @given(body=st.binary(max_size=400), path=st.sampled_from(list(POSTS)))
    @settings(FIXED, max_examples=150)
    def check(body: bytes, path: str) -> None:
        judge.send("POST", path, body)

    check()
