"""The protos: the committed code is theirs, they are linted and documented, and every field has a rule."""

import importlib
from collections.abc import Iterator
from pathlib import Path

import protovalidate
import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FieldDescriptor, FileDescriptor
from google.protobuf.message import Message

from services.api import generate
from services.api.buf.validate import validate_pb2

NAMES = generate.protos()


def module(name: str) -> FileDescriptor:
    path = name.removesuffix(".proto").replace("/", ".")
    return importlib.import_module(f"services.api.{path}_pb2").DESCRIPTOR


def fields() -> Iterator[FieldDescriptor]:
    for name in NAMES:
        for message in module(name).message_types_by_name.values():
            yield from message.fields


def message_classes() -> Iterator[type[Message]]:
    for name in NAMES:
        path = name.removesuffix(".proto").replace("/", ".")
        pb2 = importlib.import_module(f"services.api.{path}_pb2")
        for message in pb2.DESCRIPTOR.message_types_by_name:
            yield getattr(pb2, message)


def test_committed_code_is_generated_from_the_protos(tmp_path: Path) -> None:
    pytest.importorskip("grpc_tools")
    target = tmp_path / "all.binpb"
    generate.protoc(["--include_imports", f"--descriptor_set_out={target}", *NAMES])
    fresh = {file.name: file for file in descriptor_pb2.FileDescriptorSet.FromString(target.read_bytes()).file}
    for name in NAMES:
        committed = descriptor_pb2.FileDescriptorProto()
        module(name).CopyToProto(committed)
        fresh[name].ClearField("source_code_info")
        for file in (fresh[name], committed):
            for message in file.message_type:
                for field in message.field:
                    field.ClearField("json_name")
        assert committed == fresh[name], f"{name}: run python -m services.api.generate"


def test_committed_files_are_the_generated_ones(tmp_path: Path) -> None:
    pytest.importorskip("grpc_tools")
    pytest.importorskip("mypy_protobuf")
    generate.generate(tmp_path)
    fresh = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.py*") if "__pycache__" not in path.parts}
    committed = {
        str(path.relative_to(generate.API))
        for package in generate.PACKAGES
        for path in (generate.API / package).rglob("*.py*")
        if path.suffix in {".py", ".pyi"}
    }
    assert fresh == committed


def test_protos_are_linted() -> None:
    pytest.importorskip("grpc_tools")
    if not generate.buf().exists():
        pytest.skip("buf is not installed")
    assert generate.lint() == 0


@pytest.mark.parametrize("field", list(fields()), ids=lambda field: field.full_name)
def test_every_field_of_unbounded_size_has_a_rule(field: FieldDescriptor) -> None:
    """Lists, strings, bytes, messages and enumerations say how large they may be, or that they must be there."""
    bounded = {FieldDescriptor.TYPE_BOOL, FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT64}
    if field.type in bounded and not field.is_repeated:
        return
    if field.containing_oneof is not None or (field.message_type is not None and not field.is_repeated):
        return
    rules = field.GetOptions().Extensions[validate_pb2.field]
    assert rules.WhichOneof("type") is not None
    if field.is_repeated:
        assert rules.repeated.HasField("max_items")
        if field.type in {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES}:
            assert rules.repeated.items.WhichOneof("type") is not None


@pytest.mark.parametrize("message", list(message_classes()), ids=lambda message: message.DESCRIPTOR.name)
def test_rules_compile(message: type[Message]) -> None:
    protovalidate.collect_violations(message())
