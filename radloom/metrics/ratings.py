"""A table of ratings, a row per case and a column per reader, as counts of categories; no measure of agreement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.arrays import as_numpy

Weights = Literal["identity", "linear", "quadratic"]
_DO = "name the order of words, best first or last, in categories"


@dataclass(frozen=True)
class Rated:
    """counts (n, q): how many readers put each case into each category; categories: the q of them, in order."""

    counts: np.ndarray
    categories: tuple[Any, ...]
    readers: int


def rated(ratings: Any, categories: Sequence[Any] | None) -> Rated:
    """The counts of a table (n cases, readers) of numbers or words; NaN or None is a missing rating.

    categories: all that a reader could choose, in order; None takes those that occur, sorted. Raises RadloomError for
    an empty table, fewer than two readers, an infinite rating and one that is not among the categories.
    """
    cells = _cells(ratings)
    if cells.ndim != 2 or cells.shape[0] == 0 or cells.shape[1] < 2:
        raise RadloomError(
            f"the ratings have shape {cells.shape}",
            expected="a row per case, a column per reader, at least one case and two readers",
        )
    present = [[cell for cell in row if not _missing(cell)] for row in cells]
    found = {cell for row in present for cell in row}
    if not found:
        raise RadloomError("every rating is missing", expected="at least one rating")
    if any(isinstance(cell, float | np.floating) and np.isinf(cell) for cell in found):
        raise RadloomError("a rating is infinite", expected="finite numbers, or NaN for a missing rating")
    order = tuple(categories) if categories is not None else _sorted(found)
    place = {category: i for i, category in enumerate(order)}
    strange = found - set(place)
    if strange or len(place) < len(order):
        raise RadloomError(
            f"the ratings {sorted(map(str, strange))} are not among the categories {list(map(str, order))}",
            expected="every category once",
            do="name all categories that a reader could choose",
        )
    counts = np.zeros((len(present), len(order)))
    for case, row in enumerate(present):
        for cell in row:
            counts[case, place[cell]] += 1
    return Rated(counts, order, cells.shape[1])


def plain(values: Any) -> Any:
    """The values as they are, a torch tensor as numpy."""
    return as_numpy(values) if hasattr(values, "detach") else values


def weight_matrix(weights: Weights, q: int) -> np.ndarray:
    """Agreement w (q, q) of categories i and j: 1 if equal, else 0 or 1 - d or 1 - d^2 with d = |i - j|/(q - 1).

    Places in the order count, not values: categories 1, 2 and 9 are as far apart as 1, 2 and 3.
    """
    if weights not in ("identity", "linear", "quadratic"):
        raise RadloomError(f"unknown weights {weights!r}", expected="identity, linear or quadratic")
    if weights == "identity" or q == 1:
        return np.eye(q)
    apart = np.abs(np.subtract.outer(np.arange(q), np.arange(q))) / (q - 1)
    return 1 - apart if weights == "linear" else 1 - apart**2


def _cells(ratings: Any) -> np.ndarray:
    if hasattr(ratings, "to_numpy"):  # pandas has several kinds of missing
        return ratings.to_numpy(dtype=object, na_value=None)
    try:
        return np.asarray(plain(ratings), dtype=object)
    except ValueError as error:
        raise RadloomError("the rows of ratings differ in length", expected="a column per reader") from error


def _missing(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float | np.floating) and bool(np.isnan(cell)))


def _sorted(found: set[Any]) -> tuple[Any, ...]:
    try:
        return tuple(sorted(found))
    except TypeError as error:
        raise RadloomError("the ratings mix words and numbers", expected="one or the other", do=_DO) from error
