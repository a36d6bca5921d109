"""How a call to a provider fails.

UpstreamError
├── UpstreamRefused        502  no connection: refused, unknown host, TLS
│   └── ForwardProxyFailed 502  the proxy on the way did not make it
├── UpstreamTimeout        504  connect, first byte or total time ran out
├── UpstreamDisconnected   502  the connection ended before the answer did
└── UpstreamBadAnswer      502  not HTTP, not the promised format, or an answer that we cannot read
"""

from __future__ import annotations

from scutum_server.errors import UpstreamError


class UpstreamRefused(UpstreamError):
    code = "upstream_unreachable"
    status = 502


class ForwardProxyFailed(UpstreamRefused):
    """A forward proxy cannot be reached, or does not do what we ask it for."""

    code = "upstream_proxy_failed"


class UpstreamTimeout(UpstreamError):
    code = "upstream_timeout"
    status = 504


class UpstreamDisconnected(UpstreamError):
    code = "upstream_disconnected"
    status = 502


class UpstreamBadAnswer(UpstreamError):
    code = "upstream_bad_answer"
    status = 502
    retryable = False
