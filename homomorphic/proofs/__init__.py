"""Proofs about ciphertexts, one a file."""
