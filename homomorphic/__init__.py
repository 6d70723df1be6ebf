"""Paillier encryption, threshold decryption and the proofs about ciphertexts. May import :mod:`zkcore`."""
