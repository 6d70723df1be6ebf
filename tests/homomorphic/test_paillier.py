"""Paillier against phe and gmpy2, by its laws, on its edges, and with keys and ciphertexts that must be refused."""

import gmpy2
import phe
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homomorphic.errors import (
    EvenModulus,
    NotAUnit,
    NotComposite,
    SmallFactor,
    TrivialCiphertext,
    WrongJacobiSymbol,
    WrongKeyLength,
)
from homomorphic.paillier import PrivateKey, PublicKey, generate_keypair, randomness_base
from tests.homomorphic.conftest import keypair, safe_primes
from zkcore.errors import Malformed, OutOfRange, Refused, WrongLength

TOY = keypair(512)
N = TOY.public_key.n
plaintexts = st.one_of(st.sampled_from([0, 1, 2**64 - 1, N - 1, N // 2]), st.integers(0, N - 1))


# Oracles


def test_phe_decrypts_what_we_encrypt_and_we_what_phe_encrypts(private_key: PrivateKey) -> None:
    key = private_key.public_key
    theirs = phe.PaillierPublicKey(key.n)
    their_private = phe.PaillierPrivateKey(theirs, private_key.p, private_key.q)
    for m in (0, 1, 2**64 - 1, key.n - 1):
        assert their_private.raw_decrypt(key.encrypt(m)[0]) == m
        assert private_key.decrypt(theirs.raw_encrypt(m)) == m
    mixed = key.add(key.encrypt(40)[0], theirs.raw_encrypt(2))
    assert private_key.decrypt(mixed) == 42


def test_encryption_is_the_formula(private_key: PrivateKey) -> None:
    key = private_key.public_key
    m, rho = 2**64 - 1, 2**1000 + 7
    square = key.n**2
    expected = (1 + m * key.n) * pow(key.h, rho, square) % square
    assert key.encrypt_with(m, rho) == expected
    assert pow(1 + key.n, m, square) == (1 + m * key.n) % square


def test_base_of_randomness_is_minus_a_square_to_the_n() -> None:
    p, q = safe_primes(512)
    h = randomness_base(p * q)
    # of order dividing 2 p'q' modulo N^2, and a non-residue modulo both factors, as -1 is
    assert pow(h, 2 * (p // 2) * (q // 2), (p * q) ** 2) == 1
    assert gmpy2.legendre(h % p, p) == gmpy2.legendre(h % q, q) == -1


# Laws


@given(plaintexts)
@settings(max_examples=50)
def test_decryption_undoes_encryption(m: int) -> None:
    ciphertext, rho = TOY.public_key.encrypt(m)
    assert TOY.decrypt(ciphertext) == m
    assert TOY.public_key.encrypt_with(m, rho) == ciphertext


@given(plaintexts, plaintexts, st.integers(-(2**80), 2**80))
@settings(max_examples=50)
def test_arithmetic(a: int, b: int, factor: int) -> None:
    key = TOY.public_key
    x, y = key.encrypt(a)[0], key.encrypt(b)[0]
    assert TOY.decrypt(key.add(x, y)) == (a + b) % N
    assert TOY.decrypt(key.add_plain(x, b)) == (a + b) % N
    assert TOY.decrypt(key.add_plain(x, -b)) == (a - b) % N
    assert TOY.decrypt(key.sum([x, y, x])) == (2 * a + b) % N
    assert key.add(x, y) == key.add(y, x)
    if factor:
        assert TOY.decrypt(key.multiply(x, factor)) == a * factor % N
    assert key.multiply(x, 0) == 1
    fresh = key.rerandomize(x)
    assert fresh != x
    assert TOY.decrypt(fresh) == a


def test_edges_at_lengths_in_use(private_key: PrivateKey) -> None:
    key = private_key.public_key
    for m in (0, 1, 2**64 - 1, key.n - 1):
        assert private_key.decrypt(key.encrypt(m)[0]) == m
    for m in (-1, key.n, key.n + 1):
        with pytest.raises(OutOfRange, match="plaintext"):
            key.encrypt(m)
    wrapped = key.add_plain(key.encrypt(key.n - 1)[0], 2)
    assert private_key.decrypt(wrapped) == 1
    for rho in (-1, 1 << key.randomness_bits):
        with pytest.raises(OutOfRange, match="rho"):
            key.encrypt_with(1, rho)
    assert private_key.decrypt(key.encrypt_with(5, (1 << key.randomness_bits) - 1)) == 5


def test_randomness_is_fresh() -> None:
    assert len({TOY.public_key.encrypt(1)[0] for _ in range(20)}) == 20


@pytest.mark.slow
@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_generated_keys(bits: int) -> None:
    public_key, private = generate_keypair(bits)
    assert public_key.bits == bits
    assert private.p % 4 == private.q % 4 == 3
    assert private.decrypt(public_key.encrypt(bits)[0]) == bits


def test_generated_toy_key() -> None:
    public_key, private = generate_keypair(256, toy_key_for_tests=True)
    assert public_key.bits == 256
    assert gmpy2.gcd(private.p - 1, private.q - 1) == 2
    with pytest.raises(WrongKeyLength):
        generate_keypair(1024)
    with pytest.raises(WrongKeyLength):
        generate_keypair(257, toy_key_for_tests=True)


# Encodings


def test_bytes_both_ways(private_key: PrivateKey) -> None:
    key = private_key.public_key
    assert PublicKey.from_bytes(key.to_bytes()) == key
    assert PrivateKey.from_bytes(private_key.to_bytes()) == private_key
    ciphertext = key.encrypt(7)[0]
    data = key.ciphertext_to_bytes(ciphertext)
    assert len(data) == key.ciphertext_bytes == key.bits // 4
    assert key.ciphertext_from_bytes(data) == ciphertext


def test_fingerprint_tells_keys_apart(private_key: PrivateKey) -> None:
    key = private_key.public_key
    assert len(key.fingerprint) == 32
    assert key.fingerprint == PublicKey(key.n, key.h).fingerprint
    assert key.fingerprint != PublicKey(key.n, randomness_base(key.n)).fingerprint


@pytest.mark.parametrize("spoil", [lambda d: d[:-1], lambda d: d + b"\0", lambda d: b"zks-xxxx" + d[8:], lambda d: b""])
def test_bytes_of_another_shape_are_refused(private_key: PrivateKey, spoil) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Malformed):
        PublicKey.from_bytes(spoil(private_key.public_key.to_bytes()))
    with pytest.raises(Malformed):
        PrivateKey.from_bytes(spoil(private_key.to_bytes()))


def test_a_length_that_is_not_the_moduluss_is_refused(private_key: PrivateKey) -> None:
    data = bytearray(private_key.public_key.to_bytes())
    data[9] ^= 1  # still as many bytes for N, another number of bits
    with pytest.raises(Refused):
        PublicKey.from_bytes(bytes(data))


# Keys that are refused


def test_short_and_odd_lengths_are_refused() -> None:
    for bits in (512, 1024):
        p, q = safe_primes(512) if bits == 512 else (2**512 - 569, 2**512 - 629)
        with pytest.raises(WrongKeyLength):
            PublicKey(p * q, 4)
    data = TOY.public_key.to_bytes()
    with pytest.raises(WrongKeyLength):
        PublicKey.from_bytes(data)
    assert PublicKey.from_bytes(data, toy_key_for_tests=True) == TOY.public_key
    with pytest.raises(WrongKeyLength):
        PublicKey(2**4999 + 1, 4, toy_key_for_tests=True)
    for n in (0, 1, -N):
        with pytest.raises(WrongKeyLength):
            PublicKey(n, 4, toy_key_for_tests=True)


def test_moduli_that_are_no_product_of_two_large_primes_are_refused(private_key: PrivateKey) -> None:
    n, h = private_key.public_key.n, private_key.public_key.h
    with pytest.raises(EvenModulus):
        PublicKey(n - 1, h)
    for factor in (3, 65521):
        multiple = n - n % factor
        multiple -= 0 if multiple % 2 else factor
        with pytest.raises(SmallFactor):
            PublicKey(multiple, h)
    with pytest.raises(NotComposite):
        PublicKey(int(gmpy2.next_prime(1 << 2047)), h)
    p = int(gmpy2.next_prime(3 << 1022))
    with pytest.raises(NotComposite):
        PublicKey(p * p, h)


def test_bases_of_randomness_that_cant_be_are_refused(private_key: PrivateKey) -> None:
    n = private_key.public_key.n
    for h in (-1, 0, 1, n * n - 1, n * n):
        with pytest.raises(OutOfRange):
            PublicKey(n, h)
    for h in (n, private_key.p * 5):
        with pytest.raises(NotAUnit):
            PublicKey(n, h)
    odd_one = next(x for x in range(2, 1000) if gmpy2.jacobi(x, n) == -1)
    with pytest.raises(WrongJacobiSymbol):
        PublicKey(n, odd_one)


def test_private_keys_that_do_not_fit_are_refused() -> None:
    p, q, key = TOY.p, TOY.q, TOY.public_key
    for a, b in ((p, p), (p, q + 2), (1, p * q), (-p, -q)):
        with pytest.raises(Refused):
            PrivateKey(a, b, key)
    # N with gcd(N, phi(N)) > 1: q divides p - 1
    q = int(gmpy2.next_prime(1 << 100))
    p = next(p for k in range(2, 10**5, 2) if gmpy2.is_prime(p := k * q + 1) and p % 4 == 3)
    n = p * q
    h = next(h for h in range(2, 100) if gmpy2.jacobi(h, n) == gmpy2.jacobi(-1, n))
    with pytest.raises(OutOfRange, match="do not allow decryption"):
        PrivateKey(p, q, PublicKey(n, h, toy_key_for_tests=True))


# Ciphertexts that are refused


def test_what_is_no_ciphertext_is_refused(private_key: PrivateKey) -> None:
    key = private_key.public_key
    cases: list[tuple[int, type[Refused]]] = [
        (-1, OutOfRange),
        (key.n**2, OutOfRange),
        (0, TrivialCiphertext),
        (1, TrivialCiphertext),
        (key.n, NotAUnit),
        (private_key.p, NotAUnit),
        (private_key.q * 12345, NotAUnit),
    ]
    good = key.encrypt(1)[0]
    for bad, refusal in cases:
        with pytest.raises(refusal, match=r"submission\.ciphertext"):
            key.check(bad, "submission.ciphertext")
        with pytest.raises(refusal):
            private_key.decrypt(bad)
        if bad != 1:
            with pytest.raises(Refused, match=r"ciphertexts\[1\]"):
                key.sum([good, bad, good])
        if 0 <= bad < key.n**2:
            with pytest.raises(refusal):
                key.ciphertext_from_bytes(key.ciphertext_to_bytes(bad))
    with pytest.raises(WrongLength):
        key.sum([])
    with pytest.raises(WrongLength):
        key.ciphertext_from_bytes(b"\1" * (key.ciphertext_bytes - 1))


# Secrets


def test_private_keys_do_not_show() -> None:
    import pickle

    for text in (repr(TOY), str(TOY), f"{TOY}", f"{TOY!s:>10}", repr([TOY])):
        assert str(TOY.p) not in text
        assert hex(TOY.p)[2:] not in text
    assert str(TOY.p) not in repr(TOY.factors) + repr(vars(TOY)["factors"])
    for secret in (TOY, TOY.factors):
        with pytest.raises(TypeError):
            pickle.dumps(secret)
