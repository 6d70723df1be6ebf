"""The audit log: what it shows, what breaks its chain, crashes, full disks, and what callers are told then."""

import asyncio
import errno
import io
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import structlog

from services import audit
from services.api.zkshare.v1 import log_pb2, log_pb2_grpc, submission_pb2, submission_pb2_grpc
from services.audit import AuditBroken, AuditInUse, AuditLog
from services.certificate_authority import CertificateAuthority
from services.errors import AlreadySubmitted, Unreachable
from services.identity import Role
from services.log_lines import Lossy
from services.metrics import LOG_LINES_LOST
from services.server import FREE_PORT, Guard, Server, channel
from services.status import from_rpc_error


def read(path: Path) -> list[dict[str, Any]]:
    with path.open("rb") as file:
        return [record for record, _ in audit.read(file)]


async def write(path: Path, count: int) -> str:
    log = AuditLog(path, "operator/node")
    await asyncio.gather(
        *(log.record(method=f"/m/{number}", caller="é", request="00", outcome="OK") for number in range(count))
    )
    await log.close()
    return log.head.hash


async def test_records_are_numbered_and_chained_over_restarts(tmp_path: Path) -> None:
    first, second = await write(tmp_path / "a", 20), await write(tmp_path / "a", 3)
    with (tmp_path / "a").open("rb") as file:
        found = list(audit.read(file))
    assert [record["number"] for record, _ in found] == list(range(25))
    assert sorted(record["method"] for record, _ in found[1:21]) == sorted(f"/m/{n}" for n in range(20))
    assert found[20][1] == first == found[21][0]["previous"] and found[-1][1] == second
    assert found[21][0]["note"] == "opened"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


def _without(lines: list[bytes], index: int) -> list[bytes]:
    return lines[:index] + lines[index + 1 :]


BREAKS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "first left out": lambda lines: _without(lines, 0),
    "one left out": lambda lines: _without(lines, 4),
    "two swapped": lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]],
    "one twice": lambda lines: [*lines[:4], lines[3], *lines[4:]],
    "edited": lambda lines: [*lines[:4], lines[4].replace(b"/m/", b"/n/"), *lines[5:]],
    "hash edited": lambda lines: [
        *lines[:4],
        lines[4][:-4] + (b'1"}\n' if lines[4][-4:-3] == b"0" else b'0"}\n'),
        *lines[5:],
    ],
    "space put in": lambda lines: [*lines[:4], lines[4].replace(b",", b", ", 1), *lines[5:]],
    "empty line": lambda lines: [*lines[:4], b"\n", *lines[4:]],
    "joined": lambda lines: [*lines[:3], lines[3][:-1] + lines[4], *lines[5:]],
    "edited with a new hash": lambda lines: [*lines[:4], _sealed(lines[4]), *lines[5:]],
}


def _sealed(line: bytes) -> bytes:
    body = line[: line.rindex(b',"hash"')].replace(b"/m/", b"/n/") + b"}"
    return body[:-1] + b',"hash":"' + sha256(audit.LABEL + body).hexdigest().encode() + b'"}\n'


@pytest.mark.parametrize("how", BREAKS)
async def test_what_is_altered_left_out_or_moved_breaks_the_chain(tmp_path: Path, how: str) -> None:
    await write(tmp_path / "a", 8)
    lines = (tmp_path / "a").read_bytes().splitlines(keepends=True)
    broken = BREAKS[how](lines)
    assert broken != lines
    (tmp_path / "a").write_bytes(b"".join(broken))
    with pytest.raises(AuditBroken):
        read(tmp_path / "a")
    assert command("verify", tmp_path / "a").returncode == 1


async def test_every_byte_counts(tmp_path: Path) -> None:
    await write(tmp_path / "a", 1)
    content = (tmp_path / "a").read_bytes()
    for index in range(len(content) - 1):
        with pytest.raises(AuditBroken):
            list(audit.read(io.BytesIO(content[:index] + bytes([content[index] ^ 1]) + content[index + 1 :])))


def command(*arguments: Any) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "services.cli", "audit", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, timeout=120)


async def test_commands_show_and_verify_and_a_head_shows_a_cut(tmp_path: Path) -> None:
    path = tmp_path / "a"
    early = await write(path, 2)
    head = await write(path, 2)
    shown = json.loads(command("show", path, "--json").stdout)
    assert shown["head"] == head and len(shown["records"]) == 6 and shown["records"][-1]["hash"] == head
    assert f"head {head}" in command("show", path).stdout
    assert command("verify", path, "--head", head).returncode == 0
    assert command("verify", path, "--head", early).returncode == 0
    no_hash = command("verify", path, "--head", head[:4])
    assert no_hash.returncode == 2 and "64 hexadecimal digits" in no_hash.stderr
    lines = path.read_bytes().splitlines(keepends=True)
    for cut in range(6):
        path.write_bytes(b"".join(lines[:cut]))
        done = command("verify", path, "--head", head, "--json")
        assert done.returncode == 1 and json.loads(done.stdout)["part"] == "head"
    assert command("verify", tmp_path / "none").returncode == 2


async def test_one_process_at_a_time(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "a", "p")
    with pytest.raises(AuditInUse):
        AuditLog(tmp_path / "a", "p")
    await log.close()
    await write(tmp_path / "a", 1)


async def test_a_torn_line_is_cut_off_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "a"
    await write(path, 3)
    whole = path.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    for kept in (1, len(last) // 2, len(last) - 1):
        path.write_bytes(whole[: len(whole) - len(last) + kept])
        assert len(read(path)) == 3
        await write(path, 1)
        records = read(path)
        assert records[3]["bytes"] == kept and records[5]["method"] == "/m/0"
    path.write_bytes(last[:10])
    await write(path, 1)
    assert [record.get("bytes") for record in read(path)] == [10, None, None]


async def test_a_damaged_end_is_not_written_on(tmp_path: Path) -> None:
    path = tmp_path / "a"
    await write(path, 2)
    path.write_bytes(path.read_bytes().replace(b"/m/1", b"/m/2"))
    with pytest.raises(AuditBroken):
        AuditLog(path, "p")


def _write_until_killed(path: Path) -> None:
    async def forever() -> None:
        log = AuditLog(path, "p")
        number = 0
        while True:
            batch = range(number, number + 5)
            await asyncio.gather(*(log.record(method=str(each), filler="x" * 300) for each in batch))
            number += 5
            (path.parent / "acknowledged").write_text(str(number))

    asyncio.run(forever())


def test_survives_sigkill(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for _ in range(5):
        acknowledged = tmp_path / "acknowledged"
        acknowledged.unlink(missing_ok=True)
        before = len(read(path)) if path.exists() else 0
        child = multiprocessing.get_context("spawn").Process(target=_write_until_killed, args=(path,))
        child.start()
        until = time.monotonic() + 60
        while not acknowledged.exists() and time.monotonic() < until:
            time.sleep(0.01)
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        count = int(acknowledged.read_text() or 0)
        methods = [record["method"] for record in read(path)[before:] if "method" in record]
        assert methods[:count] == [str(number) for number in range(count)]


class Disk:
    """A disk that may be full: writes half of what it is given and then fails."""

    def __init__(self) -> None:
        self.full = False

    def write(self, descriptor: int, data: Any) -> int:
        if not self.full:
            return os.write(descriptor, data)
        if len(data) > 20:
            return os.write(descriptor, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk()

    class Os:
        def __getattr__(self, name: str) -> Any:
            return made.write if name == "write" else getattr(os, name)

    monkeypatch.setattr(audit, "os", Os())
    return made


async def test_a_full_disk_leaves_the_chain_whole_and_is_told_of_later(tmp_path: Path, disk: Disk) -> None:
    log = AuditLog(tmp_path / "a", "p")
    await log.record(method="one")
    disk.full = True
    for _ in range(2):
        with pytest.raises(Unreachable):
            await log.record(method="lost")
        with pytest.raises(Unreachable):
            await log.ready()
    disk.full = False
    await log.ready()
    await log.record(method="two")
    await log.close()
    notes = [record.get("missing") or record.get("method") or record.get("note") for record in read(tmp_path / "a")]
    assert notes == ["opened", "one", 2, "two"]


class Services(submission_pb2_grpc.SubmissionServiceServicer, log_pb2_grpc.LogServiceServicer):
    DESCRIPTOR = submission_pb2.DESCRIPTOR.services_by_name["SubmissionService"]

    def __init__(self) -> None:
        self.done: list[bytes] = []

    def join(self, server: grpc.aio.Server) -> None:
        submission_pb2_grpc.add_SubmissionServiceServicer_to_server(self, server)
        log_pb2_grpc.add_LogServiceServicer_to_server(self, server)

    async def GetHead(self, request: Any, context: Any) -> log_pb2.GetHeadResponse:
        return log_pb2.GetHeadResponse(current=log_pb2.LogHead(size=1, root=bytes(32)))

    async def Submit(self, request: Any, context: Any) -> submission_pb2.SubmitResponse:
        if request.submission == b"again":
            raise AlreadySubmitted("submission", "again")
        self.done.append(request.submission)
        return submission_pb2.SubmitResponse(receipt=b"x")

    async def SubmitMany(self, requests: Any, context: Any) -> AsyncIterator[submission_pb2.SubmitManyResponse]:
        async for request in requests:
            yield submission_pb2.SubmitManyResponse(receipt=request.submission)


class House:
    def __init__(self, path: Path) -> None:
        authority = CertificateAuthority.create()
        self.services, self.path = Services(), path
        self.server = Server(authority.issue(Role.OPERATOR, "node"), FREE_PORT, [self.services], Guard(audit=path))
        self.identity = authority.issue(Role.ENTERPRISE, "mill & sons")

    async def __aenter__(self) -> "House":
        await self.server.start()
        self.channel = channel(self.identity, self.server.address, Role.OPERATOR, "node")
        self.submissions = submission_pb2_grpc.SubmissionServiceStub(self.channel)
        self.log = log_pb2_grpc.LogServiceStub(self.channel)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.channel.close(None)
        await self.server.stop(0)


async def test_calls_are_recorded_with_who_what_and_how(tmp_path: Path) -> None:
    async with House(tmp_path / "a") as house:
        request = submission_pb2.SubmitRequest(submission=b"the record")
        await house.submissions.Submit(request)
        with pytest.raises(grpc.aio.AioRpcError):
            await house.submissions.Submit(submission_pb2.SubmitRequest(submission=b"again"))
        with pytest.raises(grpc.aio.AioRpcError):
            await house.submissions.Submit(submission_pb2.SubmitRequest())
        await house.log.GetHead(log_pb2.GetHeadRequest())  # public: not recorded
        many = [submission_pb2.SubmitManyRequest(submission=body) for body in (b"1", b"2")]
        assert [answer.receipt async for answer in house.submissions.SubmitMany(iter(many))] == [b"1", b"2"]
    _, one, again, malformed, begun, ended = read(tmp_path / "a")
    assert one["caller"] == house.identity.peer.uri
    assert one["certificate"] == house.identity.peer.fingerprint.hex()
    assert one["request"] == sha256(request.SerializeToString()).hexdigest()
    assert one["method"] == "/zkshare.v1.SubmissionService/Submit" and one["outcome"] == "OK"
    assert (again["outcome"], again["check"]) == ("ALREADY_EXISTS", "already_submitted")
    assert (malformed["outcome"], malformed["check"]) == ("INVALID_ARGUMENT", "malformed")
    assert (begun["outcome"], begun["messages"]) == ("BEGUN", 0)
    parts = b"".join(sha256(each.SerializeToString()).digest() for each in many)
    assert (ended["outcome"], ended["messages"], ended["request"]) == ("OK", 2, sha256(parts).hexdigest())
    assert "the record" not in (tmp_path / "a").read_text()


async def test_a_full_disk_is_a_clear_status_and_heals(tmp_path: Path, disk: Disk) -> None:
    async with House(tmp_path / "a") as house:
        disk.full = True
        for number in range(3):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await house.submissions.Submit(submission_pb2.SubmitRequest(submission=b"%d" % number))
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            assert from_rpc_error(caught.value).part == "audit"
        assert house.services.done == [b"0"], "what cannot be recorded is not begun"
        with pytest.raises(grpc.aio.AioRpcError):
            [each async for each in house.submissions.SubmitMany(iter([]))]
        await house.log.GetHead(log_pb2.GetHeadRequest())  # what needs no record is served
        disk.full = False
        await house.submissions.Submit(submission_pb2.SubmitRequest(submission=b"4"))
    records = read(tmp_path / "a")
    assert [record.get("missing") for record in records] == [None, 1, None]
    assert records[-1]["outcome"] == "OK"


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


class Gone(io.StringIO):
    def flush(self) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


@pytest.fixture(params=[Broken, Gone])
def printing(request: pytest.FixtureRequest) -> Iterator[None]:
    configuration = structlog.get_config()
    stream: Any = Lossy(request.param())
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    yield
    structlog.configure(**configuration)


@pytest.mark.usefixtures("printing")
async def test_a_log_that_cannot_be_printed_fails_no_call(tmp_path: Path) -> None:
    before = LOG_LINES_LOST._value.get()
    async with House(tmp_path / "a") as house:
        await house.log.GetHead(log_pb2.GetHeadRequest())
        await house.submissions.Submit(submission_pb2.SubmitRequest(submission=b"1"))
    assert LOG_LINES_LOST._value.get() >= before + 2
