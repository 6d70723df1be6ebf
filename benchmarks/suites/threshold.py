"""A committee's key: dealt, used by its trustees, combined, handed on. No peer in Python has threshold Paillier."""

from collections.abc import Iterator, Sequence
from functools import cache, partial
from typing import Any

from benchmarks.case import BEST, OURS, PORTABLE, Case, Contender, Options, Trial

CONTEXT = b"benchmark"
COLUMNS = (1, 4, 16, 64, 256)
COMMITTEES = ((3, 2), (5, 3), (7, 4), (11, 6), (16, 9))


def cases(options: Options) -> Iterator[Case]:
    """2 of 3 unless the committee's size is the point; every proof is checked where answers are combined."""
    for bits in (2048, 3072):
        yield Case("threshold", "key dealt", {"bits": bits}, partial(_deal, bits), seconds=8, quick=bits == 2048)
    for backend in (BEST, PORTABLE):
        yield Case(
            "threshold",
            "one ciphertext, steps",
            {"bits": 2048},
            partial(_one, 2048),
            backend=backend,
            seconds=8,
            quick=backend == BEST,
        )
    yield Case("threshold", "one ciphertext, steps", {"bits": 3072}, partial(_one, 3072), seconds=15, quick=False)
    for rows in COLUMNS:
        size: dict[str, int | str] = {"bits": 2048, "rows": rows}
        yield Case("threshold", "a row of a column answered", size, partial(_answer, rows), grows="rows", seconds=1.5)
        yield Case("threshold", "a row of a column combined", size, partial(_combine, rows), grows="rows", seconds=1.5)
    for parties, threshold in COMMITTEES:
        yield Case(
            "threshold",
            "combined, by committee",
            {"bits": 2048, "threshold": threshold, "parties": parties},
            partial(_committee, parties, threshold),
            grows="threshold",
            seconds=2,
            quick=False,
        )
    yield Case("threshold", "key handed on to 3 of 5", {"bits": 2048}, _resharing, seconds=4)
    yield Case("threshold", "answer, bytes", {"bits": 2048}, _bytes, unit="B", seconds=1)


@cache
def _primes(bits: int) -> tuple[int, int]:
    """Safe primes, found once a process."""
    from homomorphic.primes import safe_prime

    return safe_prime(bits // 2), safe_prime(bits // 2)


@cache
def committee(bits: int, parties: int = 3, threshold: int = 2) -> tuple[Any, list[Any]]:
    """A key and its shares."""
    from homomorphic.threshold import deal_from_primes

    return deal_from_primes(*_primes(bits), parties, threshold)


@cache
def _column(bits: int, rows: int) -> Any:
    from homomorphic.column import CiphertextColumn

    return CiphertextColumn.encrypt(committee(bits)[0].public_key, list(range(rows)))


def _decrypts(key: Any, shares: Sequence[Any]) -> bool:
    ciphertext, _ = key.public_key.encrypt(1234)
    answers = [share.partial_decrypt(ciphertext, CONTEXT) for share in shares[: key.threshold]]
    return bool(key.combine(ciphertext, answers, CONTEXT).plaintext == 1234)


def _deal(bits: int) -> Trial:
    """The time is a random variable: safe primes are searched for."""
    from homomorphic.threshold import deal

    return Trial([Contender(OURS, lambda: deal(bits, 3, 2), lambda made: _decrypts(*made))], True)


def _one(bits: int) -> Trial:
    key, shares = committee(bits)
    ciphertext, _ = key.public_key.encrypt(99)
    answers = [share.partial_decrypt(ciphertext, CONTEXT) for share in shares[:2]]
    return Trial(
        [
            Contender(
                f"{OURS}, answered with proof",
                lambda: shares[0].partial_decrypt(ciphertext, CONTEXT),
                lambda answer: key.verify_share(ciphertext, answer, CONTEXT),
            ),
            Contender(f"{OURS}, proof checked", lambda: key.verify_share(ciphertext, answers[0], CONTEXT)),
            Contender(
                f"{OURS}, two checked and combined",
                lambda: key.combine(ciphertext, answers, CONTEXT),
                lambda combined: combined.plaintext == 99,
            ),
        ],
        True,
    )


def _answer(rows: int) -> Trial:
    (key, shares), column = committee(2048), _column(2048, rows)

    def right(answer: Any) -> list[int]:
        other = shares[1].partial_decrypt_column(column, CONTEXT)
        return list(key.combine_column(column, [answer, other], CONTEXT).plaintexts)

    return Trial(
        [Contender(OURS, lambda: shares[0].partial_decrypt_column(column, CONTEXT), right, rows)], list(range(rows))
    )


def _combine(rows: int) -> Trial:
    (key, shares), column = committee(2048), _column(2048, rows)
    answers = [share.partial_decrypt_column(column, CONTEXT) for share in shares[:2]]
    return Trial(
        [
            Contender(
                OURS,
                lambda: key.combine_column(column, answers, CONTEXT),
                lambda combined: list(combined.plaintexts),
                rows,
            )
        ],
        list(range(rows)),
    )


def _committee(parties: int, threshold: int) -> Trial:
    key, shares = committee(2048, parties, threshold)
    ciphertext, _ = key.public_key.encrypt(7)
    answers = [share.partial_decrypt(ciphertext, CONTEXT) for share in shares[:threshold]]
    return Trial(
        [
            Contender(
                OURS, lambda: key.combine(ciphertext, answers, CONTEXT), lambda combined: combined.plaintext, threshold
            )
        ],
        7,
    )


def _resharing() -> Trial:
    from homomorphic.resharing import Resharing

    key, shares = committee(2048)
    resharing = Resharing(key, (1, 2), 3, 5)
    dealt = [resharing.deal(share) for share in shares[:2]]
    dealings = [dealing for dealing, _ in dealt]

    def receive(index: int) -> Any:
        return resharing.receive(index, dealings, [subs[index - 1] for _, subs in dealt])

    def works(share: Any) -> bool:
        return _decrypts(resharing.new_key(dealings), [share, receive(2), receive(3)])

    def deals(made: Any) -> bool:
        resharing.check(made[0])
        return len(made[1]) == 5

    return Trial(
        [
            Contender(f"{OURS}, one old party deals", lambda: resharing.deal(shares[0]), deals),
            Contender(f"{OURS}, one new party checks and receives", lambda: receive(1), works),
        ],
        True,
    )


def _bytes() -> Trial:
    from homomorphic.threshold import PartialDecryption

    key, shares = committee(2048)
    ciphertext, _ = key.public_key.encrypt(7)
    answer = shares[0].partial_decrypt(ciphertext, CONTEXT)
    return Trial(
        [
            Contender(
                OURS,
                answer.to_bytes,
                lambda data: PartialDecryption.from_bytes(data) == answer,
                1,
                lambda data: float(len(data)),
            )
        ],
        True,
    )
