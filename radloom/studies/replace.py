"""Replace sequences: a segmenter that learned from real sequences reads cases in which some are synthetic."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Integer

from radloom.data.cohort import Cohort, check_one_grid
from radloom.downstream.segment import Segmenter, SegmenterSettings, train_segmenter
from radloom.errors import RadloomError
from radloom.evaluation import Arms, all_arms
from radloom.files import sha256, write_json
from radloom.io import write
from radloom.metrics.overlap import dice
from radloom.results import Results, Row
from radloom.runfolder import RunFolder
from radloom.stored import stored
from radloom.studies.replace_findings import findings
from radloom.system import Recipe, Task, translation
from radloom.types import Image
from radloom.weights import save_weights

MASK = "mask.tumour"
REGIONS: Mapping[str, tuple[int, ...]] = {"whole tumour": (1, 2, 3), "FLAIR hyperintensity": (2,), "enhancing": (3,)}
_SHOWN = ("model", "cubic", "zero")  # arms whose masks are kept for the report


@dataclass(frozen=True)
class Reader:
    """The frozen segmenter with what the report says of it."""

    segmenter: Segmenter
    sha256: str
    dice_val: float
    patients: int


def needs(recipe: Recipe, cohort: Cohort) -> str | None:
    """Why the study cannot run on this cohort; None when it can."""
    for split in ("train", "test"):
        part = cohort.where(split)
        if MASK not in part.table.columns or not all(part.path(case, MASK) for case in part.ids):
            return f"not every {split} case has {MASK}"
    return None


def run(recipe: Recipe, folder: RunFolder, cohort: Cohort) -> dict[str, object]:
    """Trains the reader on real images, reads every arm of the test cases, writes results.csv, masks/ and study.json.

    Raises RadloomError when the cohort has no tumour masks for training and test patients.
    """
    started = time.perf_counter()
    cohort.where("train").require([MASK])
    cases = cohort.where("test").ids
    if not cases:
        raise RadloomError("the cohort has no case in split test", do="assign one with `radloom data split`")
    cohort.where("test").require([MASK])
    reader = trained_reader(recipe, folder, cohort)
    arms = all_arms(recipe, folder, cohort)
    rows = [row for case in cases for row in _read_case(recipe, folder, cohort, reader.segmenter, arms, case)]
    results = Results.of(rows).added_to(folder.results)
    parameters = sum(p.numel() for p in reader.segmenter.parameters())
    about = {
        "sha256": reader.sha256,
        "parameters": parameters,
        "dice_val": None if np.isnan(reader.dice_val) else reader.dice_val,  # JSON has no NaN
        "patients": reader.patients,
    }
    study = {"name": "replace", **findings(results, recipe.system.task.target), "segmenter": about}
    write_json(folder.path / "study.json", study)
    folder.add_stage("study", time.perf_counter() - started)
    return study


def trained_reader(recipe: Recipe, folder: RunFolder, cohort: Cohort) -> Reader:
    """A segmenter trained on the real channels of the training patients and frozen; its settings are the study's."""
    task = translation(recipe)
    store = stored(task, folder, cohort, ("train", "val"))
    training = cohort.where("train").ids
    settings = SegmenterSettings(**recipe.system.sizes[recipe.size, recipe.dims].study)
    seed = folder.record()["seed"]
    volumes = [store.volume(case)[:, :-1] for case in training]
    labels = [expert_labels(task, cohort, case) for case in training]
    segmenter = train_segmenter(volumes, labels, classes=1 + len(REGIONS), settings=settings, seed=seed)
    path = folder.path / "segmenter.safetensors"
    save_weights(path, segmenter)
    scores = []
    for case in cohort.where("val").ids:
        if MASK in cohort.image_columns and cohort.path(case, MASK) is not None:
            read = segmenter.read(np.ascontiguousarray(store.volume(case)[:, :-1].transpose(1, 2, 3, 0)))
            scores.append(dice(read > 0, expert_labels(task, cohort, case) > 0))
    return Reader(segmenter, sha256(path), float(np.nanmean(scores)) if scores else float("nan"),
                  len(set(cohort.where("train").table["patient"])))  # fmt: skip


def expert_labels(task: Task, cohort: Cohort, case: str) -> Integer[np.ndarray, "x y z"]:
    """The expert's tumour labels of a case, 0 to 3. Raises RadloomError for others, or for another grid."""
    check_one_grid(cohort.case(case, [task.inputs[0], MASK]))
    labels = cohort.image(case, MASK).voxels.astype(np.int64)
    if not 0 <= labels.min() <= labels.max() <= len(REGIONS):
        raise RadloomError(f"{MASK} of case {case} has labels {labels.min()} to {labels.max()}",
                           expected=f"0 to {len(REGIONS)}", do="map them with `radloom data build --map`")  # fmt: skip
    return labels


def replaced_sets(target: Sequence[str]) -> list[tuple[str, ...]]:
    """Which targets are replaced together: all of them first, then each smaller set."""
    sizes = range(len(target), 0, -1)
    return [chosen for size in sizes for chosen in combinations(target, size)]


def _read_case(
    recipe: Recipe, folder: RunFolder, cohort: Cohort, segmenter: Segmenter, arms: Arms, case: str
) -> Iterator[Row]:
    task, record = translation(recipe), folder.record()
    prepared, split = task.read(cohort, case), cohort.case(case, []).split
    truth, grid = expert_labels(task, cohort, case), cohort.image(case, MASK)
    real = prepared.stack(task.keys)
    by_real = segmenter.read(real)
    _keep(folder, grid, by_real, f"{case}.real.real")

    def rows(arm: str, replaced: str, read: Integer[np.ndarray, "x y z"]) -> Iterator[Row]:
        for region, values in REGIONS.items():
            inside, expert = np.isin(read, values), np.isin(truth, values)
            for name, other in (("dice", expert), ("dice_to_real", np.isin(by_real, values))):
                yield Row(system=record["system"], run=folder.path.name, seed=record["seed"], case=case,
                          patient=prepared.patient, split=split, arm=arm, replaced=replaced, target="", region=region,
                          metric=name, value=dice(inside, other), unit="1")  # fmt: skip

    yield from rows("real", "", by_real)
    for arm, images in arms.of(prepared):
        for chosen in replaced_sets(task.target):
            mixed = real.copy()
            for key in chosen:
                mixed[task.keys.index(key)] = images[task.target.index(key)]
            read, name = segmenter.read(mixed), "+".join(chosen)
            if arm in _SHOWN:
                _keep(folder, grid, read, f"{case}.{arm}.{name}")
            yield from rows(arm, name, read)


def _keep(folder: RunFolder, grid: Image, labels: Integer[np.ndarray, "x y z"], name: str) -> None:
    write(grid.with_voxels(labels.astype(np.uint8)).on_source_grid(), folder.path / "masks" / f"{name}.nii.gz")
