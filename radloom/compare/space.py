"""Two sets in one feature space, and the rows of a table that are made from it; no metric."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radloom.compare.measures import Measure
from radloom.metrics.prd import PrdCurve
from radloom.random import numpy_stream


@dataclass(frozen=True, eq=False)
class Space:
    """Both sets in one extractor's features: matrices (n, d) and (m, d), the patient of each row, and the names."""

    target: str
    extractor: str
    preprocessing: str
    real: np.ndarray
    synthetic: np.ndarray
    patients_real: np.ndarray
    patients_synthetic: np.ndarray
    seed: int

    def stream(self, *names: str | int) -> np.random.Generator:
        """A random stream of its own for these names."""
        return numpy_stream(self.seed, "compare", self.target, self.extractor, *names)

    def row(
        self, metric: str, arm: str, estimate: float, *, spread: tuple[float, float] = (np.nan, np.nan),
        n: int | None = None, n_real: int | None = None, unit: str = "1", better: str = "lower", note: str = "",
    ) -> Measure:  # fmt: skip
        """A row of this space; n and n_real are all images unless given."""
        n = len(self.synthetic) if n is None else n
        n_real = len(self.real) if n_real is None else n_real
        return Measure(self.target, metric, arm, float(estimate), float(spread[0]), float(spread[1]), n, n_real,
                       self.real.shape[1], self.extractor, self.preprocessing, unit, better, note)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Curves:
    """Precision-recall curves (Sajjadi) at equal n: of the synthetic images, and of real against real."""

    synthetic: PrdCurve
    real: PrdCurve


def spread(rows: np.ndarray) -> np.ndarray:
    """The population SD of each feature (d,), 1 where a feature is constant."""
    sd = rows.std(axis=0)
    return np.where(sd > 0, sd, 1.0)
