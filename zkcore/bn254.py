"""BN254 (also alt_bn128, BN256): the pairing-friendly curve of EIP-196 and EIP-197.

A Barreto-Naehrig curve (Barreto and Naehrig 2005) given by one seed ``U``: y^2 = x^3 + 3 over Fp, with the sextic twist
y^2 = x^3 + 3 / (9 + i) over Fp2 = Fp[i] / (i^2 + 1). Security is about 100 bits since the number field sieve of Kim and
Barbulescu (2016); it is used because Ethereum's precompiled contracts, circom and snarkjs use it. All constants follow
from the seed, and what the standards print is checked in the tests.
"""

U = 4965661367192848881
"""Seed of the curve."""

P = 36 * U**4 + 36 * U**3 + 24 * U**2 + 6 * U + 1
"""Modulus of the base field Fp (254 bits)."""

R = 36 * U**4 + 36 * U**3 + 18 * U**2 + 6 * U + 1
"""Order of G1, G2 and GT, and modulus of the scalar field Fr (254 bits)."""

G1_GENERATOR = (1, 2)
"""Generator of G1, affine (EIP-196)."""

G2_GENERATOR = (
    (
        10857046999023057135944570762232829481370756359578518086990519993285655852781,
        11559732032986387107991004021392285783925812861821192530917403151452391805634,
    ),
    (
        8495653923123431417604973247489272438418190587263600148770280649306958101930,
        4082367875863433681332203403145435568316851327593401208105741076214120093531,
    ),
)
"""Generator of G2, affine, coordinates x0 + x1 * i as ``(x0, x1)`` (EIP-197)."""
