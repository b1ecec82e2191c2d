"""Public data sets of HDF5 and MetaImage files: fastMRI and LUNA16."""

from types import SimpleNamespace

import numpy as np
import pytest

from radloom.data import layouts
from radloom.data.build import build
from radloom.data.layout import matching
from radloom.data.layouts.fastmri import image_of, read_reconstruction
from radloom.errors import RadloomError

LAYOUTS = {name: layouts.load(name) for name in layouts.names()}


def made(folder, name, **options):
    """The cohort of a folder that only this layout's marks fit, read by name and recognised alike."""
    assert matching(folder, LAYOUTS) == [name]
    cohort = build([folder], folder.parent / f"{folder.name}_cohort", **options)
    assert set(cohort.about["built_from"].values()) == {name}
    assert cohort.about["licences"] == {name: LAYOUTS[name].licence}
    named = build([folder], folder.parent / f"{folder.name}_named", layout=name, **options)
    assert named.table.drop(columns=named.image_columns).equals(cohort.table.drop(columns=cohort.image_columns))
    return cohort


def labels(cohort, case):
    """The labels, texts and times of a case."""
    one = cohort.case(case, [])
    return {**one.labels, **one.text}


def masks(cohort, case, column):
    return set(np.unique(cohort.image(case, column).voxels).tolist())


HEADER = """<?xml version="1.0"?><ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><encoding>
<encodedSpace><matrixSize><x>640</x><y>372</y><z>1</z></matrixSize>
<fieldOfView_mm><x>280</x><y>162.8</y><z>4.5</z></fieldOfView_mm></encodedSpace>
<reconSpace><matrixSize><x>320</x><y>320</y><z>1</z></matrixSize>
<fieldOfView_mm><x>140</x><y>160</y><z>4.5</z></fieldOfView_mm></reconSpace></encoding></ismrmrdHeader>"""


def stored(value):
    """What h5py gives for a data set: read by [()]."""
    return {(): value}


def test_a_fastmri_reconstruction_gets_spacing_from_its_header(tmp_path):
    slices = np.arange(2 * 3 * 4, dtype=np.float64).reshape(2, 3, 4)
    file = {"kspace": stored(None), "reconstruction_rss": stored(slices), "ismrmrd_header": stored(HEADER.encode())}
    image = image_of(file, tmp_path)
    np.testing.assert_allclose(image.spacing_mm, (140 / 320, 160 / 320, 4.5))
    assert image.shape == (4, 3, 2)
    # Column 0, row 0 is the patient's right front: the last voxel along x and y in RAS+.
    assert image.voxels[3, 2, 1] == slices[1, 0, 0]
    with pytest.raises(RadloomError, match="no reconstruction, only kspace"):
        image_of({"kspace": stored(None)}, tmp_path)
    with pytest.raises(RadloomError, match="no readable header"):
        image_of({**file, "ismrmrd_header": stored(b"<a/>")}, tmp_path)


def test_fastmri_is_recognised_without_h5py_and_says_what_it_needs_to_be_read(tmp_path, text, monkeypatch):
    top = tmp_path / "fastMRI"
    for name in ("multicoil_train/file_brain_AXT1POST_202_2020062.h5", "singlecoil_val/file1000001.h5",
                 "multicoil_test/file_brain_AXT2_200_2000019.h5"):  # fmt: skip
        text(top / name, "not HDF5")
    rows = [f"file1000001,{i},No,1,2,3,4,{word}" for i, word in enumerate(["Tear", "Tear", "Joint Effusion"])]
    text(top / "Annotations" / "knee.csv", "\n".join(["file,slice,study_level,x,y,width,height,label", *rows]))
    assert matching(top, LAYOUTS) == ["fastmri"]
    found = {(e.case, e.column): e.text for e in LAYOUTS["fastmri"].recognise(top)}
    assert {case for case, _ in found} == {"file_brain_AXT1POST_202_2020062", "file1000001"}
    assert ("file_brain_AXT1POST_202_2020062", "image.t1c") in found
    assert found["file1000001", "text.findings"] == "Tear; Joint Effusion"
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(RadloomError, match=r"\.h5 is an HDF5 file; expected the package h5py.*; pip install h5py"):
        build([top], tmp_path / "out")

    def broken(path):
        raise OSError("file signature not found")

    monkeypatch.setitem(__import__("sys").modules, "h5py", SimpleNamespace(File=broken))
    with pytest.raises(RadloomError, match=r"cannot read .*file signature not found"):
        read_reconstruction(top / "singlecoil_val" / "file1000001.h5")


def test_a_real_hdf5_file_becomes_a_cohort(tmp_path):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed: fastMRI files cannot be written or read")
    top = tmp_path / "fastMRI"
    path = top / "multicoil_train" / "file_brain_AXFLAIR_200_6002425.h5"
    path.parent.mkdir(parents=True)
    slices = np.random.default_rng(0).random((3, 6, 5)).astype(np.float32)
    with h5py.File(path, "w") as file:
        file["kspace"] = np.zeros((3, 2, 6, 5), np.complex64)
        file["reconstruction_rss"] = slices
        file["ismrmrd_header"] = HEADER.encode()
        file.attrs["acquisition"] = "AXFLAIR"
    cohort = made(top, "fastmri")
    image = cohort.image("file_brain_AXFLAIR_200_6002425", "image.flair")
    assert image.shape == (5, 6, 3)
    np.testing.assert_allclose(image.voxels[::-1, ::-1].transpose(2, 1, 0), slices, rtol=1e-6)
    np.testing.assert_allclose(image.spacing_mm, (140 / 320, 160 / 320, 4.5), rtol=1e-6)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(RadloomError, match="cannot read"):
        read_reconstruction(path)


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
    assert in_lps[centre] == 1
    assert in_lps[scan.TransformPhysicalPointToIndex((-88.0, -40.0, -24.0))] == 1  # smaller than a voxel
    ball = [
        (x, y, z) for x in range(-5, 6) for y in range(-5, 6) for z in range(-5, 6) if x * x + y * y + (2 * z) ** 2 <= 9
    ]
    assert mask.voxels.sum() == len(ball) + 1
    assert labels(cohort, f"{UID}1") == {"label.part": "subset0", "label.nodules": 2, "label.largest_mm": 6}
    assert labels(cohort, f"{UID}2") == {"label.part": "subset3", "label.nodules": 0}
    text(top / "annotations.csv", f"seriesuid,coordX,coordY,coordZ,diameter_mm\n{UID}1,500,0,0,6\n")
    with pytest.raises(RadloomError, match="a nodule at 500, 0, 0 mm lies outside of"):
        build([top], tmp_path / "bad")
