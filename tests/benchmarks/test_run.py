"""A small run from the command line to its report: resumed, compared, read strictly."""

import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from resource import RLIMIT_CPU, setrlimit

import numba
import pytest
import typer
from numba.core import event

from benchmarks import command, runner, worker
from benchmarks.case import Case, Contender, Options, Trial
from benchmarks.compare import compare
from benchmarks.measure import FAILED, GAP, MEASURED, WRONG, Measurement
from benchmarks.record import Record, UnreadableRecord
from benchmarks.report import paper, words, write
from benchmarks.report.model import curves
from benchmarks.suites import SUITES

OPTIONS = Options(("field",), only="modulo N^2(bits=2048)", backends=("best",), budget=0.01)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of one run."""
    path = tmp_path_factory.mktemp("bench")
    said: list[str] = []
    runner.run(OPTIONS, path / "record.json", "test", False, said.append)
    assert any("[1/1] field/product modulo N^2" in text and "left" in text for text in said)
    return path


@pytest.fixture
def record(folder: Path) -> Record:
    return Record.read(folder / "record.json")


def test_record_says_what_it_rests_on(record: Record) -> None:
    assert record.head["schema"] == "zkshare-benchmarks/2"
    assert record.head["run"]["name"] == "test" and record.head["run"]["finished"]
    assert record.head["machine"]["cores"] and record.head["versions"]["python"]
    [result] = record.results.values()
    assert {item.name: item.status for item in result.contenders} == {"zkshare": MEASURED, "gmpy2": MEASURED}
    assert all(sample > 0 for item in result.contenders for sample in item.cpu)


def test_a_finished_case_is_not_measured_again(folder: Path, record: Record) -> None:
    before = (folder / "record.json").read_bytes()
    again = runner.run(OPTIONS, folder / "record.json", "test", True, lambda text: None)
    assert again.results == record.results
    assert json.loads(before)["results"] == json.loads((folder / "record.json").read_bytes())["results"]


def test_report_needs_nothing_else(record: Record, tmp_path: Path) -> None:
    write(record, tmp_path, tmp_path / "RESULTS.md")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag not in ("script", "link", "img", "iframe")
            assert not any(name == "src" for name, _ in attrs)

    Links().feed(text)
    assert "<svg" in text and "product modulo N^2" in text and "not measured" in text
    page = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    assert "results.svg" in page and (tmp_path / "results.svg").read_text(encoding="utf-8").startswith("<svg")
    assert r"\toprule" in (tmp_path / "tables.tex").read_text(encoding="utf-8")
    assert "montgomery1985" in (tmp_path / "references.bib").read_text(encoding="utf-8")


def test_every_reference_is_there() -> None:
    entries = words.entries_by_key()
    assert set(SUITES) == set(words.REFERENCES)
    for keys in words.REFERENCES.values():
        assert set(keys) <= entries.keys()
    assert all(entry.count("{") == entry.count("}") for entry in entries.values())


def test_a_peer_ahead_is_said(record: Record) -> None:
    [result] = record.results.values()
    ours, peer = result.contenders
    peer.cpu = [sample / 1000 for sample in ours.cpu]
    assert "behind in 1" in words.summary(record)
    assert "gmpy2" in paper.spreadsheet(record)


def test_what_was_wrong_is_said(record: Record, tmp_path: Path) -> None:
    [result] = record.results.values()
    result.contenders[1].drop(WRONG, "its result differs from the truth; no time of it is kept")
    write(record, tmp_path)
    assert "gmpy2: wrong" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_compare_tells_change_from_noise(folder: Path, record: Record) -> None:
    new = Record.read(folder / "record.json")
    lines, slower = compare(record, new)
    assert not slower and "0 figures of ours changed" in lines[-1]
    [result] = new.results.values()
    result.contenders[0].cpu = [2 * sample for sample in result.contenders[0].cpu]
    lines, slower = compare(record, new)
    assert slower and any("2.00 times" in line for line in lines)
    result.contenders[1].cpu = [2 * sample for sample in result.contenders[1].cpu]
    assert not compare(record, new)[1]  # the machine became slower, not we
    result.contenders[1].cpu = result.contenders[1].cpu[:1]
    result.contenders[0].cpu = [100 * sample for sample in result.contenders[0].cpu[:1]]
    lines, slower = compare(record, new)  # measured once, nobody knows the noise
    assert not slower and "times, measured once" in lines[-2] and "0 figures of ours changed" in lines[-1]


def test_other_records_are_refused(folder: Path, tmp_path: Path) -> None:
    good = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    path = tmp_path / "record.json"
    other_result = {**good["results"][0], "stranger": 1}
    for bad in (
        [],
        {**good, "schema": "zkshare-benchmarks/3"},
        {"schema": good["schema"]},
        {**good, "results": [other_result]},
    ):
        path.write_text(json.dumps(bad), encoding="utf-8")
        with pytest.raises(UnreadableRecord):
            Record.read(path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(UnreadableRecord):
        Record.read(path)


def test_plans_are_made_without_work() -> None:
    quick, full = (runner.plan(Options(SUITES, full=full)) for full in (False, True))
    assert len({case.id for case in full}) == len(full) > len(quick) > 50
    assert sum(case.seconds for case in quick) < 540
    assert sum(case.seconds for case in full) < 5400
    few = runner.plan(Options(("batch",), full=True, sizes=(8,), threads=(1,)))
    assert {case.parameters.get("proofs") for case in few if case.grows} == {8}


def test_an_option_takes_all_words_up_to_the_next() -> None:
    assert command.apart(["run", "--suite", "field", "pairing", "--full", "--size", "8", "64", "-o", "here"]) == [
        *("run", "--suite", "field", "--suite", "pairing", "--full", "--size", "8", "--size", "64", "-o", "here")
    ]
    assert command.apart(["compare", "old.json", "new.json"]) == ["compare", "old.json", "new.json"]


def test_no_single_case_decides_how_long_the_rest_is_said_to_take() -> None:
    def left(said: str) -> float:
        minutes, seconds = re.search(r"about (?:(\d+) min )?(\d+) s left", said).groups()  # type: ignore[union-attr]
        return 60 * int(minutes or 0) + int(seconds)

    said: list[str] = []
    cases = runner.plan(Options(("field", "pairing")))
    progress = runner._Progress(cases, said.append)
    progress.begin(cases[0].id)
    progress.end(cases[0].id, 10 * cases[0].seconds)
    progress.begin(cases[1].id)
    assert left(said[1]) < 1.6 * left(said[0])
    for case in cases[1:]:
        progress.end(case.id, 3 * case.seconds)
    assert progress._spent > 2 * progress._expected - runner.TRUSTED


def test_compilation_is_told_and_kept_apart() -> None:
    began: list[bool] = []
    compilation = worker.Compilation(lambda: began.append(True))
    event.register("numba:compile", compilation)
    try:

        def prepare() -> Trial:
            inner = numba.njit(lambda x: x + 1)
            outer = numba.njit(lambda x: inner(x) + 1)
            return Trial([Contender("zkshare", lambda: outer(1))], 3)

        result = worker.perform(Case("field", "compiled", {}, prepare), 0.01, compilation)
        again = worker.perform(Case("field", "not", {}, lambda: Trial([], None)), 0.01, compilation)
    finally:
        event.unregister("numba:compile", compilation)
    assert result.contenders[0].status == MEASURED and 0 < result.compiled < result.seconds
    assert began == [True] and again.compiled == 0


def test_a_program_ends_with_who_started_it(tmp_path: Path) -> None:
    told = tmp_path / "number"
    sleeper = f"import os, pathlib, time; pathlib.Path({str(told)!r}).write_text(str(os.getpid())); time.sleep(60)"
    # A test run started in a shell's background inherits SIGINT ignored, and so would the starter.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    starter = f"{heed}; import sys; from benchmarks.process import run; run([sys.executable, '-c', {sleeper!r}])"
    process = subprocess.Popen([sys.executable, "-c", starter], stderr=subprocess.DEVNULL)
    while not (told.exists() and told.read_text()):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) != 0
    assert not Path(f"/proc/{told.read_text()}").exists()


def test_a_suite_ends_with_a_killed_runner_and_is_taken_up(tmp_path: Path) -> None:
    def bench(*more: str) -> list[str]:
        only = "product modulo N^2(bits=2048)"
        options = ["--only", only, "--backend", "best", "--peer", "none", "-o", str(tmp_path)]
        return [sys.executable, "-m", "benchmarks", "--suite", "field", *options, *more]

    process = subprocess.Popen(bench("--seconds", "2"), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while "[1/1]" not in process.stderr.readline():
        pass
    [suite] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    process.wait()
    until = time.monotonic() + 20
    while Path(f"/proc/{suite}").exists() and "Z" not in Path(f"/proc/{suite}/stat").read_text().split()[2]:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert not Record.read(tmp_path / "record.json").results
    assert subprocess.run(bench("--seconds", "0.01", "--resume"), capture_output=True, check=False).returncode == 2
    subprocess.run(bench("--seconds", "2", "--resume"), check=True, capture_output=True)
    assert len(Record.read(tmp_path / "record.json").results) == 1


def test_the_page_has_the_command_of_its_run(record: Record, tmp_path: Path) -> None:
    record.head["run"]["options"].update(only=None, also=["end-to-end", "2 ^ 18"], peers=["phe", "gmpy2"], budget=None)
    [result] = record.results.values()
    result.contenders[1].drop(GAP, "not installed")
    write(record, tmp_path, tmp_path / "RESULTS.md")
    page = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    wanted = "--suite field --backend best --peer phe gmpy2 --also end-to-end '2 ^ 18' --results"
    assert f"zkshare bench run {wanted} benchmarks/RESULTS.md" in page
    assert "Gaps: gmpy2 not installed" in page


def test_command_lists_and_refuses() -> None:
    def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "services.cli", "bench", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert bench("--list", "--suite", "batch").stdout == bench("run", "--list", "--suite", "batch").stdout
    both = bench("--suite", "field", "batch", "--list").stdout
    assert "batch/" in both and "field/" in both
    also = bench("--suite", "batch", "--also", "[portable]", "--list").stdout
    assert len(also.splitlines()) > len(bench("--suite", "batch", "--list").stdout.splitlines()) > 1
    larger = bench("--suite", "aggregate", "--also", "records=100000", "--list").stdout
    assert "records=100000)" in larger and "records=1000000" not in larger
    listed = bench("run", "--list", "--suite", "batch")
    assert listed.returncode == 0 and "batch/a proof in a batch(proofs=64)" in listed.stdout
    assert bench("run", "--suite", "nothing").returncode == 2
    assert bench("report", "missing.json").returncode == 2


def test_a_case_that_kills_its_process_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker is put under a processor-time limit that it can't keep within: the system kills it."""
    monkeypatch.setattr(
        runner.subprocess, "Popen", partial(runner.subprocess.Popen, preexec_fn=lambda: setrlimit(RLIMIT_CPU, (1, 1)))
    )
    options = Options(("paillier",), only="times 32 bits(bits=3072", backends=("best",), peers=())
    record = runner.run(options, tmp_path / "record.json", "test", False, lambda text: None)
    [result] = record.results.values()
    [only] = result.contenders
    assert only.status == FAILED and "died" in only.reason


def test_a_record_of_other_code_is_not_taken_up(folder: Path, tmp_path: Path) -> None:
    value = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    value["versions"]["numpy"] = "0.1"
    (tmp_path / "record.json").write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(UnreadableRecord, match="versions"):
        runner.run(OPTIONS, tmp_path / "record.json", "test", True, lambda text: None)


def test_what_is_missing_is_said_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    with pytest.raises(typer.Exit) as ended:
        command.report(tmp_path / "record.json")
    assert ended.value.exit_code == 2 and "zkshare[bench]" in capsys.readouterr().err


def test_an_item_of_a_growing_case_counts_what_grows(record: Record) -> None:
    def family(counts: list[int]) -> list[bool]:
        results = {}
        for size, count in zip((1, 2, 4), counts, strict=True):
            item = Measurement("zkshare", count=count, cpu=[1.0, 1.0], wall=[1.0, 1.0])
            made = replace(next(iter(record.results.values())), id=str(size), grows="n", parameters={"n": size})
            results[str(size)] = replace(made, contenders=(item,))
        return [curve.per_item for curve in curves(Record(record.head, results), "field")]

    assert family([1, 2, 4]) == [True] and family([16, 16, 16]) == [False]
