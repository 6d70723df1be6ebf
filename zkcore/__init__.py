"""Mathematics: BN254, Groth16 and the primitives that its circuits like. Imports NumPy, Numba and llvmlite only."""
