"""Distances compared with radii in float32 where its rounding cannot matter, and by differences where it can.

The answers are those of exact arithmetic at the cost of float32 products; what they are for is in `manifold`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from radloom.metrics.featuresets import ROWS, blocks, squared_distances
from radloom.metrics.neighbours import enough, nearest_others, squared_radii

Pairs = tuple[np.ndarray, np.ndarray]
_SPARE = 3  # neighbours kept beyond the k-th, so that nearly equal distances can be told apart
_FLOOR = 1e-14  # of the largest squared length: what float32 loses of rows at the centre


class Screen:
    """Squared distances between rows of x (n, d) and y (m, d) beside the squared radii of each row.

    A product of d terms in float32 is off by about sqrt(d) rounding errors of the lengths' product (Higham NJ, Mary T.
    SIAM J Sci Comput 2019;41:A2815-A2835); `margin` allows twice that and 8 more. Where float32 could overflow or
    vanish, everything is computed by differences.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, centre: np.ndarray) -> None:
        self.x, self.y, self.centre = x, y, centre
        self.lengths = [_squared_lengths(z, centre) for z in (x, y)]
        self.largest = max(float(squared.max()) for squared in self.lengths)
        self.fits = 1e-24 < self.largest < 1e30
        self.error = (8 + np.sqrt(x.shape[1])) * float(np.finfo(np.float32).eps)

    def radii(self, k: int, names: tuple[str, str], block: int) -> tuple[np.ndarray, np.ndarray]:
        """The squared distance of each row of x (n,) and y (m,) to its k-th nearest other row in its own set."""
        found = []
        for z, lengths, name in zip((self.x, self.y), self.lengths, names, strict=True):
            enough(k, len(z) - 1, f"{name}, besides each row itself,")
            if self.fits:
                found.append(self._radii(z, lengths, k, block))
            else:
                found.append(squared_radii(z, k, name, centre=self.centre, arithmetic="exact", block=block))
        return found[0], found[1]

    def _radii(self, z: np.ndarray, lengths: np.ndarray, k: int, block: int) -> np.ndarray:
        kept = min(k + _SPARE, len(z) - 1)
        squared, others = nearest_others(z, kept, squared_distances(self.centre, "float32"), block)
        squared = squared.astype(np.float64)
        margin = self.margin(lengths, squared[:, -1])[:, None]
        at_k = squared[:, k - 1 : k]
        # the k-th of the exact distances: those surely nearer come first, those surely further last
        exact = np.where(squared < at_k - 2 * margin, -np.inf, np.inf)
        rows, columns = np.nonzero(np.abs(squared - at_k) <= 2 * margin)
        exact[rows, columns] = differences(z, z, (rows, others[rows, columns]))
        radii = np.sort(exact, axis=1)[:, k - 1]
        if kept < len(z) - 1:
            unsure = np.flatnonzero(squared[:, -1] <= (at_k + 2 * margin)[:, 0])  # a row that was not kept may be it
            for part in blocks(len(unsure), block):
                radii[unsure[part]] = _kth_by_differences(z, unsure[part], k, block)
        return radii

    def margin(self, lengths: np.ndarray, squared: np.ndarray) -> np.ndarray:
        """How far a squared distance near `squared` (n,) from rows of these squared lengths (n,) can be off."""
        # |b|^2 <= 2 |a|^2 + 2 |a - b|^2
        return self.error * (3 * lengths + 2 * squared) + _FLOOR * self.largest

    def inside(
        self,
        rows: slice,
        columns: slice,
        radii: tuple[np.ndarray, np.ndarray],
        nearer: Callable[[np.ndarray, np.ndarray], np.ndarray],
    ) -> tuple[Pairs, Pairs]:
        """The pairs (row of x, row of y) of one block inside the ball of the row of x, and of the row of y."""
        exact = not self.fits
        squared = squared_distances(self.centre, "exact" if exact else "float32")(self.x[rows], self.y[columns])
        found = []
        for axis, at in enumerate((rows, columns)):
            radius = radii[axis][at]
            margin = np.zeros_like(radius) if exact else self.margin(self.lengths[axis][at], radius)
            shape = (-1, 1) if axis == 0 else (1, -1)
            i, j = np.nonzero(squared <= (radius + margin).astype(squared.dtype).reshape(shape))
            own = (i, j)[axis]
            values = squared[i, j].astype(np.float64)
            unsure = np.flatnonzero(np.abs(values - radius[own]) <= 2 * margin[own])
            i, j = i + rows.start, j + columns.start
            values[unsure] = differences(self.x, self.y, (i[unsure], j[unsure]))
            within = nearer(values, radius[own])
            found.append((i[within], j[within]))
        return found[0], found[1]


def differences(x: np.ndarray, y: np.ndarray, pairs: Pairs) -> np.ndarray:
    """The squared distances (p,) of p pairs of rows, by differences in float64.

    >>> differences(np.array([[0.0], [1.0]]), np.array([[3.0]]), (np.array([0, 1]), np.array([0, 0]))).tolist()
    [9.0, 4.0]
    """
    from scipy.spatial.distance import cdist

    # the very function of the arithmetic "exact", row by row, so that what ties there ties here
    rows, columns = pairs
    if len(rows) == 0:
        return np.zeros(0)
    order = np.argsort(rows, kind="stable")
    squared = np.empty(len(rows))
    for own in np.split(order, np.flatnonzero(np.diff(rows[order])) + 1):
        one, others = x[rows[own[:1]]].astype(np.float64), y[columns[own]].astype(np.float64)
        squared[own] = cdist(one, others, "sqeuclidean")[0]
    return squared


def _kth_by_differences(z: np.ndarray, rows: np.ndarray, k: int, block: int) -> np.ndarray:
    """The squared distance of each of these rows to its k-th nearest other row."""
    apart = squared_distances(np.zeros(z.shape[1]), "exact")
    nearest = np.full((len(rows), 0), np.inf)
    for part in blocks(len(z), block):
        squared = apart(z[rows], z[part])
        own = (rows >= part.start) & (rows < part.stop)
        squared[own, rows[own] - part.start] = np.inf
        nearest = np.concatenate([nearest, squared], axis=1)
        if nearest.shape[1] > k:
            nearest = np.partition(nearest, k - 1, axis=1)[:, :k]
    return nearest.max(axis=1)


def _squared_lengths(z: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """|z - centre|^2 of each row (n,), float64."""
    parts = []
    for rows in blocks(len(z), ROWS):
        apart = np.subtract(z[rows], centre, dtype=np.float64)
        parts.append(np.einsum("ij,ij->i", apart, apart))
    return np.concatenate(parts)
