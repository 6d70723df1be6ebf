"""The registry contract in a real virtual machine: who may do what, and which proofs it accepts."""

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from trapdoor_groth16 import P, R, TrapdoorKey, to_bytes, twist_point_outside_subgroup

from services.errors import NotAnchored, NotPermitted, ProofInvalid
from services.identity import Role
from services.ledger import Confirmation, EmbeddedProvider, Ledger, LedgerAccount
from services.ledger.build import ARTEFACT, SOURCE, build, serialised
from services.ledger.chain import ROLES
from services.ledger.errors import (
    REASONS,
    AlreadyRegistered,
    NotGrowing,
    NullifierSpent,
    UnknownDataset,
    UnknownVerifyingKey,
    WrongSchema,
)
from services.ledger.evm import Engine, engine
from zkcore.errors import Malformed, NotOnCurve, OutOfRange, PointAtInfinity, Refused, WrongLength
from zkcore.groth16 import Proof

SCHEMA, OTHER_SCHEMA = 4242, R - 1
ROOT, OTHER_ROOT = 777, R - 2
KEY = TrapdoorKey()
INPUTS = [ROOT, SCHEMA, 5, 202602, 0, R - 1]
PROOF = KEY.prove(INPUTS)


@dataclass(frozen=True)
class World:
    """A registry with a department, an operator and a bank, two datasets and a verifying key."""

    provider: EmbeddedProvider
    admin: Ledger
    department: Ledger
    other_department: Ledger
    operator: Ledger
    bank: Ledger
    stranger: Ledger

    def everyone(self) -> dict[str, Ledger]:
        names = ("admin", "department", "other_department", "operator", "bank", "stranger")
        return {name: getattr(self, name) for name in names}


def make_world(path: Path, make_engine: Callable[[], Engine] = engine) -> World:
    provider = EmbeddedProvider(path, make_engine=make_engine)
    admin = Ledger.deploy(provider, LedgerAccount.create())
    department, other, operator, bank, stranger = (admin.acting_as(LedgerAccount.create()) for _ in range(5))
    for ledger, role in (
        (department, Role.DEPARTMENT),
        (other, Role.DEPARTMENT),
        (operator, Role.OPERATOR),
        (bank, Role.BANK),
    ):
        admin.grant(address(ledger), role)
    admin.open_dataset("filing", address(department), SCHEMA)
    admin.open_dataset("customs", address(other), OTHER_SCHEMA)
    admin.register_verifying_key(SCHEMA, KEY.verifying_key())
    department.anchor("filing", 1, ROOT, 3)
    other.anchor("customs", 1, OTHER_ROOT, 3)
    return World(provider, admin, department, other, operator, bank, stranger)


def address(ledger: Ledger) -> str:
    assert ledger.account is not None
    return ledger.account.address


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = make_world(tmp_path_factory.mktemp("ledger") / "ledger.db")
    yield made
    made.provider.close()


def mine(ledger: Ledger, name: str, *arguments: Any) -> int:
    """Send a call without simulating it first, and return the status that the chain gave it (0 failed, 1 succeeded)."""
    assert ledger.account is not None
    function = ledger._function(name, arguments)
    data = bytes.fromhex(function._encode_transaction_data().removeprefix("0x"))
    return ledger._chain.send(ledger.account, ledger.address, data)["status"]


def words(*changes: tuple[int, int]) -> bytes:
    changed = list(PROOF)
    for place, value in changes:
        changed[place] = value
    return to_bytes(changed)


def inputs(place: int, value: int) -> list[int]:
    return [value if i == place else x for i, x in enumerate(INPUTS)]


# Proofs


def test_true_proof_is_accepted(world: World) -> None:
    assert world.stranger.verify_filing(INPUTS, to_bytes(PROOF))
    for a, b in ((7, 9), (R - 1, 1)):
        assert world.stranger.verify_filing(INPUTS, to_bytes(KEY.prove(INPUTS, a, b)))


@pytest.mark.parametrize("place", range(6))
def test_proof_holds_for_its_inputs_only(world: World, place: int) -> None:
    for value in {0, 1, INPUTS[place] + 1, R - 1} - {INPUTS[place]}:
        if value < R and place != 1:
            assert not world.admin.verify_filing(inputs(place, value), to_bytes(PROOF))
    assert mine(world.operator, "submit_filing", "filing", inputs(place, (INPUTS[place] + 1) % R), PROOF) == 0


@pytest.mark.parametrize("place", range(6))
def test_edge_values_of_inputs(world: World, place: int) -> None:
    """0 and r - 1 are inputs like others; r and beyond, which would mean the same modulo r, are refused."""
    if place != 1:
        for value in (0, R - 1):
            true = inputs(place, value)
            assert world.admin.verify_filing(true, to_bytes(KEY.prove(true)))
    for value in (R, R + INPUTS[place], 2**256 - 1):
        wrong = inputs(place, value)
        with pytest.raises(UnknownVerifyingKey if place == 1 else OutOfRange):
            world.admin.verify_filing(wrong, to_bytes(KEY.prove(wrong)))
        assert mine(world.operator, "submit_filing", "filing", wrong, KEY.prove(wrong)) == 0


@pytest.mark.parametrize("place", range(8))
def test_every_word_of_the_proof_matters(world: World, place: int) -> None:
    for value in (PROOF[place] ^ 1, PROOF[place] ^ (1 << 200), (PROOF[place] + 1) % P, P - PROOF[place]):
        with contextlib.suppress(NotOnCurve, OutOfRange):
            assert not world.admin.verify_filing(INPUTS, words((place, value)))
        changed = [value if i == place else word for i, word in enumerate(PROOF)]
        assert mine(world.operator, "submit_filing", "filing", INPUTS, changed) == 0
    for value in (P, PROOF[place] + P, 2**256 - 1):
        if value < 2**256:
            with pytest.raises(OutOfRange):
                world.admin.verify_filing(INPUTS, words((place, value)))


def test_points_at_infinity_are_refused(world: World) -> None:
    for places in ((0, 1), (2, 3, 4, 5), (6, 7)):
        with pytest.raises(PointAtInfinity):
            world.admin.verify_filing(INPUTS, words(*((place, 0) for place in places)))


def test_points_off_the_curve_or_outside_the_subgroup_are_refused(world: World) -> None:
    outside = twist_point_outside_subgroup()
    for changes in (
        [(0, 1), (1, 1)],
        [(6, 1), (7, 1)],
        [(2, 1), (3, 1), (4, 1), (5, 1)],
        list(zip(range(2, 6), outside, strict=True)),
    ):
        with pytest.raises(NotOnCurve):
            world.admin.verify_filing(INPUTS, words(*changes))


def test_proof_of_another_key_is_not_accepted(world: World) -> None:
    assert not world.admin.verify_filing(INPUTS, to_bytes(TrapdoorKey((2, 3, 4, 5)).prove(INPUTS)))
    with pytest.raises(UnknownVerifyingKey):
        world.admin.verify_filing(inputs(1, OTHER_SCHEMA), to_bytes(PROOF))


def test_lengths_are_checked_before_anything_is_sent(world: World) -> None:
    for call in (
        lambda: world.operator.submit_filing("filing", INPUTS[:-1], to_bytes(PROOF)),
        lambda: world.operator.submit_filing("filing", [*INPUTS, 1], to_bytes(PROOF)),
        lambda: world.operator.submit_filing("filing", INPUTS, to_bytes(PROOF)[:-1]),
        lambda: world.operator.submit_filing("filing", INPUTS, to_bytes(PROOF) + b"\0"),
        lambda: world.operator.submit_filing("", INPUTS, to_bytes(PROOF)),
        lambda: world.operator.submit_filing("x" * 65, INPUTS, to_bytes(PROOF)),
        lambda: world.operator.anchor_head(1, bytes(31)),
        lambda: world.admin.publish("k" * 33, bytes(32), bytes(32)),
        lambda: world.admin.publish("k", bytes(33), bytes(32)),
    ):
        with pytest.raises(WrongLength):
            call()
    for call in (
        lambda: world.operator.submit_filing("filing", inputs(0, -1), to_bytes(PROOF)),
        lambda: world.operator.submit_filing("filing", inputs(0, 2**256), to_bytes(PROOF)),
        lambda: world.department.anchor("filing", 1, 2**256, 9),
        lambda: world.admin.grant("0x1234", Role.BANK),
        lambda: world.admin.grant(address(world.stranger), Role.ENTERPRISE),
    ):
        with pytest.raises(Malformed):
            call()


# Filings


def test_filing_is_accepted_once(world: World) -> None:
    for period in (1, 2):
        filing = inputs(3, period)
        assert not world.admin.nullifier_spent(SCHEMA, INPUTS[2], period)
        proof = KEY.prove(filing)
        assert isinstance(world.operator.submit_filing("filing", filing, to_bytes(proof)), Confirmation)
        assert world.admin.nullifier_spent(SCHEMA, INPUTS[2], period)
        # Whoever has one proof can make others of the same statement: (-A, -B, C) verifies too, but is spent as well.
        again = list(proof)
        again[1], again[4], again[5] = P - again[1], P - again[4], P - again[5]
        assert world.admin.verify_filing(filing, to_bytes(again))
        for second in (proof, again, KEY.prove(filing, 5, 6)):
            with pytest.raises(NullifierSpent):
                world.operator.submit_filing("filing", filing, to_bytes(second))
            assert mine(world.operator, "submit_filing", "filing", filing, second) == 0
    assert not world.admin.nullifier_spent(SCHEMA, INPUTS[2] + 1, 1)
    assert not world.admin.nullifier_spent(OTHER_SCHEMA, INPUTS[2], 1)


def test_false_proof_spends_nothing(world: World) -> None:
    filing = inputs(3, 99)
    with pytest.raises(ProofInvalid):
        world.operator.submit_filing("filing", filing, to_bytes(PROOF))
    assert mine(world.operator, "submit_filing", "filing", filing, PROOF) == 0
    assert not world.admin.nullifier_spent(SCHEMA, INPUTS[2], 99)


def test_root_and_schema_must_be_the_datasets_own(world: World) -> None:
    """True proofs all of them: of a root never anchored, of another dataset's root, of another dataset's schema."""
    for refusal, dataset, filing in (
        (NotAnchored, "filing", [ROOT + 1, *INPUTS[1:]]),
        (NotAnchored, "filing", [OTHER_ROOT, *INPUTS[1:]]),
        (WrongSchema, "customs", INPUTS),
        (WrongSchema, "customs", [OTHER_ROOT, *INPUTS[1:]]),
        (UnknownDataset, "nowhere", INPUTS),
    ):
        with pytest.raises(refusal):
            world.operator.submit_filing(dataset, filing, to_bytes(KEY.prove(filing)))
        assert mine(world.operator, "submit_filing", dataset, filing, KEY.prove(filing)) == 0
    filing = [OTHER_ROOT, OTHER_SCHEMA, *INPUTS[2:]]
    with pytest.raises(UnknownVerifyingKey):
        world.operator.submit_filing("customs", filing, to_bytes(KEY.prove(filing)))


def test_verifying_key_is_registered_once_with_its_digest(world: World) -> None:
    other = TrapdoorKey((2, 3, 4, 5)).verifying_key()
    assert world.admin.verifying_key_digest(SCHEMA) == KEY.verifying_key().digest() != other.digest()
    assert world.admin.verifying_key_digest(OTHER_SCHEMA) is None
    for key in (KEY.verifying_key(), other):
        with pytest.raises(AlreadyRegistered):
            world.admin.register_verifying_key(SCHEMA, key)


def test_malformed_verifying_keys_are_refused(world: World) -> None:
    x1, x0, y1, y0 = twist_point_outside_subgroup()
    outside, infinity = ((x0, x1), (y0, y1)), ((0, 0), (0, 0))
    for refusal, changes in (
        (NotOnCurve, {"alpha": (1, 1)}),
        (OutOfRange, {"alpha": (P + 1, 2)}),
        (PointAtInfinity, {"alpha": (0, 0)}),
        *((NotOnCurve, {name: outside}) for name in ("beta", "gamma", "delta")),
        *((NotOnCurve, {name: ((1, 0), (1, 0))}) for name in ("beta", "gamma", "delta")),
        *((PointAtInfinity, {name: infinity}) for name in ("beta", "gamma", "delta")),
        (OutOfRange, {"gamma": ((P, 0), (1, 0))}),
        (NotOnCurve, {"ic": (*KEY.ic[:6], (1, 3))}),
        (OutOfRange, {"ic": ((1, P + 2), *KEY.ic[1:])}),
        *((PointAtInfinity, {"ic": (*KEY.ic[:place], (0, 0), *KEY.ic[place + 1 :])}) for place in range(7)),
    ):
        with pytest.raises(refusal):
            world.admin._write("register_verifying_key", 12, KEY.words(**changes))
        assert mine(world.admin, "register_verifying_key", 12, KEY.words(**changes)) == 0
    for schema in (0, R, 2**256 - 1):
        with pytest.raises(OutOfRange):
            world.admin.register_verifying_key(schema, KEY.verifying_key())
    for ic in (KEY.ic[:6], (*KEY.ic, (1, 2))):
        with pytest.raises(WrongLength):
            world.admin.register_verifying_key(12, replace(KEY.verifying_key(), ic=ic))


def test_contract_and_verifier_agree(world: World) -> None:
    """What the contract says of a proof is what this project's own verifier says of it."""
    verifier = KEY.verifying_key().prepare()
    for place in range(8):
        for value in (PROOF[place] ^ 1, P - PROOF[place], P):
            for public in (INPUTS, inputs(0, R)):
                proof = words((place, value))
                assert judged(lambda: world.admin.verify_filing(public, proof)) == judged(  # noqa: B023
                    lambda: verifier.verify(Proof.from_bytes(proof), public)  # noqa: B023
                )
    assert verifier.verify(Proof.from_bytes(to_bytes(PROOF)), INPUTS)


def judged(verify: Callable[[], bool]) -> bool:
    try:
        return verify()
    except Refused:
        return False


# Roles


def test_every_method_refuses_everybody_else(world: World) -> None:
    """Walks the contract's interface, so that a method without a row here fails."""
    department, stranger = address(world.department), address(world.stranger)
    allowed: dict[str, tuple[set[str], list[Any]]] = {
        "grant": ({"admin"}, [stranger, ROLES[Role.BANK]]),
        "revoke": ({"admin"}, [stranger, ROLES[Role.BANK]]),
        "open_dataset": ({"admin"}, ["fresh", department, 1]),
        "hand_dataset": ({"admin"}, ["fresh", department]),
        "publish": ({"admin"}, ["schema", b"\1" * 32, b"\2" * 32]),
        "register_verifying_key": ({"admin"}, [55, KEY.words()]),
        "anchor": ({"department"}, ["filing", 7, 7, 7]),
        "anchor_head": ({"operator"}, [1000, b"\3" * 32]),
        "enter_release": ({"operator"}, ["filing", b"\4" * 32, 1000]),
        "submit_filing": ({"operator"}, ["filing", inputs(3, 500), KEY.prove(inputs(3, 500))]),
        "register_scorecard": ({"bank"}, [31337]),
    }
    artefact = json.loads(ARTEFACT.read_text())["abi"]
    writes = {
        entry["name"]
        for entry in artefact
        if entry["type"] == "function" and entry["stateMutability"] not in ("view", "pure")
    }
    assert writes == set(allowed)
    for name, (who, arguments) in allowed.items():
        for party, ledger in world.everyone().items():
            if party not in who:
                with pytest.raises(NotPermitted):
                    ledger._write(name, *arguments)
                assert mine(ledger, name, *arguments) == 0, (name, party)
        for party in who:
            assert mine(world.everyone()[party], name, *arguments) == 1, (name, party)


def test_nothing_takes_currency(world: World) -> None:
    artefact = json.loads(ARTEFACT.read_text())["abi"]
    assert all(entry.get("stateMutability") != "payable" for entry in artefact)


def test_empty_arguments_are_refused(world: World) -> None:
    for name, arguments in (
        ("grant", ["0x" + "00" * 20, ROLES[Role.BANK]]),
        ("grant", [address(world.stranger), 0]),
        ("open_dataset", ["", address(world.department), 1]),
        ("publish", ["", b"\1" * 32, b"\2" * 32]),
        ("publish", ["schema", b"\4" * 32, bytes(32)]),
    ):
        with pytest.raises(Malformed):
            world.admin._write(name, *arguments)
        assert mine(world.admin, name, *arguments) == 0


def test_role_lost_is_right_lost_but_what_was_done_stays(world: World) -> None:
    new = world.admin.acting_as(LedgerAccount.create())
    world.admin.grant(address(new), Role.DEPARTMENT)
    world.admin.open_dataset("lost", address(new), 5)
    new.anchor("lost", 1, 10, 1)
    world.admin.revoke(address(new), Role.DEPARTMENT)
    assert not world.admin.has_role(address(new), Role.DEPARTMENT)
    with pytest.raises(NotPermitted):
        new.anchor("lost", 1, 11, 2)
    assert world.admin.is_root("lost", 10)
    assert not world.admin.is_root("lost", 11)


def test_an_administrator_always_remains(world: World) -> None:
    second = world.admin.acting_as(LedgerAccount.create())
    world.admin.grant(address(second), Role.ADMIN)
    with pytest.raises(NotPermitted):
        world.admin.revoke(address(world.admin), Role.ADMIN)
    world.admin.revoke(address(second), Role.ADMIN)
    with pytest.raises(NotPermitted):
        second.grant(address(second), Role.ADMIN)


def test_roles_are_independent_of_each_other(world: World) -> None:
    both = world.admin.acting_as(LedgerAccount.create())
    world.admin.grant(address(both), Role.OPERATOR)
    world.admin.grant(address(both), Role.BANK)
    world.admin.revoke(address(both), Role.OPERATOR)
    assert world.admin.has_role(address(both), Role.BANK)
    both.register_scorecard(4711)
    with pytest.raises(NotPermitted):
        both.anchor_head(10**9, bytes(32))


# Anchors, heads, scorecards, digests


def test_anchors_grow_and_stay(world: World) -> None:
    world.admin.open_dataset("growing", address(world.department), 6)
    anchors = [(1, 10, 1), (1, 20, 5), (2, 30, 1), (2, 10, 2), (9, R - 1, 2**32)]
    for epoch, root, size in anchors:
        world.department.anchor("growing", epoch, root, size)
    found = world.admin.roots("growing")
    assert [(a.epoch, a.root, a.size) for a in found] == anchors
    assert {a.account for a in found} == {address(world.department)}
    assert sorted(a.time for a in found) == [a.time for a in found]
    for epoch, root, size in ((9, 5, 2**32), (8, 5, 7), (0, 5, 7)):
        with pytest.raises(NotGrowing):
            world.department.anchor("growing", epoch, root, size)
    for root, size in ((0, 1), (R, 1), (2**256 - 1, 1), (5, 0), (5, 2**32 + 1)):
        with pytest.raises(OutOfRange):
            world.department.anchor("growing", 10, root, size)
    for root in (10, 20, 30, R - 1):
        assert world.admin.is_root("growing", root)
        assert not world.admin.is_root("filing", root)
    with pytest.raises(UnknownDataset):
        world.department.anchor("never opened", 1, 1, 1)


def test_datasets_are_opened_once(world: World) -> None:
    assert world.admin.dataset("filing").department == address(world.department)  # type: ignore[union-attr]
    assert world.admin.dataset("never opened") is None
    assert world.admin.datasets()[:2] == ("filing", "customs")
    with pytest.raises(AlreadyRegistered):
        world.admin.open_dataset("filing", address(world.other_department), SCHEMA)
    with pytest.raises(Malformed):
        world.admin.open_dataset("of no department", address(world.stranger), SCHEMA)
    with pytest.raises(OutOfRange):
        world.admin.open_dataset("of no schema", address(world.department), R)
    name = "所得税申报"
    world.admin.open_dataset(name, address(world.department), 8)
    assert name in world.admin.datasets()


def test_a_dataset_is_handed_to_another_account(world: World) -> None:
    """As when a department's key was lost: what it anchored stays, and only the other anchors from then on."""
    world.admin.open_dataset("handed", address(world.department), 9)
    world.department.anchor("handed", 1, 41, 3)
    with pytest.raises(Malformed):
        world.admin.hand_dataset("handed", address(world.stranger))
    with pytest.raises(UnknownDataset):
        world.admin.hand_dataset("never opened", address(world.other_department))
    world.admin.hand_dataset("handed", address(world.other_department))
    dataset = world.admin.dataset("handed")
    assert dataset is not None and (dataset.department, dataset.schema_id) == (address(world.other_department), 9)
    with pytest.raises(NotPermitted):
        world.department.anchor("handed", 1, 42, 4)
    with pytest.raises(NotGrowing):
        world.other_department.anchor("handed", 1, 42, 3)
    world.other_department.anchor("handed", 1, 42, 4)
    assert world.admin.is_root("handed", 41) and world.admin.is_root("handed", 42)
    assert world.admin.datasets().count("handed") == 1


def test_heads_grow(world: World) -> None:
    start = 10**6
    for size in (start, start + 1, 2**64 - 2, 2**64 - 1):
        world.operator.anchor_head(size, size.to_bytes(32, "big"))
    for size in (start, 2**64 - 1):
        head = world.admin.head(size)
        assert head is not None and head.root == size.to_bytes(32, "big") and head.account == address(world.operator)
    assert world.admin.head(start + 2) is None
    assert world.admin.latest_head() == world.admin.head(2**64 - 1)
    assert [h.size for h in world.admin.heads()][-4:] == [start, start + 1, 2**64 - 2, 2**64 - 1]
    for size in (2**64 - 1, start):
        with pytest.raises(NotGrowing):
            world.operator.anchor_head(size, bytes(32))
    for size in (0, 2**64):
        with pytest.raises(OutOfRange):
            world.operator.anchor_head(size, bytes(32))


def test_releases_are_entered_once_and_keep_their_order(tmp_path: Path) -> None:
    world = make_world(tmp_path / "ledger.db")
    world.operator.anchor_head(100, b"\5" * 32)
    requests = [bytes([number]) * 32 for number in (200, 7, 90)]
    for place, request in enumerate(requests):
        assert world.admin.release("filing", request) is None
        world.operator.enter_release("filing", request, 100 - place)
    found = world.admin.releases("filing")
    assert [(each.number, each.request, each.head_size) for each in found] == [
        (place, request, 100 - place) for place, request in enumerate(requests)
    ]
    assert world.admin.release("filing", requests[1]) == found[1] and world.admin.releases("filing", 1) == found[1:]
    assert world.admin.releases("customs") == () and world.admin.release("customs", requests[0]) is None
    for other_size in (100, 1):
        with pytest.raises(AlreadyRegistered):
            world.operator.enter_release("filing", requests[0], other_size)
    world.operator.ensure_release("filing", requests[0], 1)
    world.operator.enter_release("customs", requests[0], 1)
    with pytest.raises(NotAnchored):
        world.operator.enter_release("filing", b"\1" * 32, 101)
    for request, other_size in ((bytes(32), 1), (b"\1" * 32, 0)):
        with pytest.raises(Malformed):
            world.operator.enter_release("filing", request, other_size)
    with pytest.raises(UnknownDataset):
        world.operator.enter_release("never opened", b"\1" * 32, 1)
    assert world.admin.releases("filing") == found
    world.provider.close()


def test_scorecards_and_digests_are_entered_once(world: World) -> None:
    world.bank.register_scorecard(R - 1)
    card = world.admin.scorecard(R - 1)
    assert card is not None and card.account == address(world.bank)
    assert world.admin.scorecard(17) is None
    with pytest.raises(AlreadyRegistered):
        world.bank.register_scorecard(R - 1)
    for value in (0, R):
        with pytest.raises(OutOfRange):
            world.bank.register_scorecard(value)
    world.admin.publish("threshold_key", b"\7" * 32, b"\x09" * 32)
    assert world.admin.published("threshold_key", b"\7" * 32) == b"\x09" * 32
    assert world.admin.published("schema", b"\7" * 32) is None
    assert world.admin.published("threshold_key", b"\6" * 32) is None
    for digest in (b"\x09" * 32, b"\x08" * 32):
        with pytest.raises(AlreadyRegistered):
            world.admin.publish("threshold_key", b"\7" * 32, digest)
    with pytest.raises(Malformed):
        world.admin.publish("threshold_key", b"\5" * 32, bytes(32))


# The artefact


def test_every_reason_of_the_contract_is_a_refusal_of_its_name() -> None:
    reasons = set(re.findall(r'assert .*, "([^"]*)"$', SOURCE.read_text(), re.MULTILINE))
    assert reasons == set(REASONS)
    for reason, (kind, why) in REASONS.items():
        refusal: Refused = kind("part", why)
        assert refusal.check == reason


def test_every_assertion_of_the_contract_has_a_reason() -> None:
    for line in SOURCE.read_text().splitlines():
        if line.strip().startswith("assert"):
            assert re.search(r', "[a-z_]+"$', line), line


def test_constants_of_the_contract_are_the_curves() -> None:
    source = SOURCE.read_text()
    assert f"P: constant(uint256) = {P}\n" in source
    assert f"R: constant(uint256) = {R}\n" in source


def test_artefact_is_what_the_compiler_makes_of_the_source() -> None:
    assert serialised(build()) == ARTEFACT.read_text(encoding="utf-8")


def test_contract_fits_a_block() -> None:
    """EIP-170's limit on the size of deployed code, and no instruction newer than Paris (PUSH0 is 0x5f)."""
    artefact = json.loads(ARTEFACT.read_text())
    assert len(artefact["bytecode"]) // 2 < 24_576
    assert artefact["evm_version"] == "paris"
