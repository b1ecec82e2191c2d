"""LUNA16: a public data set of MetaImage files."""

import numpy as np
import pytest
from layout_cases import labels, made, masks

from radloom.data.build import build
from radloom.errors import RadloomError

UID = "1.3.6.1.4.1.14519.5.2.1.6279.6001."


def luna_scan(path):
    """A scan of 20 x 20 x 10 voxels of 1 x 1 x 2 mm whose first voxel lies at (-100, -50, -30) mm, LPS."""
    import SimpleITK as sitk

    path.parent.mkdir(parents=True, exist_ok=True)
    scan = sitk.GetImageFromArray(np.zeros((10, 20, 20), np.int16))
    scan.SetSpacing((1.0, 1.0, 2.0))
    scan.SetOrigin((-100.0, -50.0, -30.0))
    sitk.WriteImage(scan, str(path))
    return scan


def test_luna16_paints_each_nodule_where_simpleitk_finds_its_centre(tmp_path, text):
    import SimpleITK as sitk

    top = tmp_path / "LUNA16"
    scan = luna_scan(top / "subset0" / f"{UID}1.mhd")
    luna_scan(top / "subset3" / f"{UID}2.mhd")
    lungs = sitk.GetImageFromArray(np.tile(np.array([0, 3, 4, 5], np.uint8), (10, 20, 5)))
    lungs.CopyInformation(scan)
    (top / "seg-lungs-LUNA16").mkdir()
    for number in "129":
        sitk.WriteImage(lungs, str(top / "seg-lungs-LUNA16" / f"{UID}{number}.mhd"))
    text(
        top / "annotations.csv",
        f"seriesuid,coordX,coordY,coordZ,diameter_mm\n{UID}1,-95,-42,-20,6\n{UID}1,-88,-40,-24,0.2\n",
    )
    text(top / "metadata.csv", f"Series UID,Collection,Subject ID\n{UID}1,LIDC-IDRI,LIDC-IDRI-0001\n")
    cohort = made(top, "luna16")
    assert cohort.ids == [f"{UID}1", f"{UID}2"]
    assert cohort.patients == ["LIDC-IDRI-0001", f"{UID}2"]
    assert masks(cohort, f"{UID}1", "mask.lungs") == {0, 1, 2}
    mask = cohort.image(f"{UID}1", "mask.nodule")
    centre = scan.TransformPhysicalPointToIndex((-95.0, -42.0, -20.0))
    in_lps = mask.voxels[::-1, ::-1]  # axes as on disk
    assert in_lps[centre] == 1  # numbered in the table's order
    assert in_lps[scan.TransformPhysicalPointToIndex((-88.0, -40.0, -24.0))] == 2  # smaller than a voxel
    ball = [
        (x, y, z) for x in range(-5, 6) for y in range(-5, 6) for z in range(-5, 6) if x * x + y * y + (2 * z) ** 2 <= 9
    ]
    assert np.bincount(mask.voxels.ravel()).tolist()[1:] == [len(ball), 1]
    assert labels(cohort, f"{UID}1") == {"label.part": "subset0", "label.nodules": 2, "label.largest_mm": 6}
    assert labels(cohort, f"{UID}2") == {"label.part": "subset3", "label.nodules": 0}
    text(top / "annotations.csv", f"seriesuid,coordX,coordY,coordZ,diameter_mm\n{UID}1,500,0,0,6\n")
    with pytest.raises(RadloomError, match="a nodule at 500, 0, 0 mm lies outside of"):
        build([top], tmp_path / "bad")
