"""Foreign encodings, strict on reading: snarkjs JSON and the Ethereum precompiles."""
