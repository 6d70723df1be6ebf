"""Medians with confidence intervals, outliers, ratios, and growth exponents, from raw samples.

Intervals are percentile bootstraps (Efron 1979) of the median at 95 %, with a fixed seed so that a record always gives
the same report. An outlier is a sample beyond Tukey's fences (1977), one and a half times the distance between the
quartiles outside them; outliers are counted and shown, never removed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
LEAST_SIZES = 5


@dataclass(frozen=True)
class Summary:
    """The median of samples, its interval, how many samples there were, and which are outliers."""

    median: float
    low: float
    high: float
    count: int
    outliers: int


def _medians(samples: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    chosen = np.random.default_rng(seed).integers(0, len(samples), (RESAMPLES, len(samples)))
    return np.asarray(np.median(samples[chosen], axis=1))


def summary(samples: Sequence[float]) -> Summary:
    """Summarise at least one sample."""
    array = np.asarray(samples, float)
    low, high = np.percentile(_medians(array, 1), [2.5, 97.5])
    lower, upper = np.percentile(array, [25, 75])
    reach = 1.5 * (upper - lower)
    outliers = int(((array < lower - reach) | (array > upper + reach)).sum())
    return Summary(float(np.median(array)), float(low), float(high), len(array), outliers)


@dataclass(frozen=True)
class Ratio:
    """A quotient of medians with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def decided(self) -> bool:
        """Whether the interval leaves out 1."""
        return self.high < 1 or self.low > 1


def ratio(samples: Sequence[float], others: Sequence[float]) -> Ratio:
    """The median of samples over that of others, each resampled by itself."""
    ours, theirs = np.asarray(samples, float), np.asarray(others, float)
    quotients = _medians(ours, 1) / _medians(theirs, 2)
    low, high = np.percentile(quotients, [2.5, 97.5])
    return Ratio(float(np.median(ours) / np.median(theirs)), float(low), float(high))


@dataclass(frozen=True)
class Growth:
    """A power law: figure = factor size^exponent, the exponent's standard error, and over how many sizes."""

    exponent: float
    error: float
    factor: float
    sizes: int


def growth(sizes: Sequence[float], figures: Sequence[float]) -> Growth | None:
    """Least squares in logarithms over at least five different sizes, None for fewer."""
    x, y = np.log(np.asarray(sizes, float)), np.log(np.asarray(figures, float))
    if len(set(sizes)) < LEAST_SIZES:
        return None
    slope, offset = np.polyfit(x, y, 1)
    rest = y - (slope * x + offset)
    error = float(np.sqrt((rest**2).sum() / (len(x) - 2) / ((x - x.mean()) ** 2).sum()))
    return Growth(float(slope), error, float(np.exp(offset)), len(x))
