"""Texture from runs, zones and dependences of equal grey levels (IBSI sections 3.7, 3.8 and 3.11).

All three count pairs (grey level, size), and the features are the same moments of that table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.radiomics_glcm import Aggregation
from radloom.metrics.radiomics_levels import directions, flat_step


@dataclass(frozen=True)
class _Table:
    """How often each level occurs with each size, sparse: a zone may hold a million voxels."""

    level: np.ndarray
    size: np.ndarray
    count: np.ndarray


def glrlm_features(levels: np.ndarray, aggregation: Aggregation) -> dict[str, float]:
    """The 16 IBSI features of runs: voxels of one level in a row, in each direction; unit 1.

    levels: integers with a rim of zeros; 0 is outside. "average" is IBSI's 3D_avg and PyRadiomics', "merge" 3D_comb.
    rlm_r_perc divides by the voxels (times the directions when merged). A single voxel counts as runs of 1.
    Blind to: patterns that are not straight. Galloway MM. Comput Graph Image Process 1975;4:172-179; Zwanenburg A et
    al. Radiology 2020;295:328-338.

    >>> glrlm_features(np.pad(np.array([[1, 1, 2, 2]]), 1), "average")["rlm_lre"]
    4.0
    """
    voxels = int(np.count_nonzero(levels))
    steps = directions(levels.shape) or [(0,) * (levels.ndim - 1) + (1,)]
    tables = [_runs(levels, step) for step in steps]
    if aggregation == "merge":
        tables, voxels = [_merged(tables)], voxels * len(tables)
    elif aggregation != "average":
        raise RadloomError(f"unknown aggregation {aggregation!r}", expected="average or merge")
    names = ("sre", "lre", "lgre", "hgre", "srlge", "srhge", "lrlge", "lrhge", "glnu", "glnu_norm", "rlnu",
             "rlnu_norm", "r_perc", "gl_var", "rl_var", "rl_entr")  # fmt: skip
    found = np.mean([_moments(table, voxels) for table in tables], axis=0)
    return {f"rlm_{name}": float(value) for name, value in zip(names, found, strict=False)}


def glszm_features(levels: np.ndarray) -> dict[str, float]:
    """The 16 IBSI features of zones: connected voxels of one level (26 neighbours in 3D, 8 in 2D); unit 1.

    levels: integers with a rim of zeros; 0 is outside.
    Blind to: the shape of zones. Thibault G et al. IEEE Trans Biomed Eng 2014;61:630-637; Zwanenburg A et al.
    Radiology 2020;295:328-338.

    >>> glszm_features(np.pad(np.array([[1, 1, 2, 2]]), 1))["szm_lze"]
    4.0
    """
    from skimage.measure import label

    zones = np.asarray(label(levels, background=0, connectivity=levels.ndim))
    inside = zones > 0
    sizes = np.bincount(zones[inside])[1:]
    level = np.zeros(len(sizes), np.int64)
    level[zones[inside] - 1] = levels[inside]
    names = ("sze", "lze", "lgze", "hgze", "szlge", "szhge", "lzlge", "lzhge", "glnu", "glnu_norm", "zsnu",
             "zsnu_norm", "z_perc", "gl_var", "zs_var", "zs_entr")  # fmt: skip
    found = _moments(_table(level, sizes), int(np.count_nonzero(inside)))
    return {f"szm_{name}": float(value) for name, value in zip(names, found, strict=False)}


def ngldm_features(levels: np.ndarray) -> dict[str, float]:
    """The 17 IBSI features of dependence: a voxel's neighbours of its own level, and itself; unit 1.

    levels: integers with a rim of zeros; 0 is outside. Distance 1, coarseness 0: PyRadiomics calls the first 14 of
    these GLDM ("small dependence" is IBSI's low dependence). ngl_dc_perc is 1 by construction.
    Blind to: how much the other neighbours differ. Sun C, Wee WG. Comput Vis Graph Image Process 1983;23:341-352;
    Zwanenburg A et al. Radiology 2020;295:328-338.

    >>> ngldm_features(np.pad(np.array([[1, 1, 2, 2]]), 1))["ngl_hde"]
    4.0
    """
    flat = np.ascontiguousarray(levels).ravel()
    alike = np.zeros(len(flat), np.int64)
    for step in directions(levels.shape):
        k = flat_step(step, levels.shape)
        same = flat[:-k] == flat[k:]
        alike[:-k] += same
        alike[k:] += same
    inside = flat > 0
    names = ("lde", "hde", "lgce", "hgce", "ldlge", "ldhge", "hdlge", "hdhge", "glnu", "glnu_norm", "dcnu",
             "dcnu_norm", "dc_perc", "gl_var", "dc_var", "dc_entr", "dc_energy")  # fmt: skip
    found = _moments(_table(flat[inside], alike[inside] + 1), int(np.count_nonzero(inside)))
    return {f"ngl_{name}": float(value) for name, value in zip(names, found, strict=True)}


def _runs(levels: np.ndarray, step: tuple[int, ...]) -> _Table:
    """Runs along one direction: the grid is laid out so that the direction becomes the order of memory."""
    k = abs(flat_step(step, levels.shape))
    flat = levels.ravel()
    rows = -(-len(flat) // k) + 1  # one row of zeros at the end parts each line from the next
    lines = np.zeros(rows * k, levels.dtype)
    lines[: len(flat)] = flat
    line = np.ascontiguousarray(lines.reshape(rows, k).T).ravel()
    starts = np.flatnonzero(line[1:] != line[:-1]) + 1
    level, length = line[starts[:-1]], np.diff(starts)
    inside = level > 0
    return _table(level[inside], length[inside])


def _table(level: np.ndarray, size: np.ndarray) -> _Table:
    """One entry for each pair of level and size that occurs."""
    width = int(size.max()) + 1
    key = level.astype(np.int64) * width + size
    # a dense count where it is small, for speed
    if (int(level.max()) + 1) * width <= max(4 * len(key), 1_000_000):
        counts = np.bincount(key)
        found = np.flatnonzero(counts)
        return _Table(found // width, found % width, counts[found])
    found, counts = np.unique(key, return_counts=True)
    return _Table(found // width, found % width, counts)


def _merged(tables: list[_Table]) -> _Table:
    return _table(*(np.concatenate([np.repeat(getattr(table, name), table.count) for table in tables])
                    for name in ("level", "size")))  # fmt: skip


def _moments(table: _Table, voxels: int) -> np.ndarray:
    """The 17 moments in the order of the names above."""
    i, j = table.level.astype(np.float64), table.size.astype(np.float64)
    n = table.count.sum()
    p = table.count / n
    of_level, of_size = np.bincount(table.level, table.count), np.bincount(table.size, table.count)
    i_mean, j_mean = p @ i, p @ j
    return np.array([
        p @ (1 / j**2), p @ j**2, p @ (1 / i**2), p @ i**2,
        p @ (1 / (i * j) ** 2), p @ (i / j) ** 2, p @ (j / i) ** 2, p @ (i * j) ** 2,
        np.sum(of_level**2) / n, np.sum(of_level**2) / n**2, np.sum(of_size**2) / n, np.sum(of_size**2) / n**2,
        n / voxels, p @ (i - i_mean) ** 2, p @ (j - j_mean) ** 2, -np.sum(p * np.log2(p)) + 0.0, p @ p,
    ])  # fmt: skip
