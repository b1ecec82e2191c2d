"""Enhancement: what lights up on synthetic post-contrast images against the real ones, found, missed and false."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy import ndimage

from radloom.data.cohort import Cohort
from radloom.data.views import Prepared
from radloom.evaluation import all_arms
from radloom.files import whole_file
from radloom.runfolder import RunFolder
from radloom.stats.auc import auc
from radloom.studies.by_patient import LEAST_PATIENTS, as_json, compared, figure_path, mean_text, told
from radloom.studies.replace import MASK, expert_labels
from radloom.system import Recipe, translation

QUESTION = "Does a tumour enhance on the synthetic image where it does on the real one, and nowhere else?"
ENHANCING = 3  # the expert's label
_WHAT = ("found", "false_tumour", "false_elsewhere", "missed")
_SHOWN = ("real", "model", "cubic")


def needs(recipe: Recipe, cohort: Cohort) -> str | None:
    """Why the study cannot run on this cohort; None when it can."""
    task, part = recipe.system.task, cohort.where("test")
    if "image.t1" not in task.inputs or len(task.target) != 1:
        return "enhancement is what one target shows beyond image.t1"
    if MASK not in part.table.columns or not all(part.path(case, MASK) for case in part.ids):
        return f"not every test case has {MASK}"
    return None


def enhancing(
    after: Float[np.ndarray, "x y z"],
    before: Float[np.ndarray, "x y z"],
    region: Bool[np.ndarray, "x y z"],
    *,
    threshold: float,
    least_voxels: int = 3,
) -> Bool[np.ndarray, "x y z"]:
    """Where the image after contrast stands above the one before by the threshold, in 3 or more joined voxels.

    after, before: in units of their own medians, so that what did not enhance differs by about 0; vessels count. Blind
    to faint enhancement, and to an agent that lifts the median itself.

    >>> before, region = np.ones((4, 4, 4)), np.ones((4, 4, 4), bool)
    >>> after = before.copy(); after[0, 0, :3] = after[3, 3, 3] = 2.0
    >>> int(enhancing(after, before, region, threshold=0.5).sum())
    3
    """
    found: Any = ndimage.label((after - before > threshold) & region)
    sizes = np.bincount(found[0].ravel())
    sizes[0] = 0
    return (sizes >= least_voxels)[found[0]]


def counted(
    made: Bool[np.ndarray, "x y z"],
    real: Bool[np.ndarray, "x y z"],
    labels: np.ndarray,
    *,
    voxel_cm3: float,
) -> dict[str, float]:
    """Enhancement of an image against the real image's and the expert's labels.

    found: share of the expert's enhancing voxels that enhance, NaN without any. false_tumour, false_elsewhere: cm3 that
    enhance in the image and neither in the real one nor beside it (a voxel), in the tumour's other parts and outside
    it. missed: cm3 that enhance in the real image and neither here nor beside it. tumour: cm3 that enhance inside the
    whole tumour, which says whether a tumour enhances at all.

    >>> labels, real, made = np.zeros((9, 3, 1), int), np.zeros((9, 3, 1), bool), np.zeros((9, 3, 1), bool)
    >>> labels[0:2], labels[2:5] = 3, 1
    >>> real[0:2], made[1], made[4], made[8] = True, True, True, True
    >>> told = counted(made, real, labels, voxel_cm3=1.0)
    >>> told["found"], told["false_tumour"], told["false_elsewhere"], told["missed"], told["tumour"]
    (0.5, 3.0, 3.0, 0.0, 6.0)
    """
    expert = labels == ENHANCING
    false = made & ~_grown(real) & ~expert
    return {
        "found": float(made[expert].mean()) if expert.any() else float("nan"),
        "false_tumour": float((false & (labels > 0)).sum()) * voxel_cm3,
        "false_elsewhere": float((false & (labels == 0)).sum()) * voxel_cm3,
        "missed": float((real & ~_grown(made)).sum()) * voxel_cm3,
        "tumour": float((made & (labels > 0)).sum()) * voxel_cm3,
        "enhances": float(expert.any()),
    }


def _grown(mask: Bool[np.ndarray, "x y z"]) -> Bool[np.ndarray, "x y z"]:
    return np.asarray(ndimage.binary_dilation(mask, structure=np.ones((3, 3, 3))))


def run(recipe: Recipe, folder: RunFolder, cohort: Cohort) -> dict[str, Any]:
    """Counts enhancement of every arm on the test cases; writes study.json, study/cases.csv and a picture."""
    started = time.perf_counter()
    threshold = float(recipe.system.sizes[recipe.size, recipe.dims].study["enhancing"])
    task, arms = translation(recipe), all_arms(recipe, folder, cohort)
    rows: list[dict[str, Any]] = []
    best: tuple[int, Prepared, dict[str, np.ndarray], np.ndarray] | None = None
    for case in cohort.where("test").ids:
        prepared = task.read(cohort, case)
        labels = expert_labels(task, cohort, case)
        images = {"real": prepared.channels[task.target[0]], **{arm: x[0] for arm, x in arms.of(prepared)}}
        rows += _rows(prepared, images, labels, threshold)
        size = int((labels == ENHANCING).sum())
        if best is None or size > best[0]:
            best = size, prepared, images, labels
    cases = pd.DataFrame(rows)
    study: dict[str, Any] = {"name": "enhancement", "question": QUESTION, **findings(cases, threshold)}
    if best is not None:
        path, name = figure_path(folder, "enhancement.png")
        _picture(path, *best[1:], threshold)
        note = (
            f"Case {best[1].case}, what each image adds to T1; outlined in red: counted as enhancing; model: synthetic."
        )
        study["figures"] = [{"title": "Enhancement", "file": name, "note": note}]
    return told(folder, study, cases, started)


def _rows(
    prepared: Prepared, images: Mapping[str, np.ndarray], labels: np.ndarray, threshold: float
) -> Iterator[dict[str, Any]]:
    before, region = prepared.channels["image.t1"], prepared.region
    voxel_cm3 = float(np.prod(prepared.grid.spacing_mm)) / 1000
    real = enhancing(images["real"], before, region, threshold=threshold)
    for arm, image in images.items():
        made = enhancing(image, before, region, threshold=threshold)
        yield {"patient": prepared.patient, "case": prepared.case, "arm": arm,
               **counted(made, real, labels, voxel_cm3=voxel_cm3)}  # fmt: skip


def findings(cases: pd.DataFrame, threshold: float) -> dict[str, Any]:
    """Answer, verdict, table and comparisons from the rows of study/cases.csv; the model against the cubic map."""
    arms = list(dict.fromkeys(cases["arm"]))
    values = {arm: {what: _by_patient(cases, arm, what) for what in _WHAT} for arm in arms}
    rows = [
        [arm, *(mean_text(values[arm][what], "enhancement", what, arm) for what in _WHAT), _auc(cases, arm)]
        for arm in arms
    ]
    table = {
        "title": "Enhancement",
        "columns": ["image", "enhancing tumour found (95 %)", "false in the tumour, cm3 (95 %)",
                    "false elsewhere, cm3 (95 %)", "missed, cm3 (95 %)", "AUC: does the tumour enhance"],
        "rows": rows,
        "note": f"Enhancing: {threshold:g} of the brain's median or more above T1, three or more joined voxels, "
        "vessels among them. False: neither enhancing in the real image nor beside it, nor labelled so by the expert. "
        "Mean over patients, patients resampled. AUC: of the enhancing volume inside the tumour, for "
        "tumours with and without the expert's label; a dash where all or none have it.",
    }  # fmt: skip
    found = {what: compared(values["model"][what], values["cubic"][what], "enhancement", what) for what in _WHAT}
    number = found["false_tumour"].n
    mine, mapped = (mean_text(values[arm]["found"], "enhancement", "found", arm) for arm in ("model", "cubic"))
    inside, outside = found["false_tumour"], found["false_elsewhere"]
    answer = (
        f"Of the enhancing tumour {mine} enhances on synthetic images, {mapped} on the best voxel-wise map; false "
        f"enhancement is {inside.one:.2f} against {inside.other:.2f} cm3 in the tumour and {outside.one:.2f} against "
        f"{outside.other:.2f} cm3 elsewhere ({number} patients)"
    )
    record = {what: as_json(one) for what, one in found.items()}
    if number < LEAST_PATIENTS or found["found"].n < LEAST_PATIENTS:
        return {"answer": f"{answer}. The patients are too few for a verdict.", "passed": None, "tables": [table],
                "against_cubic": record}  # fmt: skip
    more_false = found["false_tumour"].higher or found["false_elsewhere"].higher
    passed = found["found"].higher and not more_false
    more = "find more of it" if found["found"].higher else "are not shown to find more of it"
    verdict = f"The networks {more}, {'with' if more_false else 'without'} more false enhancement"
    return {"answer": f"{answer}. {verdict}.", "passed": passed, "tables": [table], "against_cubic": record}


def _by_patient(cases: pd.DataFrame, arm: str, what: str) -> dict[str, float]:
    rows: Any = cases[cases["arm"] == arm]
    return {str(k): float(v) for k, v in rows.groupby("patient", sort=False)[what].mean().items()}


def _auc(cases: pd.DataFrame, arm: str) -> str:
    rows: Any = cases[cases["arm"] == arm]
    if rows["enhances"].nunique() < 2:
        return "–"
    return f"{auc(rows['tumour'].to_numpy(), rows['enhances'].to_numpy()):.2f}"


def _picture(
    path: Path, prepared: Prepared, images: Mapping[str, np.ndarray], labels: np.ndarray, threshold: float
) -> None:
    from matplotlib.figure import Figure

    at = int(np.argmax((labels == ENHANCING).sum(axis=(0, 1))))
    before = prepared.channels["image.t1"]
    shown = [arm for arm in _SHOWN if arm in images]
    figure = Figure(figsize=(2.3 * len(shown), 5.0), layout="constrained")
    axes = figure.subplots(2, len(shown), squeeze=False)
    for column, arm in zip(axes.T, shown, strict=True):
        mask = enhancing(images[arm], before, prepared.region, threshold=threshold)[::-1, ::-1, at].T
        for axis, image, high in zip(column, (images[arm], images[arm] - before), (2.0, 1.0), strict=True):
            axis.imshow(image[::-1, ::-1, at].T, cmap="gray", vmin=0, vmax=high, interpolation="nearest")
            axis.set_axis_off()
        if mask.any() and not mask.all():
            column[1].contour(mask, levels=[0.5], colors=["red"], linewidths=0.7)
        column[0].set_title(arm, fontsize=8)
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
