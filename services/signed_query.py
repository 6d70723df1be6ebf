"""Queries as their queriers sign them: what node and trustees both read before they answer, and what counts for all.

Two readings of the same bytes. :func:`read_query` is for the party that is asked now: time, rights, everything.
:func:`entered_query` says what a query that stands on the ledger is about, and follows from the statement's bytes, the
entry and the network's parameters alone, so that all parties find the same whoever they are and whenever they look.
"""

from dataclasses import dataclass

from services import statements
from services.api.zkshare.v1.aggregate_pb2 import QueryStatement
from services.api.zkshare.v1.identity_pb2 import Signed
from services.errors import CohortMismatch, NotPermitted, QueryWithheld
from services.identity import PeerIdentity
from services.parameters import PublicParameters
from services.policy import Rights
from services.query import Query, parse
from zkcore.errors import Refused

LONGEST_QUERY = 24 * 3600.0
"""Seconds that a signed query may stay valid."""


@dataclass(frozen=True)
class Asked:
    """A signed query that was read: what is asked, by whom, at which head if it names one, and its digest."""

    query: Query
    querier: PeerIdentity
    head_size: int
    digest: bytes


def read_query(signed: Signed, parameters: PublicParameters, rights: Rights, now: float) -> Asked:
    """Reads a signed query as node and trustees both do: signature, name, expiry, right to the dataset, text."""
    statement, querier = statements.read(signed, statements.QUERY, QueryStatement, parameters.authority, now)
    if statement.querier != querier.name:
        raise NotPermitted("query.querier", "a querier asks in its own name")
    statements.check_expiry("query.expires_at", statement.expires_at, now, LONGEST_QUERY)
    query = parse(statement.sql, parameters.schemas)
    rights.check(querier.role, querier.name, query.dataset)
    return Asked(query, querier, statement.head_size, digest(signed))


def digest(signed: Signed) -> bytes:
    """Identity of a query, under which it is entered on the ledger (32 bytes)."""
    return statements.digest(statements.QUERY, signed)


def check_genuine(signed: Signed, request: bytes, parameters: PublicParameters) -> PeerIdentity:
    """Who signed a query that was entered under this digest.

    The certificate's time does not matter, since parties look at different times.

    Raises
    ------
    services.errors.QueryWithheld
        It is another query, or signed by nobody whom the authority knows.
    """
    if digest(signed) != request:
        raise QueryWithheld("query", "another query was given in its place")
    try:
        signer = parameters.authority.issued(signed.certificate)
        genuine = signer.verify(statements.QUERY, signed.statement, signed.signature)
    except Refused as refused:
        raise QueryWithheld("query", f"it was given without a signature that holds: {refused}") from None
    if not genuine:
        raise QueryWithheld("query", "it was given without a signature that holds")
    return signer


def entered_query(signed: Signed, dataset: str, head_size: int, parameters: PublicParameters) -> Query:
    """The query of an entry in a dataset's list of releases.

    Raises
    ------
    zkcore.errors.Refused
        It is no query that anybody answers there.
    """
    statement = statements.parse_canonical(signed.statement, QueryStatement, "statement")
    query = parse(statement.sql, parameters.schemas)
    if query.dataset != dataset:
        raise CohortMismatch("query", f"it asks about {query.dataset} and was entered for {dataset}")
    if statement.head_size not in (0, head_size):
        raise CohortMismatch("query.head_size", "it was entered at another head than it names")
    if not query.fields:
        raise CohortMismatch("query", "it only counts; there is nothing to decrypt")
    return query
