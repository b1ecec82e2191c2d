"""Mean and covariance of features that arrive in batches or from several processes; no distance between sets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.featuresets import ROWS, Features, as_features, blocks, same_features


@dataclass(frozen=True, eq=False)
class Moments:
    """Number, mean (d,) and scatter (d, d) = sum (x - mean)(x - mean)^T of rows, in float64; values, never changed.

    Batches join by Chan's rule: scatter = scatter_a + scatter_b + delta delta^T n_a n_b/n, delta = mean_b - mean_a.
    Order and size of the batches, and which process saw which, change the last digits only. Memory is d^2 whatever n.
    Chan TF, Golub GH, LeVeque RJ. Am Stat 1983;37:242-247.

    >>> rows = np.array([[0.0, 1.0], [2.0, 5.0], [4.0, 0.0]])
    >>> moments = Moments.of(rows[:1]).update(rows[1:])
    >>> moments.n, moments.d, moments.mean.tolist(), moments.covariance.tolist()
    (3, 2, [2.0, 2.0], [[4.0, -1.0], [-1.0, 7.0]])
    """

    n: int
    mean: np.ndarray
    scatter: np.ndarray

    @classmethod
    def of(cls, features: Features) -> Moments:
        """The moments of the rows of a matrix (n, d), n of 1 or more."""
        values = as_features(features, "the feature matrix")
        first, *others = (_of_block(values[rows]) for rows in blocks(len(values), 4 * ROWS))
        for other in others:
            first = first.merge(other)
        return first

    @property
    def d(self) -> int:
        """Number of features."""
        return len(self.mean)

    @property
    def covariance(self) -> np.ndarray:
        """The unbiased covariance (d, d), denominator n - 1. Raises RadloomError for a single row."""
        if self.n < 2:
            raise RadloomError(f"a covariance of {self.n} row", expected="at least 2 images")
        return self.scatter / (self.n - 1)

    def update(self, features: Features) -> Moments:
        """The moments of these rows and those of another batch (m, d)."""
        return self.merge(Moments.of(features))

    def merge(self, other: Moments) -> Moments:
        """The moments of the rows of both. Raises RadloomError when their number of features differs."""
        same_features(self.mean[None], other.mean[None], "one part", "the other")
        n, delta = self.n + other.n, other.mean - self.mean
        apart = np.outer(delta, delta) * (self.n * other.n / n)
        return Moments(n, self.mean + delta * (other.n / n), self.scatter + other.scatter + apart)


def _of_block(rows: np.ndarray) -> Moments:
    values = rows.astype(np.float64)
    mean = values.mean(axis=0)
    values -= mean
    return Moments(len(values), mean, values.T @ values)
