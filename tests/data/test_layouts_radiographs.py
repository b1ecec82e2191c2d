"""Public sets of chest radiographs: small trees with the real names become the right cohort."""

import numpy as np
import pytest
from layout_cases import labels, made

from radloom.data.build import build
from radloom.data.layouts.jsrt import read_film, read_mask
from radloom.errors import RadloomError

CHEXPERT = "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Cardiomegaly,Pleural Effusion\n"


def test_chexpert_has_a_case_for_each_picture_and_its_uncertain_labels(tmp_path, film, text):
    top = tmp_path / "CheXpert-v1.0-small"
    film(top / "train" / "patient00001" / "study1" / "view1_frontal.jpg", np.full((6, 8), 7, np.uint8))
    film(top / "train" / "patient00001" / "study1" / "view2_lateral.jpg", np.full((6, 8), 7, np.uint8))
    film(top / "valid" / "patient64541" / "study1" / "view1_frontal.jpg", np.full((6, 8), 7, np.uint8))
    rows = ["train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,AP,,-1.0,1.0",
            "train/patient00001/study1/view2_lateral.jpg,Female,68,Lateral,,,,0.0",
            "train/patient00002/study1/view1_frontal.jpg,Male,1,Frontal,PA,1.0,,"]  # fmt: skip
    text(top / "train.csv", CHEXPERT + "\n".join(f"CheXpert-v1.0-small/{row}" for row in rows))
    valid = "CheXpert-v1.0-small/valid/patient64541/study1/view1_frontal.jpg,Male,73,Frontal,AP,0.0,1.0,0.0\n"
    text(top / "valid.csv", CHEXPERT + valid)
    cohort = made(top, "chexpert")
    first = "patient00001_study1_view1_frontal"
    assert cohort.ids == [first, "patient00001_study1_view2_lateral", "patient64541_study1_view1_frontal"]
    assert cohort.patients == ["patient00001", "patient64541"]
    said = labels(cohort, first)
    assert (said["label.cardiomegaly"], said["label.pleural_effusion"], said["label.view"]) == (-1, 1, "AP")
    assert "label.no_finding" not in said
    assert (said["label.sex"], said["label.age"], said["label.part"]) == ("F", 68, "train")
    assert labels(cohort, cohort.ids[1])["label.view"] == "lateral"
    assert labels(cohort, cohort.ids[2])["label.part"] == "val"
    film(top / "train" / "patient00003" / "study1" / "view1_frontal.jpg", np.full((6, 8), 7, np.uint8))
    with pytest.raises(RadloomError, match=r"patient00003/study1/view1_frontal\.jpg; expected pictures"):
        build([top], tmp_path / "out")


NIH = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,OriginalImage[Width,"
    "Height],OriginalImagePixelSpacing[x,y],\n"
)


def test_chestxray14_turns_its_list_of_findings_into_columns(tmp_path, film, text):
    top = tmp_path / "nih"
    for name in ("00000001_000", "00000001_001", "00000002_000"):
        film(top / "images_001" / "images" / f"{name}.png")
    rows = ["00000001_000.png,Cardiomegaly|Effusion,0,1,058Y,M,PA", "00000001_001.png,No Finding,1,1,058Y,M,AP",
            "00000002_000.png,Mass,0,2,081Y,M,PA"]  # fmt: skip
    text(top / "Data_Entry_2017_v2020.csv", NIH + "".join(f"{row},1,1,1,1,\n" for row in rows))
    text(top / "train_val_list.txt", "00000001_000.png\n00000001_001.png\n")
    text(top / "test_list.txt", "00000002_000.png")
    cohort = made(top, "chestxray14")
    assert cohort.patients == ["00000001", "00000002"]
    first = labels(cohort, "00000001_000")
    assert {name for name, value in first.items() if value == 1} == {"label.cardiomegaly", "label.effusion"}
    assert (first["label.age"], first["label.view"], first["label.part"]) == (58, "PA", "train")
    assert sum(value for name, value in labels(cohort, "00000001_001").items() if value in (0, 1)) == 0
    assert labels(cohort, "00000002_000")["label.part"] == "test"


BOXES = "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"


def test_the_boxes_of_chestxray14_lie_on_what_they_were_drawn_around(tmp_path, film, text):
    top = tmp_path / "nih"
    rows = np.zeros((1024, 1024), np.uint8)
    rows[547:626, 225:312] = 200
    film(top / "00013118_008.png", rows)
    film(top / "00000001_000.png", rows)
    film(top / "00029579_005.png", np.zeros((512, 256), np.uint8))  # made smaller by its owner
    names = ["00013118_008.png,Atelectasis", "00000001_000.png,No Finding", "00029579_005.png,Mass|Nodule"]
    text(top / "Data_Entry_2017.csv", NIH + "".join(f"{name},1,1,050Y,F,PA,1,1,1,1,\n" for name in names))
    text(top / "BBox_List_2017.csv", BOXES + "00013118_008.png,Atelectasis,225.084745762712,547.019216763771,"
         "86.7796610169491,79.1864406779661,,,\n00029579_005.png,Mass,0,0,512,256,,,\n"
         "00029579_005.png,Nodule,1000,1000,100,100,,,\n99999999_000.png,Mass,1,1,2,2,,,\n")  # fmt: skip
    cohort = made(top, "chestxray14")
    picture, box = (cohort.image("00013118_008", column).voxels for column in ("image.xray", "mask.box"))
    assert ((picture > 100) == (box == 1)).all()
    assert labels(cohort, "00013118_008")["text.box_findings"] == "1:Atelectasis"
    # To the right of the first half is the patient's Left, the voxels' low x; the top quarter is the high y.
    assert labels(cohort, "00029579_005")["text.boxes"] == "1:128,384,0,256,512,1 2:0,0,0,6,12,1"
    assert "text.boxes" not in labels(cohort, "00000001_000")
    text(top / "BBox_List_2017.csv", BOXES + "00013118_008.png,Mass,1,1,nothing,2,,,\n")
    with pytest.raises(RadloomError, match=r"a box of 00013118_008\.png that is no box"):
        build([top], tmp_path / "out")


def test_real_pictures_of_chestxray14_become_cases_of_their_patients(shared, tmp_path, text):
    names = ["00000190_001.png", "00000193_012.png", "00000194_000.png", "00000194_004.png"]
    (tmp_path / "nih" / "images").mkdir(parents=True)
    for name in names:
        (tmp_path / "nih" / "images" / name).symlink_to(
            shared / "cxr_nih64_normal_abnormal" / "valid" / "0_normal" / name
        )
    rows = [f"{name},No Finding,0,{int(name[:8])},050Y,F,PA,1,1,1,1,\n" for name in names]
    text(tmp_path / "nih" / "Data_Entry_2017.csv", NIH + "".join(rows))
    cohort = made(tmp_path / "nih", "chestxray14")
    assert cohort.patients == ["00000190", "00000193", "00000194"]
    assert {cohort.image(case, "image.xray").shape for case in cohort.ids} == {(64, 64, 1)}


def test_a_table_that_lost_a_column_is_refused(tmp_path, film, text):
    film(tmp_path / "nih" / "00000001_000.png")
    text(tmp_path / "nih" / "Data_Entry_2017.csv", "Image Index,Patient ID\n00000001_000.png,1\n")
    with pytest.raises(RadloomError, match="has no column Finding Labels, Patient Age, View Position"):
        build([tmp_path / "nih"], tmp_path / "out")
    text(tmp_path / "nih" / "copy" / "Data_Entry_2017_v2020.csv", NIH)
    with pytest.raises(RadloomError, match="holds 2 files Data_Entry_2017"):
        build([tmp_path / "nih"], tmp_path / "out")
    row = "00000001_000.png,Mass,0,2,081Y,M,PA,1,1,1,1,\n"
    for place in ("", "copy"):
        text(tmp_path / "nih" / place / "Data_Entry_2017.csv", NIH + row)
    (tmp_path / "nih" / "copy" / "Data_Entry_2017_v2020.csv").unlink()
    assert labels(build([tmp_path / "nih"], tmp_path / "same"), "00000001_000")["label.mass"] == 1


PADCHEST = "ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,Projection,Modality_DICOM,"


def test_padchest_has_report_findings_vendor_and_age(tmp_path, film, text):
    top = tmp_path / "padchest"
    film(top / "0" / "2053_k6ga29.png", np.arange(48, dtype=np.uint16).reshape(6, 8) * 1000)
    film(top / "1" / "99_x.png")
    text(top / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv",
         PADCHEST + "Manufacturer_DICOM,Report,MethodLabel,Labels\n"
         "2053_k6ga29.png,0,20140915,1,839,1930.0,F,PA,CR,Imaging Dynamics,sin hallazgos signific .,Physician,"
         "\"['pulmonary fibrosis', 'chronic changes', 'kyphosis']\"\n"
         "99_x.png,1,20140916,2,840,,M,L,CR,,rx normal .,RNN_model,['normal']\n")  # fmt: skip
    cohort = made(top, "padchest")
    first, second = (labels(cohort, case) for case in cohort.ids)
    assert cohort.patients == ["839", "840"]
    assert first["label.findings"] == "pulmonary fibrosis; chronic changes; kyphosis"
    assert (first["label.normal"], first["label.age"], first["text.report"]) == (0, 84, "sin hallazgos signific .")
    assert (second["label.normal"], second.get("label.age"), second["label.view"]) == (1, None, "L")
    assert list(cohort.table["vendor"]) == ["Imaging Dynamics", ""]
    assert cohort.image("2053_k6ga29", "image.xray").voxels.max() == 47000


OPEN_I = """<?xml version="1.0" encoding="utf-8"?><eCitation><uId id="CXR1"/><MedlineCitation><Article><Abstract>
<AbstractText Label="COMPARISON">None.</AbstractText><AbstractText Label="INDICATION">Positive TB test</AbstractText>
<AbstractText Label="FINDINGS">The cardiac silhouette is normal.
Lungs are clear.</AbstractText><AbstractText Label="IMPRESSION">Normal chest.</AbstractText>
</Abstract></Article></MedlineCitation><MeSH><major>normal</major></MeSH>
<parentImage id="CXR1_1_IM-0001-3001"/><parentImage id="CXR1_1_IM-0001-4001"/></eCitation>"""


def test_open_i_gives_each_picture_the_sections_of_its_report(tmp_path, film, text):
    top = tmp_path / "openi"
    for view in ("3001", "4001"):
        film(top / "NLMCXR_png" / f"CXR1_1_IM-0001-{view}.png")
    text(top / "ecgen-radiology" / "1.xml", OPEN_I)
    cohort = made(top, "open_i")
    assert (len(cohort), cohort.patients) == (2, ["CXR1"])
    said = labels(cohort, "CXR1_1_IM-0001-3001")
    assert said["text.report"] == "The cardiac silhouette is normal. Lungs are clear. Normal chest."
    assert (said["text.indication"], said["text.impression"]) == ("Positive TB test", "Normal chest.")
    assert (said["label.normal"], said["label.findings"]) == (1, "normal")
    assert said["text.comparison"] == "None."
    film(top / "NLMCXR_png" / "CXR9_IM-1.png")
    with pytest.raises(RadloomError, match=r"CXR9_IM-1\.png; expected pictures that a report"):
        build([top], tmp_path / "out")
    text(top / "ecgen-radiology" / "2.xml", "<eCitation>")
    with pytest.raises(RadloomError, match=r"cannot read .*2\.xml"):
        build([top], tmp_path / "out")


def test_montgomery_has_both_lungs_and_the_reading(tmp_path, film, text):
    top, case = tmp_path / "MontgomerySet", "MCUCXR_0104_1"
    white = np.zeros((6, 8), np.uint8)
    white[2:4, 2:5] = 255
    film(top / "CXR_png" / f"{case}.png")
    film(top / "ManualMask" / "leftMask" / f"{case}.png", white)
    film(top / "ManualMask" / "rightMask" / f"{case}.png", white > 0)
    text(top / "ClinicalReadings" / f"{case}.txt", "Patient's Sex: F\nPatient's Age: 025Y\nLUL infiltrate\nTB\n")
    cohort = made(top, "montgomery")
    assert list(cohort.case(case).images) == ["image.xray", "mask.left_lung", "mask.right_lung"]
    for column in ("mask.left_lung", "mask.right_lung"):
        assert (cohort.image(case, column).voxels.sum(), cohort.image(case, column).voxels.max()) == (6, 1)
    expected = {"label.tuberculosis": 1, "label.sex": "F", "label.age": 25, "text.report": "LUL infiltrate TB"}
    assert labels(cohort, case) == expected


def test_shenzhen_has_masks_of_a_later_release_and_names_colour_pictures(tmp_path, film, text):
    top, case = tmp_path / "ChinaSet_AllFiles", "CHNCXR_0001_0"
    film(top / "CXR_png" / f"{case}.png")
    film(top / "mask" / f"{case}_mask.png", np.full((6, 8), 255, np.uint8))
    text(top / "ClinicalReadings" / f"{case}.txt", "female 45yrs\nnormal\n")
    cohort = made(top, "shenzhen")
    assert cohort.image(case, "mask.lungs").voxels.sum() == 48
    expected = {"label.tuberculosis": 0, "label.sex": "F", "label.age": 45, "text.report": "normal"}
    assert labels(cohort, case) == expected
    film(
        top / "CXR_png" / "CHNCXR_0002_1.png",
        np.dstack([np.eye(6, 8, dtype=np.uint8)] * 2 + [np.zeros((6, 8), np.uint8)]),
    )
    with pytest.raises(RadloomError, match=r"CHNCXR_0002_1\.png is a colour picture"):
        build([top], tmp_path / "out")


CLINICAL = (
    "JPCLN001.IMG\t5\t15\t53\tFemale\t1634\t692\tmalignant\tl.upper lobe\tlung cancer"
    "JPCLN002.IMG\t4\t30\t78\tMale\t1000\t900\tbenign\tr.lower lobe\tgranuloma\n"
)


def test_a_jsrt_film_is_twelve_bits_big_endian_with_bone_bright_and_masks_over_the_same_field(tmp_path, text):
    import PIL.Image

    top = tmp_path / "JSRT"
    raw = np.full((2048, 2048), 4095, ">u2")  # air is white as published
    raw[692, 1634] = 256  # one byte swapped it would be 1
    (top / "Nodule154images").mkdir(parents=True)
    raw.tofile(top / "Nodule154images" / "JPCLN001.IMG")
    text(top / "CLNDAT_EN.txt", CLINICAL)
    organ = np.zeros((1024, 1024), np.uint8)
    organ[346, 817] = 255  # rows 692-693, columns 1634-1635 of the film
    for name in ("left lung", "heart"):
        (top / "SCR" / "fold1" / "masks" / name).mkdir(parents=True)
        PIL.Image.fromarray(organ).save(top / "SCR" / "fold1" / "masks" / name / "JPCLN001.gif")
    cohort = made(top, "jsrt", like="image.xray")
    image, lung = cohort.image("JPCLN001", "image.xray"), cohort.image("JPCLN001", "mask.left_lung")
    assert cohort.image_columns == ["image.xray", "mask.box", "mask.heart", "mask.left_lung"]
    np.testing.assert_allclose(image.spacing_mm, (0.175, 0.175, 1.0), rtol=1e-6)
    assert (image.unit, image.voxels.max(), image.voxels.min()) == ("grey", 4095 - 256, 0)
    assert image.voxels[2047 - 1634, 2047 - 692, 0] == 4095 - 256
    inside = {(int(2047 - x), int(2047 - y)) for x, y, _ in np.argwhere(lung.voxels)}
    assert inside == {(1634, 692), (1634, 693), (1635, 692), (1635, 693)}
    # 15 mm are 85.7 pixels around (1634, 692): columns 1591.1 to 1676.9, rows 649.1 to 734.9.
    box = np.argwhere(cohort.image("JPCLN001", "mask.box").voxels)
    assert (2048 - box.max(0)[:2] - 1).tolist() == [1591, 649]
    assert (2048 - box.min(0)[:2]).tolist() == [1677, 735]
    said = labels(cohort, "JPCLN001")
    assert said["text.boxes"] == "1:371,1313,0,457,1399,1"
    assert (said["label.nodule"], said["label.malignant"], said["label.diameter_mm"]) == (1, 1, 15)
    assert (said["label.nodule_x"], said["label.nodule_y"], said["text.diagnosis"]) == (1634, 692, "lung cancer")


def test_a_jsrt_film_as_picture_keeps_its_orientation_and_a_wrong_file_is_refused(tmp_path, film):
    rows = np.arange(48, dtype=np.uint8).reshape(6, 8)
    image = read_film(film(tmp_path / "JPCNN001.png", rows))
    np.testing.assert_allclose(image.spacing_mm[:2], (2048 * 0.175 / 8, 2048 * 0.175 / 6))
    assert image.voxels[7, 5, 0] == rows[0, 0]
    assert image.voxels[7, 0, 0] == rows[5, 0]
    (tmp_path / "JPCNN002.IMG").write_bytes(b"\0" * 100)
    with pytest.raises(RadloomError, match=r"JPCNN002\.IMG holds 50 values"):
        read_film(tmp_path / "JPCNN002.IMG")
    (tmp_path / "JPCNN002.gif").write_bytes(b"GIF89a")
    with pytest.raises(RadloomError, match=r"cannot read .*JPCNN002\.gif"):
        read_mask(tmp_path / "JPCNN002.gif")


REPORT = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 FINDINGS:
 There is no focal consolidation,
 pleural effusion or pneumothorax.

 IMPRESSION:
 No acute cardiopulmonary process.
"""


def test_mimic_cxr_has_view_part_findings_and_the_studys_report(tmp_path, film, text):
    import gzip

    top, picture = tmp_path / "mimic", "02aa804e-bde0afdd-112c0b34-7bc16630-4e384014"
    film(top / "files" / "p10" / "p10000032" / "s50414267" / f"{picture}.jpg", np.full((6, 8), 7, np.uint8))
    text(top / "files" / "p10" / "p10000032" / "s50414267.txt", REPORT)
    tables = {
        "metadata": f"dicom_id,subject_id,study_id,ViewPosition,Rows\n{picture},10000032,50414267,PA,3056\n",
        "split": f"dicom_id,study_id,subject_id,split\n{picture},50414267,10000032,validate\n",
        "chexpert": "subject_id,study_id,Atelectasis,Lung Lesion,No Finding\n10000032,50414267,-1.0,,1.0\n",
    }
    for name, content in tables.items():
        (top / f"mimic-cxr-2.0.0-{name}.csv.gz").write_bytes(gzip.compress(content.encode()))
    cohort = made(top, "mimic_cxr")
    assert (cohort.ids, cohort.patients) == ([f"s50414267_{picture}"], ["p10000032"])
    said = labels(cohort, cohort.ids[0])
    assert (said["label.view"], said["label.part"], said["label.study"]) == ("PA", "val", "s50414267")
    assert (said["label.atelectasis"], said["label.no_finding"], said.get("label.lung_lesion")) == (-1, 1, None)
    assert said["text.findings"] == "There is no focal consolidation, pleural effusion or pneumothorax."
    assert said["text.impression"] == "No acute cardiopulmonary process."
    assert said["text.report"].startswith("FINAL REPORT EXAMINATION: CHEST")
