"""What the commands that talk to a network share: which network, as whom, and how refusals are told."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.output import malformed
from zkcore.errors import Malformed, Refused

if TYPE_CHECKING:
    from services.local.folder import Folder

Where = Annotated[
    Path | None,
    typer.Argument(
        metavar="[DIR]", help="The network's folder; one in your data directory if not said.", show_default=False
    ),
]
Directory = Annotated[
    Path | None,
    typer.Option("--dir", help="Folder of a local network, as zkshare up made it; its usual one if not said."),
]
Config = Annotated[Path | None, typer.Option("--config", help="Your TOML file, in a network that is not a local one.")]
Out = Annotated[Path | None, typer.Option(help="Write the receipt to this file.")]

ADVICE = {
    "unreachable": "does it run, is its address right, the time allowed enough? zkshare up starts a local network",
    "not_issued_by_authority": "identity and network must be of one network: correct the one that is another's",
    "outside_validity": "renew the certificate (zkshare authority request, then sign), or set this machine's clock",
    "revoked": "a revoked identity is of no use: have the authority sign a new one (zkshare authority request)",
    "wrong_contract": "is the registry's address right, and of this version? zkshare registry deploy makes a new one",
    "not_permitted": "ask whoever gives this right: operator and trustees, on the ledger its administrator",
    "atom_too_small": "ask about groups that differ from earlier answers by more records, or at the earlier head",
    "expired": "is the enterprise's name right, and does its agent run? zkshare enterprise --config enterprise.toml",
    "already_submitted": "the log holds another record of this subject and period; it cannot be replaced",
    "record_exists": "what was committed stays: commit a correction under another period or dataset",
    "declined": "ask the enterprise to consent, or to file what is missing",
    "cohort_too_small": "ask about more records: other periods, fewer conditions, wider groups",
    "outside_policy": "ask the enterprise to consent to this bank, scorecard and cut-off",
}
"""What to do next, by the name of the check that refused."""


def advised(refused: Refused, text: str) -> str:
    """`text`, and what to do next where that is known."""
    advice = ADVICE.get(refused.check)
    return f"{text}; {advice}" if advice else text


Timeout = Annotated[float, typer.Option(min=1.0, max=86_400.0, help="Seconds to wait.")]


def local(directory: Path | None) -> "Folder":
    """The folder of a local network."""
    from services.local.folder import Folder, default_folder

    return Folder(directory or default_folder())


@contextmanager
def telling(as_json: bool) -> Iterator[None]:
    """Ends the command with status 2 and the reason, and what to do next, if the block is refused.

    Log lines are left out meanwhile, and only meanwhile: a program that calls the command has its own.
    """
    import logging

    import structlog

    configuration = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    except Refused as refused:
        malformed(as_json, advised(refused, str(refused)), "refused", check=refused.check, part=refused.part)
    except ValueError as error:  # a file that cannot be read, as services.cli.output says it
        malformed(as_json, str(error))
    except FileExistsError as error:
        malformed(as_json, f"{error.filename}: exists already; keys are never overwritten, name another place")
    except OSError as error:
        malformed(as_json, f"{error.filename or 'a file'}: {error.strerror or error}")
    finally:
        structlog.configure(**configuration)


def see_place(path: Path | None) -> None:
    """Refuses a place where no receipt can be written, before anything is asked for it."""
    if path is not None and (path.is_dir() or not os.access(path.absolute().parent, os.W_OK)):
        raise Malformed("--out", f"{path} cannot be written: name a file in a folder that is there and may be written")


def keep_receipt(path: Path | None, receipt: bytes) -> None:
    """Write a receipt where it is wanted, if it is."""
    from services.files import write_atomically

    if path is not None:
        try:
            write_atomically(path, receipt)
        except OSError as error:
            raise Malformed("--out", f"{path} cannot be written: {error.strerror}") from None
