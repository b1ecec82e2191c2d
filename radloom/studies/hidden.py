"""Hidden uptake: how far drawn PET is off where a change of uptake leaves no trace on MRI, and elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float

from radloom.data.cohort import Cohort, check_one_grid
from radloom.errors import RadloomError
from radloom.evaluation import Arms, all_arms
from radloom.files import write_json
from radloom.results import Results, Row
from radloom.runfolder import RunFolder
from radloom.studies.against_baselines import averages, gained, gains, verdict, with_interval
from radloom.system import Recipe, translation

QUESTION = (
    "How far is the drawn uptake off in the regions that follow anatomy, and where MRI shows nothing of a change?"
)
FOCUS, REGIONS, BRAIN = "mask.focus", "mask.regions", "mask.brain"
_LEAST = 8  # voxels of a region that counts


def needs(recipe: Recipe, cohort: Cohort) -> str | None:
    """Why the study cannot run on this cohort; None when it can."""
    if len(translation(recipe).target) != 1:
        return "it looks at one drawn PET, not at several images"
    part = cohort.where("test")
    if not part.ids:
        return "the cohort has no test case"
    for key in (FOCUS, REGIONS, BRAIN):
        if key not in part.table.columns or not all(part.path(case, key) for case in part.ids):
            return f"not every test case has {key}"
    return None


def run(recipe: Recipe, folder: RunFolder, cohort: Cohort) -> dict[str, object]:
    """Measures every arm of the test cases; writes results.csv and study.json.

    Raises RadloomError when `needs` names a reason.
    """
    started = time.perf_counter()
    missing = needs(recipe, cohort)
    if missing:
        raise RadloomError(f"the study hidden cannot run: {missing}", expected="a cohort such as brain-pet")
    arms = all_arms(recipe, folder, cohort)
    results = Results.of(row for case in cohort.where("test").ids for row in _rows(recipe, folder, cohort, arms, case))
    results.added_to(folder.results)
    study = {"name": "hidden", **findings(results)}
    write_json(folder.path / "study.json", study)
    folder.add_stage("study", time.perf_counter() - started)
    return study


def uptake_error(
    drawn: Float[np.ndarray, "x y z"], real: Float[np.ndarray, "x y z"], inside: Bool[np.ndarray, "x y z"]
) -> float:
    """100 (mean drawn / mean real - 1) inside a region, in percent; NaN of fewer than 8 voxels or no real uptake.

    The error of a regional uptake ratio whose reference both images share. Blind to the pattern inside the region.

    >>> uptake_error(np.full((2, 2, 2), 3.0), np.full((2, 2, 2), 4.0), np.ones((2, 2, 2), bool))
    -25.0
    """
    if inside.sum() < _LEAST or not real[inside].mean() > 0:
        return float("nan")
    return float(100 * (drawn[inside].mean() / real[inside].mean() - 1))


def _rows(recipe: Recipe, folder: RunFolder, cohort: Cohort, arms: Arms, case: str) -> Iterator[Row]:
    task, record = translation(recipe), folder.record()
    key, prepared = task.target[0], task.read(cohort, case)
    check_one_grid(cohort.case(case, [task.inputs[0], FOCUS, REGIONS, BRAIN]))
    focus, regions, brain = (cohort.image(case, name).voxels for name in (FOCUS, REGIONS, BRAIN))
    focus, brain = (focus > 0) & prepared.region, (brain > 0) & prepared.region
    real, split = prepared.channels[key], cohort.case(case, []).split
    for arm, images in arms.of(prepared):
        off = [uptake_error(images[0], real, (regions == value) & brain & ~focus)
               for value in range(1, int(regions.max()) + 1)]  # fmt: skip
        known = [abs(value) for value in off if np.isfinite(value)]
        found = {"regions": float(np.mean(known)) if known else float("nan"),
                 "focus": abs(uptake_error(images[0], real, focus)),
                 "rest of the brain": abs(uptake_error(images[0], real, brain & ~focus))}  # fmt: skip
        for region, value in found.items():
            yield Row(system=record["system"], run=folder.path.name, seed=record["seed"], case=case,
                      patient=prepared.patient, split=split, arm=arm, replaced="", target=key, region=region,
                      metric="uptake error", value=value, unit="%")  # fmt: skip


def findings(results: Results) -> dict[str, object]:
    """Question, answer, verdict and table from the study's rows."""
    regional = results.values(metric="uptake error", region="regions", split="test")
    focal = results.values(metric="uptake error", region="focus", split="test")
    rest = averages(results.values(metric="uptake error", region="rest of the brain", split="test"), "rest")
    leads = gains(regional, sign=-1)
    means, there = averages(regional, "regions"), averages(focal, "focus")
    best = min(leads, key=lambda arm: np.nan_to_num(means[arm].estimate, nan=np.inf))
    patients = len(focal.dropna())
    sentence = (
        f"In the regions of the Alzheimer pattern the drawn uptake is off by {with_interval(means['model'], 1)} % in "
        f"the mean, that of the best map without a generator ({best}) by {with_interval(means[best], 1)} %"
    )
    if patients:
        sentence += f"; where MRI shows nothing of a change, by {with_interval(there['model'], 1)} % ({patients} cases)"
    answer, passed = verdict(sentence, leads, "the regional uptake")
    rows = [[arm, with_interval(found, 1), *gained(leads, arm, 1), with_interval(there[arm], 1),
             with_interval(rest[arm], 1)] for arm, found in means.items()]  # fmt: skip
    table = {
        "title": "Absolute error of mean uptake, %", "rows": rows,
        "columns": ["PET", "Alzheimer regions", "gain of the model", "p (Holm)", "focus that MRI cannot show",
                    "rest of the brain"],
        "note": f"Regions: mean over them, without the focus. Focus: {patients} test cases have one. No network can "
                "know it from MRI: an error there is what a reader of the drawn PET would miss.",
    }  # fmt: skip
    return {"question": QUESTION, "answer": answer, "passed": passed, "tables": [table], "figures": []}
