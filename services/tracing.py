"""One trace a request across all parties (OpenTelemetry), and its number on every log line.

The trace travels in gRPC metadata (W3C Trace Context). Spans name method, party and outcome, never contents. They leave
the process only if the environment says where to: ``OTEL_EXPORTER_OTLP_ENDPOINT``, which needs the extra ``otlp``.
"""

import os
from collections.abc import MutableMapping, Sequence
from typing import Any

import grpc.aio
from opentelemetry import trace
from opentelemetry.instrumentation.grpc import aio_client_interceptors, aio_server_interceptor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def start(party: str) -> None:
    """Make traces in this process, in the name of a party, and send them where the environment says.

    To be called before servers and channels are made.

    Raises
    ------
    ModuleNotFoundError
        An endpoint is given, and the exporter is not installed.
    """
    provider = TracerProvider(resource=Resource.create({"service.name": f"zkshare {party}"}))
    if os.environ.get(ENDPOINT):
        try:
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(f"{ENDPOINT} is set: install zkshare[otlp] or unset it") from error
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def _traces() -> bool:
    """Whether :func:`start` was called; what does not trace should not pay for it."""
    return isinstance(trace.get_tracer_provider(), TracerProvider)


def server_interceptors() -> list[grpc.aio.ServerInterceptor]:
    """For a server: takes up the caller's trace, if this process traces."""
    return [aio_server_interceptor()] if _traces() else []


def client_interceptors() -> Sequence[grpc.aio.ClientInterceptor]:
    """For a channel: hands the trace on, if this process traces."""
    interceptors: Sequence[grpc.aio.ClientInterceptor] = aio_client_interceptors() if _traces() else ()
    return interceptors


def add_trace_id(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: the number of the trace that a line belongs to."""
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        event["trace_id"] = trace.format_trace_id(span.trace_id)
    return event
