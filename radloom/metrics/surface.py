"""Distances in mm between the surfaces of two masks: ASSD, Hausdorff, its 95th percentile, surface Dice.

Border voxels are the mask's voxels with a face neighbour (edge neighbour in 2D) outside the mask; outside the array
lies background, so a mask cut by the image's edge has its border there. Distances join the centres of border voxels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.arrays import Number, Spacing, Voxels, mask_pair, spacing_of
from radloom.metrics.surfels import surfels


@dataclass(frozen=True)
class SurfaceDistances:
    """Average symmetric surface distance (pooled), Hausdorff distance and its 95th percentile (directed), mm."""

    average: float
    hausdorff: float
    hausdorff95: float


def surface_distances(
    predicted: Voxels, truth: Voxels, *, spacing_mm: Spacing, one_empty: Number = math.inf
) -> SurfaceDistances:
    """Average, largest and 95th percentile surface distance, mm, by one search of neighbours instead of three.

    The same numbers as `average_surface_distance`, `hausdorff` and `hausdorff95` by their default methods, which
    say what each is blind to. Both masks empty: NaN throughout; one empty: `one_empty`, mm, throughout.
    Maier-Hein L et al. Nat Methods 2024;21:195-212.

    >>> a, b = np.zeros((2, 5, 5), bool)
    >>> a[2, 2], b[2, 2:5] = True, True
    >>> surface_distances(a, b, spacing_mm=(1, 1)).hausdorff
    2.0
    """
    distances = _border_distances(predicted, truth, spacing_mm)
    if isinstance(distances, str):
        undefined = _empty(distances, one_empty)
        return SurfaceDistances(undefined, undefined, undefined)
    return SurfaceDistances(_pooled_mean(distances), _largest(distances), _percentile95(distances))


def average_surface_distance(
    predicted: Voxels,
    truth: Voxels,
    *,
    spacing_mm: Spacing,
    method: Literal["pooled", "mean_of_means"] = "pooled",
    one_empty: Number = math.inf,
) -> float:
    """Average symmetric surface distance (ASSD), mm; 0 is best.

    d(a, B) = distance of border voxel a of A to the nearest border voxel of B, and the other way round.
    "pooled": mean over the border voxels of both (MONAI with symmetric=True, MedPy); "mean_of_means": mean of the two
    directed means. Both masks empty: NaN; one empty: `one_empty`, mm (for instance `diagonal_mm`).
    Blind to: one far outlier among many border voxels, and to volume errors of large structures with near borders.
    Heimann T et al. IEEE Trans Med Imaging 2009;28:1251-1265.

    >>> a, b = np.zeros((2, 5, 5), bool)
    >>> a[2, 2], b[2, 4] = True, True
    >>> average_surface_distance(a, b, spacing_mm=(1, 0.5))
    1.0
    """
    distances = _border_distances(predicted, truth, spacing_mm)
    if isinstance(distances, str):
        return _empty(distances, one_empty)
    if method == "pooled":
        return _pooled_mean(distances)
    if method == "mean_of_means":
        return float(distances[0].mean() + distances[1].mean()) / 2
    raise RadloomError(f"unknown method {method!r}", expected="pooled or mean_of_means")


def hausdorff(predicted: Voxels, truth: Voxels, *, spacing_mm: Spacing, one_empty: Number = math.inf) -> float:
    """Hausdorff distance, mm; 0 is best.

    HD = largest distance from a border voxel of either mask to the nearest border voxel of the other.
    Both masks empty: NaN; one empty: `one_empty`, mm.
    Blind to: everything but the single worst voxel, so one stray voxel decides it.
    Huttenlocher DP et al. IEEE Trans Pattern Anal Mach Intell 1993;15:850-863.

    >>> a, b = np.zeros((2, 5, 5), bool)
    >>> a[2, 2], b[2, 2:5] = True, True
    >>> hausdorff(a, b, spacing_mm=(1, 1))
    2.0
    """
    distances = _border_distances(predicted, truth, spacing_mm)
    if isinstance(distances, str):
        return _empty(distances, one_empty)
    return _largest(distances)


def hausdorff95(
    predicted: Voxels,
    truth: Voxels,
    *,
    spacing_mm: Spacing,
    method: Literal["directed", "pooled", "surfel"] = "directed",
    one_empty: Number = math.inf,
) -> float:
    """95th percentile of the Hausdorff distance, mm; 0 is best. The conventions differ by half: name the method.

    "directed": the larger of the two directed 95th percentiles over border voxels (MONAI, Metrics Reloaded);
    "pooled": 95th percentile of both directions together (MedPy); "surfel": the larger directed one over surfels,
    weighted by area (DeepMind). Percentiles over voxels are interpolated linearly.
    Both masks empty: NaN; one empty: `one_empty`, mm, never left out, or missing more lesions would improve the mean.
    Blind to: a twentieth of the surface, so to a small missed lesion beside a large one.
    Maier-Hein L et al. Nat Methods 2024;21:195-212.

    >>> a, b = np.zeros((2, 5, 5), bool)
    >>> a[2, 2], b[2, 4] = True, True
    >>> hausdorff95(a, b, spacing_mm=(1, 1))
    2.0
    """
    if method not in ("directed", "pooled", "surfel"):
        raise RadloomError(f"unknown method {method!r}", expected="directed, pooled or surfel")
    if method == "surfel":
        pieces = _surfel_distances(predicted, truth, spacing_mm)
        if isinstance(pieces, str):
            return _empty(pieces, one_empty)
        there, back, areas_there, areas_back = pieces
        return max(_weighted_percentile(there, areas_there, 0.95), _weighted_percentile(back, areas_back, 0.95))
    distances = _border_distances(predicted, truth, spacing_mm)
    if isinstance(distances, str):
        return _empty(distances, one_empty)
    return _percentile95(distances if method == "directed" else (np.concatenate(distances),))


def surface_dice(predicted: Voxels, truth: Voxels, *, spacing_mm: Spacing, tolerance_mm: Number) -> float:
    """Surface Dice at a tolerance (normalised surface distance), unit 1, in [0, 1]; 1 is best.

    NSD = (area of A's surface within tolerance_mm of B's + area of B's within tolerance_mm of A's) / (both areas),
    over surfels of marching cubes as DeepMind's surface-distance; in 2D lengths of contours. Distances join cell
    corners, so they come in steps of the spacing. Both masks empty: NaN; one empty: 0.
    Blind to: every error below the tolerance, how far the others are, and to volume. State the tolerance (the
    disagreement of two experts).
    Nikolov S et al. J Med Internet Res 2021;23:e26151.

    >>> a, b = np.zeros((2, 6, 6, 6), bool)
    >>> a[1:3, 1:3, 1:3], b[2:4, 1:3, 1:3] = True, True
    >>> surface_dice(a, b, spacing_mm=(1, 1, 1), tolerance_mm=1)
    1.0
    """
    if not (np.isfinite(tolerance_mm) and tolerance_mm >= 0):
        raise RadloomError(f"tolerance_mm is {tolerance_mm}", expected="a finite distance of at least 0 mm")
    distances = _surfel_distances(predicted, truth, spacing_mm)
    if isinstance(distances, str):
        return _empty(distances, 0.0)
    there, back, areas_there, areas_back = distances
    near = areas_there[there <= tolerance_mm].sum() + areas_back[back <= tolerance_mm].sum()
    return float(near / (areas_there.sum() + areas_back.sum()))


def diagonal_mm(shape: tuple[int, ...], spacing_mm: Spacing) -> float:
    """The image's diagonal between the centres of its corner voxels, mm: the largest distance there can be.

    As `one_empty` it turns a missed structure into a finite penalty.

    >>> diagonal_mm((4, 5), (1, 1))
    5.0
    """
    return math.hypot(*((n - 1) * s for n, s in zip(shape, spacing_of(spacing_mm, len(shape)), strict=True)))


Emptiness = Literal["both empty", "one empty"]


def _empty(which: Emptiness, one_empty: Number) -> float:
    return math.nan if which == "both empty" else float(one_empty)


def _pooled_mean(distances: tuple[np.ndarray, np.ndarray]) -> float:
    return float(np.mean(np.concatenate(distances)))


def _largest(distances: tuple[np.ndarray, np.ndarray]) -> float:
    return float(max(part.max() for part in distances))


def _percentile95(groups: tuple[np.ndarray, ...]) -> float:
    return max(float(np.percentile(group, 95)) for group in groups)


def _cropped(predicted: Voxels, truth: Voxels) -> tuple[np.ndarray, np.ndarray] | Emptiness:
    """Both masks cut to the box around their union, or which of them are empty."""
    a, b = mask_pair(predicted, truth)
    empty = (not a.any()) + (not b.any())
    if empty:
        return "both empty" if empty == 2 else "one empty"
    union = a | b
    box = []
    for axis in range(union.ndim):
        filled = np.flatnonzero(union.any(axis=tuple(i for i in range(union.ndim) if i != axis)))
        box.append(slice(filled[0], filled[-1] + 1))
    return a[tuple(box)], b[tuple(box)]


def _border(mask: np.ndarray) -> np.ndarray:
    """The voxels of the mask with a face neighbour outside it."""
    eroded = np.pad(mask, 1)
    inner = (slice(1, -1),) * mask.ndim
    padded = eroded.copy()
    for axis in range(mask.ndim):
        for shift in (-1, 1):
            eroded &= np.roll(padded, shift, axis)  # the padding is background, so nothing wraps round
    return mask & ~eroded[inner]


def _border_distances(
    predicted: Voxels, truth: Voxels, spacing_mm: Spacing
) -> tuple[np.ndarray, np.ndarray] | Emptiness:
    """Distances, mm, of the border voxels of each mask to the nearest of the other, or which masks are empty."""
    spacing = spacing_of(spacing_mm, len(predicted.shape))
    pair = _cropped(predicted, truth)
    if isinstance(pair, str):
        return pair
    a, b = (_border(mask) for mask in pair)
    return _nearest(a, b, spacing), _nearest(b, a, spacing)


def _nearest(of: np.ndarray, to: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Distance, mm, of every True voxel of `of` to the nearest True voxel of `to`; 0 where both are True."""
    from scipy.spatial import KDTree

    shared = to[of]
    distances = np.zeros(len(shared))
    if not shared.all():
        tree = KDTree(np.argwhere(to) * spacing, balanced_tree=False, compact_nodes=False)
        distances[~shared] = tree.query(np.argwhere(of & ~to) * spacing)[0]
    return distances


Surfels = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _surfel_distances(predicted: Voxels, truth: Voxels, spacing_mm: Spacing) -> Surfels | Emptiness:
    """Distances, mm, from A's surfels and from B's, then the areas of A's and of B's, or which masks are empty."""
    from scipy.spatial import KDTree

    spacing = spacing_of(spacing_mm, len(predicted.shape))
    pair = _cropped(predicted, truth)
    if isinstance(pair, str):
        return pair
    (a, areas_a), (b, areas_b) = (surfels(mask, spacing) for mask in pair)
    return KDTree(b).query(a)[0], KDTree(a).query(b)[0], areas_a, areas_b


def _weighted_percentile(distances: np.ndarray, areas: np.ndarray, share: float) -> float:
    """The smallest distance within which at least this share of the area lies, mm."""
    order = np.argsort(distances)
    reached = np.cumsum(areas[order]) / areas.sum()
    return float(distances[order][min(np.searchsorted(reached, share), len(order) - 1)])
