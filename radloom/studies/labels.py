"""Labels: how many labelled patients do diffusion features save a segmenter, here and at another hospital?

The run writes study.json, and in RUN/study/ a row per case, arm and number of labels (cases.csv) and pictures.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from radloom.data.cohort import Cohort
from radloom.drawing import synthesis
from radloom.metrics.overlap import dice
from radloom.models.features import FeatureDiffusion, Reading
from radloom.random import derived_seed, numpy_stream
from radloom.runfolder import RunFolder
from radloom.sampling import loaded_model
from radloom.studies.anomaly_slices import Slices, read_slices
from radloom.studies.by_patient import figure_path, told
from radloom.studies.disease import Disease
from radloom.studies.labels_arms import Answers, answers, shown
from radloom.studies.labels_findings import ELSEWHERE, HOME, findings
from radloom.studies.labels_picture import curves, rows_of_masks
from radloom.system import Recipe

QUESTION = "How many labelled patients does a model of unlabelled images save a segmenter, here and elsewhere?"
MASKS = ("mask.lung", "mask.tumour", "mask.lesion")


def needs(recipe: Recipe, cohort: Cohort) -> str | None:
    """Why the study cannot run on this cohort; None when it can."""
    if recipe.dims != 2:
        return "it segments slices: --dims 2"
    mask = mask_of(cohort)
    if mask is None:
        return f"the cohort has none of {', '.join(MASKS)}"
    for split in ("train", "val", "test"):
        part = cohort.where(split)
        if not all(part.path(case, mask) for case in part.ids):
            return f"not every {split} case has {mask}"
    site = home(cohort)
    for split in ("train", "val", "test"):
        if not _cases(cohort, split, site):
            return f'no {split} case is of "{site}", the hospital with most training patients'
    return None


def mask_of(cohort: Cohort) -> str | None:
    """The first of MASKS that the cohort has."""
    return next((column for column in MASKS if column in cohort.image_columns), None)


def home(cohort: Cohort) -> str:
    """The site with most training patients, the first by name among equals; only its labels are learned from."""
    counts = cohort.where("train").table.drop_duplicates("patient")["site"].astype(str).value_counts()
    return min(counts.index, key=lambda site: (-counts[site], site)) if len(counts) else ""


def budgets(wanted: Sequence[int], patients: int) -> list[int]:
    """The numbers of labelled patients: those wanted that there are, and all.

    >>> budgets((1, 3, 24), 20)
    [1, 3, 20]
    """
    return [*sorted(n for n in set(wanted) if 0 < n < patients), patients]


def nested(patients: Sequence[str], order: int, seed: int) -> list[str]:
    """The patients in a random order; n labels are those of the first n, so that more labels add to fewer."""
    names = sorted(set(patients))
    return [names[i] for i in numpy_stream(seed, "labels", "order", order).permutation(len(names))]


def run(recipe: Recipe, folder: RunFolder, cohort: Cohort) -> dict[str, Any]:
    """Every arm on the test cases after each number of labels; validation labels choose when training stops."""
    started = time.perf_counter()
    task, seed, mask, site = synthesis(recipe), int(folder.record()["seed"]), mask_of(cohort) or "", home(cohort)
    settings = recipe.system.sizes[recipe.size, recipe.dims].study
    model = loaded_model(recipe, folder)
    assert isinstance(model, FeatureDiffusion), "a system with this study builds a model with features"
    disease = Disease(mask)
    train, val = (read_slices(task, cohort, _cases(cohort, split, site), disease) for split in ("train", "val"))
    test = read_slices(task, cohort, cohort.where("test").ids, disease)
    learned = shown(model, train, draws=settings["draws"], seed=seed)
    watched, tested = (shown(model, part, draws=1, seed=seed) for part in (val, test))
    where = _where(cohort, test, site)
    rows: list[dict[str, Any]] = []
    pictures: dict[int, Answers] = {}
    for order in range(settings["orders"]):
        patients = nested(train.patient, order, seed)
        for n in budgets(settings["budgets"], len(patients)):
            own = derived_seed(seed, "labels", order)
            found = answers(recipe, model, learned, watched, tested, patients[:n], own)
            rows += [{"order": order, "labels": n, **row} for row in case_rows(test, where, found, model.readings)]
            if order == 0:
                pictures[n] = found
    cases = pd.DataFrame(rows)
    said = findings(cases, method=model.method, watched=len(set(val.patient)), orders=settings["orders"])
    study = {"name": "labels", "question": QUESTION, "mask": mask, "home": site, **said}
    study["figures"] = _figures(folder, cases, test, where, pictures, model.method)
    return told(folder, study, cases, started)


def case_rows(
    test: Slices, where: Mapping[str, str], found: Answers, readings: Mapping[str, Reading]
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Dice, precision and recall of each case by arm over all its slices; Dice by noise step of the averaged method."""
    names = np.asarray(test.case)
    ensemble = next((name for name, reading in readings.items() if len(reading) > 1), "")
    steps = [group[0] for group in readings[ensemble]] if ensemble else []
    for case in dict.fromkeys(test.case):
        mine = names == case
        patient = next(who for who, one in zip(test.patient, test.case, strict=True) if one == case)
        head = {"patient": patient, "case": case, "where": where[case]}
        truth = test.truth[mine]
        for arm, masks in found.masks.items():
            marked = masks[mine]
            both = float((marked & truth).sum())
            values = {"dice": dice(marked, truth), "precision": _share(both, float(marked.sum())),
                      "recall": _share(both, float(truth.sum()))}  # fmt: skip
            yield from ({**head, "arm": arm, "step": -1, "metric": name, "value": value}
                        for name, value in values.items())  # fmt: skip
        for place, step in enumerate(steps):
            marked = (found.by_step[mine][:, place] > 0.5) & test.region[mine]
            yield {**head, "arm": ensemble, "step": step, "metric": "dice", "value": dice(marked, truth)}


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _cases(cohort: Cohort, split: str, site: str) -> list[str]:
    part = cohort.where(split)
    return [str(case) for case in part.table[part.table["site"].astype(str) == site]["case"]]


def _where(cohort: Cohort, test: Slices, site: str) -> dict[str, str]:
    """By test case, whether it is of the hospital whose labels were learned."""
    here = set(_cases(cohort, "test", site))
    return {case: HOME if case in here else ELSEWHERE for case in dict.fromkeys(test.case)}


def _figures(
    folder: RunFolder, cases: pd.DataFrame, test: Slices, where: Mapping[str, str], found: Mapping[int, Answers],
    method: str,
) -> list[dict[str, str]]:  # fmt: skip
    path, name = figure_path(folder, "curves.png")
    curves(path, cases)
    few = max(n for n in found if n <= 3) if min(found) <= 3 else min(found)
    picture, shown_as = figure_path(folder, "masks.png")
    rows_of_masks(picture, test, where, found[few].masks, method)
    return [
        {"title": "Dice by number of labelled patients", "file": name,
         "note": "Mean over test patients; bars: 95 % interval, patients resampled."},
        {"title": f"Masks after {few} labelled patient{'s' * (few > 1)}", "file": shown_as,
         "note": "Orange: what the arm marks; blue: the reference. Of each hospital the best, the middle and the worst "
         f"test patient by the Dice of {method.upper()}."},
    ]  # fmt: skip
