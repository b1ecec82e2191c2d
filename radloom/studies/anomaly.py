"""Anomalies: does what a model of healthy images would change show where the disease is?

The run writes study.json, and in RUN/study/ a row per case (cases.csv), a score per case (scores.csv, as `radloom
triage` takes it), pictures, and for each test case the pseudo-healthy images and the map.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from radloom.data.cohort import Cohort
from radloom.drawing import synthesis
from radloom.errors import RadloomError
from radloom.files import whole_file, write_json
from radloom.models.healing import Heals
from radloom.random import numpy_stream, torch_stream
from radloom.runfolder import RunFolder
from radloom.sampling import loaded_model
from radloom.studies.anomaly_baselines import baselines
from radloom.studies.anomaly_cases import CaseArm, case_tables, classifier_arm, scored
from radloom.studies.anomaly_pictures import rows_of_slices, shown, write_volumes
from radloom.studies.anomaly_scores import auprc, case_scores, count, dices, otsu, slice_scores
from radloom.studies.anomaly_slices import Cases, Slices, read_slices
from radloom.studies.anomaly_tables import Arm, tables
from radloom.studies.disease import MASKS, disease_of
from radloom.system import Recipe

QUESTION = "Does what a model of healthy images would change show where the disease is?"
QUESTION_OF_CASES = "Does what a model of healthy images would change show which cases are ill?"
_FIGURE = {"title": "Input, pseudo-healthy, map and disease", "file": "study/slices.png"}
_DRAWS = 1000


def needs(recipe: Recipe, cohort: Cohort) -> str | None:
    """Why the study cannot run on this cohort; None when it can."""
    if recipe.dims != 2:
        return "it looks at slices: --dims 2"
    disease = disease_of(recipe, cohort)
    for split in ("train", "val", "test"):
        part = cohort.where(split)
        if not len(part):
            return f"the cohort has no case in split {split}"
        if disease.missing(part):
            return f"not every {split} case has {disease.column}"
    return None


def run(recipe: Recipe, folder: RunFolder, cohort: Cohort) -> dict[str, Any]:
    """The model's map and the baselines' on the test cases; thresholds come from the validation cases."""
    started = time.perf_counter()
    mine = Tested(cohort, tuple(cohort.where("test").ids), folder.path, str(folder.record()["cohort"]))
    study = _looked_at(recipe, folder, cohort, mine)
    folder.add_stage("study", time.perf_counter() - started)
    return study


def elsewhere(
    recipe: Recipe, folder: RunFolder, cohort: Cohort, other: Cohort, *, table: Path, place: Path
) -> dict[str, Any]:  # fmt: skip
    """The same on every case of another cohort; model, baselines and thresholds are those of the run's own cohort.

    Writes PLACE/study.json and PLACE/study/. Raises RadloomError when a case lacks images or does not say what is ill.
    """
    other.require(synthesis(recipe).target)
    disease = disease_of(recipe, other)
    if disease.missing(other):
        raise RadloomError(
            f"{other.root}: not every case has {disease.column}", expected=f"a reference, such as {', '.join(MASKS)}"
        )
    return _looked_at(recipe, folder, cohort, Tested(other, tuple(other.ids), place, str(table)))


@dataclass(frozen=True, eq=False)
class Tested:
    """What is looked at: these cases of a cohort whose file is `table`; place: where the findings go."""

    cohort: Cohort
    cases: tuple[str, ...]
    place: Path
    table: str


def _looked_at(recipe: Recipe, folder: RunFolder, cohort: Cohort, tested: Tested) -> dict[str, Any]:
    task, disease, seed = synthesis(recipe), disease_of(recipe, cohort), int(folder.record()["seed"])
    train, val = (read_slices(task, cohort, cohort.where(split).ids, disease) for split in ("train", "val"))
    reference, place = disease_of(recipe, tested.cohort), tested.place
    test = read_slices(task, tested.cohort, tested.cases, reference)
    model = loaded_model(recipe, folder)
    on_val, healed = healed_slices(model, val, seed), healed_slices(model, test, seed)
    settings = recipe.system.sizes[recipe.size, recipe.dims].study
    maps = {"model": (on_val.map, healed.map, healed.seconds)}
    for name, of in baselines(train, val, settings, task.target, seed).items():
        before = of(val)
        clock = time.process_time()
        maps[name] = (before, of(test), (time.process_time() - clock) / len(test.x))
    rng = numpy_stream(seed, "anomaly", "patients")
    if disease.of_cases:
        arms = [scored(name, a, b, val, test, seconds) for name, (a, b, seconds) in maps.items()]
        arms.append(classifier_arm(train, val, test, settings["segmenter_steps"], seed))
        study = _told_of_cases(arms, val, test, place, rng)
        threshold, rows = None, _rows_of_cases(test, arms[0])
    else:
        found = [_arm(name, a, b, val, test, seconds) for name, (a, b, seconds) in maps.items()]
        study = _told_of_voxels(found, val, test, place, rng)
        threshold, rows = found[0].threshold, shown(test, found[0])
    study |= {"reference": reference.column, "cohort": tested.table}
    _write_scores(place, val, on_val.map, test, healed.map)
    write_volumes(place / "study", folder, task, tested.cohort, tested.table, test, healed.healthy, healed.map)
    rows_of_slices(place / "study" / "slices.png", test, healed.healthy, healed.map, threshold, rows, task.target)
    write_json(place / "study.json", study)
    return study


def _told_of_voxels(
    arms: list[Arm], val: Slices, test: Slices, place: Path, rng: np.random.Generator
) -> dict[str, Any]:  # fmt: skip
    patients = len(set(test.patient))
    draws = np.stack([np.bincount(rng.integers(patients, size=patients), minlength=patients) for _ in range(_DRAWS)])
    with whole_file(place / "study" / "cases.csv") as temporary:
        _by_case(test, arms).to_csv(temporary, index=False)
    note = (
        "The slice with most disease of six test patients, those in the middle of each sixth by the model's average "
        "precision. Last column: what lies above the validation threshold (orange) and the reference (blue)."
    )
    return {"name": "anomaly", "question": QUESTION, **tables(arms, val, test, draws.astype(float), rng),
            "figures": [{**_FIGURE, "note": note}]}  # fmt: skip


def _told_of_cases(
    arms: list[CaseArm], val: Slices, test: Slices, place: Path, rng: np.random.Generator
) -> dict[str, Any]:  # fmt: skip
    cases = Cases.of(test)
    rows = [{"case": case, "patient": patient, "ill": bool(ill), "arm": arm.name, "score": float(score)}
            for arm in arms for case, patient, ill, score in zip(cases.names, cases.patient, cases.ill, arm.test,
                                                                 strict=True)]  # fmt: skip
    with whole_file(place / "study" / "cases.csv") as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)
    note = "The middle slice of six test cases, evenly from the least suspect of all to the most by the model's score."
    return {"name": "anomaly", "question": QUESTION_OF_CASES, **case_tables(arms, Cases.of(val), cases, rng),
            "figures": [{**_FIGURE, "note": note}]}  # fmt: skip


@dataclass(frozen=True, eq=False)
class HealedSlices:
    """Pseudo-healthy images and maps of n slices, and CPU seconds a slice."""

    healthy: Float[np.ndarray, "n c h w"]
    map: Float[np.ndarray, "n h w"]
    seconds: float


def healed_slices(model: Any, slices: Slices, seed: int) -> HealedSlices:
    """The model's answer, case by case: a case's noise depends on (seed, case) alone."""
    assert isinstance(model, Heals), "a system with this study builds a model that heals"
    clock, healthy, maps = time.process_time(), [], []
    names = np.asarray(slices.case)
    for case in dict.fromkeys(slices.case):
        part = slices.of(names == case)
        rng = torch_stream(seed, "heal", case)
        for first in range(0, len(part.x), 16):
            x, given = part.given(slice(first, first + 16))
            found = model.heal(x, given, rng=rng)
            healthy.append(found.healthy.detach().float())
            maps.append(found.map.detach().float()[:, 0])
    spent = (time.process_time() - clock) / len(slices.x)
    return HealedSlices(torch.cat(healthy).numpy(), torch.cat(maps).numpy() * slices.region, spent)


def _arm(
    name: str, on_val: Float[np.ndarray, "m h w"], on_test: Float[np.ndarray, "n h w"], val: Slices, test: Slices,
    seconds: float,
) -> Arm:  # fmt: skip
    counts = count(on_val, val.region, val.truth, val.patient)
    best = dices(counts.ill.sum(0), counts.healthy.sum(0))
    threshold = float(counts.thresholds[int(np.argmax(best))])
    return Arm(name, on_val, on_test, threshold, count(on_test, test.region, test.truth, test.patient), seconds)


def _rows_of_cases(test: Slices, arm: CaseArm) -> list[int]:
    """The middle slice of six cases, evenly from the least suspect case to the most."""
    names, order, cases = np.asarray(test.case), np.argsort(arm.test), Cases.of(test).names
    picked = order[np.linspace(0, len(order) - 1, min(6, len(order))).round().astype(int)]
    rows = [np.flatnonzero(names == cases[i]) for i in picked]
    return [int(row[len(row) // 2]) for row in rows]


def _write_scores(place: Path, val: Slices, on_val: np.ndarray, test: Slices, on_test: np.ndarray) -> None:
    rows = [(case, score, split) for split, part, maps in (("val", val, on_val), ("test", test, on_test))
            for case, score in case_scores(slice_scores(maps, part.region), part.case).items()]  # fmt: skip
    with whole_file(place / "study" / "scores.csv") as temporary:
        pd.DataFrame(rows, columns=["study", "score", "split"]).to_csv(temporary, index=False)


def _by_case(test: Slices, arms: list[Arm]) -> pd.DataFrame:
    """Average precision and Dice of each case that shows disease; Dice at the validation threshold and at Otsu's."""
    names, rows = np.asarray(test.case), []
    for case in dict.fromkeys(test.case):
        mine = test.of(names == case)
        if not mine.truth.any():
            continue
        for arm in arms:
            maps = arm.test[names == case]
            counts = count(maps, mine.region, mine.truth, mine.case)
            row = {"case": case, "patient": mine.patient[0], "arm": arm.name,
                   "auprc": float(auprc(counts.ill[0], counts.healthy[0]))}  # fmt: skip
            for name, threshold in (("dice", arm.threshold), ("dice_otsu", otsu(maps[mine.region].astype(float)))):
                marked = (maps > threshold) & mine.region
                row[name] = 2 * float((marked & mine.truth).sum()) / float(marked.sum() + mine.truth.sum())
            rows.append(row)
    return pd.DataFrame(rows)
