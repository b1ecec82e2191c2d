"""Tubes and balls painted on a grid as partial volumes; what flows in them is the caller's matter."""

from __future__ import annotations

import numpy as np

from radloom.phantom.fields import Grid


def painted(grid: Grid, points: np.ndarray, radius: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(fraction, value), both (x, y, z): how much of each voxel the balls fill and the value carried there.

    points (n, 3) mm, radius (n,) mm: balls, close enough along a vessel that they make a tube. values (n,): what each
    carries, such as the signal of its blood; where balls overlap the nearest counts most. 0 outside.
    """
    spacing = np.array(grid.spacing_mm)
    fraction, weight, carried = (np.zeros(int(np.prod(grid.shape))) for _ in range(3))
    place = (points - np.array(grid.origin_mm)) / spacing
    edge = float(np.cbrt(spacing.prod()))  # the border is spread over one voxel
    reach = np.ceil((radius[:, None] + edge) / spacing).astype(int)
    for size in np.unique(reach, axis=0):
        chosen = np.flatnonzero((reach == size).all(1))
        offsets = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in size), indexing="ij"), -1).reshape(-1, 3)
        for part in np.array_split(chosen, max(1, len(chosen) * len(offsets) // 500_000)):
            voxels = np.rint(place[part]).astype(int)[:, None] + offsets
            distance = np.linalg.norm((voxels - place[part][:, None]) * spacing, axis=-1)
            held = np.clip(0.5 + (radius[part][:, None] - distance) / edge, 0, 1)
            # A vessel thinner than a voxel fills no more of it than its cross-section does.
            held *= np.minimum(1.0, np.pi * radius[part] ** 2 / edge**2)[:, None]
            good = (held > 0) & ((voxels >= 0) & (voxels < grid.shape)).all(-1)
            index = np.ravel_multi_index(tuple(voxels[good].T), grid.shape)
            share = held[good]
            np.maximum.at(fraction, index, share)
            np.add.at(weight, index, share**4)
            np.add.at(carried, index, share**4 * np.broadcast_to(values[part][:, None], held.shape)[good])
    value = np.where(weight > 0, carried / np.maximum(weight, 1e-30), 0.0)
    return fraction.reshape(grid.shape), value.reshape(grid.shape)
