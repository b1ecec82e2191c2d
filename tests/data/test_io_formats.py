"""Files other than DICOM: what is written comes back with its affine, and what cannot be read says so in one line."""

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image as Picture

from radloom.errors import RadloomError
from radloom.io import is_image, read, write
from radloom.io.nifti import write_nifti
from radloom.types import Image


def oblique(order: str = "RAS", degrees: float = 20.0) -> np.ndarray:
    """A (4, 4) affine of unequal spacings whose axes run closest to `order`, turned about x and z."""
    a, b = np.radians(degrees), np.radians(degrees / 2)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    axes = np.zeros((3, 3))
    for column, letter in enumerate(order):
        axes["RAS".index(letter) if letter in "RAS" else "LPI".index(letter), column] = 1 if letter in "RAS" else -1
    affine = np.eye(4)
    affine[:3, :3] = about_x @ about_z @ axes * np.array([0.9, 1.25, 3.0])
    affine[:3, 3] = (-31.0, 12.5, 7.25)
    return affine


def volume(dtype: type = np.float32) -> np.ndarray:
    return np.arange(5 * 6 * 7).reshape(5, 6, 7).astype(dtype)


def world_values(image: Image) -> dict[tuple[float, ...], float]:
    """{position in mm: value} for every voxel: independent of the order of the axes."""
    index = np.indices(image.shape).reshape(3, -1)
    places = (image.affine[:3, :3] @ index).T + image.affine[:3, 3]
    return {tuple(np.round(p, 2)): float(image.voxels[tuple(i)]) for p, i in zip(places, index.T, strict=True)}


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha", "a.npz"])
@pytest.mark.parametrize("order", ["RAS", "LPS", "PIR", "ASL"])
@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.uint8])
def test_a_written_image_comes_back_in_place_and_returns_to_its_own_axes(name, order, dtype, tmp_path):
    written = Image(volume(dtype), oblique(order))
    write(written, tmp_path / name)
    back = read(tmp_path / name)
    assert "".join(nib.aff2axcodes(back.affine)) == "RAS"
    assert back.voxels.dtype == dtype
    assert world_values(back) == world_values(written)
    home = back.on_source_grid()
    np.testing.assert_array_equal(home.voxels, written.voxels)
    np.testing.assert_allclose(home.affine, written.affine, atol=1e-4)
    assert len(back.history) == (0 if order == "RAS" else 1)


def test_an_oblique_affine_keeps_its_rotation_instead_of_being_snapped_to_the_axes(tmp_path):
    write(Image(volume(), oblique("LPS")), tmp_path / "a.nii.gz")
    affine = read(tmp_path / "a.nii.gz").affine
    assert np.count_nonzero(np.abs(affine[:3, :3]) > 0.1) > 3


@pytest.mark.parametrize("name", ["a.nii.gz", "a.mha", "a.nrrd"])
def test_simpleitk_finds_our_voxels_at_the_same_place(name, tmp_path):
    image = Image(volume(), oblique())
    write(image, tmp_path / name)
    file = sitk.ReadImage(str(tmp_path / name))
    index = (1, 2, 3)
    left, posterior, superior = file.TransformIndexToPhysicalPoint(index)
    np.testing.assert_allclose((-left, -posterior, superior), (image.affine @ (*index, 1))[:3], atol=1e-4)
    assert file.GetPixel(index) == image.voxels[index]


def test_a_picture_comes_back_unchanged_and_its_first_pixel_is_right_and_anterior(tmp_path):
    rows = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000
    Picture.fromarray(rows).save(tmp_path / "a.png")
    image = read(tmp_path / "a.png")
    assert image.shape == (4, 3, 1)
    assert image.unit == "grey"
    # top left of the screen is the patient's right front: the last voxel of both axes in RAS+ is its mirror image
    assert image.voxels[-1, -1, 0] == rows[0, 0]
    assert image.voxels[0, -1, 0] == rows[0, -1]
    write(image, tmp_path / "b.png")
    np.testing.assert_array_equal(np.asarray(Picture.open(tmp_path / "b.png")), rows)
    write(image, tmp_path / "b.tif")
    np.testing.assert_array_equal(read(tmp_path / "b.tif").voxels, image.voxels)


def test_colour_is_accepted_only_when_its_channels_are_equal(tmp_path):
    grey = np.arange(20, dtype=np.uint8).reshape(4, 5)
    same = np.repeat(grey[..., None], 3, 2)
    Picture.fromarray(same).save(tmp_path / "same.png")
    np.testing.assert_array_equal(read(tmp_path / "same.png").on_source_grid().voxels[:, :, 0].T, grey)
    same[0, 0, 1] += 1
    Picture.fromarray(same).save(tmp_path / "colour.png")
    with pytest.raises(RadloomError, match="colour"):
        read(tmp_path / "colour.png")


def test_values_that_a_picture_cannot_hold_are_refused_not_scaled(tmp_path):
    for values in (np.full((4, 4, 1), 0.5), np.full((4, 4, 1), -1), np.full((4, 4, 1), 70000)):
        with pytest.raises(RadloomError, match="whole numbers from 0 to 65535"):
            write(Image(values, np.eye(4)), tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


def test_npy_is_a_bare_array_and_refuses_an_affine_that_it_would_lose(tmp_path):
    write(Image(volume(), np.eye(4)), tmp_path / "a.npy")
    np.testing.assert_array_equal(read(tmp_path / "a.npy").voxels, volume())
    with pytest.raises(RadloomError, match="no affine"):
        write(Image(volume(), oblique()), tmp_path / "b.npy")


def test_nifti_slope_and_intercept_are_applied_and_float64_becomes_float32(tmp_path):
    file = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4))
    nib.save(file, tmp_path / "a.nii")
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    raw[112:120] = np.array([2.0, -1000.0], "<f4").tobytes()  # scl_slope, scl_inter
    raw[-48:] = np.arange(24, dtype="<i2").tobytes()
    (tmp_path / "a.nii").write_bytes(bytes(raw))
    image = read(tmp_path / "a.nii")
    assert image.voxels.dtype == np.float32
    np.testing.assert_array_equal(image.voxels.ravel(order="F"), 2.0 * np.arange(24) - 1000.0)


def test_sform_wins_over_qform_and_qform_over_nothing(tmp_path):
    file = nib.Nifti1Image(volume(), np.diag([2.0, 2, 2, 1]))
    file.set_sform(np.diag([3.0, 3, 3, 1]), code=2)
    file.set_qform(np.diag([4.0, 4, 4, 1]), code=1)
    nib.save(file, tmp_path / "both.nii")
    assert read(tmp_path / "both.nii").spacing_mm == (3, 3, 3)
    file.set_sform(None, code=0)
    nib.save(file, tmp_path / "qform.nii")
    assert read(tmp_path / "qform.nii").spacing_mm == pytest.approx((4, 4, 4))
    file.set_qform(None, code=0)
    nib.save(file, tmp_path / "none.nii")
    with pytest.raises(RadloomError, match="left and right are unknown"):
        read(tmp_path / "none.nii")


def test_a_grid_in_metres_is_read_in_millimetres(tmp_path):
    file = nib.Nifti1Image(volume(), np.diag([0.002, 0.002, 0.002, 1]))
    file.header.set_xyzt_units("meter")
    nib.save(file, tmp_path / "a.nii")
    assert read(tmp_path / "a.nii").spacing_mm == pytest.approx((2, 2, 2))


def test_nifti_is_written_with_both_forms_in_mm_with_description_and_unit(tmp_path):
    image = Image(volume(), oblique(), unit="HU")
    write_nifti(image, tmp_path / "a.nii.gz", description="SYNTHETIC conte2021 run 1")
    header = nib.load(tmp_path / "a.nii.gz").header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 1)
    assert header.get_xyzt_units()[0] == "mm"
    assert header["descrip"].item().startswith(b"SYNTHETIC")
    np.testing.assert_allclose(header.get_qform(), image.affine, atol=1e-4)
    assert read(tmp_path / "a.nii.gz").unit == "HU"
    with pytest.raises(RadloomError, match="79 bytes"):
        write_nifti(image, tmp_path / "b.nii.gz", description="x" * 80)


def test_not_a_number_is_kept_for_the_audit_and_refused_in_a_label_image(tmp_path):
    voxels = volume()
    voxels[0, 0, 0] = np.nan
    write(Image(voxels, np.eye(4)), tmp_path / "a.nii.gz")
    assert np.isnan(read(tmp_path / "a.nii.gz").voxels[0, 0, 0])
    with pytest.raises(RadloomError, match="1 voxels are not whole numbers"):
        read(tmp_path / "a.nii.gz", kind="label")


def test_whole_labels_stored_as_floats_become_the_smallest_integers(tmp_path):
    labels = np.zeros((3, 3, 3), np.float64)
    labels[1, 1, 1] = 4
    write(Image(labels, np.eye(4)), tmp_path / "a.nii.gz")
    image = read(tmp_path / "a.nii.gz", kind="label")
    assert image.kind == "label"
    assert image.voxels.dtype == np.uint8
    assert image.voxels.max() == 4


def test_a_file_of_several_volumes_is_refused_with_their_number(tmp_path):
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4, 7), np.float32), np.eye(4)), tmp_path / "a.nii.gz")
    with pytest.raises(RadloomError, match="holds 7 volumes"):
        read(tmp_path / "a.nii.gz")
    nib.save(nib.Nifti1Image(np.ones((4, 4, 4, 1), np.float32), np.eye(4)), tmp_path / "b.nii.gz")
    assert read(tmp_path / "b.nii.gz").shape == (4, 4, 4)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha", "a.npz", "a.npy", "a.png", "a.tif"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.6])
def test_a_truncated_file_fails_with_one_line_that_names_it(name, kept, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 1)).astype(np.uint8)
    write(Image(noise, np.eye(4)), tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(RadloomError) as error:
        read(tmp_path / name)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_file_unknown_format_pickle_and_empty_folder_say_what_is_wrong(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("no image")
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", chunk=volume())
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(b"no image"))
    for name, message in [
        ("absent.nii", "no file or folder"), ("a.txt", "no image that radloom knows"), ("empty", "no DICOM series"),
        ("a.npy", "pickle"), ("a.npz", "only chunk"), ("b.nii.gz", "cannot read"),
    ]:  # fmt: skip
        with pytest.raises(RadloomError, match=message):
            read(tmp_path / name)
    for name in ("a.jpg", "a.mhd", "a.dcm", "a.xyz"):
        with pytest.raises(RadloomError, match="cannot write"):
            write(Image(volume(), np.eye(4)), tmp_path / name)


def test_is_image_knows_extensions_dicom_without_extension_and_nothing_else(tmp_path):
    (tmp_path / "a.NII.GZ").touch()
    (tmp_path / "a.json").touch()
    (tmp_path / "IM_0001").write_bytes(bytes(128) + b"DICM")
    assert is_image(tmp_path / "a.NII.GZ")
    assert is_image(tmp_path / "IM_0001")
    assert is_image(tmp_path)
    assert not is_image(tmp_path / "a.json")
    assert not is_image(tmp_path / "absent.nii")


def test_every_real_file_opens_or_fails_with_one_line(shared):
    opened, refused = 0, []
    folders = [p for p in sorted(shared.iterdir()) if p.is_dir()]
    for folder in folders:
        files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
        pictures = [p for p in files if p.suffix in (".png", ".jpg")]
        large = [p for p in files if p.name.endswith(".nii.gz") and p.stat().st_size > 2_000_000]
        skipped = set(pictures[12:]) | set(large[1:])  # one of a kind is enough for the seconds that a test may take
        for path in files:
            if path in skipped:
                continue
            try:
                image = read(path)
            except RadloomError as error:
                refused.append((path, str(error)))
                continue
            opened += 1
            assert "".join(nib.aff2axcodes(image.affine)) == "RAS"
    assert opened >= 140
    assert all(path.name in line and "\n" not in line for path, line in refused)
    assert not [p for p, _ in refused if p.name.endswith((".nii", ".nii.gz", ".nrrd", ".jpg", ".dcm"))]


def test_importing_io_imports_no_format_library():
    import subprocess
    import sys

    heavy = "('pydicom', 'SimpleITK', 'nibabel', 'PIL', 'torch')"
    program = f"import sys, radloom.io; print([m for m in {heavy} if m in sys.modules])"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "[]"
