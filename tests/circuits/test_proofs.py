"""Every circuit of the product, proved and attacked."""

import secrets

from circuits import credit_score, filing, membership
from circuits.credit_score import Kind, Request
from tests.circuits.statements import SCHEMA, openings
from tests.circuits.test_statements import SCORECARD
from tests.circuits.withstands import withstands
from zkcore import babyjubjub


def test_filing_withstands() -> None:
    blindings = [secrets.randbelow(babyjubjub.ORDER) for _ in SCHEMA.fields]
    _, _, witness = filing.assign(SCHEMA, openings()[0], blindings)
    withstands(filing.build(SCHEMA), witness)


def test_credit_score_withstands() -> None:
    request = Request("bank", secrets.token_bytes(16), 1_800_000_000, Kind.PASS_FAIL, 400)
    _, witness = credit_score.assign(SCHEMA, openings()[1], SCORECARD, request)
    withstands(credit_score.build(SCHEMA), witness)


def test_membership_withstands() -> None:
    _, witness = membership.assign(SCHEMA, openings()[2])
    withstands(membership.build(SCHEMA), witness)
