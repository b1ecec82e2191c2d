"""What every metric of two sets does first: a feature matrix of one row per image, or one clear line why not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.arrays import as_numpy

Arithmetic = Literal["float32", "float64", "exact"]
Patients = Any  # one name or number per row: an array, a list or a pandas column; no type names all three
ROWS = 1000  # of a block: 8 MB of distances in float64, small enough for the cache and large enough for the BLAS


@runtime_checkable
class Features(Protocol):
    """A numpy array or a torch tensor of features: (n, d), one row per image, one column per feature."""

    @property
    def shape(self) -> Any:
        """Rows and columns."""
        ...

    @property
    def dtype(self) -> Any:
        """The type of one value."""
        ...


def as_features(array: Features, name: str, *, fewest: int = 1) -> np.ndarray:
    """The matrix (n, d) on the CPU in its own precision, so that a large one is not copied.

    Raises RadloomError when it is not a matrix, complex, empty, not finite, or has fewer rows than `fewest`.
    """
    values = as_numpy(array)
    if values.ndim != 2 or values.shape[1] == 0:
        raise RadloomError(
            f"{name} has shape {values.shape}", expected="a matrix (n, d): one row per image, one column per feature"
        )
    if values.dtype.kind not in "fiub":
        raise RadloomError(f"{name} holds {values.dtype} values", expected="real numbers")
    if len(values) < fewest:
        raise RadloomError(f"{name} has {len(values)} rows", expected=f"at least {fewest}")
    wrong = sum(np.count_nonzero(~np.isfinite(values[rows]).all(axis=1)) for rows in blocks(len(values), ROWS))
    if wrong:
        raise RadloomError(
            f"{name} has NaN or infinite values in {wrong} of {len(values)} rows",
            expected="finite features",
            do="leave those images out and state how many",
        )
    return values.astype(np.float32) if values.dtype == np.float16 else values


def feature_pair(real: Features, synthetic: Features, *, fewest: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Both matrices. Raises RadloomError when one is unfit or they differ in the number of features."""
    x = as_features(real, "the real set", fewest=fewest)
    y = as_features(synthetic, "the synthetic set", fewest=fewest)
    same_features(x, y, "the real set", "the synthetic set")
    return x, y


def feature_triple(
    training: Features, synthetic: Features, held_out: Features
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training, synthetic and held-out matrix. Raises RadloomError when one is unfit or they differ in features."""
    t, s = as_features(training, "the training set"), as_features(synthetic, "the synthetic set")
    h = as_features(held_out, "the held-out set")
    same_features(t, s, "the training set", "the synthetic set")
    same_features(t, h, "the training set", "the held-out set")
    return t, s, h


def same_features(x: np.ndarray, y: np.ndarray, name_x: str, name_y: str) -> None:
    """Raises RadloomError unless both have the same number of columns."""
    if x.shape[1] != y.shape[1]:
        raise RadloomError(
            f"{name_x} has {x.shape[1]} features and {name_y} {y.shape[1]}", expected="the same extractor for both"
        )


def blocks(rows: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` rows that cover all rows in order."""
    if size < 1:
        raise RadloomError(f"a block of {size} rows", expected="1 row or more")
    return (slice(start, min(start + size, rows)) for start in range(0, rows, size))


def clusters(patients: Patients, rows: int, name: str) -> list[np.ndarray]:
    """The rows of each patient; every row its own when `patients` is None. Raises RadloomError when lengths differ."""
    if patients is None:
        return [np.array([row]) for row in range(rows)]
    who = np.asarray(patients)
    if who.shape != (rows,):
        raise RadloomError(f"{name} has {rows} rows and patients of shape {who.shape}", expected="one patient per row")
    _, which = np.unique(who, return_inverse=True)
    return np.split(np.argsort(which, kind="stable"), np.cumsum(np.bincount(which))[:-1])


def squared_distances(centre: np.ndarray, arithmetic: Arithmetic) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The function that gives all squared Euclidean distances (a, b) between the rows of two blocks (a, d) and (b, d).

    "float32" and "float64" take |x|^2 + |y|^2 - 2 x.y after moving the origin to `centre` (d,), without which the
    digits of features with an offset cancel; equal rows may then be 1e-7 or 1e-16 of their squared length apart.
    "exact" sums (x - y)^2 in float64: slower, equal rows are at 0 and ties stay ties.
    """
    if arithmetic == "exact":
        from scipy.spatial.distance import cdist

        return lambda x, y: cdist(x.astype(np.float64), y.astype(np.float64), "sqeuclidean")
    if arithmetic not in ("float32", "float64"):
        raise RadloomError(f"unknown arithmetic {arithmetic!r}", expected="float32, float64 or exact")
    kind = np.dtype(arithmetic)

    def from_products(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        a = np.subtract(x, centre, dtype=np.result_type(x, kind)).astype(kind, copy=False)
        b = a if x is y else np.subtract(y, centre, dtype=np.result_type(y, kind)).astype(kind, copy=False)
        squared = a @ b.T  # of one array with itself the BLAS computes half
        squared *= -2
        squared += np.einsum("ij,ij->i", a, a)[:, None]
        squared += np.einsum("ij,ij->i", b, b)
        return np.maximum(squared, 0, out=squared)

    return from_products


def centre_of(features: np.ndarray) -> np.ndarray:
    """The mean row (d,), summed block by block in float64."""
    total = np.zeros(features.shape[1])
    for rows in blocks(len(features), ROWS):
        total += features[rows].sum(axis=0, dtype=np.float64)
    return total / len(features)
