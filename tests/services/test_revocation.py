"""Certificates that the authority took back: who holds one is refused at both doors, on connections old and new."""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc.aio
import httpx
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from typer.testing import CliRunner

from services import parameter_files, revocation, statements
from services.api.zkshare.v1 import aggregate_pb2, credit_pb2, credit_pb2_grpc, log_pb2, log_pb2_grpc
from services.certificate_authority import CertificateAuthority
from services.cli.authority import app
from services.client import TaxAgencyClient
from services.identity import Authority, NotIssuedByAuthority, Revoked, Role
from services.revocation import REVOKED_FILE
from services.server import FREE_PORT, Server, answered, channel
from services.status import from_rpc_error
from tests.services import parties
from tests.services.conftest import Running
from tests.services.test_network import BY_INDUSTRY, refused
from tests.services.test_web import HEAD, error_info, trusting
from zkcore.errors import Malformed

STEEL = "SELECT COUNT(*), SUM(sales) FROM filing WHERE industry = 'steel'"
"""Of records to which no other test adds one."""
AUTHORITY = CertificateAuthority.create()
BANK, AGENCY = (AUTHORITY.issue(role, "one").peer for role in (Role.BANK, Role.TAX_AGENCY))


@pytest.fixture(autouse=True)
def looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocation, "LOOK_SECONDS", -1.0)


def test_a_certificate_is_good_until_it_is_revoked(tmp_path: Path) -> None:
    file, now = tmp_path / REVOKED_FILE, datetime.now(UTC).replace(microsecond=0)
    trusting_file = Authority.from_pem(AUTHORITY.to_pem(), file)
    assert trusting_file.check(BANK.certificate) == BANK
    assert AUTHORITY.revoke([BANK], file, now) == 1
    with pytest.raises(Revoked, match="zkshare://bank/one was revoked"):
        trusting_file.check(BANK.certificate)
    assert trusting_file.check(BANK.certificate, now - timedelta(seconds=1)) == BANK  # what it signed before stays
    assert trusting_file.issued(BANK.certificate) == BANK
    assert trusting_file.check(AGENCY.certificate) == AGENCY
    later = now + timedelta(days=3)
    assert AUTHORITY.revoke([BANK, AGENCY], file, later) == 2
    assert trusting_file.check(AGENCY.certificate, now) == AGENCY
    for peer, at in ((BANK, now), (AGENCY, later)):
        with pytest.raises(Revoked):
            trusting_file.check(peer.certificate, at)
    renewed = AUTHORITY.issue(Role.BANK, "one").peer
    assert trusting_file.check(renewed.certificate) == renewed
    assert Authority.from_pem(AUTHORITY.to_pem()).check(BANK.certificate) == BANK


def test_only_the_authority_revokes_and_nothing_takes_it_back(tmp_path: Path) -> None:
    file, other = tmp_path / REVOKED_FILE, CertificateAuthority.create()
    with pytest.raises(NotIssuedByAuthority):
        AUTHORITY.revoke([other.issue(Role.BANK, "one").peer], file)
    assert not file.exists()
    AUTHORITY.revoke([BANK], file)
    trusting_file = Authority.from_pem(AUTHORITY.to_pem(), file)
    genuine = file.read_bytes()
    other.revoke([other.issue(Role.BANK, "two").peer], tmp_path / "other.pem")
    for content in ((tmp_path / "other.pem").read_bytes(), b"nonsense", b"", genuine[:-40], AUTHORITY.to_pem()):
        file.write_bytes(content)
        os.utime(file, ns=(0, len(content)))
        with pytest.raises(Revoked):
            trusting_file.check(BANK.certificate)
        with pytest.raises(Malformed):
            Authority.from_pem(AUTHORITY.to_pem(), file)
        with pytest.raises(Malformed):
            AUTHORITY.revoke([AGENCY], file)
    file.unlink()
    AUTHORITY.revoke([AGENCY], file)  # a list that forgot somebody
    for peer in (BANK, AGENCY):
        with pytest.raises(Revoked):
            trusting_file.check(peer.certificate)
    file.unlink()
    with pytest.raises(Revoked):
        trusting_file.check(BANK.certificate)


def test_the_command_adds_to_the_list(tmp_path: Path) -> None:
    AUTHORITY.save(tmp_path / "authority")
    for name, peer in (("bank", BANK), ("agency", AGENCY)):
        (tmp_path / f"{name}.pem").write_bytes(peer.to_pem())
        done = CliRunner().invoke(app, ["revoke", str(tmp_path / "authority"), str(tmp_path / f"{name}.pem"), "--json"])
        assert done.exit_code == 0 and peer.uri in done.stdout
    found = parameter_files.load_authority(tmp_path / "authority")
    for peer in (BANK, AGENCY):
        with pytest.raises(Revoked):
            found.check(peer.certificate)
    (tmp_path / "nonsense.pem").write_bytes(b"nonsense")
    logging = structlog.get_config()
    done = CliRunner().invoke(app, ["revoke", str(tmp_path / "authority"), str(tmp_path / "nonsense.pem")])
    assert done.exit_code == 2 and structlog.get_config() == logging  # a command leaves the log as it was


@pytest.mark.asyncio(loop_scope="session")
async def test_who_is_revoked_is_refused_at_both_doors(running: Running, tmp_path: Path) -> None:
    network = running.network
    thief = network.authority.issue(Role.TAX_AGENCY, "tax-agency")  # a second certificate of the same party
    statement = aggregate_pb2.QueryStatement(
        querier="tax-agency", sql=BY_INDUSTRY, nonce=bytes(16), expires_at=int(network.clock()) + 60
    )
    signed = statements.sign(thief, statements.QUERY, statement)
    address, operator = network.node.address, (Role.OPERATOR, "operator")
    context = trusting(network.identity(*operator), tmp_path / "thief", thief)
    web = httpx.AsyncClient(base_url=f"https://{network.node.web_address}", verify=context, timeout=60)
    async with channel(thief, address, *operator) as there, web:
        old = log_pb2_grpc.LogServiceStub(there)
        await answered(old.GetHead(log_pb2.GetHeadRequest()))
        assert (await web.post(HEAD, json={})).status_code == 200
        network.authority.revoke([thief.peer], running.directory / REVOKED_FILE)

        async with channel(thief, address, *operator) as again:
            for stub in (old, log_pb2_grpc.LogServiceStub(again)):
                assert (await refused(answered(stub.GetHead(log_pb2.GetHeadRequest())))).check == "revoked"
        response = await web.post(HEAD, json={})
        assert response.status_code == 401 and error_info(response).reason == "REVOKED"
        assert (await web.get("/metrics")).status_code == 403
    trustee = network.trustees["trustee-1"]
    async with channel(thief, trustee.address, Role.TRUSTEE, "trustee-1") as there:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await there.unary_unary("/grpc.health.v1.Health/Check")(b"")
        assert from_rpc_error(caught.value).check == "revoked"
    with pytest.raises(Revoked):  # what it signed is of no use to others either
        statements.read(
            signed, statements.QUERY, aggregate_pb2.QueryStatement, network.parameters.authority, network.clock()
        )
    own = network.identity(Role.TAX_AGENCY, "tax-agency")  # the party itself has another certificate
    async with channel(own, address, *operator) as there:
        await answered(log_pb2_grpc.LogServiceStub(there).GetHead(log_pb2.GetHeadRequest()))
    signed = statements.sign(own, statements.QUERY, statement)
    statements.read(
        signed, statements.QUERY, aggregate_pb2.QueryStatement, network.parameters.authority, network.clock()
    )


@pytest.mark.asyncio(loop_scope="session")
async def test_a_stream_ends_when_its_caller_is_revoked(running: Running) -> None:
    network, name = running.network, parties.FILED[4]
    thief, terms = network.authority.issue(Role.ENTERPRISE, name), (name, "filing", parties.PERIOD, parties.scorecard())
    async with channel(thief, network.node.address, Role.OPERATOR, "operator") as there:
        call = credit_pb2_grpc.CreditServiceStub(there).WatchRequests(credit_pb2.WatchRequestsRequest())
        await network.banks["bank"].request_score(*terms)
        assert (await asyncio.wait_for(call.read(), 60)).request.statement
        network.authority.revoke([thief.peer], running.directory / REVOKED_FILE)
        await network.banks["bank"].request_score(*terms)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asyncio.wait_for(call.read(), 60)
        assert from_rpc_error(caught.value).check == "revoked"


@pytest.mark.asyncio(loop_scope="session")
async def test_no_server_with_a_revoked_certificate_is_talked_to(tmp_path: Path) -> None:
    file, party = tmp_path / REVOKED_FILE, (Role.TRUSTEE, "trustee-1")
    known, caller = Authority.from_pem(AUTHORITY.to_pem(), file), AUTHORITY.issue(Role.BANK, "caller")
    old, renewed = (AUTHORITY.issue(*party) for _ in range(2))
    server, request = Server(old, FREE_PORT, []), health_pb2.HealthCheckRequest()
    await server.start()
    async with channel(caller, server.address, *party, known) as there:
        stub = health_pb2_grpc.HealthStub(there)
        watching = stub.Watch(request)
        for response in (await answered(stub.Check(request)), await asyncio.wait_for(watching.read(), 60)):
            assert response.status == health_pb2.HealthCheckResponse.SERVING
        AUTHORITY.revoke([old.peer], file)
        for call in (answered(stub.Check(request)), stub.Watch(request).read()):
            with pytest.raises(Revoked, match="zkshare://trustee/trustee-1 was revoked"):
                await asyncio.wait_for(call, 60)
        await server.stop(5)
        with pytest.raises(Revoked):  # its last message says that it stops
            await asyncio.wait_for(watching.read(), 60)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Check(request)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        server = Server(renewed, server.address, [])
        await server.start()
        assert (await answered(stub.Check(request))).status == health_pb2.HealthCheckResponse.SERVING
    # Whom gRPC connects to may be another than who was looked at: it must show the same certificate.
    for peer, code in ((renewed.peer, None), (old.peer, grpc.StatusCode.UNAVAILABLE)):
        async with caller.channel(str(server.address), *party, server=peer) as there:
            try:
                await health_pb2_grpc.HealthStub(there).Check(request, timeout=60)
                ended = None
            except grpc.aio.AioRpcError as error:
                ended = error.code()
            assert ended is code
    await server.stop(0)


@pytest.mark.asyncio(loop_scope="session")
async def test_a_party_with_a_renewed_certificate_is_met_by_the_first_call() -> None:
    party, caller, request = (Role.TRUSTEE, "trustee-1"), AUTHORITY.issue(Role.BANK, "caller"), b""
    server = Server(AUTHORITY.issue(*party), FREE_PORT, [])
    await server.start()
    async with channel(caller, server.address, *party) as there:
        check = there.unary_unary("/grpc.health.v1.Health/Check")
        await asyncio.gather(*(check(request, timeout=60) for _ in range(8)))
        for _ in range(3):
            await server.stop(0)
            while there.get_state() is grpc.ChannelConnectivity.READY:  # the end of the connection is not seen at once
                await asyncio.sleep(0.01)
            server = Server(AUTHORITY.issue(*party), server.address, [])
            await server.start()
            await check(request, timeout=60)
    await server.stop(0)


@pytest.mark.asyncio(loop_scope="session")
async def test_node_and_clients_refuse_parties_whose_certificates_are_revoked(running: Running) -> None:
    network = running.network
    list_of_revoked, addresses = running.directory / REVOKED_FILE, {n: t.address for n, t in network.trustees.items()}
    trustee, operator = (
        network.authority.issue(*of) for of in ((Role.TRUSTEE, "trustee-2"), (Role.OPERATOR, "operator"))
    )
    shares = Server(trustee, FREE_PORT, [network.trustees["trustee-2"]], authority=network.parameters.authority)
    node = Server(operator, FREE_PORT, network.node._server._servicers, authority=network.parameters.authority)
    for server in (shares, node):
        await server.start()
    own = network.identity(Role.TAX_AGENCY, "tax-agency")
    agency = TaxAgencyClient(node.address, own, network.parameters, network.ledger, network.workers, network.clock)
    await agency.start()
    network.node.meet({**addresses, "trustee-2": shares.address})
    try:
        answer = await agency.query(STEEL)
        assert answer.verified.trustees == (1, 2, 3) and not answer.faults
        network.authority.revoke([trustee.peer], list_of_revoked)
        answer = await agency.query(STEEL)
        (fault,) = answer.faults
        assert (fault.trustee, fault.check) == ("trustee-2", "revoked") and answer.verified.trustees == (1, 3)
        network.authority.revoke([operator.peer], list_of_revoked)
        with pytest.raises(Revoked, match="zkshare://operator/operator was revoked"):
            await agency.query(STEEL)
    finally:
        network.node.meet(addresses)
        await agency.stop()
        for server in (shares, node):
            await server.stop(0)
    assert not (await network.tax_agencies["tax-agency"].query(STEEL)).faults
