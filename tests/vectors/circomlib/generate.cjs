// Writes vectors.json with circomlibjs (npm install circomlibjs@0.1.7): node generate.cjs > vectors.json
// Inputs are simple formulas; every number that is an output comes from circomlibjs.
const circomlibjs = require("circomlibjs");

(async () => {
  const poseidon = await circomlibjs.buildPoseidonReference();
  const babyjub = await circomlibjs.buildBabyjub();
  const F = poseidon.F;
  const text = (x) => F.toObject(x).toString();
  const wide = (k) => F.toObject(F.e(BigInt("0x" + "9e3779b97f4a7c15f39cc0605cedc834".repeat(2)) ** BigInt(k + 1)));
  const out = { poseidon: [], multiply: [], add: [] };
  for (let n = 1; n <= 16; n++) {
    const rows = [
      Array.from({ length: n }, (_, i) => BigInt(i + 1)),
      Array.from({ length: n }, () => 0n),
      Array.from({ length: n }, (_, i) => wide(i)),
      Array.from({ length: n }, () => F.p - 1n),
    ];
    for (const inputs of rows) {
      out.poseidon.push({ inputs: inputs.map(String), hash: text(poseidon(inputs)) });
    }
  }
  const point = (p) => [babyjub.F.toObject(p[0]).toString(), babyjub.F.toObject(p[1]).toString()];
  const scalars = [0n, 1n, 2n, 15n, 16n, babyjub.subOrder - 1n, babyjub.subOrder, wide(1), wide(2)];
  for (const base of [babyjub.Base8, babyjub.Generator]) {
    for (const scalar of scalars) {
      const result = babyjub.mulPointEscalar(base, scalar);
      out.multiply.push({ point: point(base), scalar: scalar.toString(), result: point(result) });
      out.add.push({ left: point(base), right: point(result), result: point(babyjub.addPoint(base, result)) });
    }
  }
  console.log(JSON.stringify(out, null, 1));
  process.exit(0);
})();
