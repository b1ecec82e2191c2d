"""Dose-relevant accuracy of a drawn CT: water-equivalent depth along treatment beams, and bone, against the real CT."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float

from radloom.data.cohort import Cohort
from radloom.errors import RadloomError
from radloom.evaluation import Arms, all_arms
from radloom.files import write_json
from radloom.metrics.overlap import dice
from radloom.results import Results, Row
from radloom.runfolder import RunFolder
from radloom.studies.against_baselines import averages, gained, gains, verdict, with_interval
from radloom.system import Recipe, translation

QUESTION = "How far would a treatment planned on the drawn CT miss: in depth of water along the beam, and in bone?"
BEAMS = {"lateral beams": 0, "anterior beams": 1}  # the axis along which they run
BONE = 250.0  # HU (Emami et al. 2018)
_LONG = 50.0  # mm of head that a ray must cross to count


def needs(recipe: Recipe, cohort: Cohort) -> str | None:
    """Why the study cannot run on this cohort; None when it can."""
    task = translation(recipe)
    if len(task.target) != 1:
        return "it looks at one drawn CT, not at several images"
    cases = [case for case in cohort.where("test").ids if cohort.path(case, task.target[0]) is not None]
    if not cases:
        return f"no test case has {task.target[0]}"
    unit = cohort.image(cases[0], task.target[0]).unit
    return None if unit == "HU" else f"{task.target[0]} is in units of {unit}, not in HU"


def run(recipe: Recipe, folder: RunFolder, cohort: Cohort) -> dict[str, object]:
    """Follows the beams through every arm of the test cases; writes results.csv and study.json.

    Raises RadloomError when `needs` names a reason.
    """
    started = time.perf_counter()
    missing = needs(recipe, cohort)
    if missing:
        raise RadloomError(f"the study beams cannot run: {missing}", expected="a system that draws CT in HU")
    arms = all_arms(recipe, folder, cohort)
    rows = [row for case in cohort.where("test").ids for row in _rows(recipe, folder, cohort, arms, case)]
    results = Results.of(rows)
    results.added_to(folder.results)
    study = {"name": "beams", **findings(results)}
    write_json(folder.path / "study.json", study)
    folder.add_stage("study", time.perf_counter() - started)
    return study


def electron_density(hu: Float[np.ndarray, "*s"]) -> Float[np.ndarray, "*s"]:
    """The electron density relative to water: 1 + HU / 1000 below water, 1 + HU / 1950 above; never below 0.

    Slopes of Thomas SJ. Br J Radiol 1999;72:781-786, joined at water (ours), so that noise makes no step. Blind to
    the scanner's own calibration and to metal.

    >>> electron_density(np.array([-1000.0, 0.0, 975.0])).tolist()
    [0.0, 1.0, 1.5]
    """
    return np.maximum(1 + np.where(hu < 0, hu / 1000, hu / 1950), 0)


def depth_error(
    drawn: Float[np.ndarray, "x y z"], real: Float[np.ndarray, "x y z"], inside: Bool[np.ndarray, "x y z"],
    axis: int, spacing_mm: float,
) -> float:  # fmt: skip
    """The mean absolute error of the water-equivalent depth (mm) behind the head, over parallel beams along an axis.

    depth = sum of electron density x voxel length inside the region; images in HU. Rays that cross less than 50 mm of
    the region do not count; NaN where none does. A beam's range errs by about this much: 1 mm matters near an organ.
    """
    crossed = inside.sum(axis) * spacing_mm
    change = np.where(inside, electron_density(drawn) - electron_density(real), 0).sum(axis) * spacing_mm
    counts = crossed >= _LONG
    return float(np.abs(change[counts]).mean()) if counts.any() else float("nan")


def findings(results: Results) -> dict[str, object]:
    """Question, answer, verdict and tables from the study's rows."""
    lateral = results.values(metric="depth error", region="lateral beams", split="test")
    leads = gains(lateral, sign=-1)
    depths = averages(lateral, "beams")
    best = min(leads, key=lambda arm: np.nan_to_num(depths[arm].estimate))
    sentence = (
        f"Along lateral beams the drawn CT is wrong by {with_interval(depths['model'], 2)} mm of water in the mean, "
        f"the best map without a generator ({best}) by {with_interval(depths[best], 2)} mm ({len(lateral)} cases)"
    )
    answer, passed = verdict(sentence, leads, "this depth")
    anterior = results.values(metric="depth error", region="anterior beams", split="test")
    rows = [[arm, with_interval(found, 2), *gained(leads, arm, 2), f"{anterior[arm].mean():.2f}"]
            for arm, found in depths.items()]  # fmt: skip
    overlap, bias = (results.values(metric=name, region="bone", split="test") for name in ("dice", "bias"))
    bone = [[str(arm), f"{overlap[arm].mean():.3f}", f"{bias[arm].mean():+.0f}"] for arm in overlap.columns]
    tables = [
        {"title": "Depth of water behind the head", "rows": rows, "columns": ["CT", "lateral beams, error, mm",
         "gain of the model, mm", "p (Holm)", "anterior beams, error, mm"],
         "note": "Mean absolute error over parallel beams that cross at least 50 mm of head."},
        {"title": "Bone", "rows": bone, "columns": ["CT", "Dice of voxels above 250 HU", "bias in real bone, HU"],
         "note": "Bias: drawn minus real, over the voxels that are bone in the real CT."},
    ]  # fmt: skip
    return {"question": QUESTION, "answer": answer, "passed": passed, "tables": tables, "figures": []}


def _rows(recipe: Recipe, folder: RunFolder, cohort: Cohort, arms: Arms, case: str) -> Iterator[Row]:
    task, record = translation(recipe), folder.record()
    key, prepared, about = task.target[0], task.read(cohort, case), cohort.case(case, [])
    scale, inside = prepared.scales[key], prepared.region
    real = prepared.channels[key] * scale.scale + scale.offset
    bone = (real > BONE) & inside
    for arm, images in arms.of(prepared):
        drawn = images[0] * scale.scale + scale.offset
        found = [(region, "depth error", depth_error(drawn, real, inside, axis, prepared.grid.spacing_mm[axis]), "mm")
                 for region, axis in BEAMS.items()]  # fmt: skip
        found.append(("bone", "dice", dice((drawn > BONE) & inside, bone), "1"))
        if bone.any():
            found.append(("bone", "bias", float((drawn - real)[bone].mean()), "HU"))
        for region, metric, value, unit in found:
            yield Row(system=record["system"], run=folder.path.name, seed=record["seed"], case=case,
                      patient=prepared.patient, split=about.split, arm=arm, replaced="", target=key, region=region,
                      metric=metric, value=value, unit=unit)  # fmt: skip
