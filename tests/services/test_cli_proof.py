"""``zkshare proof verify`` as a user of snarkjs meets it: order of arguments, exit status, reasons."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from circuits.constraints import ConstraintSystem
from circuits.gadgets import poseidon
from services.cli import app
from zkcore import groth16
from zkcore import poseidon as plain_poseidon
from zkcore.bn254 import P, R

SNARKJS = shutil.which("snarkjs")
VECTORS = Path(__file__).parent.parent / "vectors" / "snarkjs"
NAMES = ("verification_key", "public", "proof")


@pytest.fixture(scope="module")
def documents() -> dict[str, Any]:
    cs = ConstraintSystem("preimage")
    digest, other = cs.public("digest"), cs.public("other")
    secret = cs.private("secret")
    cs.enforce_equal(poseidon.hash(cs, [secret, other], "hash"), digest, "the digest")
    circuit = cs.finish()
    proving_key, verifying_key = groth16.setup(circuit.r1cs())
    inputs = {"digest": plain_poseidon.hash([42, 7]), "other": 7, "secret": 42}
    proof, public = groth16.prove(proving_key, circuit.witness(inputs))
    return {
        "verification_key": verifying_key.to_snarkjs(),
        "public": [str(value) for value in public],
        "proof": proof.to_snarkjs(),
    }


def written(folder: Path, documents: dict[str, Any]) -> list[str]:
    paths = []
    for name in NAMES:
        path = folder / f"{name}.json"
        content = documents[name]
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        paths.append(str(path))
    return paths


def verify(folder: Path, documents: dict[str, Any], *options: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["proof", "verify", *written(folder, documents), *options])
    return result.exit_code, result.output


def test_a_valid_proof(tmp_path: Path, documents: dict[str, Any]) -> None:
    assert verify(tmp_path, documents) == (0, "valid\n")
    status, output = verify(tmp_path, documents, "--json")
    assert (status, json.loads(output)) == (0, {"valid": True})


def test_a_proof_of_something_else(tmp_path: Path, documents: dict[str, Any]) -> None:
    status, output = verify(tmp_path, {**documents, "public": ["1", "7"]})
    assert status == 1
    assert "invalid" in output
    status, output = verify(tmp_path, {**documents, "public": ["1", "7"]}, "--json")
    assert (status, json.loads(output)) == (1, {"valid": False})


def test_a_proof_that_snarkjs_made(tmp_path: Path) -> None:
    theirs = {name: json.loads((VECTORS / f"{name}.json").read_text()) for name in NAMES}
    assert verify(tmp_path, theirs) == (0, "valid\n")
    for index, value in enumerate(theirs["public"]):
        public = [*theirs["public"][:index], str(int(value) ^ 1), *theirs["public"][index + 1 :]]
        assert verify(tmp_path, {**theirs, "public": public})[0] == 1


def test_a_folder_of_proofs(tmp_path: Path, documents: dict[str, Any]) -> None:
    key = tmp_path / "key.json"
    key.write_text(json.dumps(documents["verification_key"]))
    for number in range(5):
        folder = tmp_path / "proofs" / str(number)
        folder.mkdir(parents=True)
        written(folder, documents)

    def batch(*options: str) -> tuple[int, str]:
        command = ["proof", "verify", str(key), "--batch", str(tmp_path / "proofs"), *options]
        result = CliRunner().invoke(app, command)
        return result.exit_code, result.output

    assert batch() == (0, "5 valid, 0 invalid, 0 malformed\n")
    wrong = tmp_path / "proofs" / "3"
    written(wrong, {**documents, "public": ["1", "7"]})
    status, output = batch("--json")
    assert (status, json.loads(output)) == (
        1,
        {"valid": 4, "invalid": [str(wrong / "proof.json")], "malformed": {}},
    )
    written(tmp_path / "proofs" / "1", {**documents, "proof": {}})
    (tmp_path / "proofs" / "0" / "public.json").unlink()
    status, output = batch("--json")
    assert status == 2
    found = json.loads(output)
    assert (found["valid"], len(found["invalid"]), len(found["malformed"])) == (2, 1, 2)
    result = CliRunner().invoke(app, ["proof", "verify", str(key), "--batch", str(tmp_path / "none")])
    assert result.exit_code == 2
    for arguments in ([str(key)], [str(key), "a"], [str(key), "a", "b", "--batch", "c"]):
        assert CliRunner().invoke(app, ["proof", "verify", *arguments]).exit_code == 2


def altered(proof: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**json.loads(json.dumps(proof)), **changes}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("public", ["1"], "public"),
        ("public", ["1", "7", "8"], "public"),
        ("public", ["1", str(R)], "public"),
        ("public", ["1", "-1"], "public"),
        ("public", ["1", "0x7"], "public"),
        ("public", ["1", 7.0], "public"),
        ("public", {}, "public"),
        ("public", "[1,", "not JSON"),
        ("public", "[" * 200_000, "nested"),
        ("proof", {}, "proof"),
        ("proof", "null", "proof"),
        ("verification_key", "[]", "verification_key"),
    ],
)
def test_malformed_input_is_refused_with_the_reason(
    tmp_path: Path, documents: dict[str, Any], name: str, content: Any, words: str
) -> None:
    status, output = verify(tmp_path, {**documents, name: content})
    assert status == 2
    assert words in output
    status, output = verify(tmp_path, {**documents, name: content}, "--json")
    assert status == 2
    assert words in json.loads(output)["error"]


def test_points_are_checked(tmp_path: Path, documents: dict[str, Any]) -> None:
    proof = documents["proof"]
    x, y, z = proof["pi_a"]
    for name, point in (
        ("pi_a", [x, str((int(y) + 1) % P), z]),
        ("pi_a", [str(int(x) + P), y, z]),
        ("pi_a", [x, y]),
        ("pi_a", ["0", "1", "0"]),
        ("pi_b", [proof["pi_b"][0], proof["pi_b"][0], proof["pi_b"][2]]),
        ("pi_c", [x, str(int(y) + P), z]),
        ("protocol", "plonk"),
        ("curve", "bls12381"),
    ):
        status, output = verify(tmp_path, {**documents, "proof": altered(proof, **{name: point})})
        assert status == 2, (name, point)
        assert "proof" in output


def test_a_missing_file(tmp_path: Path, documents: dict[str, Any]) -> None:
    paths = written(tmp_path, documents)
    result = CliRunner().invoke(app, ["proof", "verify", paths[0], str(tmp_path / "none.json"), paths[2]])
    assert result.exit_code == 2
    assert "No such file" in result.output


def test_the_command_starts_without_the_services_libraries(tmp_path: Path, documents: dict[str, Any]) -> None:
    code = (
        "import sys; sys.argv = ['zkshare', 'proof', 'verify', *sys.argv[1:]]\n"
        "from services.cli import main\n"
        "try: main()\nexcept SystemExit as end: status = end.code\n"
        "assert not {'grpc', 'web3', 'sqlglot', 'cryptography'} & sys.modules.keys()\n"
        "sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code, *written(tmp_path, documents)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "valid\n"), done.stderr


@pytest.mark.skipif(SNARKJS is None, reason="snarkjs is not installed (npm install snarkjs)")
def test_snarkjs_agrees(tmp_path: Path, documents: dict[str, Any]) -> None:
    def says(changed: dict[str, Any]) -> bool:
        command = [str(SNARKJS), "groth16", "verify", *written(tmp_path, changed)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        return done.returncode == 0 and "OK!" in done.stdout

    assert says(documents)
    assert not says({**documents, "public": ["1", "7"]})
