"""Eight lanes against integers, and the choice of the back end."""

import secrets
from typing import Any

import numpy as np
import pytest

from zkcore import cpu, lanes, registers
from zkcore.kernel import kernel
from zkcore.number import load, store, zero_of

zero = zero_of(lanes.u64x8)

needs_lanes = pytest.mark.skipif(cpu.BACKEND != "avx512ifma", reason="this processor has no AVX-512 IFMA")


@kernel
def operations(a: Any, b: Any, c: Any, out: Any) -> Any:
    x, y, z = load(zero(), a, 0), load(zero(), b, 0), load(zero(), c, 0)
    store(out, 0, lanes.add_low(z, x, y))
    store(out, 1, lanes.add_high(z, x, y))
    store(out, 2, x + y)
    store(out, 3, x - y)
    store(out, 4, lanes.low_bits(x))
    store(out, 5, lanes.carry(x))
    store(out, 6, lanes.sign(x))
    store(out, 7, lanes.both(x, y))
    store(out, 8, lanes.broadcast(a, 3))
    store(out, 9, lanes.replace_where_equal(x, a[2], y, z))


@needs_lanes
def test_operations() -> None:
    edges = [0, 1, 2**52 - 1, 2**52, 2**63 - 1, 2**63, 2**64 - 1, secrets.randbits(64)]
    a, b, c = (registers.aligned(8) for _ in range(3))
    a[:], b[:], c[:] = edges, edges[::-1], [secrets.randbits(64) for _ in edges]
    out = registers.aligned(10, 8)
    operations(a, b, c, out)
    for lane in range(8):
        x, y, z = int(a[lane]), int(b[lane]), int(c[lane])
        product = (x % 2**52) * (y % 2**52)
        signed = x - 2**64 if x >> 63 else x
        expected = [
            z + product % 2**52,
            z + (product >> 52),
            x + y,
            x - y,
            x % 2**52,
            signed >> 52,
            -(x >> 63),
            x & y,
            int(a[3]),
            y if x == int(a[2]) else z,
        ]
        assert [int(value) for value in out[:, lane]] == [value % 2**64 for value in expected]


def test_memory_is_aligned_and_zero() -> None:
    for shape in ((1,), (3, 8), (5, 7, 8)):
        array = registers.aligned(*shape)
        assert array.shape == shape
        assert array.dtype == np.uint64
        assert array.ctypes.data % 64 == 0
        assert not array.any()


def test_choice_of_the_back_end() -> None:
    assert cpu.BACKEND in cpu.BACKENDS
    assert cpu._choose("", True) == "avx512ifma"
    assert cpu._choose("", False) == "portable"
    assert cpu._choose("portable", True) == "portable"
    assert cpu._choose("avx512ifma", True) == "avx512ifma"
    with pytest.raises(ImportError, match="does not have"):
        cpu._choose("avx512ifma", False)
    with pytest.raises(ImportError, match="none of"):
        cpu._choose("cuda", True)
