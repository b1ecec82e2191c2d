"""The k nearest rows of a set, found block by block and merged over chunks or processes; no metric."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.featuresets import (
    ROWS,
    Arithmetic,
    Features,
    as_features,
    blocks,
    centre_of,
    same_features,
    squared_distances,
)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest reference rows of each query: distances (n, k) in units of the features, nearest first, and their
    numbers (n, k); `seen` is how many reference rows were searched, d the number of features.

    Searches of parts of the references join with `merge`, in whatever process they ran: the distances are those of
    one search; of equally near rows, the one with the lowest number comes first.
    """

    distances: np.ndarray
    indices: np.ndarray
    seen: int
    d: int

    def merge(self, other: Neighbours) -> Neighbours:
        """The nearest of both, of the same queries. Raises RadloomError when queries or features differ."""
        if len(self.distances) != len(other.distances) or self.d != other.d:
            raise RadloomError(
                f"searches of {len(self.distances)} queries with {self.d} features and {len(other.distances)} with "
                f"{other.d}",
                expected="the same queries",
            )
        k = max(self.distances.shape[1], other.distances.shape[1])
        distances = np.concatenate([self.distances, other.distances], axis=1)
        indices = np.concatenate([self.indices, other.indices], axis=1)
        order = np.lexsort((indices, distances))[:, :k]
        distances, indices = (np.take_along_axis(part, order, axis=1) for part in (distances, indices))
        return Neighbours(distances, indices, self.seen + other.seen, self.d)


def nearest_neighbours(
    queries: Features,
    references: Features,
    k: int = 1,
    *,
    first: int = 0,
    arithmetic: Arithmetic = "exact",
    block: int = ROWS,
) -> Neighbours:
    """The k nearest reference rows of each query by Euclidean distance, nearest first.

    queries (n, d), references (m, d) with m of k or more; memory is O(block^2 + n k). `first` is the number of the
    first reference row when a chunk of a longer set is searched. "exact" sums squared differences in float64: a copy
    is at distance 0. Raises RadloomError when the references are fewer than k.

    >>> train = np.array([[0.0], [10.0], [11.0]])
    >>> found = nearest_neighbours(np.array([[10.4]]), train[:1]).merge(
    ...     nearest_neighbours(np.array([[10.4]]), train[1:], first=1))
    >>> found.indices.tolist(), round(float(found.distances[0, 0]), 9), found.seen
    ([[1]], 0.4, 3)
    """
    x, y = as_features(queries, "the query set"), as_features(references, "the reference set")
    same_features(x, y, "the query set", "the reference set")
    enough(k, len(y), "the reference set")
    apart = squared_distances(centre_of(y), arithmetic)
    best = [_Best(len(x[i]), k) for i in blocks(len(x), block)]
    for state, i in zip(best, blocks(len(x), block), strict=True):
        for j in blocks(len(y), block):
            state.take(apart(x[i], y[j]), first + j.start)
    distances, indices = (np.concatenate(parts) for parts in zip(*((s.squared, s.indices) for s in best), strict=True))
    return Neighbours(np.sqrt(distances), indices, len(y), x.shape[1])


def squared_radii(
    x: np.ndarray, k: int, name: str, *, centre: np.ndarray, arithmetic: Arithmetic, block: int
) -> np.ndarray:
    """The squared distance (n,) from each row of x (n, d) to its k-th nearest other row, in squared feature units.

    `centre` (d,) is the origin of the arithmetic, near the rows; `name` says in
    an error which set has fewer than k + 1 rows.

    >>> rows = np.array([[0.0], [1.0], [3.0]])
    >>> squared_radii(rows, 1, "the set", centre=np.zeros(1), arithmetic="exact", block=2).tolist()
    [1.0, 1.0, 4.0]
    """
    enough(k, len(x) - 1, f"{name}, besides each row itself,")
    return nearest_others(x, k, squared_distances(centre, arithmetic), block)[0][:, -1]


def nearest_others(
    x: np.ndarray, k: int, apart: Callable[[np.ndarray, np.ndarray], np.ndarray], block: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k smallest values (n, k) of `apart` between each row of x (n, d) and the other rows, and whose they are.

    `apart` gives the values (a, b) of two blocks; it is symmetric, so each pair of blocks is computed once.

    >>> rows = np.array([[0.0], [1.0], [3.0]])
    >>> values, numbers = nearest_others(rows, 1, lambda a, b: np.abs(a - b.T), 2)
    >>> values.tolist(), numbers.tolist()
    ([[1.0], [1.0], [2.0]], [[1], [0], [1]])
    """
    parts = list(blocks(len(x), block))
    best = [_Best(part.stop - part.start, k) for part in parts]
    for number, i in enumerate(parts):
        rows = x[i]
        for other in range(number, len(parts)):
            squared = apart(rows, rows if other == number else x[parts[other]])
            if other == number:
                np.fill_diagonal(squared, np.inf)  # itself, whose computed distance is not always the smallest
            else:
                best[other].take(np.ascontiguousarray(squared.T), i.start)
            best[number].take(squared, parts[other].start)
    squared, numbers = (np.concatenate(parts) for parts in zip(*((s.squared, s.indices) for s in best), strict=True))
    return squared, numbers


def enough(k: int, rows: int, name: str) -> None:
    """Raises RadloomError unless 1 <= k <= rows.

    >>> enough(5, 6, "the set")
    """
    if not 1 <= k <= rows:
        raise RadloomError(
            f"k={k} neighbours where {name} has {rows} rows", expected=f"k from 1 to {rows}", do="pass a smaller k"
        )


class _Best:
    """The k smallest of all columns seen so far, sorted, and their numbers."""

    def __init__(self, rows: int, k: int) -> None:
        self.squared = np.full((rows, k), np.inf)
        self.indices = np.full((rows, k), -1, np.int64)

    def take(self, squared: np.ndarray, first: int) -> None:
        """Joins a block of distances (rows, columns); `first` is the number of its first column."""
        k = self.squared.shape[1]
        if squared.shape[1] > k and not np.isfinite(self.squared[:, -1]).all():
            columns = np.argpartition(squared, k - 1, axis=1)[:, :k]
            worst = np.take_along_axis(squared, columns, axis=1).max(axis=1, keepdims=True)
            near = squared <= np.minimum(worst, self.squared[:, -1:])  # all ties, so that the lowest number can win
        else:
            near = squared < self.squared[:, -1:]  # later numbers are higher and lose ties
        rows, columns = np.nonzero(near)
        if len(rows) == 0:
            return
        of = np.concatenate([np.repeat(np.arange(len(self.squared)), k), rows])
        values = np.concatenate([self.squared.ravel(), squared[rows, columns]])
        numbers = np.concatenate([self.indices.ravel(), columns + first])
        order = np.lexsort((numbers, values, of))
        starts = np.searchsorted(of[order], np.arange(len(self.squared)))
        kept = order[(starts[:, None] + np.arange(k)).ravel()]
        self.squared, self.indices = values[kept].reshape(-1, k), numbers[kept].reshape(-1, k)
