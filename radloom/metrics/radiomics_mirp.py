"""The same features by mirp, the reference library of the IBSI authors, as a check on ours; an optional extra."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.arrays import Spacing, Voxels, as_mask, as_real, same_shape, spacing_of
from radloom.metrics.radiomics_glcm import Aggregation
from radloom.metrics.radiomics_levels import Binning, FixedCount, FixedWidth, as_levels, bounding_box

FAMILIES = ("morphology", "statistics", "intensity_histogram", "cm", "rlm", "szm", "ngldm", "ngtdm")
# mirp appends method and bins to a name: cm_contrast_d1_3d_avg_fbs_w25.0
SUFFIX = re.compile(r"(_d1)?(_a0\.0)?(_3d(_avg|_v_mrg)?)?(_fb[sn]_[wn][\d.]+)?$")
TAGS = ("morph_", "stat_", "ih_", "cm_", "rlm_", "szm_", "ngl_", "ngt_")


def mirp_features(
    image: Voxels, mask: Voxels, spacing_mm: Spacing, *, binning: Binning, aggregation: Aggregation = "average"
) -> dict[str, float]:
    """The features of a 3D region by mirp, under the IBSI names; no resampling, no filter.

    image, mask: (x, y, z). binning: `FixedWidth` with an origin, `FixedCount` or `as_levels`; aggregation as in
    `radiomic_features`. mirp takes 15 times the CPU time of ours or more; it also has Moran's I and Geary's C.
    Raises RadloomError when mirp is not installed, the mask is empty or the binning is another.
    Blind to: what ours are blind to. Zwanenburg A, Lock S. J Open Source Softw 2024;9:6413.

    >>> found = mirp_features(np.arange(64.0).reshape(4, 4, 4), np.ones((4, 4, 4)), (1, 1, 1), binning=FixedCount(4))
    >>> float(found["stat_mean"])
    31.5
    """
    try:
        from mirp import extract_features
    except ImportError as error:
        raise RadloomError(
            "mirp is not installed", expected="the optional extra", do="pip install 'radloom[radiomics]'"
        ) from error
    import SimpleITK as sitk

    values, inside = as_real(image, "the image"), as_mask(mask, "the region mask")
    same_shape(values, inside, "the image", "the region mask")
    if values.ndim != 3:
        raise RadloomError("mirp is asked for 3D features", expected="an image (x, y, z)", do="use radiomic_features")
    bounding_box(inside)
    spacing = spacing_of(spacing_mm, 3)
    if aggregation not in ("average", "merge"):
        raise RadloomError(f"unknown aggregation {aggregation!r}", expected="average or merge")
    method = "3d_average" if aggregation == "average" else "3d_volume_merge"
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, array in (("image", values), ("mask", inside.astype(np.uint8))):
            written = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
            written.SetSpacing(spacing)
            paths.append(str(Path(folder) / f"{name}.nii.gz"))
            sitk.WriteImage(written, paths[-1])
        with _quiet():
            tables = extract_features(
                image=paths[0],
                mask=paths[1],
                base_feature_families=list(FAMILIES),
                glcm_spatial_method=method,
                glrlm_spatial_method=method,
                glszm_spatial_method="3d",
                ngldm_spatial_method="3d",
                ngtdm_spatial_method="3d",
                **_bins(binning),
            )
    row = _first(tables)
    names = [name for name in row if name.startswith(TAGS)]
    return {SUFFIX.sub("", name): float(row[name]) for name in names}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps mirp from setting up the process's logging, which it does only where no handler is."""
    root, handler = logging.getLogger(), logging.NullHandler()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


def _first(tables: Any) -> dict[str, Any]:
    return tables[0].iloc[0].to_dict()


def _bins(binning: Binning) -> dict[str, Any]:
    """A binning in the words of mirp."""
    if isinstance(binning, FixedCount):
        return {
            "base_discretisation_method": "fixed_bin_number",
            "base_discretisation_n_bins": int(binning.count),
        }
    if isinstance(binning, FixedWidth) and binning.origin is not None:
        return {
            "base_discretisation_method": "fixed_bin_size",
            "base_discretisation_bin_width": float(binning.width),
            "resegmentation_intensity_range": [float(binning.origin), np.nan],
        }
    if binning is as_levels:
        return {"base_discretisation_method": "none"}
    raise RadloomError(
        "mirp cannot bin this way", expected="FixedWidth with an origin, FixedCount or as_levels", do="give the origin"
    )
