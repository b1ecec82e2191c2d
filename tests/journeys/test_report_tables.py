"""The report's statistics against values worked out by hand or by SciPy, by patient."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from radloom.errors import RadloomError
from radloom.report import figures, names, pictures, tables, verdict
from radloom.report.source import Source
from radloom.results import Results, Row
from radloom.types import Image

PATIENTS = ("p1", "p2", "p3", "p4", "p5", "p6", "p7")


def source(rows: list[Row]) -> Source:
    record = {"system": "s", "target": ["image.flair"], "inputs": ["image.t2"], "cohort": "", "seed": 3}
    return Source(Path(), record, Results.of(rows).table, "test", None, None, "")


def row(patient, arm, value, *, case="", replaced="", target="image.flair", region="brain", metric="psnr", unit="dB"):
    return Row("s", "r", 0, case or patient, patient, "test", arm, replaced, target, region, metric, value, unit)


def fidelity_rows() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    start = rng.normal(28, 2, len(PATIENTS))
    return {
        arm: start + gain + rng.normal(0, 0.5, len(PATIENTS))
        for arm, gain in (("model", 2), ("cubic", 0), ("zero", -9))
    }


def test_a_cell_is_the_mean_over_patients_with_an_interval_around_it():
    values = fidelity_rows()
    table = tables.fidelity(
        source([row(p, a, v) for a, vs in values.items() for p, v in zip(PATIENTS, vs, strict=True)])
    )[0]
    for arm, expected in values.items():
        cell = table.cell(arm, "brain", "psnr")
        assert cell.mean == pytest.approx(expected.mean())
        assert cell.n == len(PATIENTS)
        assert expected.min() < cell.low < cell.mean < cell.high < expected.max()
    assert table.cell("model", "brain", "psnr").best
    assert not table.cell("cubic", "brain", "psnr").best


def test_two_cases_of_one_patient_count_as_one_patient():
    rows = [row("p1", "model", 20.0, case="a"), row("p1", "model", 30.0, case="b"), row("p2", "model", 31.0)]
    cell = tables.fidelity(source(rows))[0].cell("model", "brain", "psnr")
    assert cell.n == 2
    assert cell.mean == pytest.approx((25 + 31) / 2)


def test_p_values_are_scipys_wilcoxon_with_holm_over_the_baselines():
    values = fidelity_rows()
    table = tables.fidelity(
        source([row(p, a, v) for a, vs in values.items() for p, v in zip(PATIENTS, vs, strict=True)])
    )[0]
    p = {arm: stats.wilcoxon(values["model"], values[arm], method="exact").pvalue for arm in ("cubic", "zero")}
    first, second = sorted(p, key=lambda arm: p[arm])
    holm = {first: min(1, 2 * p[first]), second: min(1, max(2 * p[first], p[second]))}
    for arm in p:
        cell = table.cell(arm, "brain", "psnr")
        assert cell.model.p == pytest.approx(p[arm])
        assert cell.model.p_holm == pytest.approx(holm[arm])
        assert cell.model.difference == pytest.approx((values["model"] - values[arm]).mean())


def test_identical_images_are_counted_and_left_out_of_the_mean():
    rows = [row("p1", "model", math.inf), row("p2", "model", 30.0), row("p3", "model", 32.0)]
    cell = tables.fidelity(source(rows))[0].cell("model", "brain", "psnr")
    assert cell.mean == pytest.approx(31.0)
    assert (cell.n, cell.infinite) == (2, 1)


def test_lower_is_best_for_an_error():
    rows = [row(p, a, v, metric="mae") for p in PATIENTS[:2] for a, v in (("model", 0.2), ("cubic", 0.1))]
    table = tables.fidelity(source(rows))[0]
    assert table.cell("cubic", "brain", "mae").best
    assert not table.cell("model", "brain", "mae").best


def study_source() -> Source:
    rows = []
    for i, patient in enumerate(PATIENTS):
        for arm, replaced, value in (("real", "", 0.9 - 0.01 * i), ("model", "image.flair", 0.88 - 0.012 * i),
                                     ("zero", "image.flair", 0.5 + 0.01 * i)):  # fmt: skip
            rows.append(
                row(patient, arm, value, replaced=replaced, target="", region="whole tumour", metric="dice", unit="1")
            )
    return source(rows)


def test_the_study_compares_each_arm_with_all_real_and_each_baseline_with_the_model():
    found = {(r.replaced, r.arm): r.cells[0] for r in tables.study_rows(study_source())}
    loss = np.array([-0.02 - 0.002 * i for i in range(7)])
    assert found["image.flair", "model"].loss.difference == pytest.approx(loss.mean())
    assert found["image.flair", "model"].model is None
    assert found["image.flair", "zero"].model.difference == pytest.approx(np.mean([0.38 - 0.022 * i for i in range(7)]))
    assert found["image.flair", "zero"].model.p == pytest.approx(2 / 2**7)
    assert found["image.flair", "zero"].loss.p_holm == pytest.approx(2 * 2 / 2**7)
    assert found["", "real"].loss is None


def recorded(difference: float) -> dict:
    place = {"replaced": "image.flair", "arm": "model", "against": "real", "region": "whole tumour", "metric": "dice"}
    found = {"n": 7, "difference": difference, "low": -0.5, "high": None, "p": 0.01, "p_holm": 0.3}
    return {"name": "replace", "comparisons": [place | found]}


def test_the_study_table_repeats_the_interval_and_p_that_the_study_wrote():
    made = replace(study_source(), study=recorded(float(np.mean([-0.02 - 0.002 * i for i in range(7)]))))
    found = {(r.replaced, r.arm): r.cells[0] for r in tables.study_rows(made)}
    assert found["image.flair", "model"].loss.p_holm == 0.3
    assert found["image.flair", "model"].loss.low == -0.5


def test_a_study_made_from_other_results_is_refused():
    with pytest.raises(RadloomError, match="disagree"):
        tables.study_rows(replace(study_source(), study=recorded(-0.1)))


def spoken(gains: dict[str, float], patients: tuple[str, ...] = PATIENTS) -> verdict.Verdict:
    rows = [row(p, a, 25 + g + 0.1 * i * (a == "model")) for i, p in enumerate(patients) for a, g in gains.items()]
    made = source(rows)
    return verdict.verdict(made, tables.fidelity(made), [], [])


def test_the_verdict_says_when_the_model_beats_its_baselines_and_when_not():
    won = spoken({"model": 3, "cubic": 0, "zero": -9})
    assert won.baselines == "The model beats every trivial baseline."
    lost = spoken({"model": -3, "cubic": 0, "zero": -9})
    assert lost.baselines == "The model does not beat every trivial baseline."
    assert "does not beat" in lost.against[0]
    few = spoken({"model": 3, "cubic": 0}, PATIENTS[:3])
    assert "not shown to beat" in few.baselines
    assert "not shown to differ" in few.against[0]


def test_numbers_are_written_with_a_true_minus_and_sensible_digits():
    assert names.fixed(-0.0349, 3) == "−0.035"
    assert names.fixed(-0.0001, 3) == "0.000"
    assert names.signed(0.02, 2) == "+0.02"
    assert names.p_value(0.00001) == "p < 0.001"
    assert names.p_value(0.0312) == "p = 0.031"
    assert names.duration(101.2) == "1 min 41 s"


def test_a_slice_is_shown_with_the_patients_right_on_the_left_and_anterior_up():
    voxels = np.zeros((4, 5, 3), dtype=np.float32)
    voxels[3, 4, 1] = 1  # the patient's right, anterior
    shown = pictures.display(voxels[:, :, 1])
    assert shown.shape == (5, 4)
    assert shown[0, 0] == 1
    assert shown.sum() == 1


def test_the_slice_with_most_lesion_is_shown_in_millimetres():
    image = Image(np.ones((10, 12, 6), dtype=np.float32), np.diag([1.0, 2.0, 3.0, 1.0]))
    lesion = np.zeros(image.shape, dtype=bool)
    lesion[2:5, 2:5, 4] = lesion[2, 2, 1] = True
    seen = pictures.view(image, inside=image.voxels > 0, lesion=lesion)
    assert (seen.axis, seen.index) == (2, 4)
    assert seen.band == 1
    assert seen.size_mm == (26.0, 10.0)
    assert not seen.of(image.voxels)[0].any()
    assert seen.of(image.voxels)[1:].all()


def test_a_thick_sagittal_series_is_shown_in_its_own_plane():
    image = Image(np.ones((5, 20, 20), dtype=np.float32), np.diag([6.0, 1.0, 1.0, 1.0]))
    assert pictures.view(image, inside=image.voxels > 0, lesion=None).plane == "sagittal"


def test_an_outline_runs_around_the_voxels_of_the_mask():
    mask = np.zeros((6, 6), dtype=bool)
    mask[2:4, 1:5] = True
    points = np.array([[float(n) for n in p.split()] for p in pictures.outline(mask).strip("MZ").split("L")])
    assert points.min(axis=0).tolist() == [1.0, 2.0]
    assert points.max(axis=0).tolist() == [5.0, 4.0]


def test_an_axis_holds_its_values_between_round_ticks():
    axis = figures.scale([12.3, math.nan, 33.1])
    assert axis.low <= 12.3
    assert axis.high >= 33.1
    assert all(t % 5 == 0 for t in axis.ticks)
    assert axis.percent(axis.high) == 100


def test_a_curve_reaches_from_the_first_to_the_last_step():
    steps = np.arange(0, 101, 10)
    losses = pd.DataFrame(
        {"step": steps, "seconds": steps / 10, "name": "val.psnr.image.flair", "value": 20.0 + steps / 10}
    )
    (panel,) = figures.panels(losses)
    assert panel.title == "validation PSNR"
    assert (panel.lines[0].name, panel.lines[0].last) == ("FLAIR", "30")
    assert panel.lines[0].smooth.startswith("M0 1000")
    assert panel.lines[0].smooth.endswith("1000 0")
