"""Columns of ciphertexts in Arrow files, as a library and as ``zkshare column``."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from homomorphic.ciphertext_rows import sum_of_buffers
from homomorphic.column import CiphertextColumn
from homomorphic.errors import NotAUnit, WrongKey, WrongScale
from homomorphic.paillier import PrivateKey, PublicKey, generate_keypair
from services.cli import app
from services.columns import mapped, read_file, sum_file, write_file
from services.files import write_secret
from services.key_files import save_public
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
    mapping = mapped(file, keys[0])
    assert [len(rows) for rows in mapping.buffers] == [17, 33]
    assert pa.total_allocated_bytes() < before + 4096  # a few words of metadata, no rows
    content = [rows.tobytes() for rows in mapping.buffers]
    for rows in mapping.buffers:
        mapping.release(rows)
    assert [rows.tobytes() for rows in mapping.buffers] == content


def test_memory_does_not_grow_with_the_file(
    keys: tuple[PublicKey, PrivateKey], column: CiphertextColumn, tmp_path: Path
) -> None:
    path = tmp_path / "large.arrow"

    def resident_kilobytes() -> int:
        """How much of the file is in this process's memory."""
        lines = Path("/proc/self/smaps").read_text().splitlines()
        starts = [number for number, line in enumerate(lines) if line.endswith(str(path))]
        assert starts
        following = [next(line for line in lines[start:] if line.startswith("Rss:")) for start in starts]
        return sum(int(line.split()[1]) for line in following)

    many = column[np.arange(1 << 16) % len(column)]
    write_file(path, [many])
    mapping = mapped(path, keys[0])
    total = sum_of_buffers(keys[0], mapping.buffers, 2, mapping.release)
    assert total == many.sum().to_ciphertexts()[0]
    assert path.stat().st_size == pytest.approx(32 << 20, rel=0.01)
    assert resident_kilobytes() < 8 << 10


def test_compressed_files_are_read(
    keys: tuple[PublicKey, PrivateKey], column: CiphertextColumn, tmp_path: Path
) -> None:
    path, batch = tmp_path / "compressed.arrow", pa.record_batch([pa.array(column)], names=["sales"])
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    assert sum_file(keys[0], path)[0] == column.sum().to_ciphertexts()[0]


@pytest.mark.parametrize("threads", [None, 1, 3])
def test_sum(keys: tuple[PublicKey, PrivateKey], file: Path, threads: int | None) -> None:
    public_key, private_key = keys
    total = CiphertextColumn.from_ciphertexts(public_key, [sum_file(public_key, file, threads=threads)[0]])
    assert total.decrypt(private_key) == [sum(VALUES)]


def test_one_column_among_others(keys: tuple[PublicKey, PrivateKey], column: CiphertextColumn, tmp_path: Path) -> None:
    path, public_key = tmp_path / "several.arrow", keys[0]
    batch = pa.record_batch(
        [pa.array(range(50)), pa.array(column), pa.array(column * 2)], names=["district", "sales", "double"]
    )
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    assert read_file(public_key, path, "double").to_bytes() == (column * 2).to_bytes()
    assert sum_file(public_key, path, "sales")[0] == column.sum().to_ciphertexts()[0]
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
    with pytest.raises(WrongKey):
        sum_file(generate_keypair(2048)[0], file)
    longer = generate_keypair(3072)[0]
    batch = pa.record_batch([pa.array(column)], names=["unnamed"])  # says nothing of a key
    with pa.OSFile(str(other), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    assert read_file(public_key, other).to_bytes() == column.to_bytes()
    with pytest.raises(WrongLength):
        sum_file(longer, other)
    for scale in (b"0", b"-1", b"1.5", b"", b"x"):
        field = pa.field("ciphertext", batch.schema.field(0).type, metadata={b"zkshare.scale": scale})
        with pa.OSFile(str(other), "wb") as sink, pa.ipc.new_file(sink, pa.schema([field])) as writer:
            writer.write_batch(pa.record_batch(batch.columns, schema=pa.schema([field])))
        with pytest.raises(Malformed):
            sum_file(public_key, other)
    for columns, refused in (
        ([column, longer.encrypt([1])], WrongKey),
        ([column, public_key.encrypt([1], scale=10)], WrongScale),
    ):
        with pytest.raises(refused):
            write_file(other, columns)
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


@pytest.fixture
def key_file(keys: tuple[PublicKey, PrivateKey], tmp_path: Path) -> Path:
    path = tmp_path / "public.pem"
    save_public(path, keys[0])
    return path


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["column", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.stderr


def test_sum_command(key_file: Path, keys: tuple[PublicKey, PrivateKey], column: CiphertextColumn, file: Path) -> None:
    expected = column.sum().to_bytes().hex()
    assert run("sum", key_file, file).strip() == expected
    data = json.loads(run("sum", key_file, file, "--json", "--threads", 1))
    assert data == {"key": keys[0].fingerprint.hex(), "scale": 1, "sum": expected}
    for arguments in ([file, file], [key_file, key_file], [key_file, file.with_name("none")]):
        assert run("sum", *arguments, code=2)


def test_commands_from_key_to_answer(tmp_path: Path) -> None:
    private, public, passphrase = tmp_path / "private.pem", tmp_path / "public.pem", tmp_path / "passphrase"
    write_secret(passphrase, b"correct horse\n")
    protected = ["--passphrase-file", passphrase]
    run("key", private, public, "--bits", 2048, *protected)
    assert private.stat().st_mode & 0o777 == 0o600
    assert run("key", private, public, *protected, code=2)  # never written over
    (tmp_path / "numbers").write_text("19.99\n-5.01\n0\n100\n")
    sales, total = tmp_path / "sales.arrow", tmp_path / "total.arrow"
    assert run("encrypt", public, tmp_path / "numbers", sales, "--scale", 100) == "4 rows\n"
    run("sum", public, sales, "--out", total)
    assert run("decrypt", private, total, *protected) == "5749/50\n"
    assert run("decrypt", private, sales, *protected).split() == ["1999/100", "-501/100", "0", "100"]
    assert "multiple" in run("encrypt", public, tmp_path / "numbers", sales, code=2)
    (tmp_path / "numbers").write_text("1\nx\n")
    assert "not a number" in run("encrypt", public, tmp_path / "numbers", sales, code=2)
    passphrase.write_bytes(b"wrong horse\n")
    assert "passphrase" in run("decrypt", private, total, *protected, code=2)
    passphrase.write_bytes(b"\n")
    assert "empty" in run("decrypt", private, total, *protected, code=2)


def test_sum_command_does_without_numba(keys: tuple[PublicKey, PrivateKey], key_file: Path, file: Path) -> None:
    sum_file(keys[0], file)  # the machine code is kept by now
    code = "import sys; from services.cli import main\ntry: main()\nfinally: print('numba' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, "column", "sum", str(key_file), str(file)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split()[-1] == "False"
