"""Forms in pieces: the same form however it is cut, and what is written is read as it was meant."""

from __future__ import annotations

import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scutum_server.errors import InvalidInput
from scutum_server.wire.multipart import FILE_END, MAX_FIELDS_BYTES, Event, Field, File, FormReader, FormWriter

KIND = b"multipart/form-data; boundary=xyz"
FORM = (
    b'--xyz\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n'
    b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.b"\r\nContent-Type: audio/mpeg\r\n\r\n'
    b"\r\n--xy\r\n--xyq\x00\xff\r\n\r\n--xyz--\r\n"
)


def read(data: bytes, *cuts: int) -> list[Event]:
    """The events, with the pieces of each file joined."""
    reader, events = FormReader(KIND), []
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in zip(edges, edges[1:], strict=False):
        if end > start:
            for event in reader.feed(data[start:end]):
                if isinstance(event, bytes) and events and isinstance(events[-1], bytes):
                    events[-1] += event
                else:
                    events.append(event)
    reader.end()
    return events


@given(st.lists(st.integers(0, len(FORM)), max_size=12))
def test_a_form_is_the_same_however_it_is_cut(cuts: list[int]) -> None:
    assert read(FORM, *cuts) == [
        Field("model", b"m"), File("file", "a.b", "audio/mpeg"), b"\r\n--xy\r\n--xyq\x00\xff\r\n", FILE_END,
    ]  # fmt: skip


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30), st.binary(max_size=200),
    st.text(st.characters(codec="utf-8", exclude_characters="\0\\"), min_size=1, max_size=30),
)  # fmt: skip
def test_what_is_written_cannot_break_out_of_its_part(name: str, value: bytes, filename: str) -> None:
    writer = FormWriter()
    body = writer.field(name, value) + writer.file(File("file", filename, "text/plain")) + value + b"\r\n" + writer.end
    events = list(FormReader(writer.content_type).feed(body))
    assert [type(event) for event in events if not isinstance(event, bytes)] == [Field, File, type(FILE_END)]
    assert events[0].value == value
    assert b"".join(event for event in events if isinstance(event, bytes)) == value
    head = b"Content-Type: " + writer.content_type + b"\r\n\r\n"
    assert len(list(email.message_from_bytes(head + body, policy=email.policy.HTTP).iter_parts())) == 2


@pytest.mark.parametrize(
    "body",
    [
        FORM[:-4], b"", b"--xyz\r\n\r\nno disposition\r\n--xyz--\r\n",
        b'--xyz\r\nContent-Disposition: attachment; name="a"\r\n\r\nx\r\n--xyz--\r\n',
        b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"x" * (MAX_FIELDS_BYTES + 1) + b"\r\n--xyz--\r\n",
        b"--xyz\r\n" + b"X: y\r\n" * 20 + b"\r\n\r\n--xyz--\r\n",
        b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 200 + b"--xyz--\r\n",
    ],
)  # fmt: skip
def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        read(body, 40)


@given(st.lists(st.integers(0, 20), max_size=3))
def test_what_is_around_a_form_is_passed_over(cuts: list[int]) -> None:
    assert read(b"preamble\r\n" + FORM + b"\r\nepilogue", *cuts) == read(FORM)


@pytest.mark.parametrize("kind", [b"", b"application/json", b"multipart/form-data", b"multipart/mixed; boundary=x"])
def test_other_types_of_content_are_refused(kind: bytes) -> None:
    with pytest.raises(InvalidInput):
        FormReader(kind)


def test_a_type_that_could_break_a_header_is_replaced() -> None:
    body = FORM.replace(b"audio/mpeg", b"a/b\x0bX-Evil: 1")
    assert File("file", "a.b", "application/octet-stream") in read(body)
