"""One trace through all parties: a query's spans at client, node and trustees carry one number, and so do log lines."""

from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services import tracing
from tests.services.conftest import Running
from tests.services.test_web import QUERY
from zkcore.errors import Refused

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def spans() -> Iterator[InMemorySpanExporter]:
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield exporter
    exporter.shutdown()


async def test_a_query_is_one_trace_through_node_and_trustees(running: Running, spans: InMemorySpanExporter) -> None:
    spans.clear()
    with trace.get_tracer("tests").start_as_current_span("a question") as asked:
        try:
            await running.network.tax_agencies["tax-agency"].query(QUERY)
        except Refused:  # another test filed more since; who is asked is traced all the same
            await running.network.tax_agencies["tax-agency"].query("SELECT COUNT(*) FROM filing")
    here = [span for span in spans.get_finished_spans() if span.context.trace_id == asked.get_span_context().trace_id]
    kinds = {(span.name, span.kind) for span in here}
    query = "/zkshare.v1.AggregateService/Query"
    assert (query, trace.SpanKind.CLIENT) in kinds and (query, trace.SpanKind.SERVER) in kinds
    text = repr([(span.name, dict(span.attributes or {})) for span in here])
    for name in running.network.enterprises:
        assert name not in text


async def test_log_lines_carry_the_trace(spans: InMemorySpanExporter) -> None:
    assert tracing.add_trace_id(None, "info", {"event": "x"}) == {"event": "x"}
    with trace.get_tracer("tests").start_as_current_span("work") as span:
        event = tracing.add_trace_id(None, "info", {"event": "x"})
    assert event["trace_id"] == trace.format_trace_id(span.get_span_context().trace_id)


async def test_an_endpoint_without_the_exporter_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tracing.ENDPOINT, "http://127.0.0.1:4317")
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)
    with pytest.raises(ModuleNotFoundError, match=r"zkshare\[otlp\]"):
        tracing.start("tests")
