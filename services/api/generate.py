"""Generates the Python code of the protos beside this file, and lints them.

Run ``python -m services.api.generate`` after a change of a proto and commit what it writes; ``--lint`` checks the
protos with buf instead (STANDARD and COMMENTS rules, see ``buf.yaml``). Needs the ``dev`` extra: protoc comes from
grpcio-tools, the type stubs from mypy-protobuf, buf from buf-bin.

The validation rules' own definition, ``buf/validate/validate.proto``, is taken from the installed protovalidate, which
carries it as a descriptor.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

API = Path(__file__).resolve().parent
PACKAGES = ("zkshare", "buf")
VALIDATE = "buf/validate/validate.proto"


def protos() -> list[str]:
    """Names of the protos, relative to this directory, sorted."""
    return sorted(str(path.relative_to(API)) for path in (API / "zkshare").rglob("*.proto"))


def protoc(arguments: Sequence[str]) -> None:
    """Runs protoc with this directory as its source tree."""
    from google.protobuf import descriptor_pb2, descriptor_pool, duration_pb2, field_mask_pb2, timestamp_pb2
    from grpc_tools import protoc as compiler
    from protovalidate._gen.buf.validate import validate_pb

    pool = descriptor_pool.Default()
    needed = descriptor_pb2.FileDescriptorSet()
    for module in (descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2):
        pool.FindFileByName(module.DESCRIPTOR.name).CopyToProto(needed.file.add())
    needed.file.add().ParseFromString(validate_pb.desc().proto.to_binary())
    with tempfile.TemporaryDirectory() as directory:
        known = Path(directory) / "validate.binpb"
        known.write_bytes(needed.SerializeToString())
        command = ["protoc", f"--descriptor_set_in={known}", f"--proto_path={API}", *arguments]
        if code := compiler.main(command):
            raise SystemExit(code)


def generate(target: Path) -> None:
    """Writes modules and stubs under `target`, importing each other as ``services.api...``."""
    mypy = Path(sys.executable).parent / "protoc-gen-mypy"
    protoc(
        [
            f"--plugin=protoc-gen-mypy={mypy}",
            f"--python_out={target}",
            f"--mypy_out=quiet:{target}",
            *protos(),
        ]
    )
    protoc(
        [
            f"--plugin=protoc-gen-mypy_grpc={mypy}_grpc",
            f"--grpc_python_out={target}",
            f"--mypy_grpc_out=quiet:{target}",
            *(name for name in protos() if "\nservice " in (API / name).read_text(encoding="utf-8")),
        ]
    )
    protoc([f"--python_out={target}", VALIDATE])
    for suffix in ("*_pb2*.py", "*_pb2*.pyi"):
        for path in target.rglob(suffix):
            path.write_text(with_package(path.read_text(encoding="utf-8")), encoding="utf-8")
    for directory in {parent for path in target.rglob("*_pb2.py") for parent in path.relative_to(target).parents}:
        if str(directory) != ".":
            (target / directory / "__init__.py").touch()


def with_package(source: str) -> str:
    """The generated source with its imports and names moved under ``services.api``."""
    names = "|".join(PACKAGES)
    source = re.sub(rf"^from ({names})\b", r"from services.api.\1", source, flags=re.MULTILINE)
    source = re.sub(rf"^import ({names})\b(?! as)", r"import services.api.\1", source, flags=re.MULTILINE)
    return re.sub(rf"(?<![\w.'/])((?:{names})\.[\w.]*_pb2)", r"services.api.\1", source)


def buf() -> Path:
    """Where buf-bin installs its command."""
    return Path(sys.executable).parent / "buf"


def lint() -> int:
    """Runs buf's linter over the protos; returns its exit code."""
    with tempfile.TemporaryDirectory() as directory:
        image = Path(directory) / "image.binpb"
        protoc(["--include_imports", "--include_source_info", f"--descriptor_set_out={image}", *protos()])
        paths = [argument for name in protos() for argument in ("--path", name)]
        return subprocess.run([buf(), "lint", image, "--config", API / "buf.yaml", *paths], check=False).returncode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lint", action="store_true", help="check the protos with buf, write nothing")
    if parser.parse_args().lint:
        raise SystemExit(lint())
    generate(API)


if __name__ == "__main__":
    main()
