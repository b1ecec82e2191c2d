"""Public sets of DICOM series: small trees with the real names become the right cohort; outlines become masks."""

import nibabel as nib
import numpy as np
import pytest
from layout_cases import labels, made

from radloom.data.build import build
from radloom.data.layouts.lidc import read_readings
from radloom.errors import RadloomError


def curve(uid, x, y, width, height, *, inclusion="TRUE"):
    """A reader's rectangular curve: its pixels enclose, and do not belong to, width x height pixels from (x, y)."""
    ring = [(i, y - 1) for i in range(x - 1, x + width + 1)] + [(x + width, j) for j in range(y, y + height + 1)]
    ring += [(i, y + height) for i in range(x + width - 1, x - 2, -1)] + [
        (x - 1, j) for j in range(y + height - 1, y - 1, -1)
    ]
    edges = "".join(f"<edgeMap><xCoord>{i}</xCoord><yCoord>{j}</yCoord></edgeMap>" for i, j in ring)
    head = f"<imageZposition>0</imageZposition><imageSOP_UID>{uid}</imageSOP_UID><inclusion>{inclusion}</inclusion>"
    return f"<roi>{head}{edges}</roi>"


def nodule(*curves, malignancy=3):
    about = f"<characteristics><malignancy>{malignancy}</malignancy></characteristics>" if malignancy else ""
    return f"<unblindedReadNodule><noduleID>1</noduleID>{about}{''.join(curves)}</unblindedReadNodule>"


def lidc_xml(uid, *sessions):
    said = "".join(f"<readingSession>{session}</readingSession>" for session in sessions)
    header = f"<ResponseHeader><SeriesInstanceUid>{uid}</SeriesInstanceUid></ResponseHeader>"
    return f'<?xml version="1.0"?><LidcReadMessage xmlns="http://www.nih.gov">{header}{said}</LidcReadMessage>'


def test_lidc_outlines_of_half_the_readers_become_the_mask_where_the_pixels_lie(tmp_path, series, text):
    top = tmp_path / "LIDC-IDRI"
    ct = top / "LIDC-IDRI-0001" / "1.2.9" / "1.2.3"
    series(ct, patient="LIDC-IDRI-0001", uid="1.2.3", rows=12, columns=14)
    series(top / "LIDC-IDRI-0001" / "2.2.9" / "2.2.3", patient="LIDC-IDRI-0001", uid="2.2.3", modality="DX", slices=1)
    first = nodule(curve("1.2.3.1", 3, 4, 4, 3), malignancy=5)
    hole = nodule(curve("1.2.3.1", 5, 4, 4, 3), curve("1.2.3.1", 6, 5, 1, 1, inclusion="FALSE"), malignancy=2)
    point = nodule("<roi><imageSOP_UID>1.2.3.0</imageSOP_UID></roi>", malignancy=None)
    text(ct / "069.xml", lidc_xml("1.2.3", first, hole, point, ""))
    (ct / "LICENSE").write_text("no image")
    cohort = made(top, "lidc")
    assert (cohort.ids, cohort.image_columns) == (["LIDC-IDRI-0001"], ["image.ct", "mask.nodule"])
    mask = cohort.image("LIDC-IDRI-0001", "mask.nodule").voxels[::-1, ::-1]  # columns and rows as in the files
    # Both: columns 5-6, rows 4-6, less the hole's pixel (6, 5).
    expected = {(5, 4, 1), (5, 5, 1), (5, 6, 1), (6, 4, 1), (6, 6, 1)}
    assert {tuple(map(int, voxel)) for voxel in np.argwhere(mask)} == expected
    values = cohort.image("LIDC-IDRI-0001", "image.ct").voxels[::-1, ::-1]
    assert values[5, 4, 1] == 100 + 10 * 4 + 5
    assert labels(cohort, "LIDC-IDRI-0001") == {"label.marks": 2, "label.malignancy_median": 3.5}
    assert list(cohort.table["vendor"]) == ["SIEMENS"]


def test_lidc_gives_the_second_scan_of_a_patient_a_case_of_its_own(tmp_path, series, text):
    top = tmp_path / "LIDC-IDRI"
    for uid in ("1.2.3", "1.2.4"):
        series(top / "LIDC-IDRI-0132" / uid / "s", patient="LIDC-IDRI-0132", uid=uid)
    cohort = made(top, "lidc")
    assert (cohort.ids, cohort.patients) == (["LIDC-IDRI-0132", "LIDC-IDRI-0132_2"], ["LIDC-IDRI-0132"])


def test_lidc_refuses_outlines_of_another_series_and_files_without_readings(tmp_path, series, text):
    ct = tmp_path / "in" / "LIDC-IDRI-0001" / "s"
    series(ct, patient="LIDC-IDRI-0001", uid="1.2.3")
    notes = text(ct / "069.xml", lidc_xml("1.2.3", nodule(curve("9.9", 1, 1, 2, 2))))
    with pytest.raises(RadloomError, match=r"outlines the slice 9\.9, which the series lacks"):
        build([tmp_path / "in"], tmp_path / "out")
    text(notes, lidc_xml("1.2.3"))
    with pytest.raises(RadloomError, match="holds no reading session"):
        read_readings(notes)
    text(notes, "<LidcReadMessage>")
    with pytest.raises(RadloomError, match=r"cannot read .*069\.xml"):
        build([tmp_path / "in"], tmp_path / "out")


@pytest.mark.parametrize("step_mm", [3.0, -3.0])
def test_the_pancreas_is_laid_on_columns_rows_and_instance_numbers_whatever_its_header_says(tmp_path, series, step_mm):
    top = tmp_path / "Pancreas-CT"
    series(top / "PANCREAS_0001" / "study" / "s", patient="PANCREAS_0001", uid="1.2.3", step_mm=step_mm)
    voxels = np.zeros((7, 6, 3), np.uint8)
    voxels[2, 4, 1] = 1
    voxels[2, 4, 2] = 1
    labels_at = top / "TCIA_pancreas_labels-02-05-2017"
    labels_at.mkdir()
    for name in ("label0001", "label0025"):
        nib.nifti1.Nifti1Image(voxels, np.diag([-9, 9, 9, 1])).to_filename(labels_at / f"{name}.nii.gz")
    cohort = made(top, "pancreas_ct")
    assert cohort.ids == ["PANCREAS_0001"]
    inside = cohort.image("PANCREAS_0001", "image.ct").voxels[cohort.image("PANCREAS_0001", "mask.pancreas").voxels > 0]
    assert sorted(inside.tolist()) == [100 + 40 + 2, 200 + 40 + 2]
    nib.nifti1.Nifti1Image(voxels[..., :2], np.eye(4)).to_filename(labels_at / "label0001.nii.gz")
    with pytest.raises(RadloomError, match=r"label0001\.nii\.gz has shape \(7, 6, 2\), its series has 3 files"):
        build([top], tmp_path / "bad")


def test_cq500_labels_are_what_two_of_three_readers_saw(tmp_path, series, text):
    top = tmp_path / "CQ500"
    for name, uid in (("CT Plain", "1.2.3"), ("CT PLAIN THIN", "1.2.4")):
        series(top / "CQ500CT0 CQ500CT0" / "Unknown Study" / name, patient="CQ500-CT-0", uid=uid, maker="GE",
               names=["CT000000.dcm", "CT000001.dcm", "CT000002.dcm"])  # fmt: skip
    series(top / "CQ500CT10 CQ500CT10" / "Unknown Study" / "CT 5mm", patient="CQ500-CT-10", uid="1.2.5")
    head = ",".join(f"{reader}:{name}" for reader in ("R1", "R2", "R3") for name in ("ICH", "MidlineShift"))
    text(top / "reads.csv", f"name,Category,{head}\nCQ500-CT-0,B1,1,0,1,0,0,1\nCQ500-CT-10,B2,0,1,0,1,0,1\n")
    cohort = made(top, "cq500")
    assert cohort.ids == ["CQ500CT0_CT_PLAIN_THIN", "CQ500CT0_CT_Plain", "CQ500CT10_CT_5mm"]
    assert cohort.patients == ["CQ500CT0", "CQ500CT10"]
    assert labels(cohort, "CQ500CT0_CT_Plain") == {"label.series": "CT_Plain", "label.ich": 1, "label.midlineshift": 0}
    assert labels(cohort, "CQ500CT10_CT_5mm")["label.midlineshift"] == 1


def test_rsna_slices_become_series_of_their_patients(tmp_path, series, text):
    top = tmp_path / "rsna"
    for patient, uid, start in (("ID_aa", "1.2.3", 0), ("ID_aa", "1.2.4", 3), ("ID_bb", "1.2.5", 6)):
        names = [f"ID_{start + k:09x}.dcm" for k in range(3)]
        series(top / "stage_2_train", patient=patient, uid=uid, names=names)
    rows = [f"ID_{i:09x}_{finding},{int((i, finding) in ((4, 'any'), (4, 'subdural')))}"
            for i in range(9) for finding in ("any", "subdural", "epidural")]  # fmt: skip
    text(top / "stage_2_train.csv", "\n".join(["ID,Label", *rows]))
    cohort = made(top, "rsna_ich")
    assert (cohort.ids, cohort.patients) == (["1.2.3", "1.2.4", "1.2.5"], ["ID_aa", "ID_bb"])
    assert [labels(cohort, case)["label.subdural"] for case in cohort.ids] == [0, 1, 0]
    assert [labels(cohort, case)["label.epidural"] for case in cohort.ids] == [0, 0, 0]
    assert cohort.image("1.2.4", "image.ct").shape == (7, 6, 3)


def test_osic_takes_the_measurement_nearest_to_the_ct_and_leaves_out_the_public_test(tmp_path, series, text):
    top, patient = tmp_path / "osic", "ID00007637202177411956430"
    series(top / "train" / patient, patient=patient, uid="1.2.3")
    series(top / "test" / "ID00419637202311204720264", patient="ID00419637202311204720264", uid="1.2.4")
    rows = [f"{patient},{week},{fvc},58.25,79,Male,Ex-smoker" for week, fvc in ((-4, 2315), (3, 2214), (9, 2061))]
    text(top / "train.csv", "\n".join(["Patient,Weeks,FVC,Percent,Age,Sex,SmokingStatus", *rows]))
    cohort = made(top, "osic")
    assert cohort.ids == [patient]
    assert labels(cohort, patient) == {
        "label.fvc": 2214, "label.fvc_percent": 58.25, "label.fvc_week": 3, "label.age": 79, "label.sex": "Male",
        "label.smoking": "Ex-smoker",
    }  # fmt: skip


def test_low_dose_ct_of_the_challenge_and_of_tcia_pairs_the_doses(tmp_path, series):
    challenge = tmp_path / "challenge"
    for kind, uid in (("3_1", 3), ("3_SHARP_1", 5)):
        for dose, place in (("FD", "full"), ("QD", "quarter")):
            names = [f"L067_{dose}_{kind}.CT.0001.000{k}.2015.12.22.18.09.40.840353.{k}.IMA" for k in range(3)]
            folder = challenge / "L067" / f"{place}_3mm{'_sharp' if 'SHARP' in kind else ''}"
            series(folder, patient="L067", uid=f"1.2.{uid}.{ord(dose[0])}", names=names)
    cohort = made(challenge, "aapm_ldct")
    assert cohort.ids == ["L067_3mm", "L067_3mm_sharp"]
    assert (cohort.patients, cohort.image_columns) == (["L067"], ["image.ct", "image.ct_low"])
    assert (cohort.table[cohort.image_columns] != "").all(axis=None)
    tcia = tmp_path / "LDCT-and-Projection-data"
    for name, uid in (
        ("Full dose images-31186", "1.3.1"),
        ("Low Dose Images-07574", "1.3.2"),
        ("Full dose projections-24362", "1.3.3"),
    ):
        series(tcia / "C002" / "08-30-2018-NA-NA-09658" / f"1.000000-{name}", patient="C002", uid=uid)
    cohort = made(tcia, "aapm_ldct")
    assert (cohort.ids, list(cohort.case("C002").images)) == (["C002"], ["image.ct", "image.ct_low"])
    assert (labels(cohort, "C002"), list(cohort.table["site"])) == ({"label.region": "chest"}, ["Mayo"])


def test_adni_reads_series_of_dicom_files_too(tmp_path, series):
    place = tmp_path / "ADNI" / "005_S_0221" / "Axial_T2_FLAIR" / "2011-03-02_09_00_00.0" / "I222300"
    series(place, patient="005_S_0221", uid="1.2.3", maker="Philips")
    cohort = made(tmp_path / "ADNI", "adni")
    assert (cohort.ids, cohort.image_columns) == (["005_S_0221_2011-03-02"], ["image.flair"])
    assert list(cohort.table["vendor"]) == ["Philips"]
