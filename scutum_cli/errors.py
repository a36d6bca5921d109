"""Exit codes and the one error that commands raise.

0 done · 1 done with findings · 2 wrong usage or unmet precondition · 3 not found · 4 not allowed or not logged in ·
5 conflict or stale · 6 refused by policy, licence or limit · 7 unreachable · 8 failed half-way · 130 interrupted ·
143 ended by SIGTERM
"""

from __future__ import annotations

OK = 0
FINDINGS = 1
USAGE = 2
NOT_FOUND = 3
NOT_ALLOWED = 4
CONFLICT = 5
REFUSED = 6
UNREACHABLE = 7
HALF_WAY = 8
INTERRUPTED = 130
TERMINATED = 143
HTTP_UNAUTHORIZED = 401


class CliError(Exception):
    """What happened in one sentence, why if known, and the next command; never a secret, never a traceback."""

    def __init__(
        self,
        message: str,
        *,
        exit_code: int = USAGE,
        code: str = "usage",
        why: str | None = None,
        hint: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
        self.code = code
        self.why = why
        self.hint = hint
        self.request_id = request_id
