"""Radiomic features of one region under their IBSI names, ours and mirp's; no distances between sets of images.

Ours follows IBSI and is fast; `mirp_features` asks the reference library. What differs between tools, at equal names:

- the bins' origin: IBSI takes the lower bound of the resegmentation range, PyRadiomics the multiple of the width below
  the region's minimum (`FixedWidth` offers both);
- directions: features averaged over directions ("average", PyRadiomics) or taken from the summed matrix ("merge");
- kurtosis: the excess here and in IBSI, 3 more in PyRadiomics;
- shape: axes from the covariance over N - 1 (PyRadiomics: N); the volume is the mesh's, not the voxels';
- a flat region: correlation 1 and coarseness 1e6 here and in PyRadiomics, NaN in some tools.
"""

from __future__ import annotations

from radloom.metrics.radiomics_extract import CLASSES, radiomic_features, region_features
from radloom.metrics.radiomics_filters import coiflet_subbands, laplacian_of_gaussian
from radloom.metrics.radiomics_glcm import Aggregation, glcm_features
from radloom.metrics.radiomics_intensity import histogram_statistics, intensity_statistics
from radloom.metrics.radiomics_levels import (
    Binning,
    FixedCount,
    FixedWidth,
    Region,
    as_levels,
    region_of,
    resampled,
)
from radloom.metrics.radiomics_mirp import mirp_features
from radloom.metrics.radiomics_ngtdm import ngtdm_features
from radloom.metrics.radiomics_sets import frd_v0_features, frd_v1_features, lee774_features
from radloom.metrics.radiomics_shape import shape_features
from radloom.metrics.radiomics_zones import glrlm_features, glszm_features, ngldm_features

__all__ = [
    "CLASSES",
    "Aggregation",
    "Binning",
    "FixedCount",
    "FixedWidth",
    "Region",
    "as_levels",
    "coiflet_subbands",
    "frd_v0_features",
    "frd_v1_features",
    "glcm_features",
    "glrlm_features",
    "glszm_features",
    "histogram_statistics",
    "intensity_statistics",
    "laplacian_of_gaussian",
    "lee774_features",
    "mirp_features",
    "ngldm_features",
    "ngtdm_features",
    "radiomic_features",
    "region_features",
    "region_of",
    "resampled",
    "shape_features",
]
