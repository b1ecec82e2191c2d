"""Classify: does a drawn PET help a classifier of Alzheimer that learned from real images, beside MRI alone?"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from radloom.data.cohort import Cohort
from radloom.downstream.classify import Classifier, ClassifierSettings, train_classifier
from radloom.errors import RadloomError
from radloom.evaluation import all_arms
from radloom.files import sha256, write_json
from radloom.results import Results, Row
from radloom.runfolder import RunFolder
from radloom.stats.auc import delong_ci, delong_test
from radloom.stats.intervals import Interval
from radloom.stored import stored
from radloom.studies.against_baselines import with_interval
from radloom.system import Recipe, translation
from radloom.weights import save_weights

QUESTION = "Does a classifier that learned from real MRI and PET tell AD from CN as well when the PET is drawn?"
GROUP, CLASSES = "label.group", ("CN", "AD")
_LEAST = 5  # test patients of each class for a verdict


def needs(recipe: Recipe, cohort: Cohort) -> str | None:
    """Why the study cannot run on this cohort; None when it can."""
    if GROUP not in cohort.table.columns:
        return f"the cohort has no {GROUP}"
    for split in ("train", "test"):
        groups = list(_groups(cohort, split).values())
        if 0 not in groups or 1 not in groups:
            return f"split {split} has not both {' and '.join(CLASSES)} in {GROUP}"
    return None


def run(recipe: Recipe, folder: RunFolder, cohort: Cohort) -> dict[str, object]:
    """Trains one reader on the real inputs and one on real inputs and targets, has them read every arm of the tests.

    Writes results.csv, the readers' weights and study.json. Raises RadloomError when `needs` names a reason.
    """
    started = time.perf_counter()
    missing = needs(recipe, cohort)
    if missing:
        raise RadloomError(f"the study classify cannot run: {missing}", expected="a cohort such as brain-pet")
    task = translation(recipe)
    readers = _readers(recipe, folder, cohort)
    arms, rows = all_arms(recipe, folder, cohort), []
    for case in _groups(cohort, "test"):
        prepared = task.read(cohort, case)
        inputs, targets = prepared.stack(task.inputs), prepared.stack(task.target)
        read = {"MRI alone": readers["inputs"].read(inputs),
                "real": readers["all"].read(np.concatenate([inputs, targets]))}  # fmt: skip
        for arm, images in arms.of(prepared):
            read[arm] = readers["all"].read(np.concatenate([inputs, images]))
        record = folder.record()
        rows += [Row(system=record["system"], run=folder.path.name, seed=record["seed"], case=case,
                     patient=prepared.patient, split="test", arm=arm, replaced="", target="", region="",
                     metric="log odds", value=value, unit="1") for arm, value in read.items()]  # fmt: skip
    results = Results.of(rows)
    results.added_to(folder.results)
    hashes = {name: sha256(folder.path / f"classifier-{name}.safetensors") for name in readers}
    study = {"name": "classify", **findings(results, _groups(cohort, "test")), "classifiers": hashes}
    write_json(folder.path / "study.json", study)
    folder.add_stage("study", time.perf_counter() - started)
    return study


def _groups(cohort: Cohort, split: str) -> dict[str, int]:
    """Of the cases of both classes, 1 for AD; one case for each patient."""
    part = cohort.where(split).table.drop_duplicates("patient")
    return {str(case): CLASSES.index(group) for case, group in zip(part["case"], part[GROUP], strict=True)
            if group in CLASSES}  # fmt: skip


def _readers(recipe: Recipe, folder: RunFolder, cohort: Cohort) -> dict[str, Classifier]:
    """Classifiers of the real inputs, and of the real inputs and targets, of the training patients; both are kept."""
    task, groups = translation(recipe), _groups(cohort, "train")
    store = stored(task, folder, cohort, ("train",))
    settings = ClassifierSettings(**recipe.system.sizes[recipe.size, recipe.dims].study)
    volumes = [np.ascontiguousarray(store.volume(case).transpose(1, 2, 3, 0)[:-1]) for case in groups]
    seen = {"inputs": len(task.inputs), "all": len(task.keys)}
    readers = {name: train_classifier([volume[:count] for volume in volumes], list(groups.values()), settings=settings,
                                      seed=folder.record()["seed"]) for name, count in seen.items()}  # fmt: skip
    for name, reader in readers.items():
        save_weights(folder.path / f"classifier-{name}.safetensors", reader)
    return readers


def findings(results: Results, truth: Mapping[str, int]) -> dict[str, object]:
    """Question, answer, verdict and table from the log odds by arm and the true classes by case.

    passed: the drawn PET's area under the ROC curve is above that of MRI alone by DeLong's paired test.
    """
    table = results.values(metric="log odds", split="test")
    cases = [str(case) for case in table.index.get_level_values("case")]
    known = [truth[case] for case in cases]
    odds = {str(arm): np.asarray(table[arm], dtype=float) for arm in table.columns}
    found = {arm: _area(values, known) for arm, values in odds.items()}
    rows = []
    for arm, interval in found.items():
        gain, p = _against(odds["model"], odds[arm], known) if arm != "model" else (math.nan, math.nan)
        rows.append([_title(arm), with_interval(interval), f"{gain:+.3f}" if math.isfinite(gain) else "",
                     f"{p:.3g}" if math.isfinite(p) else ""])  # fmt: skip
    lead, p = _against(odds["model"], odds["MRI alone"], known)
    positives = sum(known)
    few = min(positives, len(known) - positives) < _LEAST
    passed = None if few or not math.isfinite(p) else bool(lead > 0 and p < 0.05)
    ending = {None: "These patients are too few for a verdict", True: "The drawn PET helps beside MRI alone",
              False: "That the drawn PET helps beside MRI alone is not shown"}[passed]  # fmt: skip
    answer = (
        f"A classifier of AD and CN has an area under the ROC curve of {with_interval(found['MRI alone'])} from MRI "
        f"alone, {with_interval(found['real'])} with the real and {with_interval(found['model'])} with the drawn PET "
        f"({positives} AD, {len(known) - positives} CN). {ending}."
    )
    shown = {
        "title": "Area under the ROC curve, AD against CN", "rows": rows,
        "columns": ["read", "AUC", "gain of the drawn PET", "p (DeLong)"],
        "note": "Classifiers learned from real images of the training patients and were frozen. MRI alone has a "
                "classifier of its own; all other rows are one classifier of MRI and PET. A drawn PET adds "
                "no knowledge of the patient to MRI: it can help only by what the generator learned of other patients.",
    }  # fmt: skip
    return {"question": QUESTION, "answer": answer, "passed": passed, "tables": [shown], "figures": []}


def _area(values: np.ndarray, known: Sequence[int]) -> Interval:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the AUC is")  # the table shows that there is no interval
        return delong_ci(values, known)


def _against(ours: np.ndarray, other: np.ndarray, known: Sequence[int]) -> tuple[float, float]:
    """Ours minus the other's area, and the p of DeLong's paired test; NaN where it has none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a NaN p says the same
        difference = delong_test(ours, other, known)
    return difference.difference, difference.p


def _title(arm: str) -> str:
    return {"MRI alone": arm, "real": "MRI and real PET", "model": "MRI and drawn PET"}.get(arm, f"MRI and {arm} map")
