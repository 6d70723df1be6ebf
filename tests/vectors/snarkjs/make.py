"""Make the vectors beside this file: snarkjs's own ceremony, key and proof for a small circuit.

python -m tests.vectors.snarkjs.make        # needs the command snarkjs 0.7 (npm install snarkjs)
"""

import subprocess
import tempfile
from pathlib import Path

from circuits.constraints import ConstraintSystem
from circuits.gadgets import poseidon
from zkcore import poseidon as plain_poseidon
from zkcore.formats import r1cs, wtns

HERE = Path(__file__).parent
STEPS = """
powersoftau new bn128 9 0.ptau
powersoftau contribute 0.ptau 1.ptau --name=vectors -e=vectors
powersoftau prepare phase2 1.ptau 2.ptau
groth16 setup circuit.r1cs 2.ptau 0.zkey
zkey contribute 0.zkey 1.zkey --name=vectors -e=vectors
zkey export verificationkey 1.zkey verification_key.json
groth16 prove 1.zkey witness.wtns proof.json public.json
groth16 verify verification_key.json public.json proof.json
"""


def make(folder: Path) -> None:
    """Run every step in a folder."""
    cs = ConstraintSystem("preimage")
    digest, other = cs.public("digest"), cs.public("other")
    cs.enforce_equal(poseidon.hash(cs, [cs.private("secret"), other], "hash"), digest, "the digest")
    circuit = cs.finish()
    witness = circuit.witness({"digest": plain_poseidon.hash([42, 7]), "other": 7, "secret": 42})
    (folder / "circuit.r1cs").write_bytes(r1cs.write(circuit.r1cs()))
    (folder / "witness.wtns").write_bytes(wtns.write(witness))
    for step in STEPS.strip().splitlines():
        subprocess.run(["snarkjs", *step.split()], cwd=folder, check=True, capture_output=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        make(Path(directory))
        for name in ("verification_key.json", "public.json", "proof.json"):
            (HERE / name).write_bytes((Path(directory) / name).read_bytes())
