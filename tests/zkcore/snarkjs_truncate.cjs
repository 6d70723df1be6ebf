// In the folder that is the argument: cuts whole.ptau to all smaller powers, with snarkjs.
const path = require("path");
const snarkjs = require("snarkjs");

const at = (name) => path.join(process.argv[2], name);

(async () => {
  await snarkjs.powersOfTau.truncate(at("whole.ptau"), at("cut"));
  process.exit(0);
})();
