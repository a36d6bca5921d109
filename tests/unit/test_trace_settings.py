"""OpenTelemetry's variables, as they are understood or refused."""

from __future__ import annotations

import pytest

from scutum_server import trace_settings
from scutum_server.errors import SettingsError


def target(endpoint: str = "http://127.0.0.1:4318", headers: str = "", resource: str = "", service: str = "scutum"):
    return trace_settings.target(endpoint, headers, None, service, resource)


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("http://127.0.0.1:4318", ("127.0.0.1", 4318, "/v1/traces", False)),
        ("http://otel/", ("otel", 80, "/v1/traces", False)),
        ("https://api.example.com/otlp/", ("api.example.com", 443, "/otlp/v1/traces", True)),
    ],
)
def test_the_endpoint_is_a_base_address(endpoint: str, expected: tuple) -> None:
    found = target(endpoint)
    assert (found.host, found.port, found.path, found.tls) == expected


@pytest.mark.parametrize(
    "endpoint", ["127.0.0.1:4318", "grpc://h:4318", "http://", "http://h:x", "http://user:p@h:4318", "http://h:4317"]
)
def test_what_is_no_address_for_http_is_refused_by_name(endpoint: str) -> None:
    with pytest.raises(SettingsError, match="OTEL_EXPORTER_OTLP_ENDPOINT"):
        target(endpoint)


def test_headers_are_decoded_and_never_shown() -> None:
    found = target(headers="authorization=Basic%20c2VjcmV0, x-team = a=b")
    assert found.headers == (("authorization", "Basic c2VjcmV0"), ("x-team", "a=b"))
    assert "c2VjcmV0" not in repr(found)


@pytest.mark.parametrize("headers", ["secret-alone", "=v", "k=a%0d%0ab", "k\u00e9=v", "a b=v"])
def test_a_header_that_cannot_be_sent_is_refused_without_its_value(headers: str) -> None:
    with pytest.raises(SettingsError, match="OTEL_EXPORTER_OTLP_HEADERS") as error:
        target(headers=headers)
    assert "secret" not in str(error.value)


def test_the_resource_carries_the_service_and_the_operators_attributes() -> None:
    found = target(resource="deployment.environment.name=prod,service.name=lost", service="gateway")
    assert dict(found.resource) == {"deployment.environment.name": "prod", "service.name": "gateway"}


@pytest.mark.parametrize(("text", "share"), [(None, 1.0), ("0", 0.0), ("0.05", 0.05), ("1", 1.0)])
def test_the_share_is_all_unless_said(text: str | None, share: float) -> None:
    assert trace_settings.ratio(text) == share


@pytest.mark.parametrize("text", ["2", "-0.1", "nan", "half"])
def test_a_share_is_between_nothing_and_all(text: str) -> None:
    with pytest.raises(SettingsError, match="OTEL_TRACES_SAMPLER_ARG"):
        trace_settings.ratio(text)
