"""The counts of machine code, and what is read from llvm-mca."""

import platform
import shutil

import pytest

from benchmarks import instructions
from zkcore.cpu import BACKEND
from zkcore.field import fp

pytestmark = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="counts instructions of x86")

OPERATIONS = {name: (number, operation) for name, number, operation in instructions.operations()}


def test_a_product_of_one_element_has_the_multiplications_of_its_algorithm() -> None:
    code = instructions.compiled("product", fp, fp.multiply)
    # 16 products of words, 16 of the reduction and 4 that find its multiples (Koc, Acar and Kaliski 1996).
    assert code.count(instructions.KINDS["multiply"]) == 36
    assert code.nanoseconds > 0


WIDE, REDUCTION = 50, 55
MULTIPLY_ADDS = {
    "Fp product, eight lanes": WIDE + REDUCTION,
    "Fp2 product, eight lanes": 3 * WIDE + 2 * REDUCTION,
    "Fp12 product, one in lanes": 18 * WIDE + 2 * REDUCTION,
    "Fp12 square, one in lanes": 12 * WIDE + 2 * REDUCTION,
    "Fp12 cyclotomic square, one in lanes": 6 * WIDE + 2 * REDUCTION,
    "Fp12 times a line, one in lanes": 10 * WIDE + 3 * REDUCTION,
}


@pytest.mark.skipif(BACKEND != "avx512ifma", reason="the processor has no such lanes")
@pytest.mark.parametrize("name", MULTIPLY_ADDS)
def test_lanes_have_the_multiply_adds_that_the_limits_count(name: str) -> None:
    code = instructions.compiled(name, *OPERATIONS[name])
    # LLVM drops the low half that nobody reads of each step of a reduction.
    assert MULTIPLY_ADDS[name] - 15 <= code.count("vpmadd52[lh]uq") <= MULTIPLY_ADDS[name]


REPORT = """Iterations:        100
Instructions:      300
Total Cycles:      510
Total uOps:        600

Dispatch Width:    6
Block RThroughput: 1.0

[1]    [2]    [3]    [4]    [5]    [6]    [7]    Encodings:                    Instructions:
 2      12    0.50    *                    6     62 f2 f5 48 b4 17             vpmadd52luq	(%rdi), %zmm1, %zmm2
 1      1     0.50                         3     48 11 c3                      adcq	%rax, %rbx


Resources:
[0]   - ICXDivider
[1]   - ICXPort0
[2.0] - ICXPort1

Resource pressure per iteration:
[0]    [1]    [2.0]
 -     0.99   1.18

Resource pressure by instruction:
"""


def test_report_is_read() -> None:
    assert instructions.read_bound(REPORT) == instructions.Bound(6.0, 9, 1.18, "ICXPort1")
    crowded = REPORT.replace("uOps:        600", "uOps:        1200")
    assert instructions.read_bound(crowded) == instructions.Bound(12.0, 9, 2.0, "dispatch")
    with pytest.raises(ValueError, match="Total uOps"):
        instructions.read_bound(REPORT.replace("Total uOps", "Nothing"))


def test_without_llvm_mca_the_table_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    lines = instructions.table(["fp", "times", "9 + i"])
    assert instructions.HOW_TO_GET_MCA in lines
    assert any(line.startswith("Fp2 times 9 + i") for line in lines)


def test_llvm_mca_takes_the_code() -> None:
    if shutil.which("llvm-mca") is None:
        pytest.skip(instructions.HOW_TO_GET_MCA)
    code = instructions.compiled("product", fp, fp.multiply)
    limit = instructions.bound(code, "skylake-avx512")
    assert limit is not None and limit.uops >= len(code.text) - 5 and limit.size > 2 * len(code.text)
    assert limit.unit.startswith("SKX") or limit.unit == "dispatch"
