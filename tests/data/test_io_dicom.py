"""Reading DICOM: order by position, one volume at a time, values in their unit; real files and made ones."""

import random
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEGLSLossless, RLELossless

from radloom.errors import RadloomError
from radloom.io import read
from radloom.io.dicom import find_series, read_series
from radloom.io.dicom_write import Provenance, write_series
from radloom.types import Image

MADE_BY = Provenance("test_system", "0.1", "ab" * 32, "run", "cd" * 32, 0, True)


def written(folder: Path, *, slices: int = 5, modality: str = "MR", seed: int = 0) -> Image:
    """An image and its DICOM series in `folder`: the input that the tests then spoil."""
    values = np.random.default_rng(seed).integers(0, 900, (7, 9, slices)).astype(np.int16)
    image = Image(values, np.diag([0.8, 1.1, 3.0, 1.0]), unit="HU" if modality == "CT" else "1")
    write_series(image, folder, provenance=MADE_BY, modality=modality, description=f"seed {seed}")
    return image


def changed(path: Path, **elements) -> None:
    dataset = pydicom.dcmread(path)
    for name, value in elements.items():
        setattr(dataset, name, value)
    dataset.save_as(path)


@pytest.mark.parametrize("set_name", ["t1_structural_dicom/dicoms", "dicom_vendors/ge_ct_lightspeed16_CRLM-CT-1004",
                                      "dicom_vendors/toshiba_galan_dti", "dicom_vendors/ge_mr750_epi"])  # fmt: skip
def test_a_shuffled_and_renamed_series_gives_the_same_image(set_name, shared, tmp_path):
    files = sorted((shared / set_name).glob("*.dcm"))
    before = read(shared / set_name)
    assert before.shape[2] == len(files)
    for i, path in enumerate(random.Random(3).sample(files, len(files))):
        shutil.copy(path, tmp_path / f"x{i}")
    after = read(tmp_path)
    np.testing.assert_array_equal(before.voxels, after.voxels)
    np.testing.assert_array_equal(before.affine, after.affine)


@pytest.mark.parametrize("set_name", ["t1_structural_dicom/dicoms", "dicom_vendors/ge_ct_lightspeed16_CRLM-CT-1004",
                                      "dicom_vendors/toshiba_galan_dti"])  # fmt: skip
def test_a_real_series_lies_where_simpleitk_puts_it(set_name, shared):
    import SimpleITK as sitk

    image = read(shared / set_name).on_source_grid()
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(shared / set_name)))
    theirs = reader.Execute()
    np.testing.assert_allclose(sitk.GetArrayFromImage(theirs).T, image.voxels, atol=1e-3)
    for index in [(0, 0, 0), (10, 20, 1), (30, 5, image.shape[2] - 1)]:
        place = np.array(theirs.TransformIndexToPhysicalPoint(index)) * (-1, -1, 1)
        np.testing.assert_allclose((image.affine @ (*index, 1))[:3], place, atol=2e-2)


def test_the_ct_is_in_hounsfield_units_with_its_intercept_applied(shared):
    path = shared / "dicom_vendors/ge_ct_lightspeed16_CRLM-CT-1004/1-24.dcm"
    image = read(path)
    stored = pydicom.dcmread(path).pixel_array
    assert image.unit == "HU"
    assert image.on_source_grid().voxels[100, 200, 0] == int(stored[200, 100]) - 1024


def test_a_slope_of_each_slice_is_applied_to_that_slice(tmp_path):
    image = written(tmp_path / "a")
    third = tmp_path / "a/0003.dcm"
    changed(third, RescaleSlope=0.5, RescaleIntercept=-3)
    back = read(tmp_path / "a")
    assert back.voxels.dtype == np.float32
    np.testing.assert_allclose(back.voxels[:, :, 2], image.voxels[:, :, 2] * 0.5 - 3)
    np.testing.assert_array_equal(back.voxels[:, :, 3], image.voxels[:, :, 3])


def test_two_series_in_one_folder_are_found_and_named_not_mixed(tmp_path):
    first, second = written(tmp_path / "in/a", seed=1), written(tmp_path / "in/b", seed=2, modality="CT")
    found = find_series(tmp_path / "in")
    assert sorted(s.modality for s in found) == ["CT", "MR"]
    for series in found:
        expected = first if series.modality == "MR" else second
        np.testing.assert_array_equal(read_series(series).voxels, expected.voxels)
        assert series.shape == (7, 9, 5)
    with pytest.raises(RadloomError, match=r"2 DICOM volumes: .*seed.*seed.*folder of its own"):
        read(tmp_path / "in")


@pytest.mark.parametrize(
    ("element", "values"),
    [("EchoTime", (10, 80)), ("DiffusionBValue", (0.0, 1000.0)), ("TemporalPositionIdentifier", (1, 2)),
     ("AcquisitionNumber", (1, 2)), ("TriggerTime", (0, 40)), ("AcquisitionTime", ("100000", "100100"))],
)  # fmt: skip
def test_volumes_that_share_a_series_uid_are_separated(element, values, tmp_path):
    for i, value in enumerate(values):
        written(tmp_path / f"in/{i}", seed=i)
        for path in (tmp_path / f"in/{i}").iterdir():
            changed(path, **{element: value}, SeriesInstanceUID="1.2.3")
    found = find_series(tmp_path / "in")
    assert [len(s.files) for s in found] == [5, 5]
    assert {s.files[0].parent.name for s in found} == {"0", "1"}
    assert all(element in s.part for s in found)
    assert all(len({path.parent for path in s.files}) == 1 for s in found)


def test_an_acquisition_number_that_counts_the_slices_of_one_volume_does_not_split_it(tmp_path):
    image = written(tmp_path / "a")
    for i, path in enumerate(sorted((tmp_path / "a").iterdir())):
        changed(path, AcquisitionNumber=i, AcquisitionTime=f"1000{i:02d}", ImageType=["DERIVED", "SECONDARY", f"V{i}"])
    np.testing.assert_array_equal(read(tmp_path / "a").voxels, image.voxels)


def test_a_localiser_with_two_orientations_is_two_volumes(tmp_path):
    written(tmp_path / "a")
    for path in sorted((tmp_path / "a").iterdir())[:2]:
        changed(path, ImageOrientationPatient=[0, 1, 0, 0, 0, -1])
    found = find_series(tmp_path / "a")
    assert sorted(len(s.files) for s in found) == [2, 3]
    assert all("ImageOrientationPatient" in s.part for s in found)


def test_a_missing_slice_is_reported_with_its_place(tmp_path):
    written(tmp_path / "a", slices=8)
    (tmp_path / "a/0004.dcm").unlink()
    with pytest.raises(
        RadloomError, match=r"slices 3 and 4 \(0003.dcm and 0005.dcm\) are 6 mm apart.* 3 mm.*1 missing"
    ):
        read(tmp_path / "a")


def test_a_slice_that_is_there_twice_is_reported_not_dropped(tmp_path):
    written(tmp_path / "a")
    shutil.copy(tmp_path / "a/0002.dcm", tmp_path / "a/copy.dcm")
    with pytest.raises(RadloomError, match="2 slices lie at the same position"):
        read(tmp_path / "a")


def test_a_gantry_tilt_is_kept_in_the_affine(tmp_path):
    written(tmp_path / "a", modality="CT")
    for i, path in enumerate(sorted((tmp_path / "a").iterdir())):
        x, y, z = map(float, pydicom.dcmread(path).ImagePositionPatient)
        changed(path, ImagePositionPatient=[x, y + 0.7 * i, z])
    affine = read(tmp_path / "a").affine
    np.testing.assert_allclose(affine[:3, 2], [0, -0.7, 3.0], atol=1e-6)


def test_a_single_slice_takes_its_thickness_from_the_header_spacing_first(tmp_path):
    written(tmp_path / "a", slices=1)
    changed(tmp_path / "a/0001.dcm", SliceThickness=4, SpacingBetweenSlices=5)
    assert read(tmp_path / "a").spacing_mm[2] == pytest.approx(5)
    changed(tmp_path / "a/0001.dcm", SpacingBetweenSlices=None)
    assert read(tmp_path / "a/0001.dcm").spacing_mm[2] == pytest.approx(4)


def test_monochrome1_is_inverted_so_that_bigger_is_brighter_but_hounsfield_units_are_not(tmp_path):
    image = written(tmp_path / "mr")
    for path in (tmp_path / "mr").iterdir():
        changed(path, PhotometricInterpretation="MONOCHROME1", PixelRepresentation=0, BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(read(tmp_path / "mr").voxels, 4095 - image.voxels)
    image = written(tmp_path / "ct", modality="CT")
    for path in (tmp_path / "ct").iterdir():
        changed(path, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(read(tmp_path / "ct").voxels, image.voxels)


def test_a_real_monochrome1_radiograph_comes_out_with_bright_bone(shared):
    path = shared / "dicom_vendors/nema_compressed_samples/RG3_J2KI.dcm"
    stored = pydicom.dcmread(path).pixel_array
    image = read(path).on_source_grid()
    assert image.shape == (1760, 1760, 1)
    np.testing.assert_array_equal(image.voxels[:, :, 0].T, 1023 - stored.astype(int))


@pytest.mark.parametrize("name", ["MR2_J2KR", "RG1_J2KI", "RG3_J2KI"])
def test_compressed_samples_agree_between_pydicom_and_simpleitk(name, shared):
    import SimpleITK as sitk

    path = shared / f"dicom_vendors/nema_compressed_samples/{name}.dcm"
    ours = read(path).on_source_grid().voxels[:, :, 0].T  # SimpleITK also rescales and inverts MONOCHROME1
    np.testing.assert_allclose(sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[0], ours, rtol=1e-6)
    assert ours.std() > 0.05 * (ours.max() - ours.min())


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_lossless_compression_gives_the_same_image(syntax, tmp_path):
    image = written(tmp_path / "a")
    for path in (tmp_path / "a").iterdir():
        dataset = pydicom.dcmread(path)
        if syntax == JPEGLSLossless:
            dataset.PixelRepresentation = 0
        dataset.compress(syntax)
        dataset.save_as(path)
    np.testing.assert_array_equal(read(tmp_path / "a").voxels, image.voxels)


def test_lossless_jpeg_which_pydicom_cannot_decode_alone_is_read_through_gdcm(tmp_path):
    import SimpleITK as sitk

    rows = np.random.default_rng(0).integers(0, 4000, (16, 24)).astype(np.uint16)
    file = sitk.GetImageFromArray(rows[None])
    file.SetMetaData("0008|0060", "MR")
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(tmp_path / "a.dcm"))
    writer.UseCompressionOn()
    writer.SetCompressor("JPEG")
    writer.Execute(file)
    dataset = pydicom.dcmread(tmp_path / "a.dcm")
    assert "JPEG Lossless" in dataset.file_meta.TransferSyntaxUID.name
    dataset.PhotometricInterpretation = "MONOCHROME1"  # ITK would invert and rescale by itself, a second time
    dataset.Modality, dataset.RescaleSlope, dataset.RescaleIntercept = "MR", 2, 1
    dataset.save_as(tmp_path / "a.dcm")
    values = read(tmp_path / "a.dcm").on_source_grid().voxels[:, :, 0].T
    np.testing.assert_array_equal(values, (65535 - rows.astype(int)) * 2.0 + 1)


def test_siemens_mosaics_are_split_where_nibabel_puts_them(shared):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nibabel.nicom import dicomwrappers

    for path in sorted((shared / "dicom_vendors/siemens_trio_mosaic").iterdir()):
        image = read(path)
        wrapper = dicomwrappers.wrapper_from_file(str(path))
        assert sorted(image.shape) == [35, 64, 64]
        theirs = np.asarray(wrapper.get_data())  # (row, column, slice)
        affine = np.diag([-1, -1, 1, 1]) @ wrapper.affine
        for index in [(3, 40, 0), (32, 30, 17), (60, 11, 34)]:
            place = affine @ (*index, 1)
            ours = np.rint(np.linalg.inv(image.affine) @ place).astype(int)[:3]
            np.testing.assert_allclose(image.affine @ (*ours, 1), place, atol=1e-2)
            assert image.voxels[tuple(ours)] == theirs[index]


def test_a_mosaic_without_its_private_header_is_refused_with_advice(shared, tmp_path):
    path = next((shared / "dicom_vendors/siemens_trio_mosaic").iterdir())
    dataset = pydicom.dcmread(path)
    dataset.remove_private_tags()
    dataset.save_as(tmp_path / "anonymised.dcm")
    with pytest.raises(RadloomError, match=r"Siemens mosaic.*dcm2niix"):
        read(tmp_path / "anonymised.dcm")


def test_a_real_multiframe_file_lies_where_simpleitk_puts_it(shared):
    import SimpleITK as sitk

    path = shared / "radiomics_ibsi1_digital_phantom/dicom_deprecated/image/phantom.deprecated"
    image, theirs = read(path), sitk.ReadImage(str(path))
    for index in np.ndindex(theirs.GetSize()):
        place = np.array(theirs.TransformIndexToPhysicalPoint([int(i) for i in index])) * (-1, -1, 1)
        ours = np.rint(np.linalg.solve(image.affine, [*place, 1])).astype(int)[:3]
        assert image.voxels[tuple(ours)] == theirs.GetPixel([int(i) for i in index])


def test_an_enhanced_file_with_shuffled_frames_gives_the_image_of_the_single_slices(tmp_path):
    image = written(tmp_path / "a")
    slices = [pydicom.dcmread(path) for path in sorted((tmp_path / "a").iterdir())]
    order = [3, 0, 4, 1, 2]
    whole = pydicom.dcmread(tmp_path / "a/0001.dcm")
    shared_group = pydicom.Dataset()
    shared_group.PixelMeasuresSequence = [pydicom.Dataset()]
    shared_group.PixelMeasuresSequence[0].PixelSpacing = slices[0].PixelSpacing
    shared_group.PlaneOrientationSequence = [pydicom.Dataset()]
    shared_group.PlaneOrientationSequence[0].ImageOrientationPatient = slices[0].ImageOrientationPatient
    whole.SharedFunctionalGroupsSequence = [shared_group]
    groups = []
    for k in order:
        group = pydicom.Dataset()
        group.PlanePositionSequence = [pydicom.Dataset()]
        group.PlanePositionSequence[0].ImagePositionPatient = slices[k].ImagePositionPatient
        group.PixelValueTransformationSequence = [pydicom.Dataset()]
        group.PixelValueTransformationSequence[0].RescaleSlope = k + 1
        group.PixelValueTransformationSequence[0].RescaleIntercept = 0
        groups.append(group)
    whole.PerFrameFunctionalGroupsSequence = groups
    whole.NumberOfFrames = 5
    whole.PixelData = b"".join(slices[k].PixelData for k in order)
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(whole, name)
    (tmp_path / "b").mkdir()
    whole.save_as(tmp_path / "b/whole")
    back = read(tmp_path / "b")
    assert back.same_grid(image)
    np.testing.assert_array_equal(back.voxels, image.voxels * np.arange(1, 6))
    groups[1].PlanePositionSequence[0].ImagePositionPatient = slices[3].ImagePositionPatient
    whole.save_as(tmp_path / "b/whole")
    with pytest.raises(RadloomError, match="2 slices lie at the same position"):
        read(tmp_path / "b")


def test_a_truncated_file_a_file_without_pixels_and_a_file_that_is_no_dicom_fail_with_one_line(shared, tmp_path):
    source = (shared / "dicom_vendors/ge_mr750_epi/axial_epi_fmri_interleaved_i_to_s-00019.dcm").read_bytes()
    for kept in (0.0, 0.05, 0.5, 0.95):
        (tmp_path / "cut.dcm").write_bytes(source[: int(len(source) * kept)])
        with pytest.raises(RadloomError, match=r"cut.dcm") as error:
            read(tmp_path / "cut.dcm")
        assert "\n" not in str(error.value)


def test_radiographs_without_a_position_stand_each_for_themselves(shared, tmp_path):
    for name in ("RG1_J2KI", "RG3_J2KI"):
        shutil.copy(shared / f"dicom_vendors/nema_compressed_samples/{name}.dcm", tmp_path)
    assert len(find_series(tmp_path)) == 2
    changed(tmp_path / "RG3_J2KI.dcm", ImagerPixelSpacing=["0.15", "0.2"])
    image = read(tmp_path / "RG3_J2KI.dcm")
    assert image.spacing_mm == pytest.approx((0.2, 0.15, 1.0))
    assert image.unit == "1"
    assert read(tmp_path / "RG1_J2KI.dcm").unit == "grey"  # its spacing of 0 is no spacing
