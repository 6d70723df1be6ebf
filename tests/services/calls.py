"""The methods of the project's services, from their descriptors."""

import importlib

from google.protobuf.descriptor import Descriptor, FileDescriptor, MethodDescriptor

from services.api import generate


def files() -> list[FileDescriptor]:
    """The descriptors of all protos."""
    names = (name.removesuffix(".proto").replace("/", ".") for name in generate.protos())
    return [importlib.import_module(f"services.api.{name}_pb2").DESCRIPTOR for name in names]


def methods() -> list[MethodDescriptor]:
    """Every method of every service."""
    return [method for file in files() for service in file.services_by_name.values() for method in service.methods]


def messages() -> list[Descriptor]:
    """Every message."""
    return [message for file in files() for message in file.message_types_by_name.values()]


def path_of(method: MethodDescriptor) -> str:
    """How gRPC calls a method."""
    return f"/{method.containing_service.full_name}/{method.name}"
