"""How well two masks of one label agree: overlap, volume and distance between surfaces; finding lesions is elsewhere.

Every function takes boolean (or 0 and 1) masks (x, y) or (x, y, z) of one case and one label, numpy or torch, and
returns one float. Empty masks, the same for all: both empty is undefined, NaN, unless `both_empty` says otherwise;
one empty is the worst value, 0 overlap and infinite distance (unless `one_empty` sets a penalty in mm), whichever of
the two it is: a missed lesion and an invented one both count.
"""

from __future__ import annotations

import math

import numpy as np

from radloom.metrics.arrays import Number, Spacing, Voxels, as_mask, mask_pair, spacing_of
from radloom.metrics.surface import (
    SurfaceDistances,
    average_surface_distance,
    diagonal_mm,
    hausdorff,
    hausdorff95,
    surface_dice,
    surface_distances,
)

__all__ = [
    "SurfaceDistances",
    "average_surface_distance",
    "diagonal_mm",
    "dice",
    "hausdorff",
    "hausdorff95",
    "iou",
    "surface_dice",
    "surface_distances",
    "volume",
]


def dice(predicted: Voxels, truth: Voxels, *, both_empty: Number = math.nan) -> float:
    """Dice coefficient, unit 1, in [0, 1]; 1 is best.

    DSC = 2 |A & B| / (|A| + |B|). Both masks empty: `both_empty` (NaN by default; pass 1 to reward a correct "nothing
    here"); one empty: 0.
    Blind to: where the errors lie, their shape and their clinical weight; hard on small structures, where one voxel of
    border costs much, and lenient on large ones; several lesions in one mask hide a missed small one.
    Dice LR. Ecology 1945;26:297-302.

    >>> dice(np.array([[1, 1, 0]]), np.array([[0, 1, 0]])) == 2 / 3
    True
    """
    a, b = mask_pair(predicted, truth)
    both = np.count_nonzero(a) + np.count_nonzero(b)
    return float(2 * np.count_nonzero(a & b) / both) if both else float(both_empty)


def iou(predicted: Voxels, truth: Voxels, *, both_empty: Number = math.nan) -> float:
    """Intersection over union (Jaccard index), unit 1, in [0, 1]; 1 is best.

    IoU = |A & B| / |A or B| = DSC / (2 - DSC). Empty masks as in `dice`.
    Blind to: what Dice is blind to; it ranks single cases as Dice does, but means over cases can differ in rank.
    Jaccard P. New Phytol 1912;11:37-50.

    >>> iou(np.array([[1, 1, 0]]), np.array([[0, 1, 0]]))
    0.5
    """
    a, b = mask_pair(predicted, truth)
    union = np.count_nonzero(a | b)
    return float(np.count_nonzero(a & b) / union) if union else float(both_empty)


def volume(mask: Voxels, *, spacing_mm: Spacing) -> float:
    """Volume of the mask, mm^3 (of a (x, y) mask its area, mm^2); neither more nor less is better; empty is 0.

    V = number of voxels * product of the spacing. Blind to: place and shape, so equal volumes need not overlap, and to
    partial volume at the border. 1000 mm^3 are 1 ml.

    >>> volume(np.ones((10, 10, 10), bool), spacing_mm=(1, 1, 2.5))
    2500.0
    """
    inside = as_mask(mask, "the mask")
    return float(np.count_nonzero(inside)) * math.prod(spacing_of(spacing_mm, inside.ndim))
