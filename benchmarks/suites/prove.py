"""Setup and proofs, and what they consist of, from 2^10 to 2^18 constraints."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.case import OURS, PORTABLE, Case, Contender, Gap, Limit, Options, Trial
from benchmarks.peers import invite
from benchmarks.suites.field import LANES_STREAM

SIZES = (10, 11, 12, 13, 14, 15, 16, 17, 18)
QUICK = (10, 11, 12, 13, 14, 16)
COMMON = 16
"""Up to which size peers, the portable back end and setup take part: seconds a proof, not minutes."""


def cases(options: Options) -> Iterator[Case]:
    """Whole proofs first, then the parts. ``constraints`` is the domain, a power of two."""
    for bits in SIZES:
        size, cost = {"constraints": 1 << bits}, 2.0 ** (bits - 13)
        yield Case(
            "prove",
            "proof",
            size,
            partial(_prove, options, bits),
            grows="constraints",
            seconds=2 + 2.2 * cost,
            quick=bits in QUICK,
        )
        if bits <= COMMON:
            yield Case(
                "prove",
                "proof",
                size,
                partial(_prove, options, bits),
                backend=PORTABLE,
                grows="constraints",
                seconds=2 + 2.2 * cost,
                quick=bits == 13,
            )
            yield Case(
                "prove",
                "setup",
                size,
                partial(_setup, options, bits),
                grows="constraints",
                seconds=2 + 5 * cost,
                quick=bits in (10, 13),
            )
        yield Case(
            "prove",
            "G1 sum of scalar multiples",
            {"terms": 1 << bits},
            partial(_msm, options, bits),
            grows="terms",
            seconds=1 + 1.4 * cost,
            quick=bits in QUICK,
        )
        yield Case(
            "prove",
            "number-theoretic transform",
            {"elements": 1 << bits},
            partial(_ntt, options, bits),
            grows="elements",
            seconds=0.5 + cost / 16,
            quick=bits in QUICK,
        )
        if bits % 2 == 0:
            yield Case(
                "prove",
                "peak memory of a process that proves",
                size,
                partial(_memory, options, bits),
                unit="B",
                grows="constraints",
                seconds=4 + cost / 3,
                quick=bits == 16,
            )
    yield Case("prove", "key loaded", {"constraints": 1 << 13}, partial(_load, options, 13), seconds=3)
    yield Case("prove", "key loaded", {"constraints": 1 << 16}, partial(_load, options, 16), seconds=12, quick=False)
    yield Case("prove", "whole process", {"constraints": 1 << 13}, partial(_process, options, 13), seconds=16)
    yield Case(
        "prove", "whole process", {"constraints": 1 << 16}, partial(_process, options, 16), seconds=90, quick=False
    )
    yield Case("prove", "threads", {"constraints": 1 << 16}, _threads, clock="wall", cores=2, seconds=8)
    yield Case("prove", "filing, 4 fields", {}, _constraints, unit="constraints", seconds=2)
    yield Case("prove", "filing, 4 fields, steps", {}, _filing, seconds=6)


def _prove(options: Options, bits: int) -> Trial:
    from benchmarks.material import chain, chain_files, chain_keys
    from zkcore.groth16 import Proof, VerifyingKey, prove

    circuit, (proving_key, verifying_key) = chain(bits), chain_keys(bits)
    prepared = verifying_key.prepare()

    def peer() -> Contender:
        from benchmarks.peers import groth16py

        files = chain_files(bits)
        key, peers_key = groth16py.setup(files["r1cs"])
        check = VerifyingKey.from_snarkjs(groth16py.snarkjs_key(peers_key)).prepare()
        return Contender(
            "groth16py",
            lambda: groth16py.prove(key, files["wtns"]),
            lambda proof: check.verify(Proof.from_bytes(proof), circuit.public),
        )

    return Trial(
        [
            Contender(
                OURS, lambda: prove(proving_key, circuit.witness), lambda made: prepared.verify(made[0], circuit.public)
            ),
            invite("groth16py", options, peer) if bits <= COMMON else Gap("groth16py", "takes part up to 2^16"),
        ],
        True,
    )


def _setup(options: Options, bits: int) -> Trial:
    """The keys that come out prove and verify, by ours and by the peer's."""
    from benchmarks.material import chain, chain_files
    from zkcore.groth16 import Proof, VerifyingKey, prove, setup

    circuit = chain(bits)

    def works(keys: Any) -> bool:
        proof, public = prove(keys[0], circuit.witness)
        return public == circuit.public and keys[1].prepare().verify(proof, public)

    def peer() -> Contender:
        from benchmarks.peers import groth16py

        files = chain_files(bits)

        def theirs(keys: Any) -> bool:
            check = VerifyingKey.from_snarkjs(groth16py.snarkjs_key(keys[1])).prepare()
            return check.verify(Proof.from_bytes(groth16py.prove(keys[0], files["wtns"])), circuit.public)

        return Contender("groth16py", lambda: groth16py.setup(files["r1cs"]), theirs)

    return Trial([Contender(OURS, lambda: setup(circuit.system), works), invite("groth16py", options, peer)], True)


def _msm(options: Options, bits: int) -> Trial:
    """Points are known multiples of the generator, so that the sum is known by one multiplication."""
    import numpy as np

    from benchmarks.material import uniform
    from zkcore.bn254 import G1_GENERATOR, R
    from zkcore.groups import g1
    from zkcore.limbs import from_limbs, to_limbs
    from zkcore.msm import MultiScalarSum
    from zkcore.multiples import FixedBase
    from zkcore.tasks import run

    factors = uniform(1 << bits)
    scalars, points = from_limbs(uniform(1 << bits)), np.empty((1 << bits, 2, 4), np.uint64)
    FixedBase(g1, G1_GENERATOR).multiply(factors, points)
    truth = g1.multiply(G1_GENERATOR, sum(a * b for a, b in zip(from_limbs(factors), scalars, strict=True)) % R)

    def ours() -> Any:
        total = MultiScalarSum(g1, points, to_limbs(scalars))
        run(total.tasks())
        return total.result()

    def peer() -> Contender:
        from benchmarks.peers import zksnake

        return Contender("zksnake", zksnake.multi_scalar(g1.decode(points), scalars), zksnake.affine)

    return Trial(
        [
            Contender(OURS, ours, lambda row: g1.decode(row[np.newaxis])[0]),
            invite("zksnake", options, peer),
        ],
        truth,
        Limit(
            LANES_STREAM,
            6.0 * (1 << bits) * -(-254 // max(4, bits - 1)),
            "a batched affine addition of 6 products for each term and window of bits - 1",
        ),
    )


def _ntt(options: Options, bits: int) -> Trial:
    """A polynomial's values at all roots of unity, of which three are compared with Horner's rule."""
    import secrets

    from zkcore.bn254 import R
    from zkcore.field import decode, encode, fr
    from zkcore.ntt import Domain, root_of_unity

    coefficients = [secrets.randbelow(R) for _ in range(1 << bits)]
    domain, rows = Domain(bits), encode(fr, coefficients)
    places = (0, 1, (1 << bits) - 3)

    def horner(x: int) -> int:
        value = 0
        for coefficient in reversed(coefficients):
            value = (value * x + coefficient) % R
        return value

    def ours() -> Any:
        values = rows.copy()
        domain.evaluate(values)
        return values

    def peer() -> Contender:
        from benchmarks.peers import zksnake

        return Contender(
            "zksnake, with conversions", zksnake.evaluate(coefficients), lambda values: [int(values[i]) for i in places]
        )

    return Trial(
        [
            Contender(OURS, ours, lambda values: decode(fr, values[list(places)])),
            invite("zksnake", options, peer),
        ],
        [horner(pow(root_of_unity(bits), place, R)) for place in places],
        Limit(LANES_STREAM, (1 << bits) / 2 * bits, "a product for each pair of elements and stage"),
    )


def _memory(options: Options, bits: int) -> Trial:
    from benchmarks.material import chain_files
    from benchmarks.process import program, run

    files = chain_files(bits)
    command = program("prove", *(str(files[name]) for name in ("r1cs", "wtns", "zkey")))

    def peer() -> Contender:
        from benchmarks.peers import snarkjs

        return snarkjs.prover(files, lambda used: used.peak)

    contenders: list[Contender | Gap] = [
        Contender(OURS, lambda: run(command), lambda used: used.status == 0, 1, lambda used: used.peak)
    ]
    if bits == 14:
        contenders.append(invite("snarkjs", options, peer))
    return Trial(contenders, True)


def _process(options: Options, bits: int) -> Trial:
    """From files to a proof in a process of its own, by processor time, imports and key loading included."""
    from benchmarks.material import chain_files
    from benchmarks.process import program, run

    files = chain_files(bits)
    command = program("prove", *(str(files[name]) for name in ("r1cs", "wtns", "zkey")))

    def with_snarkjs() -> Contender:
        from benchmarks.peers import snarkjs

        return snarkjs.prover(files, lambda used: used.cpu)

    def with_rapidsnark() -> Contender:
        from benchmarks.peers import rapidsnark

        return rapidsnark.prover(files, lambda used: used.cpu)

    return Trial(
        [
            Contender(OURS, lambda: run(command), lambda used: used.status == 0, 1, lambda used: used.cpu),
            invite("snarkjs", options, with_snarkjs),
            invite("rapidsnark", options, with_rapidsnark),
        ],
        True,
    )


def _load(options: Options, bits: int) -> Trial:
    """A key in each one's own format; it must prove afterwards."""
    from benchmarks.material import chain, chain_files, chain_keys, folder
    from zkcore.formats import mapped_key
    from zkcore.groth16 import Proof, VerifyingKey, prove

    circuit, (proving_key, _) = chain(bits), chain_keys(bits)
    data = mapped_key.write(proving_key)

    def peer() -> Contender:
        import groth16py as library

        from benchmarks.peers import groth16py

        files, path = chain_files(bits), folder(f"groth16py{bits}") / "key"
        key, peers_key = groth16py.setup(files["r1cs"])
        key.save(str(path))
        check = VerifyingKey.from_snarkjs(groth16py.snarkjs_key(peers_key)).prepare()
        return Contender(
            "groth16py",
            lambda: library.ProvingKey.load(str(path)),
            lambda read: check.verify(Proof.from_bytes(groth16py.prove(read, files["wtns"])), circuit.public),
        )

    return Trial(
        [
            Contender(
                OURS,
                lambda: mapped_key.read(data),
                lambda key: key.prepared_verifying_key.verify(*prove(key, circuit.witness)),
            ),
            invite("groth16py", options, peer),
        ],
        True,
    )


def _threads() -> Trial:
    import os

    from benchmarks.material import chain, chain_keys
    from zkcore.groth16 import prove

    circuit, (key, verifying_key) = chain(16), chain_keys(16)
    prepared = verifying_key.prepare()

    def with_threads(threads: int) -> Contender | Gap:
        name = f"{OURS}, {threads} thread{'s' if threads > 1 else ''}"
        if (os.cpu_count() or 1) < threads:
            return Gap(name, "the machine has fewer cores")
        return Contender(
            name, lambda: prove(key, circuit.witness, threads=threads), lambda made: prepared.verify(*made)
        )

    return Trial([with_threads(1), with_threads(2)], True)


def filing_schema() -> Any:
    """The schema of filings with four fields that comes with the services."""
    import services
    from circuits.schema import Schema

    path = Path(services.__file__).parent / "schemas" / "filing.toml"
    return Schema.from_toml(path.read_text(encoding="utf-8"))


def _constraints() -> Trial:
    from circuits import filing

    schema = filing_schema()
    assert len(schema.fields) == 4
    return Trial(
        [
            Contender(
                OURS,
                lambda: filing.build(schema),
                lambda circuit: circuit.name != "",
                1,
                lambda circuit: circuit.n_constraints,
            )
        ],
        True,
    )


def _filing() -> Trial:
    """What an enterprise does for one filing: build the circuit and compute the witness, then prove.

    Parts of circuits that do not depend on the schema (a hash, a commitment) are written once a process and kept; what
    is measured is the building of one more circuit.
    """
    import secrets

    from circuits import filing
    from circuits.record import Opening, Record
    from zkcore import babyjubjub
    from zkcore.bn254 import R
    from zkcore.groth16 import prove, setup
    from zkcore.merkle import MerkleTree

    schema = filing_schema()
    values = {field.name: secrets.randbelow(1 << 40) for field in schema.fields}
    record = Record(schema, "someone", "2026", {attribute.name: "x" for attribute in schema.attributes}, values)
    tree, blinding = MerkleTree(), secrets.randbelow(R)
    tree.append(record.leaf(blinding))
    opening = Opening(record, blinding, tree.root, tree.path(0))
    blindings = [secrets.randbelow(babyjubjub.ORDER) for _ in values]
    circuit = filing.build(schema)
    key, verifying_key = setup(circuit.r1cs())
    prepared = verifying_key.prepare()

    def build() -> Any:
        getattr(filing.build, "cache_clear", lambda: None)()
        return filing.build(schema)

    def assign() -> Any:
        return filing.assign(schema, opening, blindings)

    statement, _, witness = assign()
    public = statement.public_inputs()
    return Trial(
        [
            Contender(f"{OURS}, circuit built", build, lambda built: built.digest() == circuit.digest()),
            Contender(f"{OURS}, witness", assign, lambda made: made[0].public_inputs() == public),
            Contender(f"{OURS}, proof", lambda: prove(key, witness), lambda made: prepared.verify(made[0], public)),
        ],
        True,
    )
