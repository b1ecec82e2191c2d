"""Translation that helps: registration of two contrasts after a known deformation, and segmentation."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from radloom.data.cohort import Cohort
from radloom.downstream.register import (
    Registration,
    correlation,
    inverse,
    mutual_information,
    registered,
    smooth_displacement,
    warped,
)
from radloom.downstream.segment import Segmenter, SegmenterSettings, train_segmenter
from radloom.files import whole_file
from radloom.metrics.overlap import dice
from radloom.models.model import Model
from radloom.random import numpy_stream
from radloom.runfolder import RunFolder
from radloom.sampling import read_sample, trained_model
from radloom.studies.by_patient import Compared, as_json, compared, figure_path, mean_text, sampled, told
from radloom.studies.replace import MASK, expert_labels
from radloom.system import Recipe, Task, translation

QUESTION = (
    "Does a translated image help to register two contrasts, and does it help a segmenter beside the image that it "
    "was made from?"
)
GIVEN, TRANSLATED, FUSED, BEFORE = "given", "translated", "fused", "before"
CHANNELS: Mapping[str, str] = {"given": "the given image", "model": "given and translated", "real": "given and real"}
_WEIGHTS = np.linspace(0, 1, 11)


@dataclass(frozen=True, eq=False)
class Moved:
    """A case whose second contrast was deformed: the truth, and what either registration found, in mm.

    true: where each voxel of the given image lies in the deformed one. fields: by arm, (3, x, y, z).
    """

    patient: str
    case: str
    inside: Bool[np.ndarray, "x y z"]
    true: Float[np.ndarray, "3 x y z"]
    fields: Mapping[str, Float[np.ndarray, "3 x y z"]]
    mask: Bool[np.ndarray, "x y z"] | None
    spacing_mm: tuple[float, ...]


def needs(recipe: Recipe, cohort: Cohort) -> str | None:
    """Why the study cannot run on this cohort; None when it can."""
    if len(recipe.system.task.inputs) > 1 or len(recipe.system.task.target) > 1:
        return "it registers one image to one other"
    part = cohort.where("test")
    key = str(next(iter(recipe.system.task.target)))
    if key not in part.table.columns or not all(part.path(case, key) for case in part.ids):
        return f"not every test case has {key}"
    return None if len(cohort.where("val")) else "there is no validation patient to choose the weight of the fields on"


def run(recipe: Recipe, folder: RunFolder, cohort: Cohort) -> dict[str, Any]:
    """Registers validation and test cases in both spaces, trains the segmenters where there are masks.

    Writes study.json, study/cases.csv and study/registration.png.
    """
    started = time.perf_counter()
    settings = recipe.system.sizes[recipe.size, recipe.dims].study
    task, model = translation(recipe), trained_model(recipe, folder)
    tuned = [_moved(task, model, folder, cohort, case, settings) for case in cohort.where("val").ids]
    weight = best_weight(tuned)
    tested = [_moved(task, None, folder, cohort, case, settings) for case in cohort.where("test").ids]
    rows = [row for moved in tested for row in registration_rows(moved, weight)]
    if _masked(cohort):
        rows += _segmentation_rows(recipe, folder, cohort, model, settings)
    cases = pd.DataFrame(rows)
    study = {"name": "register", "question": QUESTION, **findings(cases, weight, len(tuned))}
    path, name = figure_path(folder, "registration.png")
    _picture(path, tested[0], weight)
    note = (
        f"Case {tested[0].case}: how far each voxel lies off after registration, 0 to 6 mm, in the middle slice. "
        "translated: registered to a synthetic image."
    )
    study["figures"] = [{"title": "Where registration misses", "file": name, "note": note}]
    return told(folder, study, cases, started)


def _masked(cohort: Cohort) -> bool:
    return MASK in cohort.image_columns and all(
        cohort.where(split).path(case, MASK) for split in ("train", "test") for case in cohort.where(split).ids
    )


def _moved(
    task: Task, model: Model | None, folder: RunFolder, cohort: Cohort, case: str, settings: Mapping[str, Any]
) -> Moved:
    """A case deformed and registered; model: None reads the image that the run has drawn."""
    prepared, target = task.read(cohort, case), task.target[0]
    seed = folder.record()["seed"]
    made = (
        read_sample(folder, case, target).voxels * prepared.region
        if model is None
        else sampled(model, task, prepared, task.given(prepared), seed=seed)[0]
    )
    spacing = prepared.grid.spacing_mm
    true = smooth_displacement(
        prepared.region.shape, spacing_mm=spacing, size_mm=float(settings["size_mm"]),
        smooth_mm=float(settings["smooth_mm"]), rng=numpy_stream(seed, "register", case),
    )  # fmt: skip
    back = inverse(true, spacing_mm=spacing)
    moving = np.clip(warped(prepared.channels[target], back, spacing_mm=spacing), 0, None).astype(np.float32)
    how = Registration(**{f.name: settings[f.name] for f in fields(Registration)})
    found = {
        arm: registered(fixed, moving, prepared.region, spacing_mm=spacing, similarity=similarity, how=how)
        for arm, fixed, similarity in (
            (GIVEN, prepared.channels[task.inputs[0]], mutual_information),
            (TRANSLATED, made, correlation),
        )
    }
    mask = None
    if MASK in cohort.image_columns and cohort.path(case, MASK) is not None:
        mask = expert_labels(task, cohort, case) > 0
    return Moved(prepared.patient, case, prepared.region, true, found, mask, tuple(spacing))


def target_error(
    found: Float[np.ndarray, "3 x y z"], true: Float[np.ndarray, "3 x y z"], inside: Bool[np.ndarray, "x y z"]
) -> float:
    """Mean target registration error inside, mm: how far the place that was found lies from the true one.

    >>> found = np.zeros((3, 2, 2, 2)); found[0], found[1] = 3.0, 4.0
    >>> target_error(found, np.zeros((3, 2, 2, 2)), np.ones((2, 2, 2), bool))
    5.0
    """
    return float(np.sqrt(((found - true) ** 2).sum(0))[inside].mean())


def fused(moved: Moved, weight: float) -> Float[np.ndarray, "3 x y z"]:
    """The weighted mean of both fields; weight 1 is the translated one alone."""
    return weight * moved.fields[TRANSLATED] + (1 - weight) * moved.fields[GIVEN]


def best_weight(cases: Sequence[Moved]) -> float:
    """The weight, in tenths, whose fused field misses by least on average over these cases."""
    errors = [np.mean([target_error(fused(one, w), one.true, one.inside) for one in cases]) for w in _WEIGHTS]
    return float(_WEIGHTS[int(np.argmin(errors))])


def registration_rows(moved: Moved, weight: float) -> Iterator[dict[str, Any]]:
    """Target registration error, and Dice of the expert's mask carried there by the truth and back by the field."""
    found = {BEFORE: np.zeros_like(moved.true), **moved.fields, FUSED: fused(moved, weight)}
    there = None
    if moved.mask is not None and moved.mask.any():
        back = inverse(moved.true, spacing_mm=moved.spacing_mm)
        there = warped(moved.mask.astype(float), back, spacing_mm=moved.spacing_mm, order=1)
    for arm, field in found.items():
        names = {"patient": moved.patient, "case": moved.case, "part": "registration", "arm": arm}
        yield {**names, "metric": "error_mm", "value": target_error(field, moved.true, moved.inside)}
        if there is not None and moved.mask is not None:
            again = warped(there, field, spacing_mm=moved.spacing_mm, order=1) > 0.5
            yield {**names, "metric": "dice", "value": dice(again, moved.mask)}


def _segmentation_rows(
    recipe: Recipe, folder: RunFolder, cohort: Cohort, model: Model, settings: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Dice of a segmenter of the given image alone, beside the translated one and beside the real one."""
    task, seed = translation(recipe), folder.record()["seed"]
    chosen = {name: settings[name] for name in ("channels", "steps", "batch", "patch")}
    seen: dict[str, dict[str, np.ndarray]] = {}
    for case in [*cohort.where("train").ids, *cohort.where("test").ids]:
        prepared = task.read(cohort, case)
        given, real = prepared.stack(task.inputs), prepared.stack(task.target)
        made = sampled(model, task, prepared, task.given(prepared), seed=seed)
        seen[case] = {"given": given, "model": np.concatenate([given, made]), "real": np.concatenate([given, real])}
    training = cohort.where("train").ids
    labels = [(expert_labels(task, cohort, case) > 0).astype(np.int64) for case in training]
    rows = []
    for arm in CHANNELS:
        volumes = [np.ascontiguousarray(seen[case][arm].transpose(3, 0, 1, 2)) for case in training]
        reader: Segmenter = train_segmenter(volumes, labels, classes=2, settings=SegmenterSettings(**chosen), seed=seed)
        for case in cohort.where("test").ids:
            truth = expert_labels(task, cohort, case) > 0
            rows.append({"patient": cohort.patient(case), "case": case, "part": "segmentation", "arm": arm,
                         "metric": "dice", "value": dice(reader.read(seen[case][arm]) > 0, truth)})  # fmt: skip
    return rows


def findings(cases: pd.DataFrame, weight: float, tuned: int) -> dict[str, Any]:
    """Answer, verdict and tables from the rows of study/cases.csv."""
    errors = {arm: _values(cases, "registration", arm, "error_mm") for arm in (BEFORE, GIVEN, TRANSLATED, FUSED)}
    overlap = {arm: _values(cases, "registration", arm, "dice") for arm in errors}
    gains = {arm: compared(errors[arm], errors[FUSED], "register", arm) for arm in (GIVEN, TRANSLATED)}
    registration = {
        "title": "Registration after a known deformation",
        "columns": ["registered to", "target registration error, mm (95 %)", "Dice of the mask (95 %)",
                    "error above that of the fused field, mm"],
        "rows": [
            [arm, mean_text(errors[arm], "register", arm), mean_text(overlap[arm], "register", "dice", arm),
             gains[arm].text() if arm in gains else "–"]
            for arm in errors
        ],
        "note": "given: the real image of the other contrast, by mutual information. translated: the synthetic image "
        f"of the moving image's contrast, by correlation. fused: {weight:.1f} of the translated field and "
        f"{1 - weight:.1f} of the given one, chosen on {tuned} validation cases. Intervals: patients resampled; p: "
        "paired Wilcoxon.",
    }  # fmt: skip
    tables, parts, passed = [registration], [_registered(errors, gains[GIVEN], weight)], gains[GIVEN].higher
    study: dict[str, Any] = {"registration": {arm: as_json(one) for arm, one in gains.items()}}
    if "segmentation" in set(cases["part"]):
        read = {arm: _values(cases, "segmentation", arm, "dice") for arm in CHANNELS}
        against = {arm: compared(read["model"], read[arm], "segment", arm) for arm in ("given", "real")}
        tables.append(_read_table(read, against))
        study["segmentation"] = {arm: as_json(one) for arm, one in against.items()}
        shown = "helps" if against["given"].higher else "is not shown to help"
        parts.append(f"Beside the given image it {shown} a segmenter: Dice {against['given'].text()}")
    if gains[GIVEN].n < 6:
        return {"answer": f"{'. '.join(parts)}. {gains[GIVEN].n} patients are too few for a verdict.", "passed": None,
                "weight": weight, "tables": tables, **study}  # fmt: skip
    return {"answer": f"{'. '.join(parts)}.", "passed": passed, "weight": weight, "tables": tables, **study}


def _registered(errors: Mapping[str, Mapping[str, float]], gain: Compared, weight: float) -> str:
    means = {arm: float(np.mean(list(values.values()))) for arm, values in errors.items()}
    shown = "helps" if gain.higher else "is not shown to help"
    return (
        f"The translated image {shown} registration: the fused field (weight {weight:.1f}) misses by "
        f"{means[FUSED]:.2f} mm, that of the given images alone by {means[GIVEN]:.2f}, that of the translated image "
        f"alone by {means[TRANSLATED]:.2f}, none by {means[BEFORE]:.2f}; fused instead of given saves {gain.text()} mm "
        f"({gain.n} patients)"
    )


def _read_table(read: Mapping[str, Mapping[str, float]], against: Mapping[str, Compared]) -> dict[str, Any]:
    return {
        "title": "Segmentation of the expert's mask",
        "columns": ["segmenter sees", "Dice (95 %)", "given and translated, minus this"],
        "rows": [[CHANNELS[arm], mean_text(values, "segment", arm, digits=3),
                  against[arm].text(3) if arm in against else "–"] for arm, values in read.items()],
        "note": "One segmenter for each, trained on the patients that the generator was trained on.",
    }  # fmt: skip


def _values(cases: pd.DataFrame, part: str, arm: str, metric: str) -> dict[str, float]:
    rows = cases[(cases["part"] == part) & (cases["arm"] == arm) & (cases["metric"] == metric)]
    means: Any = rows.groupby("patient", sort=False)["value"].mean()
    return {str(patient): float(value) for patient, value in means.items()}


def _picture(path: Path, moved: Moved, weight: float) -> None:
    from matplotlib.figure import Figure

    shown = {BEFORE: np.zeros_like(moved.true), **moved.fields, FUSED: fused(moved, weight)}
    at = moved.inside.shape[2] // 2
    figure = Figure(figsize=(2.3 * len(shown), 2.7), layout="constrained")
    for axis, (arm, field) in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown.items(), strict=True):
        error = np.sqrt(((field - moved.true) ** 2).sum(0)) * moved.inside
        axis.imshow(error[::-1, ::-1, at].T, cmap="magma", vmin=0, vmax=6, interpolation="nearest")
        axis.set_title(arm, fontsize=8)
        axis.set_axis_off()
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
