"""Texture from the difference between a voxel and the mean of its neighbours (IBSI section 3.10)."""

from __future__ import annotations

import numpy as np

FLAT = 1e6  # IBSI's coarseness of a region without any difference


def ngtdm_features(levels: np.ndarray) -> dict[str, float]:
    """The five IBSI features of neighbourhood grey tone difference, unit 1 (levels or their powers).

    levels: integers with a rim of zeros; 0 is outside. For every level i: n_i voxels with at least one neighbour in
    the region, p_i their share, s_i the sum of |i - mean of the neighbours|. In a flat region coarseness is 1e6 and
    the others 0; without any neighbour all but coarseness are 0.
    Blind to: the direction of a pattern. Amadasun M, King R. IEEE Trans Syst Man Cybern 1989;19:1264-1274; Zwanenburg
    A et al. Radiology 2020;295:328-338.

    >>> found = ngtdm_features(np.pad(np.array([[1, 3]]), 1))
    >>> found["ngt_coarseness"], found["ngt_contrast"]
    (0.5, 2.0)
    """
    inside = levels > 0
    own = levels[inside]
    around = _box_sum(levels.astype(np.float64))[inside] - own
    neighbours = _box_sum(inside.astype(np.float64))[inside] - 1
    known = neighbours > 0
    size = int(levels.max()) + 1
    n = np.bincount(own[known], minlength=size)
    difference = np.abs(own[known] - around[known] / neighbours[known])
    s = np.bincount(own[known], difference, size)
    present = np.flatnonzero(n)
    if s.sum() == 0:
        names = ("contrast", "busyness", "complexity", "strength")
        return {"ngt_coarseness": FLAT, **{f"ngt_{name}": 0.0 for name in names}}
    i, s, p, total = present.astype(np.float64), s[present], n[present] / n.sum(), int(n.sum())
    gap = i[:, None] - i
    pairs = p[:, None] * p
    both = p[:, None] + p
    weighted = p * s
    spread = np.abs((i * p)[:, None] - i * p).sum()
    levels_present = len(i)
    contrast = (pairs * gap**2).sum() / (levels_present * (levels_present - 1)) if levels_present > 1 else 0.0
    return {
        "ngt_coarseness": float(1 / weighted.sum()),
        "ngt_contrast": float(contrast * s.sum() / total),
        "ngt_busyness": float(weighted.sum() / spread) if spread > 0 else 0.0,
        "ngt_complexity": float((np.abs(gap) * (weighted[:, None] + weighted) / both).sum() / total),
        "ngt_strength": float((both * gap**2).sum() / s.sum()),
    }


def _box_sum(values: np.ndarray) -> np.ndarray:
    """The sum over every 3 x 3 (x 3) box of a grid with a rim of zeros; the rim's own sums are not used."""
    for axis in range(values.ndim):
        line = np.moveaxis(values, axis, 0)
        total = line.copy()
        total[1:] += line[:-1]
        total[:-1] += line[1:]
        values = np.moveaxis(total, 0, axis)
    return values
