"""Groth16 over BN254 (Groth 2016, ePrint 2016/260): keys, setup, prover, verifier."""
