"""Clients of a network: the tax agency that queries, the bank that asks for scores, the enterprise that files, and
whoever has proofs verified.

Each is made from a configuration file (:mod:`services.configuration`) by its ``connect``, asynchronous or not::

    async with TaxAgencyClient.connect("agency.toml") as agency:
        answer = await agency.query("SELECT COUNT(*), SUM(vat_due) FROM vat")

    with SyncTaxAgencyClient.connect("agency.toml") as agency:
        answer = agency.query("SELECT COUNT(*), SUM(vat_due) FROM vat")

What is received is verified before it is returned, against certificates, the ledger and the caller's own request; only
a node's verdict on a proof is its word. Every call has a deadline. A call that may be repeated without harm is made
again while that may help (:mod:`services.retry`); what is refused is raised as :class:`zkcore.errors.Refused`, whose
``check`` says what refused it.
"""

from services.client.bank import BankClient, PendingScore
from services.client.blocking import SyncBankClient, SyncEnterprise, SyncTaxAgencyClient, SyncVerificationClient
from services.client.tax_agency import Answer, TaxAgencyClient, TrusteeFault
from services.client.verification import VerificationClient
from services.enterprise import Enterprise

__all__ = [
    "Answer",
    "BankClient",
    "Enterprise",
    "PendingScore",
    "SyncBankClient",
    "SyncEnterprise",
    "SyncTaxAgencyClient",
    "SyncVerificationClient",
    "TaxAgencyClient",
    "TrusteeFault",
    "VerificationClient",
]
