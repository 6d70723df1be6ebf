"""``python -m benchmarks.instructions [WORD...]``: what limits the field's and the pairing's operations here.

For machines without performance counters: each operation is compiled by itself as kernels contain it, timed in a chain
whose results wait for one another, and its machine code counted and, if llvm-mca is there, run on LLVM's model of a
processor: how many cycles the busiest unit needs at least (``bound``, as if nothing had to wait), and which that is.
``ZKSHARE_MCA_CPU`` names another model than the one that fits this processor. Words choose operations by name.
"""

import ctypes
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from llvmlite import binding, ir

from zkcore.cpu import BACKEND
from zkcore.field import fp
from zkcore.fp2_lanes import fp2_lanes
from zkcore.fp12_lanes import fp12_lanes
from zkcore.tower import fp2

CHAIN = 10_000
HOW_TO_GET_MCA = "llvm-mca is not on the PATH (package llvm of Debian, brew install llvm): no bounds"
KINDS = {
    "multiply": r"mul\w*|imul\w*|vpmadd52\w*",
    "add": r"adc\w*|add\w*|sbb\w*|sub\w*|vpadd\w*|vpsub\w*",
    "shuffle": r"vperm\w*|vpbroadcast\w*|vshuf\w*|valign\w*|vpblend\w*",
    "move": r"mov\w*|vmov\w*",
    "call": r"call\w*",
}
"""Kinds of instructions that are counted, by mnemonic."""
_MODELS = {"rocketlake": "icelake-server", "sapphirerapids": "icelake-server", "graniterapids": "icelake-server"}
"""Models for processors that LLVM knows by name alone or describes with another's."""
_INSTRUCTION = re.compile(r"^\s+([a-z]\w*)\b(.*)$")
_WORD, _BYTES = ir.IntType(64), ir.IntType(8).as_pointer()

Operation = Callable[[Any, Any, Any], Any]


@dataclass(frozen=True)
class Code:
    """Machine code of one operation: ``text`` is its assembly, ``nanoseconds`` one of it in a chain."""

    name: str
    text: list[str]
    nanoseconds: float

    def count(self, pattern: str) -> int:
        """Instructions whose mnemonic the pattern describes."""
        return sum(1 for line in self.text if re.match(rf"\s+(?:{pattern})\b", line))


@dataclass(frozen=True)
class Bound:
    """What a model of a processor says: micro-operations, bytes, cycles at least, and the unit that needs them."""

    uops: float
    size: int
    cycles: float
    unit: str


def operations() -> Iterator[tuple[str, Any, Operation]]:
    """Name, number type, and what appends the instructions of an operation on two numbers of it."""
    yield "Fp product", fp, fp.multiply
    yield "Fp2 product", fp2, fp2.multiply
    yield "Fp2 square", fp2, lambda builder, a, b: fp2.square(builder, a)
    yield "Fp2 times 9 + i", fp2, lambda builder, a, b: fp2.times_xi(builder, a)
    if BACKEND == "avx512ifma":
        yield "Fp product, eight lanes", fp2_lanes.base, fp2_lanes.base.multiply
        yield "Fp2 product, eight lanes", fp2_lanes, fp2_lanes.multiply
        yield "Fp2 times 9 + i, eight lanes", fp2_lanes, lambda builder, a, b: fp2_lanes.times_xi(builder, a)
        yield "Fp12 product, one in lanes", fp12_lanes, fp12_lanes.multiply
        yield "Fp12 square, one in lanes", fp12_lanes, lambda builder, a, b: fp12_lanes.square(builder, a)
        yield (
            "Fp12 cyclotomic square, one in lanes",
            fp12_lanes,
            lambda builder, a, b: fp12_lanes.cyclotomic_square(builder, a),
        )
        yield "Fp12 times a line, one in lanes", fp12_lanes, _line


def _line(builder: Any, a: Any, b: Any) -> Any:
    x, y = fp2_lanes.split(builder, b)
    return fp12_lanes.times_line(builder, a, x, y, True)


def compiled(name: str, number: Any, operation: Operation) -> Code:
    """An operation's machine code for this processor, in a loop that is timed."""
    module = ir.Module("operation")
    module.triple = binding.get_process_triple()
    chain = ir.Function(module, ir.FunctionType(ir.VoidType(), [_WORD, _BYTES, _BYTES]), "chain")
    times, first, second = chain.args
    entry, loop, end = (chain.append_basic_block(part) for part in ("entry", "loop", "end"))
    builder = ir.IRBuilder(entry)
    places = [builder.bitcast(argument, number.llvm.as_pointer()) for argument in (first, second)]
    a, b = (builder.load(place, align=8) for place in places)
    builder.branch(loop)
    builder.position_at_end(loop)
    done, value = builder.phi(_WORD), builder.phi(number.llvm)
    result = operation(builder, value, b)
    more = builder.add(done, _WORD(1))
    for phi, start, following in ((done, _WORD(0), more), (value, a, result)):
        phi.add_incoming(start, entry)
        phi.add_incoming(following, loop)
    builder.cbranch(builder.icmp_unsigned("<", more, times), loop, end)
    builder.position_at_end(end)
    builder.store(result, places[0], align=8)
    builder.ret_void()
    return _measured(name, module, number)


def _measured(name: str, module: Any, number: Any) -> Code:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    features = binding.get_host_cpu_features().flatten()
    target = binding.Target.from_default_triple()
    machine = target.create_target_machine(cpu=binding.get_host_cpu_name(), features=features, opt=3, jit=True)
    parsed = binding.parse_assembly(str(module))
    passes = binding.create_pass_builder(machine, binding.create_pipeline_tuning_options(speed_level=3))
    passes.getModulePassManager().run(parsed, passes)
    text = machine.emit_assembly(parsed)
    engine = binding.create_mcjit_compiler(parsed, machine)
    engine.finalize_object()
    function = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(
        engine.get_function_address("chain")
    )
    rooms = [(ctypes.c_uint64 * (number.size + 8))(*[3] * number.size) for _ in range(2)]
    addresses = [ctypes.addressof(room) for room in rooms]
    best = float("inf")
    for _ in range(40):
        start = time.perf_counter()
        function(CHAIN, *addresses)
        best = min(best, time.perf_counter() - start)
    return Code(name, _longest(text), best / CHAIN * 1e9)


def _longest(text: str) -> list[str]:
    """Instructions of the longest function: the operation, beside the loop and what it calls in its turn."""
    functions: list[list[str]] = []
    for line in text.splitlines():
        if re.match(r"^\w+:", line):
            functions.append([])
        elif functions and _INSTRUCTION.match(line):
            functions[-1].append(line)
    return max(functions, key=len)


def gigahertz() -> float:
    """The clock rate while computing, from a chain of multiplications of three cycles each."""
    source = """
        define i64 @chain(i64 %n, i64 %x) {
        entry: br label %loop
        loop:
          %i = phi i64 [0, %entry], [%j, %loop]
          %v = phi i64 [%x, %entry], [%w, %loop]
          %w = mul i64 %v, %x
          %j = add i64 %i, 1
          %c = icmp ult i64 %j, %n
          br i1 %c, label %loop, label %end
        end: ret i64 %w
        }"""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_default_triple().create_target_machine(jit=True)
    engine = binding.create_mcjit_compiler(binding.parse_assembly(source), machine)
    engine.finalize_object()
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)(engine.get_function_address("chain"))
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        function(10_000_000, 3)
        best = min(best, time.perf_counter() - start)
    return 3 * 10_000_000 / best / 1e9


def bound(code: Code, model: str) -> Bound | None:
    """What llvm-mca says of the code, None without it. Calls and returns are left out."""
    program = shutil.which("llvm-mca")
    if program is None:
        return None
    lines = [line.split("#")[0] for line in code.text if not re.match(r"\s+(?:ret|call)", line)]
    command = [program, f"-mcpu={model}", "-show-encoding", "-iterations=20"]
    done = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, check=True)
    return read_bound(done.stdout)


def read_bound(report: str) -> Bound:
    """The figures of a report of llvm-mca with encodings."""

    def figure(name: str) -> float:
        found = re.search(rf"^{name}:\s+([\d.]+)", report, re.MULTILINE)
        if found is None:
            raise ValueError(f"llvm-mca's report does not say {name}")
        return float(found[1])

    encodings = re.findall(r"^ .*?(\d+)     ((?:[0-9a-f]{2} )+)", report, re.MULTILINE)
    units = re.findall(r"^\[([\d.]+)\]\s+- (\w+)$", report, re.MULTILINE)
    pressure = re.search(r"Resource pressure per iteration:\n.*\n(.*)\n", report)
    busy = [0.0 if cell == "-" else float(cell) for cell in pressure[1].split()] if pressure else []
    cycles, unit = max(zip(busy, (name for _, name in units), strict=True))
    width = figure("Total uOps") / figure("Iterations") / figure("Dispatch Width")
    if width > cycles:
        cycles, unit = width, "dispatch"
    return Bound(
        figure("Total uOps") / figure("Iterations"), sum(len(code.split()) for _, code in encodings), cycles, unit
    )


def table(words: list[str]) -> list[str]:
    """Lines of the report."""
    model = os.environ.get("ZKSHARE_MCA_CPU") or _MODELS.get(binding.get_host_cpu_name(), binding.get_host_cpu_name())
    rate = gigahertz()
    out = [f"back end {BACKEND}, {rate:.2f} GHz while computing, model {model}", ""]
    if shutil.which("llvm-mca") is None:
        out += [HOW_TO_GET_MCA, ""]
    out.append(
        f"{'operation':38}{'instr.':>7}"
        + "".join(f"{kind:>9}" for kind in KINDS)
        + f"{'bytes':>7}{'uops':>7}{'bound':>7}  {'busiest unit':14}{'measured':>9}{'ns':>8}"
    )
    for name, number, operation in operations():
        if not all(word.lower() in name.lower() for word in words):
            continue
        code = compiled(name, number, operation)
        limit = bound(code, model)
        said = f"{limit.size:7}{limit.uops:7.0f}{limit.cycles:7.0f}  {limit.unit:14}" if limit else f"{'':37}"
        counts = [code.count(pattern) for pattern in KINDS.values()]
        out.append(
            f"{name:38}{len(code.text):7}"
            + "".join(f"{count:9}" for count in counts)
            + f"{said}{code.nanoseconds * rate:9.0f}{code.nanoseconds:8.1f}"
        )
    return out


if __name__ == "__main__":
    print("\n".join(table(sys.argv[1:])))
