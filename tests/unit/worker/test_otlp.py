"""Our bytes, read by the official classes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

from scutum_server.worker import otlp

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUE = TEXT | st.booleans() | st.integers(0, 2**63 - 1) | st.floats(allow_nan=False)
ATTRIBUTES = st.lists(st.tuples(TEXT, VALUE), max_size=5)
SPANS = st.builds(
    otlp.Span,
    trace_id=st.binary(min_size=16, max_size=16),
    span_id=st.binary(min_size=8, max_size=8),
    parent=st.just(b"") | st.binary(min_size=8, max_size=8),
    name=TEXT,
    kind=st.sampled_from([otlp.INTERNAL, otlp.CLIENT]),
    start=st.integers(0, 2**64 - 1),
    end=st.integers(0, 2**64 - 1),
    attributes=ATTRIBUTES,
    error=st.booleans(),
)


def plain(pairs) -> list[tuple]:
    return [(pair.key, getattr(pair.value, pair.value.WhichOneof("value"))) for pair in pairs]


@given(st.lists(SPANS, max_size=4), ATTRIBUTES)
def test_what_is_written_is_what_is_read(spans: list[otlp.Span], resource: list[tuple]) -> None:
    message = ExportTraceServiceRequest()
    message.ParseFromString(otlp.request(spans, resource, "1.2"))
    (of_resource,) = message.resource_spans
    (of_scope,) = of_resource.scope_spans
    assert plain(of_resource.resource.attributes) == resource
    assert (of_scope.scope.name, of_scope.scope.version) == ("scutum", "1.2")
    read = [
        otlp.Span(
            span.trace_id, span.span_id, span.parent_span_id, span.name, span.kind, span.start_time_unix_nano,
            span.end_time_unix_nano, plain(span.attributes), span.status.code == 2,
        )
        for span in of_scope.spans
    ]  # fmt: skip
    assert read == spans
    assert all(span.flags == 1 for span in of_scope.spans)


@given(st.integers(0, 2**63 - 1), TEXT)
def test_a_partial_success_is_counted(count: int, reason: str) -> None:
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = count
    answer.partial_success.error_message = reason
    assert otlp.rejected(answer.SerializeToString()) == count


@given(st.binary())
def test_an_answer_that_is_none_counts_nothing_and_breaks_nothing(data: bytes) -> None:
    assert otlp.rejected(data) >= 0
