"""The second door: the same services over HTTP behind the same gate, and what is public beside them."""

import asyncio
import base64
import json
import ssl
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from google.protobuf import json_format
from google.rpc import error_details_pb2

from services.access import METHODS
from services.api.zkshare.v1 import log_pb2
from services.certificate_authority import CertificateAuthority
from services.errors import Unreachable
from services.identity import Identity, Role
from services.web import page
from tests.services import parties
from tests.services.calls import methods, path_of
from tests.services.conftest import Running
from zkcore.errors import Refused

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUERY = "SELECT industry, COUNT(*), SUM(sales), SUM(profit), AVG(sales) FROM filing GROUP BY industry"
HEAD = "/zkshare.v1.LogService/GetHead"


def trusting(identity: Identity, folder: Path, shows: Identity | None) -> ssl.SSLContext:
    """A client that trusts the network's authority and shows an identity, or none."""
    context = ssl.create_default_context(cadata=identity.authority.to_pem().decode())
    if shows is not None:
        shows.save(folder)
        context.load_cert_chain(*(folder / name for name in ("certificate.pem", "key.pem")))
    return context


async def released(running: Running) -> None:
    """Sees to it that a query was answered; another test may have done so, and filed more since."""
    if not running.network.node._aggregate._releases.newest(1):
        await running.network.tax_agencies["tax-agency"].query(QUERY)


class Door:
    """The node's second door, as different callers find it."""

    def __init__(self, running: Running, folder: Path) -> None:
        self.running = running
        self._folder = folder
        self._clients: dict[tuple[Role, str] | None, httpx.AsyncClient] = {}

    def as_party(self, role: Role | None, name: str = "") -> httpx.AsyncClient:
        """A client with the certificate of a party, or with none."""
        network = self.running.network
        key = None if role is None else (role, name)
        if key not in self._clients:
            operator = network.identity(Role.OPERATOR, "operator")
            shows = None if role is None else network.identity(role, name)
            context = trusting(operator, self._folder / f"{role}-{name}", shows)
            assert network.node.web_address is not None
            url = f"https://{network.node.web_address}"
            self._clients[key] = httpx.AsyncClient(base_url=url, verify=context, timeout=60)
        return self._clients[key]

    async def close(self) -> None:
        for client in self._clients.values():
            await client.aclose()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def door(running: Running, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    await released(running)
    made = Door(running, tmp_path_factory.mktemp("certificates"))
    yield made
    await made.close()


def error_info(response: httpx.Response) -> error_details_pb2.ErrorInfo:
    """The detail of an error in Connect's JSON."""
    (detail,) = response.json().get("details", [{"type": "", "value": ""}])
    info = error_details_pb2.ErrorInfo()
    if detail["type"] == info.DESCRIPTOR.full_name:
        info.ParseFromString(base64.b64decode(detail["value"] + "==="))
    return info


async def test_curl_gets_the_head_that_grpc_gets(door: Door) -> None:
    response = await door.as_party(Role.BANK, "bank").post(HEAD, json={})
    assert response.status_code == 200
    answer = json_format.Parse(response.text, log_pb2.GetHeadResponse())
    expected = door.running.network.node._journal.head()
    assert (answer.current.size, answer.current.root) == (expected.size, expected.root)


async def test_grpc_web_gets_it_too(door: Door) -> None:
    request = log_pb2.GetHeadRequest().SerializeToString()
    response = await door.as_party(Role.BANK, "bank").post(
        HEAD,
        content=struct.pack(">BI", 0, len(request)) + request,
        headers={"content-type": "application/grpc-web+proto"},
    )
    flag, length = struct.unpack(">BI", response.content[:5])
    assert flag == 0
    answer = log_pb2.GetHeadResponse.FromString(response.content[5 : 5 + length])
    assert answer.current.size == door.running.network.node._journal.head().size
    assert b"grpc-status: 0" in response.content[5 + length :].replace(b":0", b": 0")


async def test_without_a_certificate_no_service_answers(door: Door) -> None:
    client = door.as_party(None)
    for method in methods():
        if method.client_streaming or method.server_streaming or path_of(method).split("/")[1] not in SERVED:
            continue
        response = await client.post(path_of(method), json={})
        assert response.status_code == 401 and response.json()["code"] == "unauthenticated", path_of(method)


SERVED = {
    "zkshare.v1.SubmissionService",
    "zkshare.v1.LogService",
    "zkshare.v1.AggregateService",
    "zkshare.v1.ReleaseService",
    "zkshare.v1.CreditService",
    "zkshare.v1.VerificationService",
}


async def test_roles_open_what_they_open_over_grpc(door: Door) -> None:
    callers = {Role.BANK: "bank", Role.TAX_AGENCY: "tax-agency", Role.ENTERPRISE: parties.FILED[0]}
    for role, name in callers.items():
        for method in methods():
            path = path_of(method)
            if method.client_streaming or method.server_streaming or path.split("/")[1] not in SERVED:
                continue
            response = await door.as_party(role, name).post(path, json={})
            forbidden = response.status_code == 403 and error_info(response).reason == "NOT_PERMITTED"
            assert forbidden is (role not in METHODS[path]), (role, path, response.text)


async def test_a_refusal_names_check_and_part(door: Door) -> None:
    response = await door.as_party(Role.BANK, "bank").post(
        "/zkshare.v1.LogService/GetInclusion", json={"index": "1", "size": "99999999999999999"}
    )
    assert response.status_code == 400
    info = error_info(response)
    assert info.domain == "zkshare" and info.reason == "MALFORMED" and info.metadata["part"]


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"nonsense": 1}', b"\xff\xfe", b'{"size": "x"}'])
async def test_what_is_no_message_is_refused(door: Door, content: bytes) -> None:
    response = await door.as_party(Role.BANK, "bank").post(
        "/zkshare.v1.LogService/GetInclusion", content=content, headers={"content-type": "application/json"}
    )
    assert response.status_code in (400, 415) and response.json()["code"] == "invalid_argument"


async def test_unknown_methods_are_not_found(door: Door) -> None:
    for path in ("/zkshare.v1.LogService/Forget", "/zkshare.v1.TrusteeService/DecryptShare", "/zkshare.v1.X/Y", "/x"):
        assert (await door.as_party(Role.BANK, "bank").post(path, json={})).status_code == 404


async def test_other_authorities_and_old_tls_stay_outside(door: Door, tmp_path: Path) -> None:
    network = door.running.network
    operator = network.identity(Role.OPERATOR, "operator")
    stranger = CertificateAuthority.create().issue(Role.BANK, "bank")
    foreign = trusting(operator, tmp_path, stranger)
    old = trusting(operator, tmp_path, None)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    for context in (foreign, old):
        async with httpx.AsyncClient(base_url=f"https://{network.node.web_address}", verify=context) as client:
            with pytest.raises((httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError)):
                await client.post(HEAD, json={})


async def test_overview_is_what_ledger_and_log_hold(door: Door) -> None:
    network = door.running.network
    response = await door.as_party(None).get("/overview.json")
    data = response.json()
    head, heads = network.node._journal.head(), network.ledger.heads()
    assert data["log"]["size"] == head.size and data["log"]["root"] == head.root.hex()
    assert [each["size"] for each in data["log"]["heads"]] == [each.size for each in reversed(heads)]
    (dataset,) = data["datasets"]
    roots = network.ledger.roots("filing")
    assert dataset["records"] == roots[-1].size
    assert [each["root"] for each in dataset["roots"]] == [f"{each.root:064x}" for each in reversed(roots)]
    answered = [query for query in data["queries"] if query["receipt"]]  # not those of which trustees alone were asked
    assert answered and min(size for query in data["queries"] for size in query["cohorts"]) >= 3
    text = response.text
    for name in parties.ENTERPRISES:
        assert name not in text


async def test_metrics_tell_of_batches_queues_latency_lag_and_cohorts(door: Door) -> None:
    with pytest.raises(Refused) as caught:
        await door.running.network.tax_agencies["tax-agency"].query(
            "SELECT SUM(sales) FROM filing WHERE industry = 'glass'"
        )
    assert caught.value.check == "cohort_too_small"
    await door.running.network.node._watch()
    text = (await door.as_party(Role.BANK, "bank").get("/metrics")).text
    found = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line[0] != "#"}
    assert found["zkshare_submission_batch_size_sum"] >= len(parties.FILED)
    assert found["zkshare_submission_batch_size_count"] >= 1
    assert found['zkshare_cohort_refusals_total{check="cohort_too_small"}'] >= 1
    assert 'zkshare_ledger_lag_entries{party="operator/operator"}' in found  # how they move: test_metrics.py
    assert found["zkshare_queued"] == 0 and "zkshare_work_waiting" in found
    query = 'method="/zkshare.v1.AggregateService/Query",party="operator/operator"'
    assert found[f"zkshare_call_seconds_count{{{query}}}"] >= 1 and found[f"zkshare_call_seconds_sum{{{query}}}"] > 0
    assert "zkshare_verification_batch_size_bucket" in text


async def test_receipts_are_served_and_verified_in_words(door: Door) -> None:
    client = door.as_party(None)
    queries = (await client.get("/overview.json")).json()["queries"]
    request = next(query["id"] for query in queries if query["receipt"])
    receipt = (await client.get(f"/receipts/{request}.json")).content
    verdict = (await client.post("/receipts/verify", content=receipt)).json()
    assert verdict["valid"] and any("log head of" in line for line in verdict["lines"])
    document = json.loads(receipt)
    altered = receipt.replace(b"tax_agency/tax-agency", b"tax_agency/tax-agencz", 1)
    assert altered != receipt and document
    refused = (await client.post("/receipts/verify", content=altered)).json()
    assert not refused["valid"] and refused["check"] and refused["why"]
    assert not (await client.post("/receipts/verify", content=b"{}")).json()["valid"]
    assert (await client.get("/receipts/00.json")).status_code == 404
    assert (await client.get("/receipts/zz.json")).status_code == 404
    assert (await client.get("/receipts/verify")).status_code == 405


async def test_too_large_a_receipt_is_refused(door: Door) -> None:
    response = await door.as_party(None).post("/receipts/verify", content=bytes(16 * 1024 * 1024 + 1))
    assert response.status_code == 413


async def test_strangers_get_one_verification_between_them(door: Door) -> None:
    client = door.as_party(None)
    held = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await held.wait()
        yield b"}"

    first = asyncio.create_task(client.post("/receipts/verify", content=slow()))
    await asyncio.sleep(0.5)
    refused = await client.post("/receipts/verify", content=b"{}")
    assert refused.status_code == 503 and refused.headers["retry-after"]
    held.set()
    assert (await first).json()["valid"] is False
    assert (await client.post("/receipts/verify", content=b"{}")).status_code == 200


async def test_a_receipt_that_does_not_arrive_is_given_up(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "UPLOAD_SECONDS", 0.2)

    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(5)

    assert (await door.as_party(None).post("/receipts/verify", content=never())).status_code == 408


async def test_a_strangers_message_is_not_read(door: Door, tmp_path: Path) -> None:
    """The answer comes before the body, of which nothing is sent."""
    network = door.running.network
    address = network.node.web_address
    assert address is not None
    context = trusting(network.identity(Role.OPERATOR, "operator"), tmp_path, None)
    reader, writer = await asyncio.open_connection(address.host, address.port, ssl=context)
    writer.write(f"POST {HEAD} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 20000000\r\n\r\n".encode())
    assert b" 401 " in await asyncio.wait_for(reader.readline(), 10)
    writer.close()


async def test_metrics_ask_for_a_certificate_and_count(door: Door) -> None:
    assert (await door.as_party(None).get("/metrics")).status_code == 401
    bank = door.as_party(Role.BANK, "bank")
    await bank.post(HEAD, json={})
    await door.running.network.node._watch()
    text = (await bank.get("/metrics")).text
    calls = 'zkshare_calls_total{method="/zkshare.v1.LogService/GetHead",outcome="ok",party="operator/operator"}'
    assert any(line.startswith(calls) and float(line.split()[-1]) >= 1 for line in text.splitlines())
    size = door.running.network.node._journal.size
    assert f'zkshare_log_entries{{party="operator/operator"}} {float(size)}' in text
    for name in parties.ENTERPRISES:
        assert name not in text


async def test_readiness_tells_the_truth(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    client, node = door.as_party(None), door.running.network.node
    assert (await client.get("/health")).json() == {"alive": True}
    assert (await client.get("/ready")).json() == {"ready": True, "database": True, "ledger": True, "audit": True}

    def gone() -> None:
        raise Unreachable("ledger", "no answer")

    monkeypatch.setattr(node._ledger, "latest_head", gone)
    response = await client.get("/ready")
    assert response.status_code == 503
    assert response.json() == {"ready": False, "database": True, "ledger": False, "audit": True}
    monkeypatch.undo()
    assert (await client.get("/ready")).status_code == 200


async def test_every_response_carries_the_security_headers(door: Door) -> None:
    for path in ("/", "/page.js", "/page.css", "/overview.json", "/nothing"):
        headers = (await door.as_party(None).get(path)).headers
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["x-content-type-options"] == "nosniff"


async def test_many_visitors_cost_one_overview(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0
    heads = door.running.network.ledger.heads
    await asyncio.sleep(2.1)

    def counted(self: Any) -> Any:
        nonlocal made
        made += 1
        return heads()

    monkeypatch.setattr(type(door.running.network.ledger), "heads", counted)
    client = door.as_party(None)
    for _ in range(20):
        assert (await client.get("/overview.json")).status_code == 200
    assert made <= 2
