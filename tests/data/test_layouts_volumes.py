"""Public data sets of NIfTI volumes: small trees with the real names become the right cohort."""

import json
import shutil

import numpy as np
import pytest
from layout_cases import LAYOUTS, labels, made, masks

from radloom import io
from radloom.data.build import build
from radloom.data.layout import matching
from radloom.errors import RadloomError
from radloom.types import Image


def test_ixi_has_a_case_for_each_person_with_hospital_and_vendor(tmp_path, volume, text):
    for word in ("T1", "T2", "PD", "MRA"):
        volume(tmp_path / "IXI" / f"IXI-{word}" / f"IXI002-Guys-0828-{word}.nii.gz")
    volume(tmp_path / "IXI" / "IXI-DTI" / "IXI002-Guys-0828-DTI-00.nii.gz")
    volume(tmp_path / "IXI" / "IXI-T1" / "IXI035-IOP-0873-T1.nii.gz")
    text(tmp_path / "IXI" / "IXI.csv", 'IXI_ID,"SEX_ID (1=m, 2=f)",HEIGHT,AGE\n2,2,164,35.8\n35,1,180,\n99,1,1,1\n')
    cohort = made(tmp_path / "IXI", "ixi")
    assert cohort.ids == ["IXI002", "IXI035"]
    assert list(cohort.case("IXI002").images) == ["image.t1", "image.t2", "image.pd", "image.mra"]
    assert (list(cohort.table["site"]), list(cohort.table["vendor"])) == (["Guys", "IOP"], ["Philips", "GE"])
    assert labels(cohort, "IXI002") == {"label.age": 35.8, "label.sex": "F"}
    assert labels(cohort, "IXI035") == {"label.sex": "M"}


def test_a_file_that_does_not_fit_is_named_in_one_line(tmp_path, volume):
    volume(tmp_path / "IXI" / "IXI002-Guys-0828-T1.nii.gz")
    volume(tmp_path / "IXI" / "mean_brain.nii.gz")
    with pytest.raises(RadloomError, match=r"cannot tell what .*: mean_brain\.nii\.gz; .*--map") as said:
        build([tmp_path / "IXI"], tmp_path / "out")
    assert "\n" not in str(said.value)
    assert not (tmp_path / "out").exists()


ADNI_CSV = (
    '"Image Data ID","Subject","Group","Sex","Age","Visit","Modality","Description","Type","Acq Date","Format"\n'
    '"I7054","011_S_0002","MCI","M","74","sc","MRI","MP-RAGE","Original","8/26/2005","DCM"\n'
    '"I8000","011_S_0002","MCI","M","74","sc","PET","Coreg, Avg","Processed","9/01/2005","NiFTI"\n'
)


def test_adni_puts_mri_and_pet_of_a_visit_together_by_its_table(tmp_path, volume, text):
    subject = tmp_path / "ADNI" / "011_S_0002"
    volume(subject / "MP-RAGE" / "2005-08-26_08_08_07.0" / "I7054" / "ADNI_011_S_0002_MR_MP-RAGE_br_raw_I7054.nii")
    pet = "Coreg,_Avg,_Std_Img_and_Vox_Siz,_Uniform_Resolution"
    volume(subject / pet / "2005-09-01_10_00_00.0" / "I8000" / "ADNI_011_S_0002_PT_I8000.nii")
    by_day = build([tmp_path / "ADNI"], tmp_path / "by_day")
    assert by_day.ids == ["011_S_0002_2005-08-26", "011_S_0002_2005-09-01"]
    text(tmp_path / "ADNI" / "idaSearch.csv", ADNI_CSV)
    cohort = made(tmp_path / "ADNI", "adni")
    assert (cohort.ids, cohort.patients, list(cohort.table["site"])) == (["011_S_0002_sc"], ["011_S_0002"], ["011"])
    assert list(cohort.case("011_S_0002_sc").images) == ["image.t1", "image.pet"]
    assert labels(cohort, "011_S_0002_sc") == {"label.group": "MCI", "label.sex": "M", "label.age": 74}


def test_atlas_has_lesions_in_training_and_none_in_testing(tmp_path, volume):
    top, space = tmp_path / "ATLAS_2", "ses-1_space-MNI152NLin2009aSym"
    first, second = top / "Training/R001/sub-r001s001/ses-1/anat", top / "Testing/R003/sub-r003s002/ses-1/anat"
    volume(first / f"sub-r001s001_{space}_T1w.nii.gz")
    volume(first / f"sub-r001s001_{space}_label-L_desc-T1lesion_mask.nii.gz", [1, 1])
    volume(second / f"sub-r003s002_{space}_T1w.nii.gz")
    cohort = made(top, "atlas")
    assert (cohort.patients, list(cohort.table["site"])) == (["sub-r001s001", "sub-r003s002"], ["r001", "r003"])
    assert [labels(cohort, case)["label.part"] for case in cohort.ids] == ["train", "test"]
    assert masks(cohort, "sub-r001s001_ses-1", "mask.lesion") == {0, 1}
    assert list(cohort.table["mask.lesion"] == "") == [False, True]


def msd_task(folder, about, text):
    text(folder / "dataset.json", json.dumps(about))


LIVER = {
    "name": "Liver", "modality": {"0": "CT"}, "labels": {"0": "background", "1": "liver", "2": "cancer"},
    "training": [{"image": "./imagesTr/liver_0.nii.gz", "label": "./labelsTr/liver_0.nii.gz"}],
    "test": ["./imagesTs/liver_132.nii.gz"],
}  # fmt: skip


def test_a_decathlon_task_says_itself_what_is_what(tmp_path, volume, text):
    task = tmp_path / "Task03_Liver"
    msd_task(task, LIVER, text)
    volume(task / "imagesTr" / "liver_0.nii.gz")
    volume(task / "imagesTr" / "._liver_0.nii.gz")  # what the archives carry from a Mac
    volume(task / "labelsTr" / "liver_0.nii.gz", [1, 2])
    volume(task / "imagesTs" / "liver_132.nii.gz")
    cohort = made(task, "msd")
    assert cohort.ids == ["liver_0", "liver_132"]
    assert masks(cohort, "liver_0", "mask.liver") == {0, 1, 2}
    assert [labels(cohort, case)["label.part"] for case in cohort.ids] == ["train", "test"]
    volume(task / "labelsTr" / "liver_0.nii.gz", [1, 5])
    with pytest.raises(RadloomError, match="holds the label 5"):
        build([task], tmp_path / "bad")
    stray = volume(task / "labelsTr" / "liver_7.nii.gz")
    with pytest.raises(RadloomError, match=r"does not list 1 files that are there: labelsTr/liver_7\.nii\.gz"):
        build([task], tmp_path / "bad", layout="msd")
    stray.unlink()
    (task / "imagesTr" / "liver_0.nii.gz").unlink()
    with pytest.raises(RadloomError, match=r"lists 1 files that are not there: imagesTr/liver_0\.nii\.gz"):
        build([task], tmp_path / "bad", layout="msd")
    shutil.rmtree(task / "imagesTs")
    volume(task / "imagesTr" / "liver_0.nii.gz")
    volume(task / "labelsTr" / "liver_0.nii.gz", [2])
    assert build([task], tmp_path / "no_tests").ids == ["liver_0"]


def test_the_channels_of_the_brain_task_become_images_and_its_labels_ours(tmp_path, volume, text):
    task = tmp_path / "Task01_BrainTumour"
    about = {**LIVER, "modality": {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"}, "test": [],
             "labels": {"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"},
             "training": [{"image": "imagesTr/BRATS_001.nii.gz", "label": "labelsTr/BRATS_001.nii.gz"}]}  # fmt: skip
    msd_task(task, about, text)
    volume(task / "imagesTr" / "BRATS_001.nii.gz", shape=(5, 4, 3, 4))
    volume(task / "labelsTr" / "BRATS_001.nii.gz", [1, 2, 3])
    cohort = made(task, "msd")
    whole = np.arange(240).reshape(5, 4, 3, 4)
    for column, channel in {"image.flair": 0, "image.t1": 1, "image.t1c": 2, "image.t2": 3}.items():
        np.testing.assert_array_equal(cohort.image("BRATS_001", column).voxels, whole[..., channel])
    mask = cohort.image("BRATS_001", "mask.tumour").voxels.ravel()
    assert mask[:4].tolist() == [2, 1, 3, 0]  # oedema 2, core 1, enhancing 3


def test_kits_has_survival_and_the_majoritys_outlines(tmp_path, volume, text):
    top = tmp_path / "kits"
    volume(top / "case_00000" / "imaging.nii.gz")
    volume(top / "case_00000" / "segmentation.nii.gz", [1, 2])
    volume(top / "case_00001" / "imaging.nii.gz")
    volume(top / "case_00001" / "aggregated_MAJ_seg.nii.gz", [1, 2, 3])
    volume(top / "case_00001" / "aggregated_AND_seg.nii.gz", [1])
    volume(top / "case_00001" / "segmentations" / "kidney_instance-1_annotation-1.nii.gz", [1])
    people = [{"case_id": "case_00000", "age_at_nephrectomy": 49, "gender": "male", "malignant": True,
               "tumor_histologic_subtype": "clear_cell_rcc", "vital_status": "censored",
               "vital_days_after_surgery": 2165},
              {"case_id": "case_00001", "vital_status": "dead", "vital_days_after_surgery": 7}]  # fmt: skip
    text(top / "kits.json", json.dumps(people))
    cohort = made(top, "kits")
    assert [masks(cohort, case, "mask.kidney") for case in cohort.ids] == [{0, 1, 2}, {0, 1, 2, 3}]
    first = labels(cohort, "case_00000")
    assert (first["time.os"], first["event.os"], first["label.histology"]) == (2165, 0, "clear_cell_rcc")
    assert labels(cohort, "case_00001")["event.os"] == 1


def test_synthrad_pairs_mr_or_cone_beam_ct_with_ct_by_centre(tmp_path, volume):
    for word in ("mr", "ct"):
        volume(tmp_path / "synth" / "Task1" / "brain" / "1BA001" / f"{word}.nii.gz")
    volume(tmp_path / "synth" / "Task1" / "brain" / "1BA001" / "mask.nii.gz", [1])
    volume(tmp_path / "synth" / "Task1" / "brain" / "overview" / "1BA001_train.nii.gz")
    for word in ("cbct", "ct"):
        image = Image(np.ones((3, 4, 5), np.float32), np.eye(4))
        (tmp_path / "synth" / "Task2" / "AB" / "2ABC015").mkdir(parents=True, exist_ok=True)
        io.write(image, tmp_path / "synth" / "Task2" / "AB" / "2ABC015" / f"{word}.mha")
    cohort = made(tmp_path / "synth", "synthrad")
    assert list(cohort.case("1BA001").images) == ["image.ct", "image.mr", "mask.body"]
    assert list(cohort.case("2ABC015").images) == ["image.ct", "image.cbct"]
    assert list(cohort.table["site"]) == ["A", "C"]
    assert [labels(cohort, case)["label.region"] for case in cohort.ids] == ["brain", "abdomen"]


def test_open_ms_tells_cross_sectional_and_longitudinal_patients_apart(tmp_path, volume):
    cross = tmp_path / "cross_sectional" / "coregistered" / "patient01"
    for word in ("T1W", "T1WKS", "T2W", "FLAIR"):
        volume(cross / f"{word}.nii.gz")
    volume(cross / "consensus_gt.nii.gz", [1])
    volume(cross / "brainmask.nii.gz", [1, 1])
    cohort = made(tmp_path / "cross_sectional", "open_ms")
    images = ["image.t1", "image.t1c", "image.t2", "image.flair", "mask.brain", "mask.lesion"]
    assert list(cohort.case("patient01").images) == images
    long = tmp_path / "longitudinal" / "coregistered" / "patient01"
    for study in "12":
        volume(long / f"study{study}_FLAIR.nii.gz")
    volume(long / "gt.nii.gz", [1])
    volume(long / "brainmask.nii.gz", [1, 1])
    cohort = made(tmp_path / "longitudinal", "open_ms")
    assert cohort.ids == ["longitudinal_patient01_study1", "longitudinal_patient01_study2"]
    assert cohort.patients == ["longitudinal_patient01"]
    assert list(cohort.table["mask.new_lesion"] == "") == [True, False]
    assert (cohort.table["mask.brain"] != "").all()
    shutil.copytree(cross, tmp_path / "cross_sectional" / "raw" / "patient01")
    with pytest.raises(RadloomError, match="in 2 versions: cross_sectional/coregistered, cross_sectional/raw"):
        build([tmp_path / "cross_sectional"], tmp_path / "out")


def test_the_real_patient_of_open_ms_is_recognised_under_its_own_path(shared, tmp_path):
    where = tmp_path / "cross_sectional" / "MNI" / "patient19"
    where.mkdir(parents=True)
    for path in (shared / "ms_4contrast_patient19").glob("*.nii.gz"):
        (where / path.name).symlink_to(path)
    entries = LAYOUTS["open_ms"].recognise(tmp_path / "cross_sectional")
    found = {entry.column: entry.found.path.name.split("_")[0] for entry in entries}
    assert found == {
        "image.flair": "FLAIR",
        "image.t1": "T1",
        "image.t1c": "T1POST",
        "image.t2": "T2",
        "mask.lesion": "GOLD",
    }
    assert matching(tmp_path / "cross_sectional", LAYOUTS) == ["open_ms"]


def test_the_real_case_of_brats_is_told_by_its_marks_and_a_label_that_brats_does_not_know_is_refused(shared, tmp_path):
    source = shared / "glioma_4contrast_brats2021_01306"
    assert matching(source, LAYOUTS) == ["brats"]
    # Who passed it on wrote 3 for the rim and 4 for the rest of the brain; taken for BraTS, the brain would enhance.
    with pytest.raises(
        RadloomError, match=r"mask\.tumour of case .BraTS2021_01306. holds the label 3.*expected 0 and 1"
    ):
        build([source], tmp_path / "out")
    for name in ("t1", "t1ce", "t2", "flair"):
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "images" / f"BraTS2021_01306_{name}.nii.gz").symlink_to(source / f"BraTS2021_01306_{name}.nii.gz")
    cohort = build([tmp_path / "images"], tmp_path / "cohort")
    assert cohort.image_columns == ["image.t1", "image.t1c", "image.t2", "image.flair"]
    assert set(cohort.about["built_from"].values()) == {"brats"}


@pytest.mark.parametrize(
    "name", ["glioma_4contrast_tcga_du7294", "sts_mr_ct_pet", "t1_structural_dicom", "cxr_mhh_covid"]
)
def test_real_folders_of_other_sets_carry_nobodys_marks(shared, name):
    assert matching(shared / name, LAYOUTS) == []


UCSF_CSV = (
    "ID,Sex,Age at MRI,WHO CNS Grade,Final pathologic diagnosis (WHO 2021),MGMT status,MGMT index,1p/19q,IDH,"
    "1-dead 0-alive,OS,EOR\n"
    'UCSF-PDGM-004,M,66,4,"Glioblastoma, IDH-wildtype",negative,0,unknown,wildtype,1,1303,STR\n'
    'UCSF-PDGM-0433_FU007d,F,30,2,"Astrocytoma, IDH-mutant",,,intact,IDH1 p.R132H,0,,GTR\n'
)


def test_ucsf_pdgm_has_markers_and_keeps_follow_ups_with_their_patient(tmp_path, volume, text):
    top = tmp_path / "UCSF-PDGM"
    for case in ("UCSF-PDGM-0004", "UCSF-PDGM-0433_FU007d", "UCSF-PDGM-0315", "UCSF-PDGM-0433"):
        for word in ("T1", "T1c", "T1c_bias", "FLAIR", "DTI_eddy_FA", "brain_parenchyma_segmentation"):
            volume(top / f"{case}_nifti" / f"{case}_{word}.nii.gz")
        volume(top / f"{case}_nifti" / f"{case}_tumor_segmentation.nii.gz", [1, 2, 4])
    text(top / "UCSF-PDGM-metadata_v2.csv", UCSF_CSV)
    cohort = made(top, "ucsf_pdgm")
    assert cohort.image_columns == ["image.t1", "image.t1c", "image.flair", "mask.tumour"]
    assert cohort.patients == ["UCSF-PDGM-0004", "UCSF-PDGM-0433"]  # 0315 was renamed to 0433_FU007d
    assert masks(cohort, "UCSF-PDGM-0004", "mask.tumour") == {0, 1, 2, 3}
    first, later = labels(cohort, "UCSF-PDGM-0004"), labels(cohort, "UCSF-PDGM-0433_FU007d")
    assert (first["label.idh"], first["time.os"], first["event.os"]) == ("wildtype", 1303, 1)
    assert (later["label.idh"], later["label.idh_variant"], later.get("time.os")) == ("mutant", "IDH1 p.R132H", None)
    assert "label.1p_19q" not in first  # unknown is missing


UPENN_CSV = (
    "ID,Gender,Age_at_scan_years,Survival_from_surgery_days_UPDATED,Survival_Status,IDH1,MGMT,KPS,GTR_over90percent\n"
    "UPENN-GBM-00001_11,M,65.29,292,Deceased,NOS/NEC,Methylated,Not Available,Y\n"
    "UPENN-GBM-00001_21,M,66.1,Not Available,Lost to Follow-up,Mutated,Not Available,80,Not Applicable\n"
)


def test_upenn_gbm_joins_images_masks_and_survival_from_separate_folders(tmp_path, volume, text):
    top = tmp_path / "UPENN-GBM"
    for case in ("UPENN-GBM-00001_11", "UPENN-GBM-00001_21"):
        for word in ("T1", "T1GD", "T2", "FLAIR"):
            volume(top / "images_structural" / case / f"{case}_{word}.nii.gz")
        volume(top / "images_DTI" / case / f"{case}_DTI_FA.nii.gz")
        volume(top / "automated_segm" / f"{case}_automated_approx_segm.nii.gz", [1, 4])
    volume(top / "images_segm" / "UPENN-GBM-00001_11_segm.nii.gz", [1, 2, 4])
    text(top / "UPENN-GBM_clinical_info_v2.1.csv", UPENN_CSV)
    cohort = made(top, "upenn_gbm")
    assert (len(cohort), cohort.patients) == (2, ["UPENN-GBM-00001"])
    assert masks(cohort, "UPENN-GBM-00001_11", "mask.tumour") == {0, 1, 2, 3}
    assert masks(cohort, "UPENN-GBM-00001_21", "mask.tumour_automatic") == {0, 1, 3}
    first, later = labels(cohort, "UPENN-GBM-00001_11"), labels(cohort, "UPENN-GBM-00001_21")
    assert (first["time.os"], first["event.os"], first["label.mgmt"]) == (292, 1, "Methylated")
    assert "label.idh" not in first
    assert (later["label.idh"], later.get("event.os")) == ("mutant", None)
