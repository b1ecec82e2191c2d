"""Judging drawn images against the real ones, with the baselines beside the model; one row per case and number."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float

from radloom.data.cohort import Cohort, check_one_grid
from radloom.data.transforms import Rescale
from radloom.data.views import Prepared, Store
from radloom.errors import RadloomError
from radloom.metrics import METRICS, Metric
from radloom.models.closed_form import Constant, Identity, Quantiles, TrainingMean, Voxelwise
from radloom.models.model import Model
from radloom.results import Results, Row
from radloom.runfolder import RunFolder
from radloom.sampling import read_sample
from radloom.stored import stored, whole_volumes
from radloom.system import Recipe, Task, translation

LESIONS = ("mask.tumour", "mask.lesion")  # the entries whose voxels are judged on their own as "tumour" and "lesion"
BASELINES = ("zero", "mean", "linear", "cubic")
_BONE, _AIR = 250.0, -400.0  # HU above and below (Emami et al. 2018)


def fitted_baselines(task: Task, store: Store, training: Sequence[str]) -> dict[str, Model]:
    """What one does without a generator, by arm, fitted on the training patients.

    zero: a zero-filled channel. mean: the training mean. linear, cubic: the best polynomial of all inputs, voxel by
    voxel, of degree 1 and 3 - all inputs, even where the model's own route sees fewer. A system that learns without
    pairs also stands beside what needs none: the input itself, and its histogram matched to the targets'.
    """
    inputs, targets = len(task.inputs), len(task.target)
    models: dict[str, Model] = {
        "zero": Constant(0.0),
        "mean": TrainingMean(targets),
        "linear": Voxelwise(inputs, targets, 1),
        "cubic": Voxelwise(inputs, targets, 3),
    }
    if task.pairing == "unpaired":
        models = {"identity": Identity(), "quantile": Quantiles(targets), **models}
    for model in models.values():
        model.begin(lambda: whole_volumes(task, store, training))
    return models


@dataclass(frozen=True)
class Arms:
    """Every way to fill in the targets of a case: the model's drawn files and the fitted baselines."""

    task: Task
    folder: RunFolder
    baselines: Mapping[str, Model]

    def of(self, prepared: Prepared) -> Iterator[tuple[str, Float[np.ndarray, "c x y z"]]]:
        """(arm, targets in brain medians), the model first."""
        drawn = [read_sample(self.folder, prepared.case, key).voxels for key in self.task.target]
        yield "model", np.stack(drawn) * prepared.region
        given, shape = self.task.given(prepared), (1, len(self.task.target), *prepared.region.shape)
        for arm, model in self.baselines.items():
            yield arm, model.sample(given, shape, rng=torch.Generator())[0].numpy()


def all_arms(recipe: Recipe, folder: RunFolder, cohort: Cohort) -> Arms:
    """The arms of a run, baselines fitted on its training patients."""
    task = translation(recipe)
    store = stored(task, folder, cohort, ("train",))
    return Arms(task, folder, fitted_baselines(task, store, cohort.where("train").ids))


def evaluate(recipe: Recipe, folder: RunFolder, cohort: Cohort, cases: Sequence[str]) -> Results:
    """Fidelity of every arm on these cases, written to results.csv beside what is there; inside the head and lesion."""
    if not cases:
        raise RadloomError("the cohort has no case in split test", expected="cases to judge",
                           do="assign a test split with `radloom data split`")  # fmt: skip
    started = time.perf_counter()
    arms = all_arms(recipe, folder, cohort)
    rows = [row for case in cases for row in _judged(recipe, folder, cohort, arms, case)]
    results = Results.of(rows).added_to(folder.results)
    folder.add_stage("evaluate", time.perf_counter() - started)
    return results


def _judged(recipe: Recipe, folder: RunFolder, cohort: Cohort, arms: Arms, case: str) -> Iterator[Row]:
    task, record = translation(recipe), folder.record()
    split = cohort.case(case, task.target).split  # refuses a case without the real images
    prepared = task.read(cohort, case)
    everywhere = {"brain": prepared.region, **_lesions(task, cohort, case, prepared.region)}
    for arm, images in arms.of(prepared):
        for key, image in zip(task.target, images, strict=True):
            scale = prepared.scales[key]
            for name in recipe.system.metrics:
                for region, inside in {**everywhere, **_tissues(prepared, key)}.items():
                    value = judged(METRICS[name], image, prepared.channels[key], inside, record["data_range"][key])
                    factor, unit = _in_hu(METRICS[name].unit, scale)
                    yield Row(system=record["system"], run=folder.path.name, seed=record["seed"], case=case,
                              patient=prepared.patient, split=split, arm=arm, replaced="", target=key, region=region,
                              metric=name, value=value * factor, unit=unit)  # fmt: skip


def _in_hu(unit: str, scale: Rescale) -> tuple[float, str]:
    """Factor and unit of a metric: errors of images in HU are told in HU."""
    power = {"image": 1, "image^2": 2}.get(unit, 0)
    if scale.source_unit != "HU" or not power:
        return 1.0, unit
    return scale.scale**power, "HU" if power == 1 else "HU^2"


def _tissues(prepared: Prepared, key: str) -> dict[str, Bool[np.ndarray, "x y z"]]:
    """Bone, air and the rest of a real CT, inside the region; nothing for other images or where a tissue is absent."""
    scale = prepared.scales[key]
    if scale.source_unit != "HU":
        return {}
    hu = prepared.channels[key] * scale.scale + scale.offset
    bone, air = (hu > _BONE) & prepared.region, (hu < _AIR) & prepared.region
    found = {"soft tissue": prepared.region & ~bone & ~air, "bone": bone, "air": air}
    return {name: inside for name, inside in found.items() if inside.any()}


def judged(
    metric: Metric,
    image: Float[np.ndarray, "x y z"],
    real: Float[np.ndarray, "x y z"],
    inside: Bool[np.ndarray, "x y z"],
    data_range: float,
) -> float:
    """One metric of one image inside a region, both images in brain medians."""
    if "data_range" in metric.needs:
        return metric.value(image, real, data_range=data_range, mask=inside)
    return metric.value(image, real, mask=inside)


def _lesions(
    task: Task, cohort: Cohort, case: str, region: Bool[np.ndarray, "x y z"]
) -> dict[str, Bool[np.ndarray, "x y z"]]:
    found = {}
    for key in LESIONS:
        if key in cohort.image_columns and cohort.path(case, key) is not None:
            check_one_grid(cohort.case(case, [task.inputs[0], key]))
            inside = (cohort.image(case, key).voxels > 0) & region
            if inside.any():
                found[key.removeprefix("mask.")] = inside
    return found
