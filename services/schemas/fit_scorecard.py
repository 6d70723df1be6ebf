"""Fit the demonstration's scorecard: weight-of-evidence bins, logistic regression, integer points.

    python -m services.schemas.fit_scorecard

reads ``data/credit.csv`` and writes ``credit_scorecard.json`` with its Gini and KS on held-back rows. The method is the
usual one (Siddiqi 2017, "Intelligent Credit Scoring", chapters 10 and 11): each field is cut into bins of at least a
twentieth of the rows, a bin counts by its weight of evidence ln((good share) / (bad share)), a logistic regression
weighs the fields, and 20 points double the odds of good to bad; 600 points stand for even odds. Every third row is held
back and takes no part in bins or weights. Unknown values are a bin of their own where enough rows have them.
"""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from circuits.scorecard import MOST_BINS, Characteristic, Scorecard

HERE = Path(__file__).parent
FIELDS = (
    "seniority",
    "home",
    "time",
    "age",
    "marital",
    "records",
    "job",
    "expenses",
    "income",
    "assets",
    "debt",
    "amount",
)
CODED = {"home", "marital", "records", "job"}
SMALLEST_BIN = 0.05
POINTS_TO_DOUBLE_ODDS = 20
EVEN_ODDS_POINTS = 600

Column = NDArray[np.int64]
Numbers = NDArray[np.float64]


def rows() -> tuple[dict[str, Column], NDArray[np.bool_]]:
    """The fields by name, and which applications turned out good."""
    with (HERE / "data" / "credit.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    columns = {name: np.array([int(row[name]) for row in table], np.int64) for name in FIELDS}
    return columns, np.array([row["outcome"] == "good" for row in table])


def unknown(name: str, values: Column) -> int:
    """How many rows do not know the field; ``records`` is always known, and 0 says that there are none."""
    return int((values == 0).sum() if name in CODED - {"records"} else (values < 0).sum())


def cut_points(name: str, values: Column) -> tuple[int, ...]:
    """Ascending cut points such that every bin holds at least a twentieth of the rows."""
    distinct = np.unique(values)
    candidates = distinct[1:]
    if name not in CODED:
        known = values[values >= 0]
        quantiles = np.quantile(known, np.arange(1, 6) / 6, method="lower").astype(np.int64)
        start = known.min() if (values < 0).any() else known.min() + 1
        candidates = np.unique(np.concatenate([[start], quantiles]))
    cuts: list[int] = []
    smallest = SMALLEST_BIN * len(values)
    for cut in candidates.tolist():
        since = values >= cuts[-1] if cuts else np.ones(len(values), np.bool_)
        if (since & (values < cut)).sum() >= smallest and (values >= cut).sum() >= smallest:
            cuts.append(int(cut))
    return tuple(cuts[: MOST_BINS - 1])


def weights_of_evidence(bins: Column, count: int, good: NDArray[np.bool_]) -> Numbers:
    """ln(share of the good / share of the bad) for each bin; half a row is added to each so that none is empty."""
    goods = np.bincount(bins[good], minlength=count) + 0.5
    bads = np.bincount(bins[~good], minlength=count) + 0.5
    return np.log((goods / goods.sum()) / (bads / bads.sum()))


def logistic(features: Numbers, good: NDArray[np.bool_]) -> Numbers:
    """Maximum-likelihood coefficients by Newton's method."""
    coefficients = np.zeros(features.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-features @ coefficients))
        gradient = features.T @ (good - chance)
        hessian = (features * (chance * (1 - chance))[:, None]).T @ features
        step = np.linalg.solve(hessian, gradient)
        coefficients += step
        if np.abs(step).max() < 1e-10:
            break
    return coefficients


def separation(scores: Column, good: NDArray[np.bool_]) -> dict[str, float]:
    """Gini (2 AUC - 1, ties counted half) and Kolmogorov-Smirnov distance of good and bad."""
    levels = np.unique(scores)
    goods = np.array([(good & (scores == level)).sum() for level in levels]) / good.sum()
    bads = np.array([(~good & (scores == level)).sum() for level in levels]) / (~good).sum()
    below = np.cumsum(bads) - bads
    auc = float((goods * (below + bads / 2)).sum())
    return {"gini": round(2 * auc - 1, 4), "ks": round(float(np.abs(np.cumsum(goods) - np.cumsum(bads)).max()), 4)}


def fit() -> dict[str, Any]:
    """The scorecard with what it was measured on."""
    columns, good = rows()
    held_back = np.arange(len(good)) % 3 == 2
    train = ~held_back
    cuts = {name: cut_points(name, columns[name][train]) for name in FIELDS}
    used = [name for name in FIELDS if cuts[name]]
    bins = {name: np.searchsorted(cuts[name], columns[name], side="right") for name in used}
    evidence = {name: weights_of_evidence(bins[name][train], len(cuts[name]) + 1, good[train]) for name in used}
    features = np.column_stack([np.ones(len(good)), *(evidence[name][bins[name]] for name in used)])
    weights = logistic(features[train], good[train])
    factor = POINTS_TO_DOUBLE_ODDS / np.log(2)
    characteristics = [
        Characteristic(name, cuts[name], tuple(round(factor * weight * value) for value in evidence[name]))
        for name, weight in zip(used, weights[1:], strict=True)
    ]
    scorecard = Scorecard(
        "application-scorecard-1", round(EVEN_ODDS_POINTS + factor * weights[0]), tuple(characteristics)
    )
    scores = np.array(
        [scorecard.score({name: int(columns[name][row]) for name in used}) for row in range(len(good))], np.int64
    )
    return {
        "scorecard": scorecard.to_dict(),
        "unknown_values": {
            "how": "categories have the code 0, numbers are -1, below every known value; they are in the lowest bin, "
            "which is theirs alone where at least a twentieth of the rows are unknown",
            "rows": {name: int(count) for name in FIELDS if (count := unknown(name, columns[name]))},
        },
        "measured": {
            "fitted_on_rows": int(train.sum()),
            "held_back_rows": int(held_back.sum()),
            "held_back": separation(scores[held_back], good[held_back]),
            "fitted": separation(scores[train], good[train]),
        },
    }


if __name__ == "__main__":
    result = fit()
    (HERE / "credit_scorecard.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result["measured"]))
