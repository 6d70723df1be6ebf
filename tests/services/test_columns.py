"""Columns of ciphertexts in Arrow files, as a library and as ``zkshare column``."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from homomorphic.column import CiphertextColumn
from homomorphic.errors import NotAUnit
from homomorphic.paillier import PrivateKey, PublicKey, generate_keypair
from services.cli import app
from services.columns import mapped, read_file, sum_file, write_file
from zkcore.errors import Malformed, OutOfRange, WrongLength

VALUES = list(range(-20, 30))


@pytest.fixture(scope="module")
def keys() -> tuple[PublicKey, PrivateKey]:
    return generate_keypair(2048)


@pytest.fixture(scope="module")
def column(keys: tuple[PublicKey, PrivateKey]) -> CiphertextColumn:
    return CiphertextColumn.encrypt(keys[0], VALUES)


@pytest.fixture
def file(tmp_path: Path, column: CiphertextColumn) -> Path:
    path = tmp_path / "amounts.arrow"
    assert write_file(path, [column[:17], column[17:]]) == len(VALUES)
    return path


def test_files_both_ways(keys: tuple[PublicKey, PrivateKey], column: CiphertextColumn, file: Path) -> None:
    assert read_file(keys[0], file).to_bytes() == column.to_bytes()
    with pa.memory_map(str(file)) as source:
        table = pa.ipc.open_file(source).read_all()
    assert table.column_names == ["ciphertext"]
    assert b"".join(table.column(0).to_pylist()) == column.to_bytes()


def test_rows_lie_where_the_file_is_mapped(keys: tuple[PublicKey, PrivateKey], file: Path) -> None:
    before = pa.total_allocated_bytes()
    with mapped(file, keys[0].ciphertext_bytes) as buffers:
        assert [len(rows) for rows in buffers] == [17, 33]
        assert pa.total_allocated_bytes() < before + 4096  # a few words of metadata, no rows


@pytest.mark.parametrize("threads", [None, 1, 3])
def test_sum(keys: tuple[PublicKey, PrivateKey], file: Path, threads: int | None) -> None:
    public_key, private_key = keys
    total = CiphertextColumn.from_ciphertexts(public_key, [sum_file(public_key, file, threads=threads)])
    assert total.decrypt(private_key) == [sum(VALUES)]


def test_one_column_among_others(keys: tuple[PublicKey, PrivateKey], column: CiphertextColumn, tmp_path: Path) -> None:
    path, public_key = tmp_path / "several.arrow", keys[0]
    batch = pa.record_batch(
        [pa.array(range(50)), pa.array(column), pa.array(column * 2)], names=["district", "sales", "double"]
    )
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    assert read_file(public_key, path, "double").to_bytes() == (column * 2).to_bytes()
    assert sum_file(public_key, path, "sales") == column.sum().to_ciphertexts()[0]
    for name in (None, "profit", "district"):
        with pytest.raises(Malformed):
            sum_file(public_key, path, name)


def test_files_of_another_shape_are_refused(
    keys: tuple[PublicKey, PrivateKey], column: CiphertextColumn, file: Path, tmp_path: Path
) -> None:
    public_key, content = keys[0], file.read_bytes()
    other = tmp_path / "other.arrow"
    for spoilt in (b"", b"ARROW1", content[: len(content) // 2], content[:-9] + b"\xff" * 9, b"\0" * 4096):
        other.write_bytes(spoilt)
        with pytest.raises(Malformed):
            sum_file(public_key, other)
    with pytest.raises(WrongLength):
        sum_file(generate_keypair(3072)[0], file)
    with pytest.raises(FileNotFoundError):
        sum_file(public_key, tmp_path / "none.arrow")
    with pytest.raises(Malformed):
        write_file(other, [])
    # a ciphertext changed in the file is refused by its number
    row = content.index(column[30:31].to_bytes())
    width = public_key.ciphertext_bytes
    for value, refusal in ((public_key.n, NotAUnit), (public_key.n**2, OutOfRange)):
        other.write_bytes(content[:row] + value.to_bytes(width, "big") + content[row + width :])
        with pytest.raises(refusal, match=r"column\[30\]"):
            sum_file(public_key, other)


def test_command(keys: tuple[PublicKey, PrivateKey], column: CiphertextColumn, file: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(keys[0].to_bytes())
    expected = column.sum().to_bytes().hex()
    result = CliRunner().invoke(app, ["column", "sum", str(key), str(file)])
    assert (result.exit_code, result.stdout.strip()) == (0, expected)
    result = CliRunner().invoke(app, ["column", "sum", str(key), str(file), "--json", "--threads", "1"])
    assert json.loads(result.stdout) == {"key": keys[0].fingerprint.hex(), "sum": expected}
    for arguments in ([str(file), str(file)], [str(key), str(key)], [str(key), str(tmp_path / "none")]):
        result = CliRunner().invoke(app, ["column", "sum", *arguments])
        assert result.exit_code == 2
        assert result.stderr


def test_command_does_without_numba(keys: tuple[PublicKey, PrivateKey], file: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(keys[0].to_bytes())
    sum_file(keys[0], file)  # the machine code is kept by now
    code = "import sys; from services.cli import main\ntry: main()\nfinally: print('numba' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, "column", "sum", str(key), str(file)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[-1] == "False"
