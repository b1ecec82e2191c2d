"""Folders of images as people have them become cohort tables, or are refused with one clear line."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from radloom.data.audit import audit
from radloom.data.build import build
from radloom.data.cohort import Cohort
from radloom.data.inspect import display_slice, inspect, picture_sheet
from radloom.data.layouts.plain import column_named
from radloom.errors import RadloomError

MAP = Path(__file__).resolve().parents[2] / "examples" / "real_subjects_map.csv"


def picture(path: Path, shape=(8, 9, 6), spacing=(1.0, 1.0, 2.0)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = sum(map(ord, str(path)))
    voxels = np.random.default_rng(seed).random(shape).astype(np.float32)
    nib.nifti1.Nifti1Image(voxels, np.diag([*spacing, 1])).to_filename(path)


def outline(path: Path, labels: list[int], shape=(8, 9, 6), spacing=(1.0, 1.0, 2.0)) -> None:
    voxels = np.zeros(shape, np.uint8)
    voxels.ravel()[: len(labels)] = labels
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.nifti1.Nifti1Image(voxels, np.diag([*spacing, 1])).to_filename(path)


def brats_case(folder: Path, name: str, words: tuple[str, ...], seg: str, labels: list[int]) -> None:
    for word in words:
        picture(folder / name / f"{name}{word}.nii.gz")
    outline(folder / name / f"{name}{seg}.nii.gz", labels)


OLD = ("_t1", "_t1ce", "_t2", "_flair")
COLUMNS = ["image.t1", "image.t1c", "image.t2", "image.flair", "mask.tumour"]


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("Brats17_TCIA_101_1", "Brats17_TCIA_101"),
        ("BraTS19_CBICA_AAB_1", "BraTS19_CBICA_AAB"),
        ("BraTS20_Training_001", "BraTS20_Training_001"),
        ("BraTS2021_00000", "BraTS2021_00000"),
    ],
)
def test_brats_until_2021_is_recognised_and_its_label_4_becomes_3(tmp_path, name, patient):
    brats_case(tmp_path / "in" / "HGG", name, OLD, "_seg", [0, 1, 2, 4])
    cohort = build([tmp_path / "in"], tmp_path / "out")
    assert [c for c in cohort.table.columns if "." in c] == COLUMNS
    assert (cohort.ids, cohort.patients) == ([name], [patient])
    np.testing.assert_array_equal(np.unique(cohort.image(name, "mask.tumour").voxels), [0, 1, 2, 3])
    assert cohort.about["labels"][name] == {"mask.tumour": "1>1 2>2 4>3 (others refused)"}
    assert cohort.path(name, "image.t1") == (tmp_path / "in" / "HGG" / name / f"{name}_t1.nii.gz").resolve()


def test_brats_since_2023_is_recognised_and_its_masks_are_used_as_they_are(tmp_path):
    for visit in ("000", "001"):
        brats_case(tmp_path / "in", f"BraTS-GLI-00042-{visit}", ("-t1n", "-t1c", "-t2w", "-t2f"), "-seg", [0, 1, 2, 3])
    cohort = build([tmp_path / "in"], tmp_path / "out")
    assert [c for c in cohort.table.columns if "." in c] == COLUMNS
    assert cohort.patients == ["BraTS-GLI-00042"]
    assert not (tmp_path / "out" / "images").exists()


def test_a_brats_mask_with_a_label_that_brats_does_not_define_is_refused(tmp_path):
    brats_case(tmp_path / "in", "BraTS2021_00000", OLD, "_seg", [1, 2, 3, 4])
    with pytest.raises(RadloomError, match=r"holds the label 3, .*--map"):
        build([tmp_path / "in"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_bids_is_recognised_with_sessions_contrast_agent_masks_and_participants(tmp_path):
    bids = tmp_path / "bids"
    for word in ("T1w", "ce-gadolinium_T1w", "T2w", "FLAIR", "bold"):
        picture(bids / "sub-01" / "ses-a" / "anat" / f"sub-01_ses-a_{word}.nii.gz")
    picture(bids / "sub-02" / "anat" / "sub-02_T1w.nii.gz")
    outline(bids / "derivatives" / "us" / "sub-02" / "anat" / "sub-02_label-lesion_mask.nii.gz", [1])
    (bids / "participants.tsv").write_text("participant_id\tage\tIDH status\nsub-01\t44\tn/a\nsub-02\tn/a\tmutant\n")
    cohort = build([bids], tmp_path / "out")
    assert cohort.ids == ["sub-01_ses-a", "sub-02"]
    assert list(cohort.case("sub-01_ses-a").images) == ["image.t1", "image.t1c", "image.t2", "image.flair"]
    assert list(cohort.case("sub-02").images) == ["image.t1", "mask.lesion"]
    assert cohort.case("sub-01_ses-a").labels == {"label.age": 44}
    assert cohort.case("sub-02").labels == {"label.idh_status": "mutant"}


@pytest.mark.parametrize(
    ("title", "column"),
    [
        ("T1_N4_noneck_reduced_winsor_regtoFLAIR_brain_N4_regtoMNI", "image.t1"),
        ("GOLD_STANDARD_N4_noneck", "mask.lesion"),
        ("_fla_bet", "image.flair"),
        ("t2_flair_tra", "image.flair"),
        ("t1_mprage_sag_Gd", "image.t1c"),
        ("T1 POST", "image.t1c"),
        ("_t1ce", "image.t1c"),
        ("PD", "image.pd"),
        ("tumor_seg", "mask.tumour"),
        ("T1_brain_mask", "mask.brain"),
        ("T2_DIR", None),
        ("t2 swi", None),
        ("localizer", None),
        ("scan1", None),
    ],
)
def test_the_words_of_a_name_decide_the_column_or_nothing(title, column):
    assert column_named(title) == column


def test_a_plain_folder_of_cases_and_visits_is_recognised(tmp_path):
    for case in ("T2_lover", "p2/first", "p2/second"):
        picture(tmp_path / "in" / case / "scan_t1.nii.gz")
        picture(tmp_path / "in" / case / f"{Path(case).name}_FLAIR.nii.gz")
    cohort = build([tmp_path / "in"], tmp_path / "out")
    assert dict(zip(cohort.ids, cohort.table["patient"], strict=True)) == {
        "T2_lover": "T2_lover", "p2_first": "p2", "p2_second": "p2"
    }  # fmt: skip
    assert cohort.image_columns == ["image.t1", "image.flair"]


def test_a_folder_that_holds_images_is_one_case(tmp_path):
    picture(tmp_path / "Jane" / "t1.nii.gz")
    assert build([tmp_path / "Jane"], tmp_path / "out").ids == ["Jane"]


def test_names_that_decide_nothing_are_listed_with_the_way_out(tmp_path):
    picture(tmp_path / "in" / "p1" / "t1.nii.gz")
    picture(tmp_path / "in" / "p1" / "scan7.nii.gz")
    with pytest.raises(RadloomError, match=r"p1/scan7\.nii\.gz; .*--map"):
        build([tmp_path / "in"], tmp_path / "out")


def test_two_files_for_one_column_are_refused(tmp_path):
    picture(tmp_path / "in" / "p1_t1.nii.gz")
    picture(tmp_path / "in" / "p2_t1.nii.gz")
    with pytest.raises(RadloomError, match=r"two entries for image\.t1: .*p1_t1\.nii\.gz and .*p2_t1\.nii\.gz"):
        build([tmp_path / "in"], tmp_path / "out")


def test_two_patients_under_one_name_are_refused(tmp_path):
    for site in ("north", "south"):
        picture(tmp_path / site / "patient1" / "t1.nii.gz")
    with pytest.raises(RadloomError, match=r'case "patient1" is in .*north and in .*south'):
        build([tmp_path / "north", tmp_path / "south"], tmp_path / "out")


def test_an_empty_folder_a_folder_without_images_and_no_folder_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "notes.txt").write_text("nothing")
    for name, said in (("empty", "holds no image"), ("words", "holds no image"), ("gone", "there is no folder")):
        with pytest.raises(RadloomError, match=said):
            build([tmp_path / name], tmp_path / "out")


def test_a_truncated_image_leaves_nothing_behind(tmp_path):
    picture(tmp_path / "in" / "p1" / "t1.nii.gz")
    whole = (tmp_path / "in" / "p1" / "t1.nii.gz").read_bytes()
    (tmp_path / "in" / "p1" / "t1.nii.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RadloomError, match=r"t1\.nii\.gz"):
        build([tmp_path / "in"], tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_a_folder_that_exists_is_not_overwritten(tmp_path):
    picture(tmp_path / "in" / "p1" / "t1.nii.gz")
    build([tmp_path / "in"], tmp_path / "out")
    with pytest.raises(RadloomError, match="exists already"):
        build([tmp_path / "in"], tmp_path / "out")


def two_grids(folder: Path) -> None:
    picture(folder / "p1" / "t1.nii.gz")
    picture(folder / "p1" / "flair.nii.gz", shape=(4, 5, 6), spacing=(2.0, 2.0, 2.0))
    outline(folder / "p1" / "tumour_seg.nii.gz", [3, 3, 3], shape=(4, 5, 6), spacing=(2.0, 2.0, 2.0))


def test_different_grids_are_refused_unless_resampling_is_asked_for(tmp_path):
    two_grids(tmp_path / "in")
    with pytest.raises(RadloomError, match=r"different grids.*--spacing.*--like"):
        build([tmp_path / "in"], tmp_path / "out")
    coarse = build([tmp_path / "in"], tmp_path / "coarse", spacing_mm=(2.0, 2.0, 2.0))
    like = build([tmp_path / "in"], tmp_path / "like", like="image.t1")
    assert {image.spacing_mm for image in coarse.case("p1").images.values()} == {(2.0, 2.0, 2.0)}
    assert {image.shape for image in like.case("p1").images.values()} == {(8, 9, 6)}
    assert like.path("p1", "image.t1") == (tmp_path / "in" / "p1" / "t1.nii.gz").resolve()
    assert set(np.unique(like.image("p1", "mask.tumour").voxels)) == {0, 3}
    record = json.loads((tmp_path / "coarse" / "cohort.json").read_text())["resampled"]
    assert record["spacing_mm"] == [2, 2, 2]
    assert record["entries"]["p1"]["image.t1"]["source"].endswith("t1.nii.gz")
    assert record["entries"]["p1"]["image.t1"]["steps"][-1]["name"] == "resample"
    assert str(coarse.table["image.t1"][0]) == "images/p1/image.t1.nii.gz"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pattern,colum\n*.nii,image.t1\n", "columns pattern,column"),
        ("pattern,column\n*.nii.gz,t1\n", 'line 2 of the mapping .* says "\\*.nii.gz,t1"'),
        ("pattern,column,labels\n*.nii.gz,mask.tumour,1-2\n", 'labels "1-2" are not a map'),
        ("pattern,column,labels\n*.nii.gz,image.t1,1>2\n", "gives labels to image.t1"),
        ("pattern,column\n*_pet.nii.gz,image.pet\n", "no file in .* matches"),
        ("pattern,column\nt1*,image.t1\n*.gz,image.t2\n", "which are different columns"),
    ],
)
def test_a_faulty_mapping_is_refused(tmp_path, text, said):
    picture(tmp_path / "in" / "p1" / "t1.nii.gz")
    (tmp_path / "map.csv").write_text(text)
    with pytest.raises(RadloomError, match=said):
        build([tmp_path / "in"], tmp_path / "out", mapping=tmp_path / "map.csv")


def test_a_mapping_keeps_only_the_labels_that_it_names_and_reaches_into_folders(tmp_path):
    for case in ("a/p1", "a/p2"):
        picture(tmp_path / "in" / case / "anat" / "odd.nii.gz")
        outline(tmp_path / "in" / case / "drawn.nii.gz", [1, 2, 4, 7])
    (tmp_path / "map.csv").write_text("pattern,column,labels\nanat/o*.nii.gz,image.t1,\ndrawn.*,mask.tumour,2>1 4>3\n")
    cohort = build([tmp_path / "in"], tmp_path / "out", mapping=tmp_path / "map.csv")
    assert cohort.ids == ["a_p1", "a_p2"]
    assert set(np.unique(cohort.image("a_p1", "mask.tumour").voxels)) == {0, 1, 3}
    np.testing.assert_array_equal(cohort.image("a_p1", "mask.tumour").voxels.ravel()[:4], [0, 1, 3, 0])


def test_the_patients_right_is_shown_on_the_left_and_anterior_on_top():
    voxels = np.zeros((5, 4, 3))
    voxels[4, 3, 1] = 1  # RAS+: the rightmost, most anterior voxel
    shown = display_slice(voxels, 2, 1)
    assert shown.shape == (4, 5)
    assert shown[0, 0] == 1


def test_a_cohort_is_inspected_as_a_table_and_a_sheet(tmp_path):
    two_grids(tmp_path / "in")
    picture(tmp_path / "in" / "p2" / "t1.nii.gz", shape=(8, 9, 1))
    cohort = build([tmp_path / "in"], tmp_path / "out", like="image.t1")
    facts = inspect(cohort)
    assert list(facts.index) == ["image.t1", "image.flair", "mask.tumour"]
    assert list(facts["missing"]) == [0, 1, 1]
    assert facts.loc["image.t1", "grid"] == "8x9x6 (1), 8x9x1 (1)"
    assert facts.loc["mask.tumour", "labels"] == "0, 3"
    sheet = picture_sheet(cohort, tmp_path / "sheet.png")
    assert sheet.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_the_three_real_subjects_become_one_cohort(shared, tmp_path):
    names = ("glioma_4contrast_brats2021_01306", "glioma_4contrast_tcga_du7294", "ms_4contrast_patient19")
    cohort = build([shared / n for n in names], tmp_path / "out", mapping=MAP, spacing_mm=(4.0, 4.0, 4.0))
    assert cohort.ids == list(names)
    cohort.require(["image.t1", "image.t1c", "image.t2", "image.flair"])
    labels = {
        n: set(np.unique(image.voxels)) for n in names for k, image in cohort.case(n).images.items() if "mask" in k
    }
    assert labels == {names[0]: {0, 2, 3}, names[1]: {0, 1, 2}, names[2]: {0, 1}}
    assert [f.severity for f in audit(Cohort.read_unchecked(tmp_path / "out"))] == ["warning", "warning"]


def test_a_folder_of_dicom_series_becomes_a_case_with_its_vendor(shared, tmp_path):
    shutil.copytree(shared / "t1_structural_dicom" / "dicoms", tmp_path / "in" / "p1" / "T1_mprage")
    shutil.copytree(shared / "t1_structural_dicom" / "dicoms", tmp_path / "in" / "p2" / "T1")
    cohort = build([tmp_path / "in"], tmp_path / "out")
    assert list(cohort.table["vendor"]) == ["BIOLAB", "BIOLAB"]
    assert cohort.path("p1", "image.t1") == tmp_path / "in" / "p1" / "T1_mprage"
    said = [f.what for f in audit(cohort) if f.severity == "error"]
    assert said == ["has the same voxels as p1 image.t1 of another patient (p1)"]
    twice = Cohort(cohort.table.assign(patient="p1"), cohort.root)
    assert [f.severity for f in audit(twice)] == ["warning"]


def test_several_series_in_one_folder_are_separated(shared, tmp_path):
    shutil.copytree(shared / "t1_structural_dicom" / "dicoms", tmp_path / "in" / "p1")
    for file in (shared / "dicom_vendors" / "toshiba_galan_dti").glob("*.dcm"):
        shutil.copy(file, tmp_path / "in" / "p1" / f"other_{file.name}")
    (tmp_path / "map.csv").write_text("pattern,column\nanat-T1w,image.t1\n")
    cohort = build([tmp_path / "in"], tmp_path / "out", mapping=tmp_path / "map.csv")
    assert list(cohort.table["image.t1"]) == ["images/p1/image.t1.nii.gz"]
    assert cohort.image("p1", "image.t1").shape[2] >= 1


def test_series_of_two_patients_under_one_name_are_refused(shared, tmp_path):
    shutil.copytree(shared / "t1_structural_dicom" / "dicoms", tmp_path / "in" / "p1" / "T1")
    shutil.copytree(shared / "dicom_vendors" / "ge_ct_lightspeed16_CRLM-CT-1004", tmp_path / "in" / "p1" / "CT")
    with pytest.raises(RadloomError, match=r'patient "p1" has DICOM series of 2 patients: 02, CRLM-CT-1004'):
        build([tmp_path / "in"], tmp_path / "out")
