"""Paillier encryption, in the variant of Damgard, Jurik and Nielsen with short randomness.

    c = (1 + m N) h^rho mod N^2,   h = (-y^2)^N mod N^2,   rho uniform in [0, 2^(|N|/2))

after Damgard, Jurik and Nielsen 2010, "A generalization of Paillier's public-key system with applications to
electronic voting", section 4; the plain system is Paillier 1999. With g = N + 1 a ciphertext of plain Paillier
decrypts here and the other way round.

Security rests on factoring N and on decisional composite residuosity: 112 bits for a modulus of 2048 bits, 128 bits for
3072 (NIST SP 800-57). Encryption hides the plaintext from who lacks the key, and nothing more: anyone can add to a
ciphertext, so what a ciphertext holds must be proved (:mod:`homomorphic.proofs`).

Exponentiations by secrets (rho, the private exponents, plaintext factors) run in lanes (:mod:`homomorphic.modular`),
whose time and memory accesses do not depend on the exponent, or, elsewhere and for single ciphertexts modulo p^2 and
q^2, as GMP's ``mpn_sec_powm``, where the exponent's length in bits shows and nothing else. Columns are decrypted in
lanes throughout (:mod:`homomorphic.factors`). Making keys, decrypting single ciphertexts apart from the powers, and
conversions between Python's integers and others are not constant-time.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, overload

import gmpy2
from gmpy2 import mpz

from homomorphic.encoding import Reader, Writer
from homomorphic.errors import (
    EvenModulus,
    NotAUnit,
    NotComposite,
    SmallFactor,
    TrivialCiphertext,
    WrongJacobiSymbol,
    WrongKeyLength,
)
from homomorphic.primes import blum_prime, primes_below
from homomorphic.rows import from_rows, to_rows
from homomorphic.secret import Secret
from zkcore.errors import OutOfRange, WrongLength

if TYPE_CHECKING:  # columns need Numba, which not everyone who holds a key does
    from homomorphic.column import CiphertextColumn
    from homomorphic.fixed_point import Numbers

KEY_BITS = (2048, 3072, 4096)
"""Lengths of a modulus that are in use; 3072 is the default."""

TRIAL_DIVISION_BOUND = 1 << 16
_PUBLIC_TAG = b"zks-ppk1"
_PRIVATE_TAG = b"zks-psk1"


@lru_cache(maxsize=1)
def _small_primes_product() -> mpz:
    """Product of the odd primes below the bound of trial division, so that one gcd tries them all."""
    factors = [mpz(p) for p in primes_below(TRIAL_DIVISION_BOUND)[1:].tolist()]
    while len(factors) > 1:
        pairs = [a * b for a, b in zip(factors[::2], factors[1::2], strict=False)]
        factors = pairs + factors[2 * len(pairs) :]
    return factors[0]


def check_modulus(n: int, part: str, toy_key_for_tests: bool = False) -> None:
    """Refuse what can't be the modulus of a key.

    Raises
    ------
    WrongKeyLength, EvenModulus, SmallFactor, NotComposite
        Not one of :data:`KEY_BITS` (toy keys: at least 64 bits); even; a factor below 2^16; a prime or a perfect power.
    """
    bits = n.bit_length() if n > 0 else 0
    if bits not in KEY_BITS and not (toy_key_for_tests and 64 <= bits < KEY_BITS[0]):
        raise WrongKeyLength(part, f"is {bits} bits long; moduli of {', '.join(map(str, KEY_BITS))} bits are used")
    if n % 2 == 0:
        raise EvenModulus(part, "is even")
    if gmpy2.gcd(n, _small_primes_product()) != 1:
        raise SmallFactor(part, f"has a factor below {TRIAL_DIVISION_BOUND}")
    if gmpy2.is_prime(n, 1) or gmpy2.is_power(n):
        raise NotComposite(part, "is a prime or a perfect power")


def power_of_secret(base: int | mpz, exponent: int | mpz, modulus: int | mpz) -> mpz:
    """``base ** exponent mod modulus`` for a secret ``exponent`` >= 0, whose length shows, and an odd modulus."""
    return gmpy2.powmod_sec(base, exponent, modulus) if exponent else mpz(1)


@dataclass(frozen=True)
class PublicKey:
    """A Paillier public key; one that exists has passed every check.

    Parameters
    ----------
    n
        The modulus N, an odd product of two primes of half its length.
    h
        Base of the randomness, an N-th power modulo N^2 in ``(1, N^2 - 1)``.
    toy_key_for_tests
        Accept a modulus too short to be safe. For tests only.

    Raises
    ------
    WrongKeyLength, EvenModulus, SmallFactor, NotComposite, OutOfRange, NotAUnit, WrongJacobiSymbol
        As :func:`check_modulus`; ``h`` out of its range, not a unit, or with a Jacobi symbol that (-y^2)^N can't have.
        That N has two prime factors and that ``h`` is an N-th power can't be seen without the private key.
    """

    n: int
    h: int
    toy_key_for_tests: InitVar[bool] = False

    def __post_init__(self, toy_key_for_tests: bool) -> None:
        check_modulus(self.n, "public_key.n", toy_key_for_tests)
        if not 1 < self.h < self.n**2 - 1:
            raise OutOfRange("public_key.h", "does not lie in (1, N^2 - 1)")
        if gmpy2.gcd(self.h, self.n) != 1:
            raise NotAUnit("public_key.h", "shares a factor with the modulus")
        if gmpy2.jacobi(self.h, self.n) != gmpy2.jacobi(-1, self.n):
            raise WrongJacobiSymbol("public_key.h", "has a Jacobi symbol that (-y^2)^N can't have")

    @property
    def bits(self) -> int:
        """Length of the modulus."""
        return self.n.bit_length()

    @property
    def randomness_bits(self) -> int:
        """Length of rho, the exponent of ``h``."""
        return self.bits // 2

    @property
    def ciphertext_bytes(self) -> int:
        """Width of a ciphertext's encoding."""
        return (2 * self.bits + 7) // 8

    @cached_property
    def modulus(self) -> mpz:
        """N as GMP holds it."""
        return mpz(self.n)

    @cached_property
    def square(self) -> mpz:
        """N^2, the modulus of ciphertexts."""
        return self.modulus * self.modulus

    @cached_property
    def _arithmetic(self) -> Any:
        from homomorphic.modular import square_modulus  # and Numba, which not everyone who holds a key needs

        return square_modulus(self.n)

    @cached_property
    def fingerprint(self) -> bytes:
        """SHA-256 of the key's bytes (32 bytes); messages name the key by it."""
        return hashlib.sha256(b"zkshare/paillier-key-fingerprint/v1" + self.to_bytes()).digest()

    def to_bytes(self) -> bytes:
        """Canonical encoding: tag, length in bits, N, h."""
        return (
            Writer(_PUBLIC_TAG)
            .integer(self.bits, 2)
            .integer(self.n, (self.bits + 7) // 8)
            .integer(self.h, self.ciphertext_bytes)
            .to_bytes()
        )

    @classmethod
    def from_bytes(cls, data: bytes, *, toy_key_for_tests: bool = False) -> "PublicKey":
        """Read a key strictly; raises Malformed and what the constructor raises."""
        reader = Reader(data, _PUBLIC_TAG, "public_key")
        bits = reader.integer(2)
        n = reader.integer((bits + 7) // 8)
        h = reader.integer((2 * bits + 7) // 8)
        reader.end()
        if n.bit_length() != bits:
            raise WrongKeyLength("public_key.n", f"is {n.bit_length()} bits long, its encoding says {bits}")
        return cls(n, h, toy_key_for_tests)

    # Ciphertexts are integers modulo N^2. None of the operations below looks for 0, 1 and non-units among its
    # arguments: a ciphertext from outside goes through check() first.

    def check_unit(self, value: int, part: str) -> None:
        """Refuse what is not a unit modulo N^2 in ``[0, N^2)``; raises OutOfRange, NotAUnit."""
        if not 0 <= value < self.square:
            raise OutOfRange(part, "does not lie in [0, N^2)")
        if gmpy2.gcd(value, self.modulus) != 1:
            raise NotAUnit(part, "shares a factor with the modulus")

    def check(self, ciphertext: int, part: str = "ciphertext") -> None:
        """Refuse what is not a ciphertext; raises OutOfRange, TrivialCiphertext, NotAUnit."""
        if ciphertext in (0, 1):
            raise TrivialCiphertext(part, f"is {ciphertext}")
        self.check_unit(ciphertext, part)

    def check_plaintext(self, plaintext: int, part: str = "plaintext") -> None:
        """Refuse what is not a plaintext, an integer in ``[0, N)``; raises OutOfRange."""
        if not 0 <= plaintext < self.n:
            raise OutOfRange(part, "does not lie in [0, N)")

    def unhidden(self, plaintext: int) -> mpz:
        """``1 + plaintext N``, the ciphertext that hides nothing; any integer, taken modulo N."""
        return 1 + plaintext % self.modulus * self.modulus

    def powers(self, bases: Sequence[int], exponents: Sequence[int], bits: int) -> list[int]:
        """``bases[i] ** exponents[i] mod N^2`` for secret exponents in ``[0, 2^bits)``."""
        column = self._arithmetic.enter(to_rows(bases, self.ciphertext_bytes))
        powers = self._arithmetic.power(column, to_rows(exponents, -(-bits // 8)), bits)
        return from_rows(self._arithmetic.leave(powers, len(bases), self.ciphertext_bytes))

    def product_of_powers(self, bases: Sequence[int], exponents: Sequence[int]) -> mpz:
        """``prod bases[i] ** exponents[i] mod N^2`` for public exponents, quickest with like lengths together."""
        bits = max(1, *(exponent.bit_length() for exponent in exponents))
        column = self._arithmetic.enter(to_rows(bases, self.ciphertext_bytes))
        product = self._arithmetic.product_of_powers(column, to_rows(exponents, -(-bits // 8)), bits)
        return mpz(from_rows(self._arithmetic.leave(product, 1, self.ciphertext_bytes))[0])

    def mask(self, rho: int, bits: int | None = None) -> mpz:
        """``h^rho mod N^2``, for a secret ``rho`` below ``2^bits`` (if not said, as long as for encryption)."""
        return mpz(self.powers([self.h], [rho], bits or self.randomness_bits)[0])

    @overload
    def encrypt(self, values: int) -> tuple[int, int]: ...

    @overload
    def encrypt(self, values: "Numbers", *, scale: int = 1, threads: int = 1) -> "CiphertextColumn": ...

    def encrypt(self, values: Any, *, scale: int = 1, threads: int = 1) -> Any:
        """Encrypt signed numbers as a column (:meth:`homomorphic.column.CiphertextColumn.encrypt`), or one integer.

        Returns
        -------
        column or (ciphertext, rho)
            The pair for one integer in ``[0, N)``: ``rho`` is the secret randomness that proofs about the ciphertext
            need; forget it otherwise.
        """
        if hasattr(values, "__len__"):
            from homomorphic.column import CiphertextColumn

            return CiphertextColumn.encrypt(self, values, scale=scale, threads=threads)
        rho = secrets.randbits(self.randomness_bits)
        return self.encrypt_with(values, rho), rho

    def encrypt_with(self, plaintext: int, rho: int) -> int:
        """Encrypt with given randomness in ``[0, 2^(|N|/2))``, which must be uniform and never used again."""
        self.check_plaintext(plaintext)
        if not 0 <= rho < 1 << self.randomness_bits:
            raise OutOfRange("rho", "does not lie in [0, 2^(|N|/2))")
        return int(self.unhidden(plaintext) * self.mask(rho) % self.square)

    def add(self, a: int, b: int) -> int:
        """A ciphertext of the sum of what ``a`` and ``b`` hold, modulo N."""
        return int(a * mpz(b) % self.square)

    def add_plain(self, a: int, plaintext: int) -> int:
        """A ciphertext of what ``a`` holds plus an integer, modulo N; the randomness stays ``a``'s."""
        return int(a * self.unhidden(plaintext) % self.square)

    def multiply(self, a: int, factor: int) -> int:
        """A ciphertext of what ``a`` holds times an integer, modulo N; its length and sign show in the time.

        A factor of 0 gives 1, a trivial ciphertext. The randomness is ``a``'s times the factor: rerandomize the result
        where the factor is secret.
        """
        power = self.powers([a], [abs(factor)], max(1, factor.bit_length()))[0]
        return int(gmpy2.invert(power, self.square)) if factor < 0 else power

    def sum(self, ciphertexts: Sequence[int]) -> int:
        """A ciphertext of the sum; raises WrongLength for none, OutOfRange, NotAUnit for what is no ciphertext."""
        if not ciphertexts:
            raise WrongLength("ciphertexts", "there is nothing to add")
        square = self.square
        product = mpz(1)
        for i, ciphertext in enumerate(ciphertexts):
            if not 0 < ciphertext < square:
                raise OutOfRange(f"ciphertexts[{i}]", "does not lie in (0, N^2)")
            product = product * ciphertext % square
        if gmpy2.gcd(product, self.modulus) != 1:  # a product of units is a unit, and of nothing else
            for i, ciphertext in enumerate(ciphertexts):
                self.check(ciphertext, f"ciphertexts[{i}]")
        return int(product)

    def rerandomize(self, a: int) -> int:
        """A ciphertext of the same plaintext that nobody can tell to be made from ``a``."""
        return int(a * self.mask(secrets.randbits(self.randomness_bits)) % self.square)

    def ciphertext_to_bytes(self, ciphertext: int) -> bytes:
        """Big-endian, :attr:`ciphertext_bytes` wide."""
        return int(ciphertext).to_bytes(self.ciphertext_bytes, "big")

    def ciphertext_from_bytes(self, data: bytes, part: str = "ciphertext") -> int:
        """Read a ciphertext strictly; raises WrongLength and what :meth:`check` raises."""
        if len(data) != self.ciphertext_bytes:
            raise WrongLength(part, f"is {len(data)} bytes long, not {self.ciphertext_bytes}")
        ciphertext = int.from_bytes(data, "big")
        self.check(ciphertext, part)
        return ciphertext


@dataclass(frozen=True, repr=False)
class PrivateKey(Secret):
    """A Paillier private key: the factors of the modulus.

    Parameters
    ----------
    p, q
        Different primes of equal length.
    public_key
        The key that they belong to.
    """

    p: int
    q: int
    public_key: PublicKey

    def __post_init__(self) -> None:
        if self.p * self.q != self.public_key.n or self.p == self.q:
            raise OutOfRange("private_key", "is not made of two different factors of the public modulus")
        if not (gmpy2.is_prime(self.p, 25) and gmpy2.is_prime(self.q, 25)):
            raise NotComposite("private_key", "has a factor that is not prime")
        if gmpy2.gcd(self.public_key.n, (self.p - 1) * (self.q - 1)) != 1:
            raise OutOfRange("private_key", "has factors that do not allow decryption")

    def _half(self, ciphertext: int, p: int) -> mpz:
        """The plaintext modulo the prime ``p`` (Paillier 1999, section 7)."""
        p_squared = mpz(p) * p

        def logarithm(base: int) -> mpz:
            return (power_of_secret(base % p_squared, p - 1, p_squared) - 1) // p

        return logarithm(ciphertext) * gmpy2.invert(logarithm(self.public_key.n + 1), p) % p

    @cached_property
    def factors(self) -> Any:
        """Arithmetic modulo the squares of p and q (:mod:`homomorphic.factors`)."""
        from homomorphic.modular import prime_factors

        return prime_factors(self.p, self.q, self.public_key.h, self.public_key.randomness_bits)

    def encrypt(self, values: "Numbers", *, scale: int = 1, threads: int = 1) -> "CiphertextColumn":
        """As :meth:`PublicKey.encrypt` of many, in less time."""
        from homomorphic.column import CiphertextColumn

        return CiphertextColumn.encrypt(self.public_key, values, scale=scale, threads=threads, owner=self)

    @overload
    def decrypt(self, ciphertext: int) -> int: ...

    @overload
    def decrypt(self, ciphertext: "CiphertextColumn", *, threads: int = 1) -> list[int]: ...

    def decrypt(self, ciphertext: Any, *, threads: int = 1) -> Any:
        """The signed integers of a column, or the plaintext in ``[0, N)`` of one ciphertext.

        Raises WrongKey for a column of another key, and what :meth:`PublicKey.check` raises for one ciphertext.
        """
        if hasattr(ciphertext, "__len__"):
            return ciphertext.decrypt(self, threads=threads)
        self.public_key.check(ciphertext)
        m_p, m_q = self._half(ciphertext, self.p), self._half(ciphertext, self.q)
        return int(m_p + (m_q - m_p) * gmpy2.invert(self.p, self.q) % self.q * self.p)

    def to_bytes(self) -> bytes:
        """Canonical encoding, not encrypted: tag, then the public key's length and bytes, then p and q."""
        public = self.public_key.to_bytes()
        length = (self.public_key.bits + 7) // 8
        return Writer(_PRIVATE_TAG).integer(len(public), 4).raw(public).integers((self.p, self.q), length).to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes, *, toy_key_for_tests: bool = False) -> "PrivateKey":
        """Read a key strictly; raises Malformed and what the constructors raise."""
        reader = Reader(data, _PRIVATE_TAG, "private_key")
        public_key = PublicKey.from_bytes(reader.raw(reader.integer(4)), toy_key_for_tests=toy_key_for_tests)
        length = (public_key.bits + 7) // 8
        p, q = reader.integer(length), reader.integer(length)
        reader.end()
        return cls(p, q, public_key)


def randomness_base(n: int) -> int:
    """A fresh ``h = (-y^2)^N mod N^2`` for a uniform unit y."""
    while True:
        y = secrets.randbelow(n)
        if y > 1 and gmpy2.gcd(y, n) == 1:
            return int(gmpy2.powmod(-y * y, n, mpz(n) * n))


def generate_keypair(bits: int = 3072, *, toy_key_for_tests: bool = False) -> tuple[PublicKey, PrivateKey]:
    """Make a key whose holder decrypts alone.

    The factors are 3 modulo 4 and p - 1 and q - 1 share only the factor 2, as section 4 of Damgard, Jurik and Nielsen
    asks. For a key that several parties hold together see :mod:`homomorphic.threshold`.
    """
    if bits not in KEY_BITS and not (toy_key_for_tests and bits % 2 == 0):
        raise WrongKeyLength("bits", f"keys are {', '.join(map(str, KEY_BITS))} bits long, not {bits}")
    while True:
        p, q = blum_prime(bits // 2), blum_prime(bits // 2)
        if p != q and gmpy2.gcd(p - 1, q - 1) == 2 and gmpy2.gcd(p * q, (p - 1) * (q - 1)) == 1:
            break
    public_key = PublicKey(p * q, randomness_base(p * q), toy_key_for_tests)
    return public_key, PrivateKey(p, q, public_key)
