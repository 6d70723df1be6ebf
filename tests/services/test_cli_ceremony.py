"""``zkshare proof`` and ``zkshare circuit`` on files: from a ceremony's setup to a verified proof, and refusals."""

import json
import secrets
import stat
import sys
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import services.schemas
from circuits.record import Opening, Record
from circuits.schema import Schema
from services import bundles, memory
from services.cli import app
from zkcore.bn254 import R
from zkcore.field import encode, fp
from zkcore.formats import mapped_key, r1cs, wtns, zkey
from zkcore.formats.iden3 import read_sections
from zkcore.groth16 import Proof, setup
from zkcore.groth16.prover import memory_needed
from zkcore.limbs import from_limbs
from zkcore.merkle import MerkleTree

sys.path.append(str(Path(__file__).parent.parent / "zkcore"))
from node import needs_snarkjs, run_script
from oracle import TWIST
from powers_of_tau import ptau as make_ptau
from systems import chain

CIRCOM = Path(__file__).parent.parent / "vectors" / "circom"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """circuit.r1cs, witness.wtns and powers.ptau."""
    path = tmp_path_factory.mktemp("ceremony")
    system, witness = chain(30, 1)
    (path / "circuit.r1cs").write_bytes(r1cs.write(system))
    (path / "witness.wtns").write_bytes(wtns.write(witness))
    (path / "powers.ptau").write_bytes(make_ptau(5))
    return path


def run(folder: Path, *arguments: str, status: int = 0) -> Any:
    """The JSON that a command prints; arguments with a dot are files of the folder."""
    words = [str(folder / word) if "." in word else word for word in arguments]
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == status, result.output
    return json.loads(result.stdout)


def test_from_setup_to_a_verified_proof(folder: Path) -> None:
    files = "circuit.r1cs", "powers.ptau"
    begun = run(folder, "proof", "setup", *files, "0.zkey")
    assert len(begun["circuit_digest"]) == 128
    ann = run(folder, "proof", "contribute", "0.zkey", "1.zkey", "--name", "Ann", "-e", "anything")
    final = run(folder, "proof", "beacon", "1.zkey", "2.zkey", "0x0102", "10", "--name", "lottery")
    verified = run(folder, "proof", "verify-key", *files, "2.zkey")
    assert verified["valid"] and verified["circuit_digest"] == begun["circuit_digest"]
    assert [each["digest"] for each in verified["contributions"]] == [ann["digest"], final["digest"]]
    assert [each["name"] for each in verified["contributions"]] == ["Ann", "lottery"]
    run(folder, "proof", "export-key", "2.zkey", "key.json")
    run(folder, "proof", "prove", "2.zkey", "witness.wtns", "proof.json", "public.json")
    assert run(folder, "proof", "verify", "key.json", "public.json", "proof.json") == {"valid": True}
    run(folder, "proof", "export-key", "1.zkey", "key1.json")
    assert run(folder, "proof", "verify", "key1.json", "public.json", "proof.json", status=1) == {"valid": False}
    data = bytearray((folder / "2.zkey").read_bytes())
    data[-1] ^= 1
    (folder / "spoilt.zkey").write_bytes(data)
    spoilt = run(folder, "proof", "verify-key", *files, "spoilt.zkey", status=1)
    assert not spoilt["valid"] and spoilt["check"] == "wrong_contribution"
    whole = (folder / "2.zkey").read_bytes()
    at = read_sections(whole, "zkey", 1, range(1, 11))[7].at
    outside = encode(fp, [*TWIST[0][0], *TWIST[0][1]]).tobytes()
    (folder / "outside.zkey").write_bytes(whole[:at] + outside + whole[at + len(outside) :])
    refused = run(folder, "proof", "verify-key", *files, "outside.zkey", status=2)
    assert refused["check"] == "not_in_subgroup" and refused["part"] == f"zkey section 7 at byte {at}[0]"


def test_with_the_circuit_a_wrong_key_and_a_wrong_witness_are_told_apart(folder: Path) -> None:
    key, _ = setup(r1cs.read((folder / "circuit.r1cs").read_bytes()))
    points = key.points_c.copy()
    points[:] = key.points_c[::-1]
    (folder / "good.zkey").write_bytes(zkey.write(key))
    (folder / "damaged.zkey").write_bytes(zkey.write(replace(key, points_c=points)))
    values = wtns.read((folder / "witness.wtns").read_bytes()).copy()
    values[-1, 0] ^= np.uint64(1)
    (folder / "wrong.wtns").write_bytes(wtns.write(values))
    known = "--r1cs", "circuit.r1cs"
    for arguments, check in (
        (("good.zkey", "wrong.wtns", "x.json", "y.json"), "unsatisfied"),
        (("damaged.zkey", "witness.wtns", "x.json", "y.json"), "wrong_proving_key"),
    ):
        assert run(folder, "proof", "prove", *arguments, *known, status=2)["check"] == check
        assert "circuit (.r1cs)" in run(folder, "proof", "prove", *arguments, status=2)["error"]
    assert not (folder / "x.json").exists()
    run(folder, "proof", "prove", "good.zkey", "witness.wtns", "proof.json", "public.json", *known)


@pytest.fixture(scope="module")
def converted(folder: Path) -> Path:
    """setup.zkey, and the same as setup.key; also another circuit's other.r1cs."""
    key, _ = setup(r1cs.read((folder / "circuit.r1cs").read_bytes()))
    (folder / "setup.zkey").write_bytes(zkey.write(key))
    (folder / "other.r1cs").write_bytes(r1cs.write(chain(29, 1)[0]))
    run(folder, "proof", "convert-key", "circuit.r1cs", "setup.zkey", "setup.key")
    return folder


def test_a_converted_key_is_the_circuits_and_is_known_beforehand(converted: Path) -> None:
    system = r1cs.read((converted / "circuit.r1cs").read_bytes())
    key = zkey.read((converted / "setup.zkey").read_bytes())
    data = (converted / "setup.key").read_bytes()
    assert data == mapped_key.write(replace(key, r1cs_digest=system.digest()))
    infos = [run(converted, "circuit", "info", name) for name in ("circuit.r1cs", "setup.zkey", "setup.key")]
    for name in ("wires", "public_inputs", "domain", "prover_memory"):
        assert len({info[name] for info in infos}) == 1, name
    assert [info["digest"] for info in infos] == [system.digest().hex(), None, system.digest().hex()]
    assert infos[0]["prover_memory"] > memory_needed(key.size, 1) + key.size.key_bytes
    for name in ("setup.zkey", "setup.key"):
        run(converted, "proof", "export-key", name, f"{name}.json")
    assert (converted / "setup.zkey.json").read_bytes() == (converted / "setup.key.json").read_bytes()


@needs_snarkjs
def test_proofs_of_a_converted_key_verify_here_and_in_snarkjs(converted: Path) -> None:
    run(converted, "proof", "export-key", "setup.zkey", "vk.json")
    known = "--r1cs", "circuit.r1cs"
    cases = []
    for more in ((), known):
        made = run(converted, "proof", "prove", "setup.key", "witness.wtns", "p.json", "i.json", *more)
        assert made["memory"] > 0
        assert run(converted, "proof", "verify", "vk.json", "i.json", "p.json") == {"valid": True}
        cases.append([json.loads((converted / name).read_text()) for name in ("vk.json", "i.json", "p.json")])
    wrong = [cases[0][0], [str(int(cases[0][1][0]) + 1)], cases[0][2]]
    assert json.loads(run_script("snarkjs_verify.cjs", text=json.dumps([*cases, wrong]))) == [True, True, False]


def test_another_circuits_and_damaged_keys_are_refused_by_place(converted: Path) -> None:
    refused = run(converted, "proof", "convert-key", "other.r1cs", "setup.zkey", "x.key", status=2)
    assert refused["check"] == "wrong_proving_key"
    arguments = "witness.wtns", "x.json", "y.json"
    refused = run(converted, "proof", "prove", "setup.key", *arguments, "--r1cs", "other.r1cs", status=2)
    assert refused["check"] == "wrong_proving_key"
    data = (converted / "setup.key").read_bytes()
    spoilt = (converted / "setup.zkey").read_bytes()
    (converted / "spoilt.zkey").write_bytes(spoilt[:-200] + bytes([spoilt[-200] ^ 1]) + spoilt[-199:])
    refused = run(converted, "proof", "convert-key", "circuit.r1cs", "spoilt.zkey", "x.key", status=2)
    assert refused["part"].startswith("zkey section 7 at byte")  # where points are already being written
    for changed, part in (
        (data[:-100] + bytes([data[-100] ^ 1]) + data[-99:], "section points_h at byte"),
        (data[:-64], "section points_h at byte"),
        (data[:16] + b"\2" + data[17:], "at byte 16"),
        (data[:70] + b"\7" + data[71:], "section header at byte 0"),
        (b"nothing of the kind", "is neither"),
    ):
        (converted / "damaged.key").write_bytes(changed)
        refused = run(converted, "proof", "prove", "damaged.key", *arguments, status=2)
        assert part in refused["error"]
    assert not list(converted.glob("x.*")) and not list(converted.glob(".x.*"))


def test_a_proof_that_the_memory_does_not_suffice_for_is_not_begun(
    converted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = run(converted, "circuit", "info", "setup.zkey")["prover_memory"]
    for name in ("setup.zkey", "setup.key"):
        arguments = "proof", "prove", name, "witness.wtns", "few.json", "public.json"
        monkeypatch.setattr(memory, "available", lambda: needed - 1)
        refused = run(converted, *arguments, status=2)
        assert refused["check"] == "not_enough_memory" and "on a machine with more" in refused["error"]
        assert not (converted / "few.json").exists()
        for enough in (needed, None):
            monkeypatch.setattr(memory, "available", lambda enough=enough: enough)
            assert run(converted, *arguments)["memory"] == needed
        (converted / "few.json").unlink()
    shown = CliRunner().invoke(app, ["circuit", "info", str(converted / "setup.key")])
    assert f"memory to prove: up to {needed / 1e6:,.0f} MB" in shown.output
    words = ["proof", "prove", *(str(converted / name) for name in ("setup.key", "witness.wtns", "few.json", "i.json"))]
    assert f"up to {needed / 1e6:,.0f} MB of memory" in CliRunner().invoke(app, words).stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("setup", "missing.r1cs", "powers.ptau", "x.zkey"),
        ("setup", "powers.ptau", "circuit.r1cs", "x.zkey"),
        ("setup", "circuit.r1cs", "circuit.r1cs", "x.zkey"),
        ("contribute", "circuit.r1cs", "x.zkey"),
        ("export-key", "witness.wtns", "x.json"),
        ("convert-key", "circuit.r1cs", "circuit.r1cs", "x.zkey"),
        ("convert-key", "circuit.r1cs", "missing.zkey", "x.zkey"),
        ("prove", "circuit.r1cs", "witness.wtns", "x.json", "y.json"),
    ],
)
def test_wrong_files_are_refused_and_nothing_is_written(folder: Path, arguments: tuple[str, ...]) -> None:
    assert run(folder, "proof", *arguments, status=2)["error"]
    assert not (folder / "x.zkey").exists() and not (folder / "x.json").exists()


def test_beacons_are_hexadecimal(folder: Path) -> None:
    for value, iterations in (("xyz", "10"), ("0102", "9"), ("", "10")):
        assert run(folder, "proof", "beacon", "0.zkey", "x.zkey", value, iterations, status=2)["error"]


def test_a_circuit_of_ours_goes_out_and_comes_back(folder: Path) -> None:
    files = run(folder, "circuit", "export", "filing", "out.d")["files"]
    assert [Path(file).name for file in files] == ["filing.r1cs", "filing.sym"]
    ours, read = run(folder, "circuit", "info", "filing"), run(folder, "circuit", "info", "out.d/filing.r1cs")
    assert ours["digest"] == read["digest"] and ours["constraints"] == sum(ours["breakdown"].values())
    assert ours["constraints"] + ours["public_inputs"] < ours["domain"] == 1 << 13
    assert run(folder, "circuit", "info", "nothing", status=2)["error"]


@pytest.fixture(scope="module")
def opening() -> Opening:
    """Of a record of the example's schema."""
    schema = Schema.from_toml((files(services.schemas) / "filing.toml").read_text())
    attributes = {attribute.name: "x" for attribute in schema.attributes}
    values = {field.name: number for number, field in enumerate(schema.fields, 1000)}
    record, blinding, tree = Record(schema, "acme", "2026", attributes, values), secrets.randbelow(R), MerkleTree()
    tree.append(record.leaf(blinding))
    return Opening(record, blinding, tree.root, tree.path(0))


@pytest.mark.parametrize("name", ["filing", "membership"])
def test_a_records_witness_goes_out(folder: Path, opening: Opening, name: str) -> None:
    bundles.save(folder / f"{name}.pem", opening, None)
    made = run(folder, "circuit", "witness", name, f"{name}.pem", f"{name}.wtns")
    assert stat.S_IMODE((folder / f"{name}.wtns").stat().st_mode) == 0o600
    run(folder, "circuit", "export", name, "out.d")
    system, witness = (r1cs.read((folder / f"out.d/{name}.r1cs").read_bytes()), (folder / f"{name}.wtns").read_bytes())
    values = wtns.read(witness)
    assert system.check(values) is None
    assert [str(number) for number in from_limbs(values[1 : 1 + system.n_public])] == made["public"]
    assert made["public"][0] == str(opening.root)


def test_a_witness_needs_a_bundle(folder: Path, opening: Opening) -> None:
    bundles.save(folder / "bundle.pem", opening, None)
    bundles.save(folder / "sealed.pem", opening, "word")
    (folder / "open.pem").write_bytes((folder / "bundle.pem").read_bytes())
    for name, bundle in (
        *(("credit_score", "bundle.pem"), ("nothing", "bundle.pem"), ("filing", "missing.pem")),
        *(("filing", "sealed.pem"), ("filing", "open.pem"), ("filing", "witness.wtns")),
    ):
        assert run(folder, "circuit", "witness", name, bundle, "x.wtns", status=2)["error"]
    assert not (folder / "x.wtns").exists()


@needs_snarkjs
def test_snarkjs_proves_what_was_exported(folder: Path, opening: Opening) -> None:
    bundles.save(folder / "theirs.pem", opening, None)
    run(folder, "circuit", "export", "filing", "theirs.d")
    public = run(folder, "circuit", "witness", "filing", "theirs.pem", "theirs.d/filing.wtns")["public"]
    key, verifying_key = setup(r1cs.read((folder / "theirs.d/filing.r1cs").read_bytes()))
    (folder / "theirs.d/filing.zkey").write_bytes(zkey.write(key))
    result = json.loads(run_script("snarkjs_prove.cjs", folder / "theirs.d", "filing"))
    assert result["holds"] and result["publicSignals"] == public
    assert verifying_key.prepare().verify(Proof.from_snarkjs(result["proof"]), [int(number) for number in public])


def test_a_circuit_that_circom_compiled_is_proved_here(folder: Path) -> None:
    """From its system, and the witness and the key that snarkjs made."""
    for file in CIRCOM.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    run(folder, "proof", "prove", "range.zkey", "range.wtns", "out.json", "inputs.json")
    assert run(folder, "proof", "verify", "verification_key.json", "inputs.json", "out.json") == {"valid": True}
    given = {name: int(value) for name, value in json.loads((CIRCOM / "input.json").read_text()).items()}
    public = [int(number) for number in json.loads((folder / "inputs.json").read_text())]
    assert public == [given["a"] * given["b"] % R, given["not"]]
    info = run(folder, "circuit", "info", "range.r1cs")
    assert (info["constraints"], info["wires"], info["public_inputs"]) == (10, 13, 2)
    system = r1cs.read((CIRCOM / "range.r1cs").read_bytes())
    assert system.check(wtns.read((CIRCOM / "range.wtns").read_bytes())) is None
