"""Texture from pairs of neighbouring grey levels: the co-occurrence matrix and its features (IBSI section 3.6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.radiomics_levels import directions, flat_step

Aggregation = Literal["average", "merge"]


def glcm_features(levels: np.ndarray, aggregation: Aggregation) -> dict[str, float]:
    """The 25 IBSI co-occurrence features and the maximal correlation coefficient, unit 1 (levels or their powers).

    levels: integers with a rim of zeros; 0 is outside. p(i, j) is the share of pairs of neighbours at distance 1 that
    have levels i and j, counted both ways. "average" takes features for each direction and their mean (IBSI 3D_avg,
    PyRadiomics); "merge" adds the matrices first (IBSI 3D_comb).
    A flat region has cm_corr and cm_mcc 1 and information correlations 0 by convention. A region without neighbours
    has NaN everywhere. Blind to: patterns larger than two voxels. Haralick RM et al. IEEE Trans Syst Man Cybern
    1973;3:610-621; Zwanenburg A et al. Radiology 2020;295:328-338.

    >>> found = glcm_features(np.pad(np.array([[1, 2, 1, 2]]), 1), "merge")
    >>> found["cm_contrast"], found["cm_corr"], found["cm_energy"]
    (1.0, -1.0, 0.5)
    """
    if aggregation not in ("average", "merge"):
        raise RadloomError(f"unknown aggregation {aggregation!r}", expected="average or merge")
    present = np.unique(levels[levels > 0])
    matrices = _matrices(levels, present)
    if aggregation == "merge":
        matrices = iter([sum(matrices, np.zeros((len(present), len(present))))])
    found = [_features(matrix / matrix.sum(), present) for matrix in matrices if matrix.any()]
    if not found:
        return dict.fromkeys(_features(np.ones((1, 1)), present[:1]), float("nan"))
    return {name: float(np.mean([one[name] for one in found])) for name in found[0]}


def _matrices(levels: np.ndarray, present: np.ndarray) -> Iterator[np.ndarray]:
    """Symmetric counts of pairs of the levels that occur, one matrix for each direction and one at a time."""
    size = len(present) + 1
    place = np.zeros(int(levels.max()) + 1, np.int64)
    place[present] = np.arange(1, size)
    flat = place[levels.ravel()]
    rows = flat * size
    for step in directions(levels.shape):
        k = flat_step(step, levels.shape)
        counts = np.bincount(rows[:-k] + flat[k:], minlength=size**2).reshape(size, size)[1:, 1:]
        yield (counts + counts.T).astype(np.float64)


def _features(p: np.ndarray, present: np.ndarray) -> dict[str, float]:
    """Every feature of one symmetric matrix that sums to 1, of the levels present; their highest counts as how many."""
    n = int(present[-1])
    i = present.astype(np.float64)
    row, column = i[:, None], i[None]
    gap, total = np.abs(row - column), row + column
    px = p.sum(1)
    mean = float(px @ i)
    variance = float(px @ (i - mean) ** 2)
    away = total - 2 * mean
    p_gap = np.bincount(gap.astype(np.intp).ravel(), p.ravel(), n)
    p_sum = np.bincount(total.astype(np.intp).ravel(), p.ravel(), 2 * n + 1)
    k_gap, k_sum = np.arange(n), np.arange(2 * n + 1)
    gap_mean = float(p_gap @ k_gap)
    entropy, entropy_x = _bits(p), _bits(px)
    # p is symmetric, so both reference entropies of IBSI are twice the marginal's
    shared = 2 * entropy_x - entropy
    off = gap > 0
    return {
        "cm_joint_max": float(p.max()),
        "cm_joint_avg": mean,
        "cm_joint_var": variance,
        "cm_joint_entr": entropy,
        "cm_diff_avg": gap_mean,
        "cm_diff_var": float(p_gap @ (k_gap - gap_mean) ** 2),
        "cm_diff_entr": _bits(p_gap),
        "cm_sum_avg": float(p_sum @ k_sum),
        "cm_sum_var": float(p_sum @ (k_sum - 2 * mean) ** 2),
        "cm_sum_entr": _bits(p_sum),
        "cm_energy": float(np.sum(p**2)),
        "cm_contrast": float(np.sum(p * gap**2)),
        "cm_dissimilarity": gap_mean,
        "cm_inv_diff": float(np.sum(p / (1 + gap))),
        "cm_inv_diff_norm": float(np.sum(p / (1 + gap / n))),
        "cm_inv_diff_mom": float(np.sum(p / (1 + gap**2))),
        "cm_inv_diff_mom_norm": float(np.sum(p / (1 + (gap / n) ** 2))),
        "cm_inv_var": float(np.sum(p[off] / gap[off] ** 2)),
        "cm_corr": float(np.sum(p * (row - mean) * (column - mean))) / variance if variance > 0 else 1.0,
        "cm_auto_corr": float(np.sum(p * row * column)),
        "cm_clust_tend": float(np.sum(p * away**2)),
        "cm_clust_shade": float(np.sum(p * away**3)),
        "cm_clust_prom": float(np.sum(p * away**4)),
        "cm_info_corr1": -shared / entropy_x if entropy_x > 0 else 0.0,
        "cm_info_corr2": float(np.sqrt(max(0.0, 1 - np.exp(-2 * shared)))),
        "cm_mcc": _maximal_correlation(p, px),
    }


def _bits(p: np.ndarray) -> float:
    p = p[p > 0]
    return float(-np.sum(p * np.log2(p))) + 0.0


def _maximal_correlation(p: np.ndarray, px: np.ndarray) -> float:
    """The second largest singular value of p(i, j) / sqrt(p(i) p(j)): Haralick's Q is that matrix squared."""
    kept = px > 0
    if kept.sum() < 2:
        return 1.0
    root = np.sqrt(px[kept])
    return float(np.sort(np.abs(np.linalg.eigvalsh(p[np.ix_(kept, kept)] / np.outer(root, root))))[-2])
