"""Segments: what was appended is there again, torn and damaged files are known, nothing else is taken up."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from services.store import Unavailable, segments
from services.store.segments import TAIL, Rows, Segments

WIDTH = 24


@pytest.fixture(autouse=True)
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "SEGMENT", 10)


def rows(start: int, count: int, width: int = WIDTH) -> Rows:
    """Distinct rows, known by their position."""
    return np.random.default_rng(7).integers(0, 256, (1000, width), np.uint8)[start : start + count]


def label(end: int) -> bytes:
    return b"label %d" % end


def fits(size: int, found: bytes) -> bool:
    return found == label(size)


def opened(directory: Path, fits: Callable[[int, bytes], bool] = fits) -> Segments:
    return Segments(directory, fits)


def add(store: Segments, *counts: int) -> None:
    for count in counts:
        store.append(rows(store.size, count), label(store.size + count))
        store.settle()


def check(store: Segments, size: int) -> None:
    assert store.size == size
    generator = random.Random(size)
    some = sorted(generator.sample(range(size), generator.randint(0, size)))
    for positions in (list(range(size)), some, some[:1], [size - 1] if size else []):
        parts = list(store.gather(np.array(positions, np.uint64)))
        found = np.concatenate(parts) if parts else rows(0, 0)
        assert np.array_equal(found, rows(0, size)[positions])


@pytest.mark.parametrize("counts", [(1,), (3, 4), (10,), (9, 1), (3, 3, 3, 3, 3), (25, 1, 12), ()])
def test_rows_are_there_before_and_after_reopening(tmp_path: Path, counts: tuple[int, ...]) -> None:
    store = opened(tmp_path / "s")
    add(store, *counts)
    check(store, sum(counts))
    store.close()
    store.close()
    again = opened(tmp_path / "s")
    check(again, sum(counts))
    add(again, 2, 11)
    check(again, sum(counts) + 13)


def test_any_arrow_reader_opens_them(tmp_path: Path) -> None:
    add(opened(tmp_path), 12, 3, 4)
    sealed = pa.ipc.open_file(pa.memory_map(str(tmp_path / "000000000000.arrow"))).read_all()
    assert sealed.schema.field("ciphertext").type == pa.binary(WIDTH)
    assert sealed["ciphertext"].to_pylist() == [row.tobytes() for row in rows(0, 12)]
    tail = pa.ipc.open_stream((tmp_path / TAIL).read_bytes()).read_all()
    assert tail["ciphertext"].to_pylist() == [row.tobytes() for row in rows(12, 7)]


def test_a_sealed_segment_is_not_copied(tmp_path: Path) -> None:
    store = opened(tmp_path)
    add(store, 12)
    (part,) = store.gather(np.arange(12, dtype=np.uint64))
    assert not part.flags.owndata and not part.flags.writeable


def test_a_tail_torn_at_any_byte_is_cut(tmp_path: Path) -> None:
    add(opened(tmp_path), 3, 2)
    first = (tmp_path / TAIL).stat().st_size
    add(opened(tmp_path), 4)
    whole = (tmp_path / TAIL).read_bytes()
    for end in [*range(first, len(whole), 5), len(whole) - 1, first // 2, 1, 0]:
        for rest in (b"", bytes(64), os.urandom(64)):  # what a file system may leave behind a crash
            (tmp_path / TAIL).write_bytes(whole[:end] + rest)
            store = opened(tmp_path)
            kept = 5 if end >= first else store.size
            assert store.size <= kept
            check(store, kept)
            store.append(rows(kept, 1), label(kept + 1))
            store.close()
            check(opened(tmp_path), kept + 1)


def test_a_damaged_byte_is_noticed(tmp_path: Path) -> None:
    add(opened(tmp_path), 12, 3, 4)
    for name, left in (("000000000000.arrow", 0), (TAIL, 15)):
        whole = (tmp_path / name).read_bytes()
        at = whole.index(rows(16 if left else 5, 1).tobytes())
        (tmp_path / name).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        store = opened(tmp_path)
        assert store.size == left
        if not left:
            assert not (tmp_path / name).exists()
            add(store, 12, 3, 4)


def test_rows_of_another_log_are_dropped(tmp_path: Path) -> None:
    add(opened(tmp_path), 12, 3, 4)
    store = opened(tmp_path, lambda size, found: fits(size, found) and size != 19)
    check(store, 15)
    store.close()
    store = opened(tmp_path, lambda size, found: False)
    check(store, 0)
    add(store, 3)
    check(opened(tmp_path), 3)


def test_cutting_what_a_transaction_did_not_keep(tmp_path: Path) -> None:
    store = opened(tmp_path)
    add(store, 12, 3, 4)
    store.cut(19)
    check(store, 19)
    store.cut(17)
    check(store, 15)
    check(opened(tmp_path), 15)
    store.cut(11)
    check(store, 0)
    check(opened(tmp_path), 0)


def test_a_crash_while_a_segment_is_sealed(tmp_path: Path) -> None:
    """Before the new file has its name, and after, when the tail still holds the same rows."""
    store = opened(tmp_path)
    store.append(rows(0, 12), label(12))
    tail = (tmp_path / TAIL).read_bytes()
    store.settle()
    store.close()
    (tmp_path / TAIL).write_bytes(tail)
    check(opened(tmp_path), 12)
    assert (tmp_path / TAIL).stat().st_size == 0
    sealed = tmp_path / "000000000000.arrow"
    (tmp_path / TAIL).write_bytes(tail)
    sealed.rename(sealed.with_suffix(".part"))
    store = opened(tmp_path)
    check(store, 12)
    store.settle()
    assert [path.name for path in sorted(tmp_path.iterdir())] == [sealed.name, TAIL]
    check(store, 12)


def test_another_width_begins_another_segment(tmp_path: Path) -> None:
    store = opened(tmp_path)
    add(store, 3)
    store.append(rows(0, 2, 32), label(5))
    for each in (store, opened(tmp_path)):
        assert [part.shape for part in each.gather(np.arange(5, dtype=np.uint64))] == [(3, 24), (2, 32)]


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    add(opened(tmp_path / "s"), 12, 3)
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "s").iterdir()} == {0o600}


def test_a_place_that_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable):
        opened(tmp_path / "file")
    with pytest.raises(Unavailable):
        opened(tmp_path / "no" / "such" / "place")
