"""The pelvic cohort against what it was made from: HU and contrast of tissues, one anatomy in three images, tumours."""

from functools import cache
from typing import cast

import numpy as np
import pytest
from scipy import ndimage

from radloom.phantom import load
from radloom.phantom.pelvis_values import SITES, TISSUES
from radloom.phantom.simulation import Request
from radloom.types import Case

BLADDER, RECTUM, FEMUR = 1, 3, 4


@cache
def cases() -> list[Case]:
    make = load("pelvis").begin(Request(2, (96, 96, 20), "patients", ("t1", "t2", "ct")))
    return [one for index in range(6) for one in make(index)]


def eroded(region: np.ndarray, voxels: int = 1) -> np.ndarray:
    return cast(np.ndarray, ndimage.binary_erosion(region, np.ones((3, 3, 1)), iterations=voxels))


def dilated(region: np.ndarray, voxels: int = 1) -> np.ndarray:
    return cast(np.ndarray, ndimage.binary_dilation(region, np.ones((3, 3, 1)), iterations=voxels))


def median(case: Case, key: str, region: np.ndarray) -> float:
    return float(np.median(case.images[f"image.{key}"].voxels[region]))


def fat_and_muscle(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Where the CT says fat and muscle, away from borders."""
    ct = ndimage.median_filter(case.images["image.ct"].voxels, (3, 3, 1))
    clear = case.images["mask.organs"].voxels == 0
    return eroded((ct > -130) & (ct < -75) & clear), eroded((ct > 30) & (ct < 80) & clear)


def test_ct_has_the_hu_of_urine_fat_muscle_and_bone() -> None:
    for case in cases():
        organs = case.images["mask.organs"].voxels
        fat, muscle = fat_and_muscle(case)
        assert median(case, "ct", eroded(organs == BLADDER, 2)) == pytest.approx(6, abs=14)
        assert median(case, "ct", fat) == pytest.approx(-103, abs=12)
        assert median(case, "ct", muscle) == pytest.approx(54, abs=12)
        assert np.percentile(case.images["image.ct"].voxels[organs == FEMUR], 90) > 350


def test_t1_and_t2_order_tissues_as_radiologists_know_them() -> None:
    for case in cases():
        urine = eroded(case.images["mask.organs"].voxels == BLADDER, 2)
        fat, muscle = fat_and_muscle(case)
        t1 = [median(case, "t1", region) for region in (fat, muscle, urine)]
        assert t1 == sorted(t1, reverse=True)  # fat, muscle, urine
        t2 = [median(case, "t2", region) for region in (urine, fat, muscle)]
        assert t2 == sorted(t2, reverse=True)  # urine, fat, muscle
        assert t2[0] > 1.5 * t2[1]


def test_the_three_images_show_one_anatomy() -> None:
    # The border of the bladder, found in each image alone, is where the mask has it.
    for case in cases():
        mask = case.images["mask.organs"].voxels == BLADDER
        t2 = case.images["image.t2"].voxels
        urine, near = eroded(mask, 2), dilated(mask, 4)
        fat, _ = fat_and_muscle(case)
        bright = (t2 > (median(case, "t2", urine) + median(case, "t2", fat)) / 2) & near
        # +- 1 voxel of the urine's own border: the mask holds the dark wall too
        assert (bright & ~dilated(mask)).sum() < 0.08 * bright.sum()
        assert bright[eroded(mask, 2)].mean() > 0.95


def test_a_tumour_is_labelled_has_its_volume_and_lies_in_its_organ() -> None:
    found = [case for case in cases() if case.labels["label.tumour"]]
    assert found
    for case in cases():
        mask = case.images["mask.tumour"]
        assert mask.voxels.any() == bool(case.labels["label.tumour"])
        if case.labels["label.tumour_ml"] > 1.5:
            ml = mask.voxels.sum() * np.prod(mask.spacing_mm) / 1000
            assert ml == pytest.approx(case.labels["label.tumour_ml"], rel=0.35)
        assert (case.images["mask.organs"].voxels[mask.voxels > 0] == 2).all()


def test_a_tumour_is_dark_on_t2_and_hidden_on_ct() -> None:
    tumour, prostate = TISSUES["tumour"], TISSUES["prostate"]
    assert abs(tumour.hu - prostate.hu) < 3
    for site in SITES:
        signal = [site.t2(one.pd, one.t1[site.field], one.t2[site.field]) for one in (tumour, prostate)]
        assert signal[0] < 0.6 * signal[1]


def test_both_sexes_and_all_sites_occur() -> None:
    assert {case.labels["label.sex"] for case in cases()} == {"male", "female"}
    assert len({case.site for case in cases()}) >= 2
