"""One number of a comparison with all that must stand beside it, and the table of them; computes no metric."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

from radloom.errors import RadloomError

SYNTHETIC, HALVES, DUPLICATES, REAL, OTHER = (
    "synthetic", "real halves", "duplicated real", "real", "another real",
)  # fmt: skip


@dataclass(frozen=True)
class Measure:
    """One row of results.csv.

    arm: what was judged: "synthetic"; "real halves" (real against real of other patients: the floor); "duplicated
    real" (copies of the reference: what a generator that memorises gets); "real" (a number about one set);
    "another real" (another patient's real image in place of the synthetic one).
    n: images judged. n_real: real images that they were judged against. d: features. low, high: as `note` says.
    """

    target: str
    metric: str
    arm: str
    estimate: float
    low: float
    high: float
    n: int
    n_real: int
    d: int
    extractor: str
    preprocessing: str
    unit: str
    better: str
    note: str


COLUMNS = tuple(Measure.__dataclass_fields__)


@dataclass(frozen=True)
class Refused:
    """A metric that does not apply, and why."""

    target: str
    metric: str
    reason: str


@dataclass(frozen=True)
class Findings:
    """What one target has given so far."""

    measures: list[Measure] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    def attempt(self, target: str, metric: str, work: Callable[[], Iterable[Measure]]) -> None:
        """Adds what `work` gives, or the reason for which the metric refused its input."""
        try:
            self.measures.extend(list(work()))
        except RadloomError as error:
            self.refused.append(Refused(target, metric, str(error)))

    def of(self, metric: str, arm: str, extractor: str = "") -> Measure | None:
        """The first number of this metric and arm, of any extractor unless one is named; None when there is none."""
        for one in self.measures:
            if (one.metric, one.arm) == (metric, arm) and extractor in ("", one.extractor):
                return one
        return None


def table(measures: Sequence[Measure]) -> pd.DataFrame:
    """The rows of results.csv."""
    return pd.DataFrame([asdict(one) for one in measures], columns=list(COLUMNS))


def record(measure: Measure) -> dict[str, Any]:
    """The row as JSON: numbers that are not finite become null."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in asdict(measure).items()
    }
