"""Anomalies: does what a model of healthy images would change show where the disease is?

The run writes study.json, and in RUN/study/ a row per case (cases.csv), a score per case (scores.csv, as `radloom
triage` takes it), pictures, and for each test case the pseudo-healthy images and the map.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from radloom.data.cohort import Cohort
from radloom.drawing import synthesis
from radloom.files import whole_file, write_json
from radloom.models.healing import Heals
from radloom.random import numpy_stream, torch_stream
from radloom.runfolder import RunFolder
from radloom.sampling import loaded_model
from radloom.studies.anomaly_baselines import baselines
from radloom.studies.anomaly_scores import auprc, case_scores, count, dices, otsu, slice_scores
from radloom.studies.anomaly_slices import Slices, read_slices
from radloom.studies.anomaly_tables import Arm, tables
from radloom.synthesis import Synthesis
from radloom.system import Recipe

QUESTION = "Does what a model of healthy images would change show where the disease is?"
MASKS = ("mask.tumour", "mask.lesion", "mask.haemorrhage", "mask.effusion")
_DRAWS = 1000


def needs(recipe: Recipe, cohort: Cohort) -> str | None:
    """Why the study cannot run on this cohort; None when it can."""
    if recipe.dims != 2:
        return "it looks at slices: --dims 2"
    mask = mask_of(recipe, cohort)
    for split in ("train", "val", "test"):
        part = cohort.where(split)
        if not len(part):
            return f"the cohort has no case in split {split}"
        if mask not in part.table.columns or not all(part.path(case, mask) for case in part.ids):
            return f"not every {split} case has {mask}"
    return None


def mask_of(recipe: Recipe, cohort: Cohort) -> str:
    """The column that says where disease is: what the task leaves out or is told, else the first of MASKS."""
    task = recipe.system.task
    if isinstance(task, Synthesis):
        told = [one.column for one in task.condition if one.of_slices]
        for column in (task.without, *told):
            if column:
                return column
    return next((column for column in MASKS if column in cohort.image_columns), MASKS[0])


def run(recipe: Recipe, folder: RunFolder, cohort: Cohort) -> dict[str, Any]:
    """The model's map and the baselines' on the test cases; thresholds come from the validation cases."""
    started = time.perf_counter()
    task, mask, seed = synthesis(recipe), mask_of(recipe, cohort), int(folder.record()["seed"])
    train, val, test = (read_slices(task, cohort, cohort.where(s).ids, mask) for s in ("train", "val", "test"))
    model = loaded_model(recipe, folder)
    settings = recipe.system.sizes[recipe.size, recipe.dims].study
    on_val, healed = healed_slices(model, val, seed), healed_slices(model, test, seed)
    arms = [_arm("model", on_val.map, healed.map, val, test, healed.seconds)]
    for name, maps in baselines(train, val, settings, task.target, seed).items():
        before = maps(val)
        clock = time.process_time()
        after = maps(test)
        arms.append(_arm(name, before, after, val, test, (time.process_time() - clock) / len(test.x)))
    rng = numpy_stream(seed, "anomaly", "patients")
    patients = len(set(test.patient))
    draws = np.stack([np.bincount(rng.integers(patients, size=patients), minlength=patients) for _ in range(_DRAWS)])
    study = {"name": "anomaly", "question": QUESTION, "mask": mask,
             **tables(arms, val, test, draws.astype(float), rng)}  # fmt: skip
    _write(folder, recipe, cohort, test, val, arms, healed.healthy, study)
    folder.add_stage("study", time.perf_counter() - started)
    return study


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


def _write(
    folder: RunFolder, recipe: Recipe, cohort: Cohort, test: Slices, val: Slices, arms: list[Arm],
    healthy: Float[np.ndarray, "n c h w"], study: dict[str, Any],
) -> None:  # fmt: skip
    from radloom.studies.anomaly_pictures import rows_of_slices, write_volumes

    place = folder.path / "study"
    with whole_file(place / "cases.csv") as temporary:
        _by_case(test, arms).to_csv(temporary, index=False)
    with whole_file(place / "scores.csv") as temporary:
        rows = [(case, score, split) for split, part, maps in (("val", val, arms[0].val), ("test", test, arms[0].test))
                for case, score in case_scores(slice_scores(maps, part.region), part.case).items()]  # fmt: skip
        pd.DataFrame(rows, columns=["study", "score", "split"]).to_csv(temporary, index=False)
    write_volumes(place, folder, synthesis(recipe), cohort, test, healthy, arms[0].test)
    rows_of_slices(place / "slices.png", test, healthy, arms[0], recipe.system.task.target)
    study["figures"] = [{
        "title": "Input, pseudo-healthy, map and disease", "file": "study/slices.png",
        "note": "The slice with most disease of six test patients, those in the middle of each sixth by the model's "
        "average precision. Last column: what lies above the validation threshold (orange) and the reference (blue).",
    }]  # fmt: skip
    write_json(folder.path / "study.json", study)


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
