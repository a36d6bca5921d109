"""Every error that the server raises on purpose.

ScutumError                 code, status, retryable; `detail` for people, `hint` says what to do next
├── InvalidInput            400  the caller's request is wrong
├── Unauthenticated         401  no, unknown, expired or revoked credential: never says which
├── Forbidden               403  known, but may not
├── NotFound                404
├── Conflict                409  the name is taken, or the state moved
├── Stale                   412  the object is no longer as the caller has seen it
├── TooLarge                413
├── WrongType               415  the body is not what the route reads
├── Locked                  423  changes are switched off
├── Unavailable             503  a part that we need is down; retryable
└── UpstreamError           502  the provider failed us (subclasses in `upstream`)

Rendering is in one place per surface: `wire.errors` for proxy clients, `admin.problems` for the admin API.
"""

from __future__ import annotations


class ScutumError(Exception):
    """An error with a stable `code`, an HTTP `status` and a sentence for people in `detail`."""

    code = "internal_error"
    status = 500
    retryable = False

    def __init__(
        self, detail: str, *, code: str | None = None, hint: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint
        self.param = param
        if code is not None:
            self.code = code


class InvalidInput(ScutumError):
    code = "invalid_request"
    status = 400


class Unauthenticated(ScutumError):
    code = "invalid_api_key"
    status = 401


class Forbidden(ScutumError):
    code = "forbidden"
    status = 403


class NotFound(ScutumError):
    code = "not_found"
    status = 404


class Conflict(ScutumError):
    code = "conflict"
    status = 409


class Stale(ScutumError):
    code = "stale"
    status = 412


class TooLarge(ScutumError):
    code = "request_too_large"
    status = 413


class WrongType(ScutumError):
    code = "unsupported_media_type"
    status = 415


class Locked(ScutumError):
    code = "read_only"
    status = 423


class Unavailable(ScutumError):
    code = "unavailable"
    status = 503
    retryable = True
    retry_after = 1
    """Seconds after which to try again."""


class UpstreamError(ScutumError):
    code = "upstream_error"
    status = 502
    retryable = True


class SettingsError(ScutumError):
    """The process cannot start with the environment that it was given."""

    code = "bad_settings"
