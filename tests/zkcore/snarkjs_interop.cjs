// In the folder that is the argument: checks our constraint system and witness, proves with our key, and makes a key of
// its own by a small ceremony (powers of tau and one contribution each), all with snarkjs.
const path = require("path");
const fs = require("fs");
const snarkjs = require("snarkjs");

const at = (name) => path.join(process.argv[2], name);
const save = (name, value) => fs.writeFileSync(at(name), JSON.stringify(value));

(async () => {
  save("witness_holds.json", await snarkjs.wtns.check(at("ours.r1cs"), at("ours.wtns")));
  const { proof, publicSignals } = await snarkjs.groth16.prove(at("ours.zkey"), at("ours.wtns"));
  save("their_proof.json", { proof, publicSignals });
  save("our_key.json", await snarkjs.zKey.exportVerificationKey(at("ours.zkey")));
  const curve = await snarkjs.curves.getCurveFromName("bn128");
  await snarkjs.powersOfTau.newAccumulator(curve, 6, at("0.ptau"));
  await snarkjs.powersOfTau.contribute(at("0.ptau"), at("1.ptau"), "tests", "entropy of a test");
  await snarkjs.powersOfTau.preparePhase2(at("1.ptau"), at("2.ptau"));
  await snarkjs.zKey.newZKey(at("ours.r1cs"), at("2.ptau"), at("0.zkey"));
  await snarkjs.zKey.contribute(at("0.zkey"), at("theirs.zkey"), "tests", "more entropy of a test");
  save("their_key.json", await snarkjs.zKey.exportVerificationKey(at("theirs.zkey")));
  process.exit(0);
})();
