"""Objects in a bucket behind the S3 API: Amazon's, or another store's at an endpoint of its own."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self

import boto3
import botocore.exceptions
from botocore.config import Config

from scutum_server.infra.objectstore.base import (
    CHUNK,
    PROBES,
    LockProbe,
    ObjectInfo,
    ObjectNotFound,
    ObjectStoreError,
    check_key,
    chunks,
)
from scutum_server.object_settings import S3Settings

PART: Final = 8 * 1024 * 1024
"""Bytes of an upload's first thousand parts; each thousand after them is that much larger, as there may be 10 000."""
_MISSING = {"NoSuchKey", "NoSuchVersion", "404", "NotFound"}
_CREDENTIALS = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "403", "ExpiredToken"}
_PROBE_FOR = dt.timedelta(days=1)


def _client(settings: S3Settings) -> Any:
    style = settings.addressing
    if style == "auto":
        style = "path" if settings.endpoint else "auto"
    config = Config(
        s3={"addressing_style": style},
        connect_timeout=5,
        read_timeout=60,
        retries={"mode": "standard", "max_attempts": 5},
        # Trailing checksums are Amazon's: other stores refuse them, or take them for content.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    session = boto3.session.Session(
        aws_access_key_id=settings.access_key,
        aws_secret_access_key=settings.secret_key,
        region_name=settings.region or "us-east-1",
    )
    return session.client("s3", endpoint_url=settings.endpoint, verify=settings.ca_bundle, config=config)


@contextmanager
def _told(key: str) -> Iterator[None]:
    """The SDK's errors as ours, without what it sent."""
    try:
        yield
    except botocore.exceptions.ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in _MISSING:
            raise ObjectNotFound(f"There is no object {key}.") from error
        if code == "NoSuchBucket":
            raise ObjectStoreError("The bucket does not exist.", hint="Make it, or mend the store's URL.") from error
        hint = "Look at S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY and the bucket's policy." if code in _CREDENTIALS else ""
        said = error.response.get("Error", {}).get("Message") or code
        raise ObjectStoreError(f"The object store refuses {key}: {code}, {said}", hint=hint or None) from error
    except (botocore.exceptions.BotoCoreError, OSError) as error:
        raise ObjectStoreError(
            f"The object store does not answer: {error}", hint="Look at S3_ENDPOINT_URL and at the store."
        ) from error


class _S3Upload:
    """One request when it is small, parts otherwise."""

    def __init__(self, client: Any, place: dict[str, str], key: str) -> None:
        self._client, self._place, self._key = client, place, key
        self._buffer, self._parts = bytearray(), list[dict[str, Any]]()
        self._upload_id: str | None = None
        self._digest, self._size = hashlib.sha256(), 0
        self.info = ObjectInfo(key=key, size=0)

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        self._size += len(data)
        self._buffer += data
        while len(self._buffer) >= (part := PART * (1 + len(self._parts) // 1000)):
            self._send(bytes(memoryview(self._buffer)[:part]))
            del self._buffer[:part]
        return len(data)

    def _send(self, body: bytes) -> None:
        with _told(self._key):
            if self._upload_id is None:
                self._upload_id = self._client.create_multipart_upload(**self._place)["UploadId"]
            number = len(self._parts) + 1
            answer = self._client.upload_part(**self._place, UploadId=self._upload_id, PartNumber=number, Body=body)
            self._parts.append({"ETag": answer["ETag"], "PartNumber": number})

    def _complete(self) -> None:
        if self._upload_id is None:
            with _told(self._key):
                answer = self._client.put_object(**self._place, Body=bytes(self._buffer))
        else:
            if self._buffer:
                self._send(bytes(self._buffer))
            with _told(self._key):
                answer = self._client.complete_multipart_upload(
                    **self._place, UploadId=self._upload_id, MultipartUpload={"Parts": self._parts}
                )
        self.info = ObjectInfo(
            key=self._key, size=self._size, version=_version(answer), sha256=self._digest.hexdigest()
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._complete()
        finally:
            self._buffer.clear()
            if not self.info.sha256 and self._upload_id is not None:
                # Its parts would be paid for; what cannot be removed now is by `discard_partial`.
                with contextlib.suppress(ObjectStoreError, ObjectNotFound), _told(self._key):
                    self._client.abort_multipart_upload(**self._place, UploadId=self._upload_id)


def _version(answer: dict[str, Any]) -> str | None:
    """None where the bucket keeps no versions; stores then say `null` or nothing."""
    version = answer.get("VersionId")
    return version if version and version != "null" else None


class S3Store:
    """See `base.ObjectStore`."""

    def __init__(self, bucket: str, prefix: str, settings: S3Settings) -> None:
        self._bucket, self._prefix = bucket, f"{prefix}/" if prefix else ""
        self.url = f"s3://{bucket}/{prefix}".rstrip("/")
        with _told("the bucket"):
            self._client = _client(settings)

    def _place(self, key: str, version: str | None = None) -> dict[str, str]:
        place = {"Bucket": self._bucket, "Key": self._prefix + check_key(key)}
        return place | ({"VersionId": version} if version else {})

    def upload(self, key: str) -> _S3Upload:
        return _S3Upload(self._client, self._place(key), key)

    def put(self, key: str, data: bytes | Iterable[bytes], *, retain_until: dt.datetime | None = None) -> ObjectInfo:
        with self.upload(key) as upload:
            for chunk in chunks(data):
                upload.write(chunk)
        if retain_until is not None:
            self.retain(key, retain_until, version=upload.info.version)
        return upload.info

    def get(
        self, key: str, *, version: str | None = None, start: int = 0, length: int | None = None
    ) -> Iterator[bytes]:
        place = self._place(key, version)
        if length == 0:
            return
        if start or length is not None:
            place["Range"] = f"bytes={start}-{'' if length is None else start + length - 1}"
        with _told(key):
            try:
                body = self._client.get_object(**place)["Body"]
            except botocore.exceptions.ClientError as error:
                if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 416:
                    return
                raise
            with contextlib.closing(body):
                yield from body.iter_chunks(CHUNK)

    def head(self, key: str, *, version: str | None = None) -> ObjectInfo:
        with _told(key):
            answer = self._client.head_object(**self._place(key, version))
        return ObjectInfo(
            key=key, size=answer["ContentLength"], version=_version(answer), modified=answer["LastModified"]
        )

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        pages = self._client.get_paginator("list_objects_v2")
        with _told(prefix):
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix):
                for item in page.get("Contents", ()):
                    key = item["Key"].removeprefix(self._prefix)
                    if not key.startswith(PROBES):
                        yield ObjectInfo(key=key, size=item["Size"], modified=item["LastModified"])

    def delete(self, key: str, *, version: str | None = None) -> None:
        with contextlib.suppress(ObjectNotFound), _told(key):
            self._client.delete_object(**self._place(key, version))

    def discard_partial(self, prefix: str) -> int:
        found = 0
        with _told(prefix):
            for page in self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix
            ):
                for upload in page.get("Uploads", ()):
                    self._client.abort_multipart_upload(
                        Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                    )
                    found += 1
        return found

    def retain(self, key: str, until: dt.datetime, *, version: str | None = None, compliance: bool = False) -> None:
        retention = {"Mode": "COMPLIANCE" if compliance else "GOVERNANCE", "RetainUntilDate": until}
        with _told(key):
            self._client.put_object_retention(**self._place(key, version), Retention=retention)

    def probe_lock(self) -> LockProbe:
        self._clear_probes()
        key, content = f"{PROBES}{secrets.token_hex(8)}", b"Left by a look at the retention lock."
        version = self.put(key, content).version
        if version is None:
            self.delete(key)
            return LockProbe(False, "the bucket keeps no versions, which a retention lock needs")
        try:
            self.retain(key, dt.datetime.now(dt.UTC) + _PROBE_FOR, version=version)
        except (ObjectStoreError, ObjectNotFound) as error:
            self.delete(key, version=version)
            return LockProbe(False, f"the bucket takes no retention lock ({error.detail})")
        with contextlib.suppress(ObjectStoreError):
            self.delete(key, version=version)
        with contextlib.suppress(ObjectStoreError):
            self.put(key, b"overwritten")
        try:
            kept = b"".join(self.get(key, version=version)) == content
        except ObjectNotFound:
            kept = False
        if not kept:
            return LockProbe(False, "the store accepted a retention lock and then let the locked object go")
        return LockProbe(True, "a locked object could be neither deleted nor overwritten")

    def _clear_probes(self) -> None:
        """What earlier probes left and the lock has let go; that some are not is as it should be."""
        try:
            with _told(PROBES):
                found = self._client.list_object_versions(
                    Bucket=self._bucket, Prefix=self._prefix + PROBES, MaxKeys=100
                )
        except (ObjectStoreError, ObjectNotFound):
            return
        for item in (*found.get("Versions", ()), *found.get("DeleteMarkers", ())):
            with contextlib.suppress(ObjectStoreError):
                self.delete(item["Key"].removeprefix(self._prefix), version=_version(item))
