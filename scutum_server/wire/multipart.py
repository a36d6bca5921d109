"""Forms with files (multipart/form-data) in pieces: read as they come, and written anew for the provider.

Nothing of the client's framing goes on: two parsers that disagree about it could see two different forms.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from typing import Final

from msgspec import Struct
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from scutum_server.errors import InvalidInput

MAX_FIELDS_BYTES: Final = 1024 * 1024
"""Of all parts together that are no files."""
MAX_PARTS: Final = 128
_TYPE: Final = re.compile(r"[\w.+-]{1,100}/[\w.+-]{1,100}(?:; ?[\w-]{1,40}=[\w.-]{1,100})?")
_OCTETS: Final = "application/octet-stream"
_QUOTED: Final = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


class Field(Struct, frozen=True):
    """A part that is no file."""

    name: str
    value: bytes


class File(Struct, frozen=True):
    """A file begins; its bytes follow, then `FILE_END`."""

    name: str
    filename: str
    content_type: str


class FileEnd(Struct, frozen=True):
    pass


FILE_END: Final = FileEnd()
Event = Field | File | FileEnd | bytes


class FormReader:
    """One form. Every method raises InvalidInput for what is none."""

    def __init__(self, content_type: bytes) -> None:
        kind, options = parse_options_header(content_type.decode("latin-1"))
        boundary = options.get("boundary", "")
        if kind != "multipart/form-data" or not 0 < len(boundary) <= 200:
            raise InvalidInput("The request body must be a form: `Content-Type: multipart/form-data` with a boundary.")
        # Its strict mode refuses a line end behind the form if it comes in a piece of its own.
        self._parser = PushMultipartParser(boundary, max_segment_count=MAX_PARTS)
        self._part: MultipartSegment | None = None
        self._value: list[bytes] = []
        self._left = MAX_FIELDS_BYTES

    def feed(self, data: bytes) -> Iterator[Event]:
        """What became known with `data`, which is not empty; to be consumed whole."""
        try:
            for found in self._parser.parse(data):
                if found is None:
                    yield self._end()
                elif isinstance(found, MultipartSegment):
                    self._part, self._value = found, []
                    if found.filename is not None:
                        kind = found.header("Content-Type") or ""
                        yield File(found.name or "", found.filename, kind if _TYPE.fullmatch(kind) else _OCTETS)
                elif self._part is not None and self._part.filename is not None:
                    yield found
                else:
                    self._left -= len(found)
                    if self._left < 0:
                        raise InvalidInput(f"The form's fields are larger than {MAX_FIELDS_BYTES} bytes together.")
                    self._value.append(found)
        except MultipartError as error:
            raise _unreadable(error) from None

    def _end(self) -> Event:
        part = self._part
        if part is None or part.filename is not None:
            return FILE_END
        return Field(part.name or "", b"".join(self._value))

    def end(self) -> None:
        """The body is complete: so must be the form."""
        try:
            self._parser.close()
        except MultipartError as error:
            raise _unreadable(error) from None


def _unreadable(error: MultipartError) -> InvalidInput:
    return InvalidInput(f"The form cannot be read: {str(error).rstrip('.').lower()}.", code="invalid_form")


class FormWriter:
    """Writes a form part by part, with a boundary of its own."""

    def __init__(self) -> None:
        boundary = secrets.token_hex(16)
        self.content_type = b"multipart/form-data; boundary=" + boundary.encode()
        self._start = f"--{boundary}\r\nContent-Disposition: form-data; name="
        self.end = f"--{boundary}--\r\n".encode()

    def field(self, name: str, value: bytes) -> bytes:
        return f'{self._start}"{name.translate(_QUOTED)}"\r\n\r\n'.encode() + value + b"\r\n"

    def file(self, file: File) -> bytes:
        """What goes before the file's bytes; after them comes a line end."""
        names = f'"{file.name.translate(_QUOTED)}"; filename="{file.filename.translate(_QUOTED)}"'
        return f"{self._start}{names}\r\nContent-Type: {file.content_type}\r\n\r\n".encode()
