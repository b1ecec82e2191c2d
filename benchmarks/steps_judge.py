"""The numbers of steps.py from its draws: distances to held-out patients, what changes against the longest walk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from steps_field import ODE, SDE, Contender
from steps_round import Draws

from radloom.metrics.featuresets import clusters
from radloom.metrics.frechet import frechet_distance, frechet_floor
from radloom.metrics.kernel import mmd2_interval
from radloom.metrics.moments import Moments
from radloom.random import numpy_stream

RESAMPLED = 300  # bootstraps of patients and draws
GOAL = 0.05  # of the longest walk's Frechet distance

Key = tuple[str, int]  # a contender's name and the evaluations that it was allowed


@dataclass(frozen=True)
class Row:
    """One contender at one number of evaluations. Intervals are 95 %.

    change: Frechet distance over that of the longest walk, minus 1. apart: mean over images, as a share of the spread.
    milliseconds: CPU time of an image.
    """

    name: str
    allowed: int
    evaluations: int
    milliseconds: float
    frechet: float
    frechet_interval: tuple[float, float]
    change: float
    change_interval: tuple[float, float]
    kid: float
    kid_interval: tuple[float, float]
    apart: float
    apart_interval: tuple[float, float]

    @property
    def verdict(self) -> str:
        """Whether the Frechet distance is within GOAL of the longest walk's, as far as the interval tells."""
        low, high = self.change_interval
        return "yes" if high <= GOAL else "no" if low > GOAL else "cannot be told"


def judged(
    real: np.ndarray,
    patients: np.ndarray,
    sets: Mapping[Key, Draws],
    field: Sequence[Contender],
    longest: int,
    seed: int,
) -> list[Row]:
    """A row for every set. Solvers without new noise are held against ODE's longest walk, the others against SDE's."""
    order = list(sets)
    values = np.array([frechet_distance(real, sets[key].features).value for key in order])
    again = resampled(real, patients, [sets[key].features for key in order], numpy_stream(seed, "bootstrap"))
    noisy = {one.name for one in field if one.new_noise}
    rows = []
    for i, (name, allowed) in enumerate(order):
        last, draws = order.index((SDE if name in noisy else ODE, longest)), sets[name, allowed]
        kid = mmd2_interval(real, draws.features, patients_real=patients, rng=numpy_stream(seed, "kid"))
        change, error = values[i] / values[last] - 1, (again[:, i] - again[:, last]).std(ddof=1) / values[last]
        rows.append(Row(
            name, allowed, draws.evaluations, 1000 * draws.seconds, float(values[i]),
            _around(values[i], again[:, i].std(ddof=1)), float(change), _around(change, error),
            kid.value, _around(kid.value, kid.se), float(draws.apart.mean()),
            _around(float(draws.apart.mean()), float(draws.apart.std(ddof=1) / len(draws.apart) ** 0.5)),
        ))  # fmt: skip
    return rows


def floor(real: np.ndarray, patients: np.ndarray, size: int, seed: int) -> float:
    """The Frechet distance of as many real images as are drawn from those of other patients."""
    size = min(size, len(real) // 3)
    return frechet_floor(real, size, patients=patients, rng=numpy_stream(seed, "floor")).mean


def resampled(
    real: np.ndarray, patients: np.ndarray, sets: Sequence[np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Frechet distances (RESAMPLED, sets), patients and draws with replacement.

    Image i is drawn from the same noise in every set, and in a bootstrap every set keeps the same images: what their
    differences do not owe to the solver falls out.
    """
    who = clusters(patients, len(real), "the real set")
    found = np.empty((RESAMPLED, len(sets)))
    for b in range(RESAMPLED):
        rows = np.concatenate([who[i] for i in rng.integers(len(who), size=len(who))])
        moments, chosen = Moments.of(real[rows]), rng.integers(len(sets[0]), size=len(sets[0]))
        found[b] = [frechet_distance(moments, one[chosen]).value for one in sets]
    return found


def _around(value: float, error: float) -> tuple[float, float]:
    """The 95 % interval about the value itself: bootstraps lie above it, as every sample adds to a squared distance."""
    return float(value - 1.96 * error), float(value + 1.96 * error)
