"""The one judge of log entries: what it accepts, and that each attack is refused by the check that is meant for it."""

from collections.abc import Callable
from typing import Any

import pytest
import pytest_asyncio

from homomorphic.paillier import PublicKey
from services.api.zkshare.v1.submission_pb2 import Submission
from services.known_roots import KnownRoots
from services.statements import canonical
from services.verification import Accepted, SubmissionVerifier
from tests.services import parties
from tests.services.conftest import Running
from zkcore import babyjubjub
from zkcore.bn254 import P, R
from zkcore.errors import Refused

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIRST, SECOND = parties.FILED[:2]
Judge = Callable[..., list[Accepted | Refused]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def judge(running: Running) -> Judge:
    """Judges submissions, given as messages or bytes, in one batch."""
    verifier = SubmissionVerifier(running.network.parameters, KnownRoots(running.network.ledger).of)

    def judge(*entries: bytes | Submission) -> list[Accepted | Refused]:
        return verifier.verify_batch([entry if isinstance(entry, bytes) else canonical(entry) for entry in entries])

    return judge


def altered(running: Running, name: str = FIRST, **changes: Any) -> Submission:
    submission = Submission.FromString(running.submissions[name])
    for field, value in changes.items():
        if field == "commitments":
            submission.ClearField(field)
            submission.commitments.extend(value)
        else:
            setattr(submission, field, value)
    return submission


def checks(verdicts: list[Accepted | Refused]) -> list[str]:
    return [verdict.check if isinstance(verdict, Refused) else "" for verdict in verdicts]


async def test_what_was_accepted_is_said(running: Running, judge: Judge) -> None:
    (accepted,) = judge(running.submissions[FIRST])
    assert isinstance(accepted, Accepted)
    assert accepted.identity == ("filing", FIRST, parties.PERIOD)
    assert accepted.attributes == {"industry": "steel"}
    assert judge() == []


async def test_every_bad_item_of_a_batch_is_named(running: Running, judge: Judge) -> None:
    good = [running.submissions[name] for name in parties.FILED]
    first, second = (Submission.FromString(good[index]) for index in (0, 1))
    batch = [
        good[0],
        altered(running, proof=second.proof),
        good[1],
        altered(running, link_proof=second.link_proof),
        b"nonsense",
        *good[2:],
        altered(running, SECOND, proof=first.proof, link_proof=first.link_proof, commitments=first.commitments),
    ]
    expected = ["", "proof_invalid", "", "link_invalid", "malformed", *[""] * len(good[2:]), "proof_invalid"]
    assert checks(judge(*batch)) == expected


async def test_no_part_carries_over_to_another_record(running: Running, judge: Judge) -> None:
    """A whole valid submission under another subject, and each mixture of two valid submissions."""
    second = Submission.FromString(running.submissions[SECOND])
    assert checks(judge(altered(running, subject=SECOND))) == ["proof_invalid"]
    for field in ("ciphertext", "link_proof"):
        assert checks(judge(altered(running, **{field: getattr(second, field)}))) == ["link_invalid"], field
    for field in ("proof", "commitments"):
        assert checks(judge(altered(running, **{field: getattr(second, field)}))) == ["proof_invalid"], field
    both = altered(running, ciphertext=second.ciphertext, link_proof=second.link_proof)
    assert checks(judge(both)) == ["link_invalid"]


async def test_every_word_of_the_proofs_counts(running: Running, judge: Judge) -> None:
    """Each coordinate of the Groth16 proof off by one, replaced by its sum with the modulus, and zero; each part of the
    link proof with a bit flipped."""
    original = Submission.FromString(running.submissions[FIRST])
    batch = []
    for start in range(0, 256, 32):
        word = int.from_bytes(original.proof[start : start + 32], "big")
        for value in {word ^ 1, (word + P) % 2**256, 0}:
            changed = original.proof[:start] + value.to_bytes(32, "big") + original.proof[start + 32 :]
            batch.append(altered(running, proof=changed))
    for place in range(0, len(original.link_proof), 24):
        changed = bytearray(original.link_proof)
        changed[place] ^= 0x10
        batch.append(altered(running, link_proof=bytes(changed)))
    batch.append(altered(running, link_proof=original.link_proof + b"\x00"))
    verdicts = judge(running.submissions[FIRST], *batch)
    assert checks(verdicts)[0] == "" and all(checks(verdicts)[1:])


async def test_points_and_numbers_outside_their_domains(running: Running, judge: Judge) -> None:
    original = Submission.FromString(running.submissions[FIRST])
    key: PublicKey = running.network.parameters.threshold_key.public_key
    x, y = babyjubjub.from_bytes(original.commitments[0])
    rest = list(original.commitments[1:])

    def commitments(x: int, y: int) -> list[bytes]:
        return [x.to_bytes(32, "big") + y.to_bytes(32, "big"), *rest]

    def ciphertext(value: int) -> bytes:
        return value.to_bytes(len(original.ciphertext), "big")

    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"commitments": commitments(x, y + 1)}, "not_on_curve", "submission.commitments[0]"),
        ({"commitments": commitments(x + R, y)}, "out_of_range", "submission.commitments[0]"),
        ({"commitments": commitments(0, R - 1)}, "proof_invalid", "submission.proof"),
        ({"commitments": list(original.commitments)[:1]}, "wrong_length", "submission.commitments"),
        ({"root": R.to_bytes(32, "big")}, "out_of_range", "submission.root"),
        ({"root": (1).to_bytes(32, "big")}, "not_anchored", "submission.root"),
        ({"schema_id": (1).to_bytes(32, "big")}, "unknown_schema", "submission.schema_id"),
        ({"schema_id": (R + 1).to_bytes(32, "big")}, "out_of_range", "submission.schema_id"),
        ({"key_fingerprint": bytes(32)}, "unknown_key", "submission.key_fingerprint"),
        ({"ciphertext": ciphertext(0)}, "trivial_ciphertext", "submission.ciphertext"),
        ({"ciphertext": ciphertext(1)}, "trivial_ciphertext", "submission.ciphertext"),
        ({"ciphertext": ciphertext(key.n)}, "not_a_unit", "submission.ciphertext"),
        ({"ciphertext": ciphertext(key.n**2 + 2)}, "out_of_range", "submission.ciphertext"),
        ({"ciphertext": original.ciphertext + b"\x00"}, "wrong_length", "submission.ciphertext"),
        ({"ciphertext": ciphertext(key.encrypt(7)[0])}, "link_invalid", "submission.link_proof"),
        ({"proof": bytes(256)}, "point_at_infinity", "submission.proof"),
        ({"period": "2026Q3"}, "proof_invalid", "submission.proof"),
        ({"subject": "not a subject"}, "malformed", "submission.subject"),
    ]
    verdicts = judge(*(altered(running, **changes) for changes, _, _ in cases))
    for verdict, (changes, check, part) in zip(verdicts, cases, strict=True):
        assert isinstance(verdict, Refused)
        assert (verdict.check, verdict.part.split(".a")[0]) == (check, part), sorted(changes)


async def test_only_the_canonical_bytes_are_an_entry(running: Running, judge: Judge) -> None:
    original = running.submissions[FIRST]
    unknown = original + b"\xa2\x06\x01x"
    twice = original + Submission(period=parties.PERIOD).SerializeToString()
    message = Submission.FromString(original)
    later, earlier = Submission(period=message.period), Submission.FromString(original)
    earlier.ClearField("period")
    reordered = later.SerializeToString() + earlier.SerializeToString()
    assert Submission.FromString(reordered) == message
    assert checks(judge(unknown, twice, reordered, original[:-1], b"")) == ["malformed"] * 5


async def test_attributes_are_the_schemas(running: Running, judge: Judge) -> None:
    def with_attributes(*pairs: tuple[str, str]) -> Submission:
        submission = Submission.FromString(running.submissions[FIRST])
        submission.ClearField("attributes")
        for name, value in pairs:
            submission.attributes.add(name=name, value=value)
        return submission

    bad = [(), (("industry", "steel"), ("industry", "steel")), (("branch", "steel"),), (("industry", "a\u0301"),)]
    assert checks(judge(*(with_attributes(*pairs) for pairs in bad))) == ["malformed"] * 4
    assert checks(judge(with_attributes(("industry", "cloth")))) == ["proof_invalid"]
    assert checks(judge(with_attributes(("industry", "steel")))) == [""]
