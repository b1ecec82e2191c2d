"""Synthetic images say so wherever they go, and a generator that knows val or test patients is found out."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radloom import io
from radloom.data.audit import audit
from radloom.data.build import build
from radloom.data.cohort import Cohort
from radloom.data.provenance import leak
from radloom.io.dicom_write import Provenance, write_series
from radloom.types import Image


def picture(path: Path, seed: int) -> None:
    voxels = np.random.default_rng(seed).random((8, 8, 4)).astype(np.float32)
    io.write(Image(voxels, np.diag([1.0, 1.0, 2.0, 1.0])), path)


@pytest.fixture
def real(tmp_path) -> Path:
    """A cohort of four patients: p0 and p1 to train, p2 to validate, p3 to test."""
    folder = tmp_path / "real"
    folder.mkdir()
    rows = []
    for i, split in enumerate(("train", "train", "val", "test")):
        picture(folder / f"p{i}.nii.gz", i)
        rows.append({"case": f"p{i}", "patient": f"p{i}", "site": "", "vendor": "", "split": split,
                     "image.t1": f"p{i}.nii.gz"})  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "cohort.csv", index=False)
    return folder


@pytest.fixture
def run(real, tmp_path) -> Path:
    """What a generator trained on p0 and p1 leaves, with an image drawn for each patient."""
    cohort, folder = Cohort.read(real), tmp_path / "run"
    (folder / "samples").mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"cohort": str(real / "cohort.csv")}))
    for i in range(4):
        stem = folder / "samples" / f"p{i}.draw0.image.t1"
        picture(Path(f"{stem}.nii.gz"), 10 + i)
        notes = {"synthetic": True, "split_hash": cohort.split_hash("train"), "source": str(real / "cohort.csv")}
        Path(f"{stem}.json").write_text(json.dumps(notes))
    return folder


def mixed(real: Path, run: Path, splits: tuple[str, ...]) -> Cohort:
    """The real cohort with other splits and the synthetic image of its first training patient added to train."""
    table = pd.read_csv(real / "cohort.csv", dtype=str, keep_default_na=False)
    table["split"] = splits
    patient = table.loc[table["split"] == "train", "patient"].iloc[0]
    extra = {"case": "drawn", "patient": patient, "site": "", "vendor": "", "split": "train",
             "image.t1": str(run / "samples" / f"{patient}.draw0.image.t1.nii.gz")}  # fmt: skip
    folder = real.with_name("mixed")
    shutil.copytree(real, folder)
    pd.concat([table, pd.DataFrame([extra])]).to_csv(folder / "cohort.csv", index=False)
    return Cohort.read_unchecked(folder)


def test_a_generator_that_saw_only_training_patients_is_a_warning(real, run):
    cohort = mixed(real, run, ("train", "train", "val", "test"))
    found = audit(cohort)
    assert [(f.severity, f.case, f.column) for f in found] == [("warning", "drawn", "image.t1")]
    assert Cohort.read(real).split_hash("train")[:12] in found[0].what
    assert leak(cohort) is None


@pytest.mark.parametrize("splits", [("train", "test", "train", "val"), ("val", "train", "train", "train")])
def test_a_generator_that_saw_a_val_or_test_patient_is_an_error(real, run, splits):
    cohort = mixed(real, run, splits)
    found = [f for f in audit(cohort) if f.severity == "error"]
    assert [(f.case, f.column) for f in found] == [("drawn", "image.t1")]
    held_out = {"test": "p1", "val": "p0"}[next(s for s in splits[:2] if s != "train")]
    assert f"holds {held_out} of val and test here" in found[0].what
    error = leak(cohort)
    assert error is not None
    assert held_out in str(error)


def test_training_on_a_leak_is_refused(real, run, tmp_path):
    from radloom.errors import RadloomError
    from radloom.starting import Order, started

    cohort = mixed(real, run, ("train", "test", "train", "train"))
    table = cohort.table.rename(columns={"image.t1": "image.t1c"})
    for column in ("image.t1", "image.t2", "image.flair"):
        table[column] = table["image.t1c"]
    Cohort(table, cohort.root).write(cohort.root)
    with pytest.raises(RadloomError, match=r"drawn .* is synthetic.*p1 of val and test"):
        started(Order("conte2021_missing_sequence", cohort.root, tmp_path / "new", "tiny", 2, seed=0, changes={}))
    assert not (tmp_path / "new").exists()


def test_a_generator_whose_cohort_is_gone_is_a_warning(real, run):
    cohort = mixed(real, run, ("test", "train", "train", "train"))
    assert leak(cohort) is not None
    (real / "cohort.csv").unlink()
    assert leak(cohort) is None
    assert [f.severity for f in audit(cohort)] == ["warning"]


def test_a_copy_that_build_makes_stays_synthetic(run, tmp_path):
    for i in (0, 1):
        case = tmp_path / "in" / f"p{i}"
        case.mkdir(parents=True)
        for suffix in (".nii.gz", ".json"):
            shutil.copy(run / "samples" / f"p{i}.draw0.image.t1{suffix}", case / f"t1{suffix}")
    cohort = build([tmp_path / "in"], tmp_path / "out", spacing_mm=(2.0, 2.0, 2.0))
    assert set(cohort.about["synthetic"]) == {"p0", "p1"}
    assert (tmp_path / "out" / "images" / "p0" / "image.t1.json").is_file()
    assert [f.severity for f in audit(Cohort.read_unchecked(tmp_path / "out"))] == ["warning"]


def test_a_dicom_series_that_says_synthetic_is_known_and_one_that_is_derived_is_not(tmp_path):
    image = Image(np.arange(96, dtype=np.float32).reshape(4, 4, 6), np.diag([1.0, 1.0, 3.0, 1.0]))
    for name, synthetic in (("t1", True), ("t2", False)):
        made = Provenance("s", "1", "0" * 64, "r", "ab" * 32, 0, synthetic=synthetic)
        write_series(image, tmp_path / "in" / "p" / name, provenance=made, description=name)
    cohort = build([tmp_path / "in" / "p"], tmp_path / "out")
    assert cohort.about["synthetic"] == {"t1": {"image.t1": "ab" * 32}}


def test_a_sidecar_of_another_program_means_nothing(real):
    (real / "p0.json").write_text('{"EchoTime": 0.03}')
    (real / "p1.json").write_text("not JSON")
    assert audit(Cohort.read_unchecked(real)) == []
