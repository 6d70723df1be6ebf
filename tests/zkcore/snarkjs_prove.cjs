// In the folder that is the first argument: checks NAME.wtns by NAME.r1cs and proves it with NAME.zkey, with snarkjs.
const path = require("path");
const snarkjs = require("snarkjs");

const at = (kind) => path.join(process.argv[2], `${process.argv[3]}.${kind}`);

(async () => {
  const holds = await snarkjs.wtns.check(at("r1cs"), at("wtns"));
  const { proof, publicSignals } = await snarkjs.groth16.prove(at("zkey"), at("wtns"));
  process.stdout.write(JSON.stringify({ holds, proof, publicSignals }), () => process.exit(0));
})();
