// Reads a JSON list of [verification key, public inputs, proof] from standard input and writes whether snarkjs accepts
// each of them.
const snarkjs = require("snarkjs");

const chunks = [];
process.stdin.on("data", (chunk) => chunks.push(chunk));
process.stdin.on("end", async () => {
  const answers = [];
  for (const [key, inputs, proof] of JSON.parse(Buffer.concat(chunks).toString())) {
    answers.push(await snarkjs.groth16.verify(key, inputs, proof));
  }
  process.stdout.write(JSON.stringify(answers), () => process.exit(0));
});
