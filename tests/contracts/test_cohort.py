"""The cohort table: what it refuses, what it reads, and how it is split."""

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from radloom.data.audit import audit
from radloom.data.cohort import Cohort, check_one_grid
from radloom.data.faults import FIXED
from radloom.data.split import assign, split
from radloom.errors import RadloomError


def scan(path: Path, shape=(6, 5, 4), spacing=(1.0, 1.0, 2.0), seed: int = 0) -> Path:
    voxels = np.random.default_rng(seed).random(shape).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.nifti1.Nifti1Image(voxels, np.diag([*spacing, 1])).to_filename(path)
    return path


def mask(path: Path, voxels: np.ndarray, spacing=(1.0, 1.0, 2.0)) -> Path:
    nib.nifti1.Nifti1Image(voxels, np.diag([*spacing, 1])).to_filename(path)
    return path


def table(folder: Path, text: str) -> Path:
    path = folder / "cohort.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i, name in enumerate(("a.nii", "b.nii", "c.nii")):
        scan(tmp_path / name, seed=i)
    filled = np.zeros((6, 5, 4), np.uint8)
    filled[2:4, 2, 1] = 3
    mask(tmp_path / "m.nii", filled)
    table(
        tmp_path,
        "case,patient,site,vendor,split,image.t1,image.t2,mask.tumour,label.idh,label.age,text.report,time.os,event.os\n"
        "007,P1,Ghent,GE,train,a.nii,b.nii,m.nii,mutant,61,No change,12.5,1\n"
        "c2,P2,,,test,c.nii,,,wild,,,3,0\n",
    )
    return tmp_path


def patients(n: int, cases: int = 1, **columns) -> Cohort:
    rows = [{"case": f"c{p}.{c}", "patient": f"p{p}"} for p in range(n) for c in range(cases)]
    return Cohort(pd.DataFrame(rows).assign(**dict.fromkeys(FIXED[2:], ""), **columns), Path())


def test_a_case_has_its_images_typed_labels_and_text_and_keeps_its_leading_zeros(folder):
    case = Cohort.read(folder).case("007")
    assert (case.id, case.patient, case.site, case.vendor, case.split) == ("007", "P1", "Ghent", "GE", "train")
    assert list(case.images) == ["image.t1", "image.t2", "mask.tumour"]
    assert case.images["mask.tumour"].kind == "label"
    assert case.labels == {"label.idh": "mutant", "label.age": 61, "time.os": 12.5, "event.os": 1}
    assert case.text == {"text.report": "No change"}


def test_a_missing_entry_is_absent_from_the_case(folder):
    case = Cohort.read(folder / "cohort.csv").case("c2")
    assert list(case.images) == ["image.t1"]
    assert case.labels == {"label.idh": "wild", "time.os": 3, "event.os": 0}
    assert case.text == {}


def test_only_the_keys_asked_for_are_read(folder):
    cohort = Cohort.read(folder)
    (folder / "b.nii").write_bytes(b"not an image")
    assert list(cohort.case("007", ["image.t1"]).images) == ["image.t1"]
    with pytest.raises(RadloomError, match=r"b\.nii"):
        cohort.case("007", ["image.t2"])


def test_a_key_that_the_case_lacks_is_named(folder):
    with pytest.raises(RadloomError, match=r"no image\.t2: c2"):
        Cohort.read(folder).case("c2", ["image.t1", "image.t2"])


def test_require_names_the_columns_and_the_cases_that_are_missing(folder):
    cohort = Cohort.read(folder)
    cohort.require(["image.t1"])
    with pytest.raises(RadloomError, match=r"no column image\.pet"):
        cohort.require(["image.pet"])
    with pytest.raises(RadloomError, match=r"1 of 2 cases have no mask\.tumour: c2"):
        cohort.require(["mask.tumour"])


def test_the_last_images_are_kept_and_only_the_last(folder):
    cohort = Cohort.read(folder)
    first = cohort.image("007", "image.t1")
    assert cohort.image("007", "image.t1") is first
    wide = replace(cohort, table=pd.concat([cohort.table.iloc[:1]] * 12).assign(case=[f"k{i}" for i in range(12)]))
    for i in range(12):
        scan(folder / f"k{i}.nii", seed=i)
    wide.table["image.t1"] = [f"k{i}.nii" for i in range(12)]
    kept = [wide.image(f"k{i}", "image.t1") for i in range(12)]
    assert wide.image("k11", "image.t1") is kept[11]
    assert wide.image("k0", "image.t1") is not kept[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("case,patient,colour\na,p,red\n", 'unknown column "colour"'),
        ("case,patient,image.\na,p,\n", 'unknown column "image."'),
        ("case,image.t1\na,a.nii\n", 'no column "patient"'),
        ("patient\np\n", 'no column "case"'),
        ("case,patient\na,p\na,q\n", 'case "a" is on line 2 and again on line 3'),
        ("case,patient\na,\n", 'line 2 of the cohort table has no "patient"'),
        ("case,patient\n../a,p\n", 'case "../a"'),
        ("case,patient,split\na,p,training\n", 'line 2 of the cohort table has split "training"'),
        ("case,patient,split\na,p,train\nb,p,test\n", 'patient "p" is in the splits test and train (cases a, b)'),
        ("case,patient,image.t1\na,p,a.nii\nb,q,gone.nii\n", 'line 3, column "image.t1"'),
        ("case,patient,event.os\na,p,2\n", 'has "2" in column "event.os"; expected 0 or 1'),
        ("case,patient,time.os\na,p,long\n", 'has "long" in column "time.os"; expected a number'),
        ("case,patient\n", "has no rows"),
        ("", "is not a table"),
    ],
)
def test_a_faulty_table_is_refused_with_one_line_that_names_the_place(folder, text, said):
    table(folder, text)
    with pytest.raises(RadloomError) as error:
        Cohort.read(folder)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_an_absent_table_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(RadloomError, match="radloom data build"):
        Cohort.read(tmp_path / "nowhere")


def test_two_grids_in_one_case_are_refused_with_both_named(folder):
    scan(folder / "b.nii", shape=(3, 5, 4), spacing=(2.0, 1.0, 2.0))
    case = Cohort.read(folder).case("007", ["image.t1", "image.t2"])
    with pytest.raises(RadloomError, match=r"image\.t1 and image\.t2 .* 6x5x4 at 1 x 1 x 2 mm and 3x5x4 at 2 x 1 x 2"):
        check_one_grid(case)
    check_one_grid(Cohort.read(folder).case("007", ["image.t1", "mask.tumour"]))


def test_a_cohort_written_elsewhere_reads_the_same(folder, tmp_path):
    cohort = replace(Cohort.read(folder), about={"simulated": True})
    path = cohort.write(tmp_path / "other" / "table.csv")
    again = Cohort.read(path)
    assert json.loads((tmp_path / "other" / "table.json").read_text()) == {"simulated": True}
    assert again.about == {"simulated": True}
    case, same = cohort.case("007"), again.case("007")
    assert case.labels == same.labels
    np.testing.assert_array_equal(case.images["image.t1"].voxels, same.images["image.t1"].voxels)
    assert list(pd.read_csv(cohort.write(folder))["image.t1"]) == ["a.nii", "c.nii"]


def test_the_split_hash_depends_on_who_is_in_the_split_and_on_nothing_else():
    cohort = assign(patients(5), test=["p4"])
    shuffled = replace(cohort, table=cohort.table.iloc[::-1], root=Path("elsewhere"))
    assert cohort.split_hash() == shuffled.split_hash()
    assert cohort.split_hash() != assign(patients(5), test=["p3"]).split_hash()
    assert len(cohort.split_hash("test")) == 64
    with pytest.raises(RadloomError, match='split "val"'):
        cohort.split_hash("val")


@pytest.mark.parametrize(("n", "sizes"), [(3, (1, 1, 1)), (4, (2, 1, 1)), (10, (7, 1, 2)), (64, (45, 6, 13))])
def test_the_split_has_the_sizes_asked_for_and_no_patient_twice(n, sizes):
    done = split(patients(n, cases=2), seed=3)
    assert tuple(len(done.where(name).patients) for name in ("train", "val", "test")) == sizes
    assert done.table.groupby("patient")["split"].nunique().max() == 1
    assert done.ids == patients(n, cases=2).ids


def test_the_split_is_a_function_of_names_and_seed():
    cohort = patients(20)
    turned = replace(cohort, table=cohort.table.iloc[::-1])
    assert split(cohort, seed=1).split_hash() == split(turned, seed=1).split_hash()
    assert split(cohort, seed=1).split_hash() != split(cohort, seed=2).split_hash()


@pytest.mark.parametrize("seed", range(5))
def test_a_stratified_split_spreads_a_rare_label(seed):
    cohort = patients(40, **{"label.idh": ["mutant" if i % 4 == 0 else "wild" for i in range(40)]})
    done = split(cohort, fractions=(0.5, 0.25, 0.25), seed=seed, stratify="label.idh")
    counts = {name: (done.where(name).table["label.idh"] == "mutant").sum() for name in ("train", "val", "test")}
    assert len(done.where("train")) == 20
    assert 4 <= counts["train"] <= 6
    assert 2 <= counts["val"] <= 3
    assert 2 <= counts["test"] <= 3


def test_a_split_without_validation_is_possible_and_an_impossible_one_is_refused():
    assert len(split(patients(2), fractions=(0.5, 0.0, 0.5), seed=0).where("val")) == 0
    with pytest.raises(RadloomError, match="2 patients cannot fill 3 splits"):
        split(patients(2), seed=0)
    with pytest.raises(RadloomError, match="add up to 1"):
        split(patients(9), fractions=(0.5, 0.1, 0.1), seed=0)
    with pytest.raises(RadloomError, match=r'no column "label\.idh"'):
        split(patients(9), seed=0, stratify="label.idh")


def test_patients_are_assigned_by_name():
    done = assign(patients(3, cases=2), test=["p1"], val=["p2"])
    assert done.where("test").ids == ["c1.0", "c1.1"]
    assert done.where("train").patients == ["p0"]
    with pytest.raises(RadloomError, match='no patient "p9"'):
        assign(patients(3), test=["p9"])
    with pytest.raises(RadloomError, match="for test and for val"):
        assign(patients(3), test=["p1"], val=["p1"])
    with pytest.raises(RadloomError, match="left for train"):
        assign(patients(2), test=["p1"], val=["p0"])


def test_a_sound_cohort_has_only_the_finding_that_entries_are_missing(folder):
    assert [(f.severity, f.column) for f in audit(Cohort.read_unchecked(folder))] == [
        ("warning", "image.t2"),
        ("warning", "mask.tumour"),
    ]


def voxels(**changed: float) -> np.ndarray:
    array = np.random.default_rng(9).random((6, 5, 4)).astype(np.float32)
    array[0, 0, 0] = changed.get("corner", array[0, 0, 0])
    return array


@pytest.mark.parametrize(
    ("file", "array", "spacing", "column", "severity", "said"),
    [
        ("b.nii", voxels(corner=np.nan), (1, 1, 2), "image.t2", "error", "1 of 120 voxels are NaN or infinite"),
        ("b.nii", np.full((6, 5, 4), 7, np.float32), (1, 1, 2), "image.t2", "error", "every voxel is 7"),
        ("b.nii", voxels(), (1, 1, 0.05), "image.t2", "error", "0.05 mm, outside 0.1 to 20 mm"),
        ("b.nii", voxels(), (0.5, 0.5, 15), "image.t2", "error", "30 times longer"),
        ("b.nii", voxels(), (1, 1, 3), "image.t2", "error", "different grids"),
        ("m.nii", np.zeros((6, 5, 4), np.uint8), (1, 1, 2), "mask.tumour", "warning", "the mask is empty"),
        ("m.nii", np.ones((6, 5, 3), np.uint8), (1, 1, 2), "mask.tumour", "error", "different grids"),
        ("m.nii", voxels(), (1, 1, 2), "mask.tumour", "error", "m.nii"),
    ],
)
def test_the_audit_finds_what_is_wrong_with_an_image(folder, file, array, spacing, column, severity, said):
    mask(folder / file, array, spacing)
    found = [f for f in audit(Cohort.read_unchecked(folder)) if f.case == "007"]
    assert any(f.column == column and f.severity == severity and said in f.what for f in found), list(map(str, found))


def test_the_audit_finds_a_copied_image_a_truncated_file_a_dead_path_and_a_patient_in_two_splits(folder):
    (folder / "c.nii").write_bytes((folder / "a.nii").read_bytes())
    (folder / "b.nii").write_bytes((folder / "b.nii").read_bytes()[:-50])
    text = (folder / "cohort.csv").read_text()
    table(folder, text + "c3,P1,,,test,gone.nii,,,,,,,\n")
    said = " | ".join(map(str, audit(Cohort.read_unchecked(folder))))
    assert "c2 image.t1: has the same voxels as 007 image.t1 of another patient (P1)" in said
    assert "007 image.t2: does not open" in said
    assert "gone.nii, which does not exist" in said
    assert 'patient "P1" is in the splits test and train' in said


def test_the_audit_doubts_a_patient_with_very_many_cases():
    found = audit(patients(1, cases=13))
    assert [(f.severity, f.what) for f in found] == [("warning", 'patient "p0" has 13 cases')]
