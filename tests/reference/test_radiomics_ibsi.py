"""Radiomic features against the consensus values of IBSI: digital phantom and CT phantom, configurations C-E."""

import csv
import math

import nibabel
import numpy as np
import pytest

from radloom.metrics.radiomics import (
    FixedCount,
    FixedWidth,
    as_levels,
    radiomic_features,
    resampled,
    shape_features,
)

INTENSE = ("stat", "ih", "cm", "rlm", "szm", "ngl", "ngt")
SUFFIXES = {"average": "_3D_avg", "merge": "_3D_comb"}


def consensus(path):
    """Value and tolerance by tag; the published values have three significant digits."""
    with path.open() as file:
        rows = list(csv.reader(file, delimiter=";"))[1:]
    return {row[2]: (float(row[0]), float(row[1])) for row in rows if len(row) > 2 and row[0]}


def compared(found, published, aggregation):
    """Names of the features that were compared; fails at the first one outside tolerance and printed digits."""
    names = []
    for name, value in found.items():
        for tag in (name, f"{name}_3D", name + SUFFIXES[aggregation]):
            if tag in published:
                want, tolerance = published[tag]
                digit = 10.0 ** (math.floor(math.log10(abs(want))) - 2) if want else 0.0
                assert abs(value - want) <= tolerance + digit / 2 + 1e-9, (tag, value, want)
                names.append(name)
    return names


@pytest.fixture(scope="module")
def ct(shared):
    """The CT phantom at 2 mm by order of interpolation, rounded to whole HU, with its mask."""
    folder = shared / "reference_cases" / "ibsi1_ct"
    image, mask = (nibabel.load(folder / f"ct_{name}.nii.gz") for name in ("phantom", "mask"))
    spacing = [float(side) for side in image.header.get_zooms()]
    found = {}
    for order in (1, 3):
        moved, inside = resampled(image.get_fdata(), mask.get_fdata() > 0, spacing,
                                  (2, 2, 2), order=order)  # fmt: skip
        found[order] = np.round(moved), inside
    return folder, found


@pytest.mark.parametrize("aggregation", SUFFIXES)
def test_the_digital_phantom_has_the_consensus_values(shared, aggregation):
    folder = shared / "radiomics_ibsi1_digital_phantom" / "nifti"
    image, mask = (nibabel.load(folder / place).get_fdata() for place in ("image/phantom.nii.gz", "mask/mask.nii.gz"))
    found = radiomic_features(image, mask, (2, 2, 2), binning=as_levels, aggregation=aggregation)
    published = consensus(shared / "reference_cases" / "ibsi1_ct" / "ibsi_1_dig_phantom.csv")
    assert len(compared(found, published, aggregation)) == len(found) - 2  # total energy and mcc are not IBSI's


@pytest.mark.parametrize("aggregation", SUFFIXES)
@pytest.mark.parametrize(("configuration", "order"), [("c", 1), ("d", 1), ("e", 3)])
def test_the_ct_phantom_has_the_consensus_values(ct, configuration, order, aggregation):
    folder, grids = ct
    image, mask = grids[order]
    published = consensus(folder / f"ibsi_1_chest_config_{configuration}.csv")
    inside = mask & (image >= -1000) & (image <= 400) if configuration in "ce" else mask
    if configuration in "de":  # outliers beyond three standard deviations leave the intensity mask
        inside = inside & (np.abs(image - image[inside].mean()) <= 3 * image[inside].std())
    binning = FixedWidth(25, -1000) if configuration == "c" else FixedCount(32)
    found = radiomic_features(image, inside, (2, 2, 2), binning=binning, aggregation=aggregation, classes=INTENSE)
    assert mask.sum() == published["int_mask_vox_count_interp_roi"][0]
    found |= shape_features(mask, (2, 2, 2))
    assert len(compared(found, published, aggregation)) == len(found) - 2
