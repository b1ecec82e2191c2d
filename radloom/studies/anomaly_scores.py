"""How well a map shows disease: over voxels, lesions, slices and cases, with intervals over patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from radloom.errors import RadloomError

_LINES = 1000  # thresholds at which counts are kept for the bootstrap
SIZES = (("small", 0, 71), ("medium", 72, 570), ("large", 571, 10**9))  # pixels at 128 x 128 (Bercea et al. 2023)


@dataclass(frozen=True, eq=False)
class Counts:
    """Voxels above each of some rising thresholds, patient by patient: ill (p, t) and healthy (p, t); all: (p,)."""

    thresholds: Float[np.ndarray, " t"]
    ill: Float[np.ndarray, "p t"]
    healthy: Float[np.ndarray, "p t"]
    patients: tuple[str, ...]


def count(
    maps: Float[np.ndarray, "n h w"], region: Bool[np.ndarray, "n h w"], truth: Bool[np.ndarray, "n h w"],
    patients: Sequence[str],
) -> Counts:  # fmt: skip
    """Counts at quantiles of the map in the region, finest where it is largest; all sums over patients are exact."""
    if not maps.shape == region.shape == truth.shape or len(patients) != len(maps):
        raise RadloomError(f"maps {maps.shape}, region {region.shape}, truth {truth.shape}", expected="one shape")
    inside = maps[region]
    if not np.isfinite(inside).all():
        raise RadloomError("the map holds NaN or infinite values", expected="finite numbers")
    if not truth[region].any() or truth[region].all():
        raise RadloomError("all voxels are ill or none is", expected="both, to tell them apart")
    shares = np.concatenate([np.linspace(0, 0.9, _LINES // 4, endpoint=False), np.linspace(0.9, 1, 3 * _LINES // 4)])
    lines = np.unique(np.quantile(inside, shares, method="lower"))
    names = tuple(dict.fromkeys(patients))
    ill, healthy = np.zeros((len(names), len(lines))), np.zeros((len(names), len(lines)))
    for row, name in enumerate(names):
        mine = np.array([one == name for one in patients])
        values, sick = maps[mine][region[mine]], truth[mine][region[mine]]
        for target, some in ((ill, values[sick]), (healthy, values[~sick])):
            target[row] = len(some) - np.searchsorted(np.sort(some), lines)
    return Counts(lines, ill, healthy, names)


def auprc(ill: Float[np.ndarray, "*d t"], healthy: Float[np.ndarray, "*d t"]) -> Float[np.ndarray, " *d"] | float:
    """Average precision from counts above rising thresholds: the sum over thresholds of precision times new recall.

    The share of ill voxels is what a map that knows nothing gets. Davis J, Goadrich M. Proc ICML 2006:233-240.

    >>> float(auprc(np.array([2.0, 2.0, 1.0]), np.array([2.0, 1.0, 0.0])))  # from above: ill, then half, then healthy
    0.8333333333333334
    """
    both = ill + healthy
    precision = np.divide(ill, both, out=np.zeros_like(ill), where=both > 0)
    fresh = ill - np.concatenate([ill[..., 1:], np.zeros_like(ill[..., :1])], axis=-1)
    return (precision * fresh).sum(axis=-1) / ill[..., 0]


def auroc(ill: Float[np.ndarray, "*d t"], healthy: Float[np.ndarray, "*d t"]) -> Float[np.ndarray, " *d"] | float:
    """The area under the ROC curve from counts above rising thresholds, by trapezoids.

    >>> float(auroc(np.array([2.0, 2.0, 1.0]), np.array([2.0, 1.0, 0.0])))
    0.875
    """
    zero = np.zeros_like(ill[..., :1])
    y = np.concatenate([ill / ill[..., :1], zero], axis=-1)
    x = np.concatenate([healthy / healthy[..., :1], zero], axis=-1)
    return ((x[..., :-1] - x[..., 1:]) * (y[..., :-1] + y[..., 1:]) / 2).sum(axis=-1)


def dices(ill: Float[np.ndarray, "*d t"], healthy: Float[np.ndarray, "*d t"]) -> Float[np.ndarray, "*d t"]:
    """Dice of all voxels together at each threshold.

    >>> dices(np.array([2.0, 1.0]), np.array([2.0, 0.0])).round(3).tolist()
    [0.667, 0.667]
    """
    return 2 * ill / (ill + healthy + ill[..., :1])


def resampled(counts: Counts, draws: Float[np.ndarray, "d p"]) -> tuple[np.ndarray, np.ndarray]:
    """Counts (d, t) of drawn patients; draws: how often each came up."""
    return draws @ counts.ill, draws @ counts.healthy


def lesions(
    found: Bool[np.ndarray, "n h w"], truth: Bool[np.ndarray, "n h w"], *, share: float = 0.1
) -> list[tuple[int, str, bool]]:
    """(slice, size, whether found) of each lesion in each slice: found when `share` of its pixels are marked.

    Sizes are those of SIZES, scaled to the grid. Blind to: how much healthy tissue is marked as well.
    """
    from scipy import ndimage

    scale, rows = 128**2 / (truth.shape[1] * truth.shape[2]), []
    for number in np.flatnonzero(truth.any(axis=(1, 2))):
        labels = np.zeros(truth[number].shape, np.int32)
        ndimage.label(truth[number], np.ones((3, 3)), output=labels)
        for one in range(1, int(labels.max()) + 1):
            inside = labels == one
            pixels = round(inside.sum() * scale)
            size = next(name for name, low, high in SIZES if low <= pixels <= high)
            rows.append((int(number), size, bool(found[number][inside].mean() >= share)))
    return rows


def slice_scores(maps: Float[np.ndarray, "n h w"], region: Bool[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    """One number a slice: the mean of the largest hundredth of the map in the region."""
    found = []
    for one, inside in zip(maps, region, strict=True):
        values = np.sort(one[inside])
        found.append(values[-max(1, len(values) // 100) :].mean() if len(values) else 0.0)
    return np.array(found)


def case_scores(slices: Float[np.ndarray, " n"], cases: Sequence[str]) -> dict[str, float]:
    """One number a case: the mean of its three most suspect slices."""
    names = np.asarray(cases)
    return {case: float(np.sort(slices[names == case])[-3:].mean()) for case in dict.fromkeys(cases)}


def otsu(values: Float[np.ndarray, " n"]) -> float:
    """The threshold that parts the values into two classes of largest variance between them.

    Over all cuts of the sorted values: maximise w0 w1 (m0 - m1)^2; values above the threshold are the upper class.
    Otsu N. IEEE Trans Syst Man Cybern 1979;9:62-66. Constant values: the value itself.

    >>> otsu(np.array([0.0, 0.1, 0.2, 0.8, 0.9]))
    0.5
    """
    v = np.sort(values)
    n = np.arange(1, len(v))
    sums = np.cumsum(v)[:-1]
    between = n * (len(v) - n) * (sums / n - (v.sum() - sums) / (len(v) - n)) ** 2
    between[v[1:] == v[:-1]] = -1.0
    if len(v) < 2 or between.max() <= 0:
        return float(v[-1]) if len(v) else 0.0
    cut = int(np.argmax(between))
    return float((v[cut] + v[cut + 1]) / 2)
