"""Products of powers with public exponents: prod b_i^(e_i) mod m.

Pippenger's bucket method (Bernstein, Doumen, Lange and Oosterwijk 2012, section 4): exponents are cut into windows of w
bits; in each window the bases with equal digit are multiplied together first, so a window costs one product a base and
2^(w+1) for the digits. Not constant-time: for verifiers.
"""

from collections.abc import Sequence

from gmpy2 import mpz


def _window(count: int, bits: int) -> int:
    """The window length with the fewest products for ``count`` exponents of ``bits`` bits."""
    return min(range(1, 17), key=lambda w: -(-bits // w) * (count + (2 << w)))


def product_of_powers(bases: Sequence[int | mpz], exponents: Sequence[int], modulus: int | mpz) -> mpz:
    """``prod bases[i] ** exponents[i] mod modulus``; every exponent is at least 0."""
    pairs = [(mpz(base), int(exponent)) for base, exponent in zip(bases, exponents, strict=True) if exponent]
    if not pairs:
        return mpz(1)
    m = mpz(modulus)
    bits = max(exponent.bit_length() for _, exponent in pairs)
    w = _window(len(pairs), bits)
    mask = (1 << w) - 1
    result = mpz(1)
    for shift in range((bits - 1) // w * w, -1, -w):
        for _ in range(w):
            result = result * result % m
        buckets: list[mpz | None] = [None] * (mask + 1)
        for base, exponent in pairs:
            digit = exponent >> shift & mask
            if digit:
                held = buckets[digit]
                buckets[digit] = base if held is None else held * base % m
        running: mpz | None = None
        total: mpz | None = None
        for held in reversed(buckets[1:]):  # sum of digit * bucket as a sum of suffix products
            if held is not None:
                running = held if running is None else running * held % m
            if running is not None:
                total = running if total is None else total * running % m
        if total is not None:
            result = result * total % m
    return result
