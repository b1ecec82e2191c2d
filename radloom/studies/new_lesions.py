"""New lesions: a patient's two examinations are subtracted, real and synthetic, and what is new is counted."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Integer

from radloom.data.cohort import Cohort, check_one_grid
from radloom.data.views import Prepared
from radloom.evaluation import fitted_baselines
from radloom.models.available import Available, without
from radloom.models.closed_form import Voxelwise
from radloom.models.model import Model
from radloom.runfolder import RunFolder
from radloom.sampling import loaded_model, read_sample, trained_model
from radloom.stored import stored
from radloom.studies.by_patient import Compared, as_json, compared, figure_path, mean_text, sampled, told
from radloom.studies.subtraction import contrast_to_noise, counts, marks, subtraction, threshold_for, white_matter
from radloom.system import Recipe, Task, translation

QUESTION = "Do new lesions show better on subtraction maps of synthetic images than on those of the real FLAIR?"
NEW, MONTHS, FLAIR, T1 = "mask.new", "time.months", "image.flair", "image.t1"
_REAL, _FLAIR, _ALONE = "real", "real FLAIR", "model, FLAIR alone"


@dataclass(frozen=True, eq=False)
class Visit:
    """Two examinations of a patient: the change in each arm, in standard deviations of white matter's noise."""

    patient: str
    follow_up: str
    changes: Mapping[str, Float[np.ndarray, "x y z"]]
    new: Integer[np.ndarray, "x y z"]
    voxel_mm3: float


def needs(recipe: Recipe, cohort: Cohort) -> str | None:
    """Why the study cannot run on this cohort; None when it can."""
    part = cohort.where("test")
    for key in (NEW, MONTHS, FLAIR, T1, *recipe.system.task.target):
        if key not in part.table.columns:
            return f"the cohort has no {key}"
    if not pairs(part):
        return "no test patient has two examinations"
    missing = [case for _, *both in pairs(part) for case in both if not part.path(case, NEW)]
    return f"case {missing[0]} has no {NEW}" if missing else None


def pairs(cohort: Cohort) -> list[tuple[str, str, str]]:
    """(patient, earlier case, later case) for each two examinations that follow one another."""
    found = []
    for patient, rows in cohort.table.groupby("patient", sort=False):
        cases = list(rows.sort_values(MONTHS)["case"])
        found += [(str(patient), one, two) for one, two in pairwise(cases)]
    return found


def run(recipe: Recipe, folder: RunFolder, cohort: Cohort) -> dict[str, Any]:
    """Subtracts in every arm, sets each detector on the validation patients, counts on the test patients.

    Writes study.json, study/cases.csv and study/subtraction.png.
    """
    started = time.perf_counter()
    settings = recipe.system.sizes[recipe.size, recipe.dims].study
    drawing = _Drawing.of(recipe, folder, cohort)
    least = float(settings["least_mm3"])
    tuned = [_visit(drawing, cohort, *pair, drawn=False) for pair in pairs(cohort.where("val"))]
    tested = [_visit(drawing, cohort, *pair, drawn=True) for pair in pairs(cohort.where("test"))]
    thresholds = {
        arm: threshold_for(
            [(visit.changes[arm], visit.new) for visit in tuned],
            false_a_scan=float(settings["false_a_scan"]), least_mm3=least, voxel_mm3=tested[0].voxel_mm3,
        )
        for arm in tested[0].changes
    }  # fmt: skip
    cases = pd.DataFrame([row for visit in tested for row in _counted(visit, thresholds, least)])
    study = {"name": "new_lesions", "question": QUESTION, **findings(cases, len(tuned))}
    shown = max(tested, key=lambda visit: len(np.unique(visit.new)))
    path, name = figure_path(folder, "subtraction.png")
    _picture(path, shown, thresholds)
    note = (
        f"Patient {shown.patient}: the slice with most of what is new, outlined in green. Colours: 0 to 12 standard "
        "deviations of white matter's noise; in blue what the detector marks. Synthetic where the title says model."
    )
    study["figures"] = [{"title": "Subtraction maps", "file": name, "note": note}]
    return told(folder, study, cases, started)


@dataclass(frozen=True)
class _Drawing:
    """What every arm's images come from."""

    recipe: Recipe
    folder: RunFolder
    task: Task
    model: Model
    cubic: Model
    alone: tuple[int, ...] | None  # inputs to leave out, so that FLAIR is alone; None where that cannot be

    @classmethod
    def of(cls, recipe: Recipe, folder: RunFolder, cohort: Cohort) -> _Drawing:
        task = translation(recipe)
        store = stored(task, folder, cohort, ("train",))
        cubic = fitted_baselines(task, store, cohort.where("train").ids)["cubic"]
        assert isinstance(cubic, Voxelwise)
        alone = None
        if isinstance(loaded_model(recipe, folder), Available) and FLAIR in task.inputs and len(task.inputs) > 1:
            alone = tuple(i for i, key in enumerate(task.inputs) if key != FLAIR)
        return cls(recipe, folder, task, trained_model(recipe, folder), cubic, alone)

    def images(self, cohort: Cohort, case: str, *, drawn: bool) -> tuple[Prepared, dict[str, np.ndarray]]:
        """The case and its first target in every arm; drawn: the model's image is the run's own file."""
        prepared = self.task.read(cohort, case)
        check_one_grid(cohort.case(case, [self.task.inputs[0], FLAIR, T1, NEW]))
        given, seed = self.task.given(prepared), self.folder.record()["seed"]
        target = self.task.target[0]
        made = (
            read_sample(self.folder, case, target).voxels * prepared.region
            if drawn
            else sampled(self.model, self.task, prepared, given, seed=seed)[0]
        )
        images = {_REAL: prepared.channels[target], "model": made}
        if self.alone is not None:
            images[_ALONE] = sampled(self.model, self.task, prepared, without(given, self.alone), seed=seed)[0]
        images["cubic"] = sampled(self.cubic, self.task, prepared, given, seed=seed)[0]
        images[_FLAIR] = np.where(prepared.region, cohort.image(case, FLAIR).voxels, 0).astype(np.float32)
        return prepared, images


def _visit(drawing: _Drawing, cohort: Cohort, patient: str, one: str, two: str, *, drawn: bool) -> Visit:
    (before, earlier), (after, later) = (drawing.images(cohort, case, drawn=drawn) for case in (one, two))
    region: Bool[np.ndarray, "x y z"] = before.region & after.region
    white = white_matter(np.asarray(cohort.image(one, T1).voxels, dtype=float), region)
    spacing = before.grid.spacing_mm
    changes = {
        arm: subtraction(earlier[arm], later[arm], region, white, spacing_mm=spacing).astype(np.float32)
        for arm in earlier
    }
    new = np.where(region, cohort.image(two, NEW).voxels, 0).astype(np.int32)
    return Visit(patient, two, changes, new, float(np.prod(spacing)))


def _counted(visit: Visit, thresholds: Mapping[str, float], least_mm3: float) -> Iterator[dict[str, Any]]:
    """One row an arm, at the arm's own threshold and at 3 standard deviations."""
    for arm, change in visit.changes.items():
        own, fixed = (
            counts(marks(change, threshold=t, least_mm3=least_mm3, voxel_mm3=visit.voxel_mm3), visit.new)
            for t in (thresholds[arm], 3.0)
        )
        yield {
            "patient": visit.patient, "case": visit.follow_up, "arm": arm, "threshold": thresholds[arm],
            "new": own.new, "found": own.found, "false": own.false,
            "found_at_3": fixed.found, "false_at_3": fixed.false,
            "contrast_to_noise": contrast_to_noise(change, visit.new),
        }  # fmt: skip


def findings(cases: pd.DataFrame, tuned: int) -> dict[str, Any]:
    """Answer, verdict, tables and comparisons from the rows of study/cases.csv; tuned: validation patients' pairs."""
    arms = list(dict.fromkeys(cases["arm"]))
    with_new: Any = cases[cases["new"] > 0]
    share = {arm: _by_patient(with_new, arm, "share") for arm in arms}
    noise = {arm: _by_patient(with_new, arm, "contrast_to_noise") for arm in arms}
    against = [arm for arm in (_FLAIR, _REAL, _ALONE, "cubic") if arm in arms]
    found = {arm: compared(share["model"], share[arm], "new_lesions", "share", arm) for arm in against}
    clearer = {arm: compared(noise["model"], noise[arm], "new_lesions", "noise", arm) for arm in against}
    rows = []
    for arm in arms:
        mine: Any = cases[cases["arm"] == arm]
        rows.append([
            arm, f"{mine['threshold'].iloc[0]:g}", f"{mine['found'].sum()} of {mine['new'].sum()}",
            mean_text(share[arm], "new_lesions", "share", arm), f"{mine['false'].mean():.1f}",
            f"{mine['found_at_3'].sum()} of {mine['new'].sum()}", f"{mine['false_at_3'].mean():.1f}",
            mean_text(noise[arm], "new_lesions", "noise", arm, digits=1),
        ])  # fmt: skip
    columns = ["images", "threshold, sd", "new lesions found", "share found (95 %)", "false a scan",
               "found at 3 sd", "false a scan at 3 sd", "contrast to noise (95 %)"]  # fmt: skip
    detection = {"title": "New lesions on subtraction maps", "columns": columns, "rows": rows, "note": _note(tuned)}
    differences = {
        "title": "Synthetic images of all inputs against the others, by patient",
        "columns": ["against", "patients", "difference in the share found", "difference in contrast to noise"],
        "rows": [[arm, found[arm].n, found[arm].text(), clearer[arm].text(1)] for arm in against],
        "note": "Mean over patients with new lesions, 95 % interval (patients resampled); p: paired Wilcoxon.",
    }
    possible = compared(share[_REAL], share[_FLAIR], "new_lesions", "possible").higher or (
        compared(noise[_REAL], noise[_FLAIR], "new_lesions", "possible noise").higher
    )
    answer, passed = _answer(cases, found[_FLAIR], clearer[_FLAIR], possible=possible)
    return {
        "answer": answer, "passed": passed, "tables": [detection, differences],
        "found": {arm: as_json(one) for arm, one in found.items()},
        "contrast_to_noise": {arm: as_json(one) for arm, one in clearer.items()},
    }  # fmt: skip


def _note(tuned: int) -> str:
    chosen = f"the lowest that keeps false marks of {tuned} validation patients at the rate asked for"
    return (
        f"A detector marks what rises above a threshold: {chosen if tuned else '3, without validation patients'}. "
        "Maps are in standard deviations of the change of white matter that looks normal. A new lesion is found when a "
        "mark overlaps it; a mark off every new lesion is false."
    )


def _by_patient(cases: pd.DataFrame, arm: str, what: str) -> dict[str, float]:
    mine: Any = cases[cases["arm"] == arm].groupby("patient", sort=False)
    if what == "share":
        sums = mine[["found", "new"]].sum()
        return {str(k): float(v) for k, v in (sums["found"] / sums["new"]).items()}
    return {str(k): float(v) for k, v in mine[what].mean().items()}


def _answer(
    cases: pd.DataFrame, found: Compared, clearer: Compared, *, possible: bool
) -> tuple[str, bool | None]:  # fmt: skip
    """possible: whether the real images of the target are shown to be better than FLAIR: else nothing can be gained."""
    by_arm: Any = cases.groupby("arm")[["found", "new"]].sum()
    totals = {arm: (int(by_arm.loc[arm, "found"]), int(by_arm.loc[arm, "new"])) for arm in by_arm.index}
    if found.n == 0:
        return "No test patient has a new lesion.", None
    (by_model, new), by_flair = totals["model"], totals[_FLAIR][0]
    sentence = (
        f"On subtraction maps of synthetic images {by_model} of {new} new lesions are found, on those of the real "
        f"FLAIR {by_flair}, on those of the real images {totals[_REAL][0]}; the difference in a patient's share "
        f"against FLAIR is {found.text()} ({found.n} patients), in contrast to noise {clearer.text(1)}"
    )
    if found.n < 6:
        return f"{sentence}. {found.n} patients are too few for a verdict.", None
    if found.higher:
        return f"{sentence}. The synthetic images show more of them.", True
    if clearer.higher:
        return f"{sentence}. They show them more clearly, but more of them are not shown to be found.", False
    rest = "" if possible else ", nor are the real ones: in this cohort FLAIR shows all that there is to find"
    return f"{sentence}. The synthetic images are not shown to be better{rest}.", False


def _picture(path: Any, visit: Visit, thresholds: Mapping[str, float]) -> None:
    """The change of every arm in the slice with most new tissue, with the truth and the marks outlined."""
    from matplotlib.figure import Figure

    from radloom.files import whole_file

    at = int(np.argmax((visit.new > 0).sum(axis=(0, 1))))
    figure = Figure(figsize=(2.3 * len(visit.changes), 2.7), layout="constrained")
    axes = figure.subplots(1, len(visit.changes), squeeze=False)[0]
    for axis, (arm, change) in zip(axes, visit.changes.items(), strict=True):
        shown, new = (a[::-1, ::-1, at].T for a in (change, visit.new > 0))
        axis.imshow(shown, cmap="inferno", vmin=0, vmax=12, interpolation="nearest")
        for mask, colour in ((new, "lime"), (shown > thresholds[arm], "deepskyblue")):
            if mask.any() and not mask.all():
                axis.contour(mask, levels=[0.5], colors=[colour], linewidths=0.8)
        axis.set_title(arm, fontsize=8)
        axis.set_axis_off()
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
