"""Forms that are none: whatever the bytes and their header, it is the client's fault or a form, in any pieces."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from scutum_server.errors import InvalidInput
from scutum_server.wire.multipart import Event, Field, File, FormReader, FormWriter

FORM = (
    b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n'
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\nRIFF\r\n--x--\r\n'
)
TYPE = b"multipart/form-data; boundary=x"
pieces = st.sampled_from([
    b"--x", b"--x--", b"\r\n", b"\n", b'"', b"\\", b"\0", b"\xff", b"\xed\xa0\x80", b"%22", b"filename*=utf-8''%ff", b"name=", b";",
    b"Content-Disposition: form-data", b"Content-Transfer-Encoding: base64\r\n", b"Content-Length: 9\r\n", b"a" * 5000, b": ",
])  # fmt: skip
changes = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 9), pieces | st.binary(max_size=6)), max_size=5)


def events_of(content_type: bytes, data: bytes, size: int) -> list[Event]:
    reader = FormReader(content_type)
    found = [event for at in range(0, len(data), size) for event in reader.feed(data[at : at + size])]
    reader.end()
    return found


def changed(data: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for at, cut, piece in edits:
        data = data[:at] + piece + data[at + cut :]
    return data


@given(edits=changes, types=st.lists(st.tuples(st.integers(20, 40), st.integers(0, 9), pieces), max_size=2), size=st.integers(1, 300))
@example(edits=[], types=[(30, 1, b"\xff")], size=9)
@settings(derandomize=True, deadline=None, max_examples=150)
def test_any_bytes_are_a_form_or_the_clients_fault(
    edits: list[tuple[int, int, bytes]], types: list[tuple[int, int, bytes]], size: int
) -> None:
    try:
        found = events_of(changed(TYPE, types), changed(FORM, edits), size)
    except InvalidInput as error:
        assert error.status == 400
        assert error.detail.endswith(".")
        return
    writer = FormWriter()
    for event in found:
        if isinstance(event, File):
            assert writer.file(event).count(b"\r\n") == 4
        elif isinstance(event, Field):
            assert writer.field(event.name, event.value).startswith(b"--")
