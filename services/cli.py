"""The ``zkshare`` command. Each command imports what it needs when it runs, so that short ones start quickly.

Exit status: 0 valid or done, 1 a proof or receipt that does not hold, 2 input that is malformed or missing.
"""

import json
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from zkcore.errors import Refused
from zkcore.formats import json_text

app = typer.Typer(
    name="zkshare",
    help="Private records, public answers: credit scores and aggregate queries, each with a proof anyone can check.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
proof_app = typer.Typer(help="Groth16 proofs over BN254 in snarkjs's JSON.", no_args_is_help=True)
receipt_app = typer.Typer(help="Receipts of aggregate queries.", no_args_is_help=True)
app.add_typer(proof_app, name="proof")
app.add_typer(receipt_app, name="receipt")

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def say(as_json: bool, data: dict[str, Any], text: str) -> None:
    """Print ``data`` as JSON or ``text`` for a person."""
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False) if as_json else text)


def readable(value: str | int | Fraction) -> str | int:
    """A value of an answer as JSON has it: an average that is no whole number as an exact fraction, e.g. "7/2"."""
    return str(value) if isinstance(value, Fraction) else value


def malformed(as_json: bool, why: str, verdict: str = "malformed", **data: str) -> NoReturn:
    """End with status 2 and the reason."""
    if as_json:
        typer.echo(json.dumps({"error": why, **data}, indent=2, ensure_ascii=False))
    else:
        typer.echo(f"{verdict}: {why}", err=True)
    raise typer.Exit(2)


def read_json(path: Path) -> Any:
    """The JSON value in a file."""
    return json_text.loads(read_bytes(path), str(path))


def read_bytes(path: Path) -> bytes:
    """A file's content; ValueError with the reason if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error


@proof_app.command("verify")
def proof_verify(
    verification_key: Annotated[Path, typer.Argument(help="verification_key.json")],
    public: Annotated[Path | None, typer.Argument(help="public.json")] = None,
    proof: Annotated[Path | None, typer.Argument(help="proof.json")] = None,
    batch: Annotated[
        Path | None, typer.Option(help="Verify every proof.json below this folder, with the public.json beside it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verify a proof made by snarkjs or zkshare (the order of arguments is snarkjs's), or a folder of them at once."""
    if (batch is None) == (public is None or proof is None):
        raise typer.BadParameter("give public.json and proof.json, or --batch and a folder")
    from zkcore.formats import snarkjs
    from zkcore.groth16 import Proof, VerifyingKey

    def read(public_path: Path, proof_path: Path) -> tuple[Proof, list[int]]:
        inputs = snarkjs.public_from_json(read_json(public_path))
        prepared.check_public(inputs)
        return Proof.from_snarkjs(read_json(proof_path)), inputs

    try:
        prepared = VerifyingKey.from_snarkjs(read_json(verification_key)).prepare()
        if batch is not None:
            verify_folder(batch, prepared.verify_batch, read, as_json)
        valid = prepared.verify(*read(Path(str(public)), Path(str(proof))))
    except Refused as error:
        malformed(as_json, str(error), check=error.check, part=error.part)
    except ValueError as error:
        malformed(as_json, str(error))
    say(as_json, {"valid": valid}, "valid" if valid else "invalid: the proof does not hold for these public inputs")
    raise typer.Exit(0 if valid else 1)


def verify_folder(
    folder: Path, verify_batch: Callable[..., list[int]], read: Callable[[Path, Path], Any], as_json: bool
) -> NoReturn:
    """Verify the proofs below a folder together; ends with status 2 if one is malformed, else 1 if one is invalid."""
    paths = sorted(folder.rglob("proof.json"))
    if not paths:
        raise ValueError(f"{folder}: no proof.json in it or below it")
    unreadable: dict[str, str] = {}
    taken: list[Path] = []

    def items() -> Iterator[Any]:
        for path in paths:
            try:
                item = read(path.with_name("public.json"), path)
            except ValueError as error:
                unreadable[str(path)] = str(error)
                continue
            taken.append(path)
            yield item

    invalid = [str(taken[index]) for index in verify_batch(items(), threads=os.cpu_count() or 1)]
    data = {"valid": len(taken) - len(invalid), "invalid": invalid, "malformed": unreadable}
    lines = [f"{data['valid']} valid, {len(invalid)} invalid, {len(unreadable)} malformed"]
    lines += [f"invalid: {path}" for path in invalid]
    lines += [f"malformed: {path}: {why}" for path, why in unreadable.items()]
    say(as_json, data, "\n".join(lines))
    raise typer.Exit(2 if unreadable else 1 if invalid else 0)


@receipt_app.command("verify")
def receipt_verify(
    receipt: Annotated[Path, typer.Argument(help="The receipt's file.")],
    authority: Annotated[
        Path | None, typer.Option(help="Certificate of the network's authority; authority.pem beside the receipt.")
    ] = None,
    ledger: Annotated[
        str | None, typer.Option(help="Ledger file, or URL of a JSON-RPC endpoint; ledger.sqlite beside the receipt.")
    ] = None,
    registry: Annotated[
        str | None, typer.Option(help="Address of the registry contract; the one in registry.txt beside the receipt.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verify the receipt of an aggregate query, offline but for the ledger, and show its answer."""
    from web3 import HTTPProvider

    from services import receipts
    from services.identity import Authority
    from services.ledger import EmbeddedProvider, Ledger
    from services.query import Unsupported
    from zkcore.errors import Malformed, OutOfRange, WrongLength

    beside = receipt.parent
    try:
        content = read_bytes(receipt)
        trusted = Authority.from_pem(read_bytes(authority or beside / "authority.pem"))
        where = ledger or str(beside / "ledger.sqlite")
        address = registry or read_bytes(beside / "registry.txt").decode("ascii", "replace").strip()
        provider = HTTPProvider(where) if "://" in where else EmbeddedProvider(Path(where), read_only=True)
        chain = Ledger(provider, address)
    except (Refused, ValueError, OSError) as error:
        malformed(as_json, str(error))
    try:
        verified = receipts.verify(content, trusted, chain)
    except (Malformed, WrongLength, OutOfRange, Unsupported) as error:
        malformed(as_json, str(error), check=error.check, part=error.part)
    except Refused as error:
        data = {"valid": False, "check": error.check, "part": error.part, "why": error.why}
        say(as_json, data, f"invalid: {error}")
        raise typer.Exit(1) from None
    rows = [
        {
            "group": "(other)" if row.other else ", ".join(row.group),
            "records": row.count,
            "values": dict(zip(verified.columns, (readable(value) for value in row.values), strict=True)),
        }
        for row in verified.rows
    ]
    data = {
        "valid": True,
        "query": verified.query.text,
        "querier": verified.querier,
        "operator": verified.operator.uri,
        "time": verified.time.isoformat(),
        "head": {"size": verified.head.size, "root": verified.head.root.hex()},
        "trustees": list(verified.trustees),
        "answers": rows,
        "withheld": [", ".join(group) for group in verified.withheld],
    }
    by = f"decrypted by trustees {', '.join(map(str, verified.trustees))}"
    lines = [
        f"valid: {verified.query.text}",
        f"asked by {verified.querier}, answered by {verified.operator.uri} at {verified.time.isoformat()}",
        f"{by if verified.attested else 'counts only, by the word of the operator'}; "
        f"log head of {verified.head.size} entries, on the ledger",
    ]
    for row in verified.rows:
        values = zip(verified.columns, row.values, strict=True)
        lines.append("  " + ", ".join(f"{name} = {readable(value)}" for name, value in values))
    say(as_json, data, "\n".join(lines))


@app.command()
def info(as_json: AsJson = False) -> None:
    """Say which back end runs, what the processor has, and where kernels and keys are kept."""
    import platform

    import numba
    from llvmlite import binding

    from services.keys import home
    from zkcore import cpu, kernel

    folder = kernel.cache_folder()
    data = {
        "python": platform.python_version(),
        "numba": numba.__version__,
        "back_end": cpu.BACKEND,
        "processor": binding.get_host_cpu_name(),
        "kernel_cache": str(folder) if folder else None,
        "kernel_cache_warm": bool(folder and any(folder.rglob("*.nbc"))),
        "home": str(home()),
    }
    say(as_json, data, "\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in data.items()))


@app.command()
def demo(
    enterprises: Annotated[
        int | None, typer.Option(help="How many records to take, from 2 to 2000; 40 companies, or all of your own.")
    ] = None,
    schema: Annotated[Path | None, typer.Option(help="Your own schema, a TOML file.")] = None,
    records: Annotated[Path | None, typer.Option(help="Your own records, a CSV file.")] = None,
    query: Annotated[str | None, typer.Option(help="What the tax agency asks.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run the whole job on this machine: parties, filings, a query, a score, and six cheats that are refused."""
    import logging
    import time

    import structlog

    from services import demo as demonstration
    from services.terminal import Terminal

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    started = time.perf_counter()
    terminal = Terminal(demonstration.STEPS, data_on_stdout=as_json)
    try:
        demonstration.check_enterprises(enterprises)
        if (schema is None) != (records is None):
            raise typer.BadParameter("--schema and --records go together")
        if schema is not None and records is not None:
            job = demonstration.own_job(schema, records, query, enterprises)
        else:
            job = demonstration.default_job(enterprises or demonstration.DEFAULT_ENTERPRISES, query)
        outcome = demonstration.run(job, terminal)
    except Refused as error:
        malformed(as_json, str(error), "refused", check=error.check, part=error.part)
    outcome.seconds["total"] = round(time.perf_counter() - started, 2)
    if as_json:
        typer.echo(json.dumps(outcome.as_dict(), indent=2, ensure_ascii=False))
    else:
        demonstration.show_end(outcome, terminal)
    raise typer.Exit(0 if outcome.right else 1)


def main() -> None:
    """Entry point of the ``zkshare`` command."""
    app()


if __name__ == "__main__":
    main()
