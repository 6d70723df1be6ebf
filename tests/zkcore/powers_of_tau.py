"""Files of powers of tau made by somebody who knows tau: quick, and for tests alone."""

import secrets
from struct import pack

import numpy as np

from zkcore.bn254 import G1_GENERATOR, G2_GENERATOR, P, R
from zkcore.formats.iden3 import field_to_bytes, write_sections
from zkcore.groups import g1, g2
from zkcore.limbs import to_limbs
from zkcore.multiples import FixedBase
from zkcore.ntt import root_of_unity
from zkcore.tasks import run


def lagrange_at(tau: int, bits: int, powers: list[int]) -> list[int]:
    """Sums of the powers with the coefficients of Lagrange's polynomials of 2^bits points."""
    size, root = 1 << bits, root_of_unity(bits)
    if len(powers) == size:
        scale = (pow(tau, size, R) - 1) * pow(size, -1, R)
        return [scale * w * pow(tau - w, -1, R) * powers[0] % R for w in (pow(root, i, R) for i in range(size))]
    # the highest power is missing: what it would add goes
    full = lagrange_at(tau, bits, [*powers, powers[-1] * tau % R])
    top, share = powers[-1] * tau % R, pow(size, -1, R)
    return [(value - share * pow(root, i, R) * top) % R for i, value in enumerate(full)]  # w^-(n - 1) = w


def ptau(power: int, tau: int = 0) -> bytes:
    """A file prepared for phase 2, of power ``power``."""
    tau = tau or 2 + secrets.randbelow(R - 2)
    alpha, beta = (1 + secrets.randbelow(R - 1) for _ in range(2))
    size = 1 << power
    taus = [1]
    for _ in range(2 * size - 2):
        taus.append(taus[-1] * tau % R)
    first, second = FixedBase(g1, G1_GENERATOR), FixedBase(g2, G2_GENERATOR)

    def points(base: FixedBase, scalars: list[int]) -> bytes:
        out = np.empty((len(scalars), 2, 4) if base is first else (len(scalars), 2, 2, 4), np.uint64)
        run(base.tasks(to_limbs(scalars), out))
        return out.tobytes()

    columns = {2: (first, taus), 3: (second, taus[:size])}
    columns |= {4: (first, [alpha * x % R for x in taus[:size]]), 5: (first, [beta * x % R for x in taus[:size]])}
    sections = {1: field_to_bytes(P) + pack("<II", power, power)}
    sections |= {number: points(*column) for number, column in columns.items()}
    sections |= {6: points(second, [beta]), 7: pack("<I", 0)}
    for number, (base, scalars) in columns.items():
        sums = []
        for bits in range(power + 1 + (number == 2)):
            sums += lagrange_at(tau, bits, scalars[: 1 << bits])
        sections[number + 10] = points(base, sums)
    return write_sections("ptau", 1, sections)
