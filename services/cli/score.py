"""``zkshare score``: a bank asks an enterprise for its score."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.asking import Config, Directory, Out, Timeout, keep_receipt, local, see_place, telling
from services.cli.output import AsJson, say

app = typer.Typer(add_completion=False)


@app.command()
def score(
    enterprise: Annotated[str, typer.Argument(help="The enterprise, by the name in its certificate.")],
    cut_off: Annotated[
        int | None, typer.Option(min=-(2**31), max=2**31 - 1, help="Ask only whether the score reaches this.")
    ] = None,
    scorecard: Annotated[Path | None, typer.Option(help="The scorecard, a JSON file; a local network has one.")] = None,
    dataset: Annotated[str | None, typer.Option(help="The dataset that it is over; a local network has one.")] = None,
    period: Annotated[str | None, typer.Option(help="The record's period; a local network has one.")] = None,
    timeout: Timeout = 120.0,
    out: Out = None,
    config: Config = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Ask an enterprise for its score as a bank; its agent must consent; the proof is verified before it is shown."""
    from services import evidence
    from services.cli.output import read_json
    from services.client import SyncBankClient
    from zkcore.errors import Malformed

    with telling(as_json):
        from circuits.scorecard import Scorecard

        see_place(out)
        if config is None:
            folder = local(directory)
            facts = folder.facts()
            config, scorecard = folder.bank, scorecard or folder.scorecard
            dataset, period = dataset or facts.score_dataset, period or facts.score_period
        if scorecard is None or dataset is None or period is None:
            raise Malformed("options", "say --scorecard, --dataset and --period")
        card = Scorecard.from_dict(read_json(scorecard))
        with SyncBankClient.connect(config) as bank:
            bank.register(card, dataset)
            pending = bank.request_score(enterprise, dataset, period, card, cut_off, lifetime=timeout)
            result = bank.score(pending, timeout)
        keep_receipt(out, evidence.write_score(pending.signed, result))
    data = {
        "enterprise": enterprise,
        "dataset": dataset,
        "period": period,
        "scorecard": card.name,
        "score": result.score,
        "cut_off": cut_off,
        "passes": result.passed,
        "receipt": str(out) if out else None,
    }
    outcome = f"score {result.score}" if cut_off is None else f"{'reaches' if result.passed else 'is below'} {cut_off}"
    text = f"{enterprise}: {outcome} ({card.name}, {dataset} {period}); proved by the enterprise, verified"
    say(as_json, data, text + (f"\nreceipt: {out}" if out else ""))
