"""All classes of radiomic features of one region in one call; the classes themselves are in the files beside this."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.arrays import Spacing, Voxels
from radloom.metrics.radiomics_glcm import Aggregation, glcm_features
from radloom.metrics.radiomics_intensity import histogram_statistics, intensity_statistics
from radloom.metrics.radiomics_levels import Binning, Region, region_of
from radloom.metrics.radiomics_ngtdm import ngtdm_features
from radloom.metrics.radiomics_shape import shape_features
from radloom.metrics.radiomics_zones import glrlm_features, glszm_features, ngldm_features

TEXTURE: dict[str, Callable[[np.ndarray, Aggregation], dict[str, float]]] = {
    "ih": lambda levels, _: histogram_statistics(levels),
    "cm": glcm_features,
    "rlm": glrlm_features,
    "szm": lambda levels, _: glszm_features(levels),
    "ngl": lambda levels, _: ngldm_features(levels),
    "ngt": lambda levels, _: ngtdm_features(levels),
}
CLASSES = ("morph", "stat", *TEXTURE)


def radiomic_features(
    image: Voxels,
    mask: Voxels,
    spacing_mm: Spacing,
    *,
    binning: Binning,
    aggregation: Aggregation = "average",
    classes: Sequence[str] = CLASSES,
) -> dict[str, float]:
    """The radiomic features of a region by their IBSI names; units are those of each class's function.

    image, mask: (x, y) or (x, y, z). classes: "morph" shape (3D only: left out of a 2D image), "stat" intensities, "ih"
    histogram, "cm" co-occurrence, "rlm" runs, "szm" zones, "ngl" dependence, "ngt" grey tone difference. Neighbours are
    one voxel away whatever the spacing, so resample to isotropic voxels first (`resampled`).
    Raises RadloomError for an empty mask, grids that differ, NaN, or an unknown class.
    Blind to: what lies outside the mask. Values compare only at the same spacing, interpolation, bins and aggregation.
    Zwanenburg A et al. Radiology 2020;295:328-338.

    >>> from radloom.metrics.radiomics_levels import FixedWidth
    >>> image, mask = np.array([[0.0, 30.0], [30.0, 60.0]]), np.ones((2, 2))
    >>> found = radiomic_features(image, mask, (1, 1), binning=FixedWidth(25))
    >>> len(found), found["stat_mean"], found["ih_entropy"]
    (101, 30.0, 1.5)
    """
    wrong = [name for name in classes if name not in CLASSES]
    if wrong:
        raise RadloomError(f"unknown feature classes {', '.join(wrong)}", expected=" or ".join(CLASSES))
    region = region_of(image, mask, spacing_mm)
    found: dict[str, float] = {}
    if "morph" in classes and region.mask.ndim == 3:
        found |= shape_features(region.mask, region.spacing_mm)
    return found | region_features(region, binning, aggregation, classes)


def region_features(
    region: Region, binning: Binning, aggregation: Aggregation, classes: Sequence[str]
) -> dict[str, float]:
    """The features of a cropped region that do not depend on its shape alone; for many filters of one mask.

    >>> from radloom.metrics.radiomics_levels import FixedCount
    >>> region = region_of(np.array([[0.0, 1.0]]), np.ones((1, 2)), (1, 1))
    >>> region_features(region, FixedCount(2), "average", ("ih",))
    {'ih_entropy': 1.0, 'ih_uniformity': 0.5}
    """
    found = intensity_statistics(region) if "stat" in classes else {}
    wanted = [name for name in TEXTURE if name in classes]
    if wanted:
        levels = region.levels(binning)
        for name in wanted:
            found |= TEXTURE[name](levels, aggregation)
    return found
