"""``zkshare committee``: the trustees' threshold key: dealt to files, handed on to another committee."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.output import AsJson, malformed, read_bytes, say
from zkcore.errors import Refused

if TYPE_CHECKING:  # commands import what they need when they run
    from homomorphic.paillier import PublicKey
    from homomorphic.proofs import key as key_proof

app = typer.Typer(no_args_is_help=True, add_completion=False)

COMMITTEE_FILE = "committee.pem"
PROOF_FILE = "committee.proof"
SHARE_FILE = "share-{}.pem"
DEALING_FILE = "dealing-{}.bin"
SUB_SHARE_FILE = "from-{}-to-{}.bin"

Directory = Annotated[Path, typer.Argument(help="Directory for the files; made if it is missing.")]
Threshold = Annotated[int, typer.Option(min=1, max=16, help="How many trustees decrypt together.")]
Parties = Annotated[int, typer.Option(min=1, max=16, help="How many trustees there are.")]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        help="File (mode 0600) whose first line is the passphrase of the share files; not encrypted if not said."
    ),
]
CommitteeFile = Annotated[Path, typer.Option("--committee", help="File of the committee's key that is handed on.")]
Dealers = Annotated[str, typer.Option(help="Numbers of the old trustees who deal, as 1,3,4.")]


@app.callback()
def committee_app() -> None:
    """The trustees' threshold key: dealt to files, one a trustee, and handed on to other trustees."""


def _passphrase(path: Path | None) -> str | None:
    """The passphrase in a file that only its owner may read; None without a file."""
    from services.key_files import read_passphrase

    return None if path is None else read_passphrase(path)


@app.command("deal")
def deal(
    directory: Directory,
    threshold: Threshold = 2,
    parties: Parties = 3,
    bits: Annotated[int, typer.Option(help="Length of the modulus: 2048, 3072 or 4096.")] = 3072,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a committee's key: committee.pem and committee.proof for everybody, share-1.pem ... for one trustee each.

    Whoever runs this knows the whole key while it runs: use a machine that is trusted with it, hand each share to its
    trustee, and destroy it here. Two safe primes are looked for; at 3072 bits that takes a few seconds.
    """
    from homomorphic import threshold as scheme
    from homomorphic.paillier import PrivateKey
    from homomorphic.proofs import key as key_proof
    from services.files import write_atomically
    from services.key_files import save_public, save_secret

    try:
        passphrase = _passphrase(passphrase_file)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        present = [path.name for path in directory.iterdir() if path.name.startswith(("committee.", "share-"))]
        if present:
            raise ValueError(f"{directory}: {present[0]} exists already; keys are never overwritten")
        scheme.check_committee(parties, threshold)
        with typer.progressbar(length=1000, label="Looking for two safe primes", hidden=as_json) as bar:
            done = 0

            def progress(tested: int, expected: int) -> None:
                nonlocal done
                now = min(999, 1000 * tested // expected)
                bar.update(max(0, now - done))
                done = max(done, now)

            p, q = scheme.safe_primes(bits, progress)
            bar.update(1000 - done)
        key, shares = scheme.deal_from_primes(p, q, parties, threshold)
        proof = key_proof.prove(_well_made(key.public_key), PrivateKey(p, q, key.public_key))
        for share in shares:
            save_secret(directory / SHARE_FILE.format(share.index), share, passphrase)
        write_atomically(directory / PROOF_FILE, proof.to_bytes())
        save_public(directory / COMMITTEE_FILE, key)
    except Refused as error:
        malformed(as_json, str(error), check=error.check, part=error.part)
    except ValueError as error:
        malformed(as_json, str(error))
    except OSError as error:
        malformed(as_json, f"{error.filename}: {error.strerror}")
    data = {"committee": key.fingerprint.hex(), "threshold": threshold, "parties": parties, "bits": bits}
    say(as_json, data, f"{threshold} of {parties} trustees, committee {key.fingerprint.hex()}: {directory}")


@app.command("check")
def check(
    committee: Annotated[Path, typer.Argument(help="File of the committee's key.")],
    proof: Annotated[Path, typer.Argument(help="File of the proof that its modulus and base are well made.")],
    as_json: AsJson = False,
) -> None:
    """Check that a committee's key is well made: N without square or small factors, h an N-th power, one sharing.

    The proof is about the public key, so it also holds for the committees that the key is handed on to.
    """
    from homomorphic.proofs import key as key_proof
    from homomorphic.threshold import ThresholdKey
    from services.key_files import load_public

    try:
        key = load_public(ThresholdKey, committee)
        holds = key_proof.verify(_well_made(key.public_key), key_proof.KeyProof.from_bytes(read_bytes(proof)))
        holds = holds and key.is_consistent()
    except Refused as error:
        malformed(as_json, str(error), check=error.check, part=error.part)
    except ValueError as error:
        malformed(as_json, str(error))
    except OSError as error:
        malformed(as_json, f"{error.filename}: {error.strerror}")
    said = f"{key.threshold} of {key.parties} trustees, committee {key.fingerprint.hex()}"
    verdict = "well made" if holds else "NOT shown to be well made"
    say(as_json, {"committee": key.fingerprint.hex(), "well_made": holds}, f"{said}: {verdict}")
    if not holds:
        raise typer.Exit(1)


@app.command("hand-on")
def hand_on(
    share_file: Annotated[Path, typer.Argument(help="The dealer's own share.")],
    directory: Directory,
    dealers: Dealers,
    threshold: Threshold,
    parties: Parties,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Deal one's share to new trustees: dealing-I.bin for everybody, from-I-to-J.bin (secret) for new trustee J.

    As many old trustees as decrypt together do this, each with the same dealers, threshold and parties. What is secret
    goes to its new trustee alone, over a channel that nobody else reads; each new trustee then runs `receive`. The old
    trustees destroy their shares when the new ones have theirs.
    """
    from homomorphic.resharing import Resharing
    from homomorphic.threshold import KeyShare
    from services.files import write_atomically, write_secret
    from services.key_files import load_secret

    try:
        share = load_secret(KeyShare, share_file, _passphrase(passphrase_file))
        resharing = Resharing(share.key, _indices(dealers), threshold, parties)
        dealing, sub_shares = resharing.deal(share)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for each in sub_shares:
            write_secret(directory / SUB_SHARE_FILE.format(share.index, each.receiver), each.to_bytes())
        write_atomically(directory / DEALING_FILE.format(share.index), dealing.to_bytes())
    except Refused as error:
        malformed(as_json, str(error), check=error.check, part=error.part)
    except ValueError as error:
        malformed(as_json, str(error))
    except OSError as error:
        malformed(as_json, f"{error.filename}: {error.strerror}")
    say(as_json, {"resharing": resharing.digest.hex()}, f"dealt to {parties} new trustees: {directory}")


@app.command("receive")
def receive(
    index: Annotated[int, typer.Argument(help="One's number among the new trustees, from 1.")],
    directory: Annotated[Path, typer.Argument(help="Directory with the dealings and what the dealers sent to one.")],
    committee: CommitteeFile,
    dealers: Dealers,
    threshold: Threshold,
    parties: Parties,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Make one's new share of what the dealers sent, after checking it: share-J.pem and the new committee.pem.

    Everybody who has the old committee.pem and the dealings gets the same new committee.pem: compare its fingerprint.
    """
    from homomorphic.resharing import Dealing, Resharing, SubShare
    from homomorphic.threshold import ThresholdKey
    from services.files import read_secret
    from services.key_files import load_public, save_public, save_secret

    try:
        passphrase = _passphrase(passphrase_file)
        old_key = load_public(ThresholdKey, committee)
        resharing = Resharing(old_key, _indices(dealers), threshold, parties)
        dealings = [Dealing.from_bytes(read_bytes(directory / DEALING_FILE.format(i))) for i in resharing.dealers]
        sent = [
            SubShare.from_bytes(read_secret(directory / SUB_SHARE_FILE.format(i, index))) for i in resharing.dealers
        ]
        share = resharing.receive(index, dealings, sent)
        save_secret(directory / SHARE_FILE.format(index), share, passphrase)
        save_public(directory / COMMITTEE_FILE, share.key)
    except Refused as error:
        malformed(as_json, str(error), check=error.check, part=error.part)
    except ValueError as error:
        malformed(as_json, str(error))
    except OSError as error:
        malformed(as_json, f"{error.filename}: {error.strerror}")
    fingerprint = share.key.fingerprint.hex()
    say(as_json, {"committee": fingerprint}, f"share {index} of {parties}, committee {fingerprint}: {directory}")


def _well_made(public_key: "PublicKey") -> "key_proof.Statement":
    """What the dealer proves."""
    from homomorphic.proofs import key as key_proof

    return key_proof.Statement(public_key, b"zkshare committee")


def _indices(text: str) -> tuple[int, ...]:
    """Numbers separated by commas; raises ValueError."""
    try:
        return tuple(sorted(int(item) for item in text.split(",")))
    except ValueError:
        raise ValueError(f"dealers: {text!r} is not a list of numbers such as 1,3,4") from None
