"""What a run's images may show that is not there: lesions lost, structures invented, the null effect, the spread."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from radloom.data.cohort import Cohort
from radloom.data.views import Prepared
from radloom.evaluation import LESIONS, Arms, all_arms
from radloom.files import whole_file, write_json
from radloom.given import Given
from radloom.models.model import Model
from radloom.random import numpy_stream, torch_stream
from radloom.runfolder import RunFolder
from radloom.safety.hallucination import Fate, false_structures, lesion_fates, noise_sd
from radloom.sampling import trained_model
from radloom.stats.intervals import bootstrap_ci
from radloom.system import Recipe, Task, translation

# Lesions by volume, mL: up to and excluding the second number.
SIZES: Mapping[str, tuple[float, float]] = {
    "< 0.1 mL": (0.0, 0.1), "0.1-1 mL": (0.1, 1.0), "≥ 1 mL": (1.0, np.inf),
}  # fmt: skip
_DRAWS = 3  # of one case, for the spread of a model that samples
_NOTE = (
    "Lost, by size: lesions that the real image shows, by a contrast above one standard deviation of their "
    "surroundings, of which the synthetic image shows less than half. False: ten or more joined voxels that differ "
    "from the real image by over five standard deviations of its noise; a blurred or shifted edge counts too. "
    "Interval: patients resampled."
)


@dataclass(frozen=True)
class Counted:
    """One arm's image of one target of one case. structures_ml: sizes of what differs from the real image."""

    case: str
    patient: str
    arm: str
    target: str
    fates: tuple[Fate, ...]
    structures_ml: tuple[float, ...]


def check(recipe: Recipe, folder: RunFolder, cohort: Cohort, cases: Sequence[str]) -> dict[str, Any]:
    """Counts on these cases and draws for the first of them; writes RUN/checks.json and RUN/checks/*.png."""
    started = time.perf_counter()
    arms = all_arms(recipe, folder, cohort)
    counted = [one for case in cases for one in _counted(translation(recipe), cohort, arms, case)]
    seed = folder.record()["seed"]
    found = {
        "name": "hallucination",
        "tables": [_table(counted, target, seed) for target in recipe.system.task.target],
        "figures": [_drawn_again(recipe, folder, cohort, cases[0])],
        "cases": [asdict(one) for one in counted],
    }
    write_json(folder.path / "checks.json", found)
    folder.add_stage("check", time.perf_counter() - started)
    return found


def _counted(task: Task, cohort: Cohort, arms: Arms, case: str) -> Iterator[Counted]:
    prepared = task.read(cohort, case)
    masks = [key for key in LESIONS if key in cohort.image_columns and cohort.path(case, key) is not None]
    lesion = np.logical_or.reduce([cohort.image(case, key).voxels > 0 for key in masks]) if masks else None
    voxel_ml = float(np.prod(prepared.grid.spacing_mm)) / 1000
    for arm, images in arms.of(prepared):
        for key, image in zip(task.target, images, strict=True):
            real, region = prepared.channels[key], prepared.region
            fates = [] if lesion is None else lesion_fates(real, image, lesion & region, region, voxel_ml=voxel_ml)
            noise = noise_sd(real, region)
            sizes = false_structures(real, image, region, noise=noise) if noise > 0 else []
            yield Counted(case, prepared.patient, arm, key, tuple(fates), tuple(n * voxel_ml for n in sizes))


def _table(counted: Sequence[Counted], target: str, seed: int) -> dict[str, Any]:
    """One row an arm: lesions lost by size, false structures a case."""
    mine = [one for one in counted if one.target == target]
    arms = list(dict.fromkeys(one.arm for one in mine))
    rows = []
    for arm in arms:
        own = [one for one in mine if one.arm == arm]
        lost = [_lost(own, low, high) for low, high in SIZES.values()]
        volumes = [sum(one.structures_ml) for one in own]
        rng = numpy_stream(seed, "check", target, arm)
        interval = bootstrap_ci(volumes, patients=[one.patient for one in own], rng=rng)
        number = float(np.mean([len(one.structures_ml) for one in own]))
        spread = f" ({interval.low:.1f} to {interval.high:.1f})" if np.isfinite(interval.low) else ""
        rows.append([arm, *lost, f"{number:.1f}", f"{interval.estimate:.1f}{spread}"])
    return {
        "title": "Lost and invented",
        "target": target,
        "columns": ["made by", *(f"lost {name}" for name in SIZES), "false a case", "false, mL (95 %)"],
        "rows": rows,
        "note": _NOTE,
    }  # fmt: skip


def _lost(counted: Sequence[Counted], low: float, high: float) -> str:
    """ "2 of 9" of the visible lesions of a size; a dash where there is none."""
    fates = [fate for one in counted for fate in one.fates if fate.visible and low <= fate.volume_ml < high]
    return f"{sum(fate.lost for fate in fates)} of {len(fates)}" if fates else "–"


def _drawn_again(recipe: Recipe, folder: RunFolder, cohort: Cohort, case: str) -> dict[str, Any]:
    """The spread of several draws of a case, and what the model draws from inputs that say nothing."""
    task = translation(recipe)
    prepared = task.read(cohort, case)
    model = trained_model(recipe, folder)
    given = task.given(prepared)
    first, second = (_draw(model, task, given, case, number) for number in range(2))
    one_answer = bool((first == second).all())
    more = range(2, 2 if one_answer else _DRAWS)
    draws = np.stack([first, second, *(_draw(model, task, given, case, number) for number in more)])
    flat = Given(image=_without_content(given), mask=given.mask)
    null = _draw(model, task, flat, "null", 0)
    deviation, region = draws.std(axis=0, ddof=1), prepared.region
    error = np.abs(draws[0] - prepared.stack(task.target))
    _picture(folder.path / "checks" / "draws.png", task, prepared, draws, null)
    shown = [f"Case {case}. From flat inputs the model draws images whose standard deviation over the region is "
             + _listed(task, [float(null[i][region].std() / prepared.channels[key][region].std())
                              for i, key in enumerate(task.target)])
             + " of the real images': what it adds of its own."]  # fmt: skip
    if one_answer:
        shown.append("The model gives one answer: the same image at each draw, and so no map of its doubt.")
    else:
        ranks = [_rank_correlation(deviation[i][region], error[i][region]) for i in range(len(task.target))]
        shown.append(f"Rank correlation of spread and error over the region: {_listed(task, ranks)}.")
    return {"title": "Spread and null effect", "file": "checks/draws.png", "note": " ".join(shown)}


def _draw(model: Model, task: Task, given: Given, *name: Any) -> Float[np.ndarray, "c x y z"]:
    assert given.image is not None, "a translation is given an image"
    shape = (1, len(task.target), *given.image.shape[2:])
    with torch.no_grad():
        x = model.sample(given, shape, rng=torch_stream(0, "check", *name))[0].float()
    return (x if given.mask is None else x * given.mask[0]).numpy()


def _without_content(given: Given) -> torch.Tensor:
    """The inputs with every voxel of the region at its image's mean there."""
    assert given.image is not None
    assert given.mask is not None
    inside = given.mask.float()
    axes = tuple(range(2, given.image.ndim))
    mean = (given.image * inside).sum(axes, keepdim=True) / inside.sum(axes, keepdim=True).clamp_min(1)
    return mean * inside


def _rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    from scipy.stats import spearmanr

    found: Any = spearmanr(a, b)
    return float(found.statistic)


def _listed(task: Task, values: Sequence[float]) -> str:
    return ", ".join(f"{value:.2f} ({key.partition('.')[2]})" for key, value in zip(task.target, values, strict=True))


def _picture(path: Path, task: Task, prepared: Prepared, draws: np.ndarray, null: np.ndarray) -> None:
    """A row a target: real, first draw, size of its error, spread of the draws, draw from flat inputs."""
    from matplotlib.figure import Figure

    names = ("real", "synthetic", "size of error", f"spread of {len(draws)} draws", "from flat inputs (synthetic)")
    at = int(np.argmax(prepared.region.sum(axis=(0, 1))))
    figure = Figure(figsize=(2.1 * len(names), 2.3 * len(task.target) + 0.3), layout="constrained")
    axes = figure.subplots(len(task.target), len(names), squeeze=False)
    for i, key in enumerate(task.target):
        real, made = prepared.channels[key], draws[0, i]
        top = float(np.percentile(real[prepared.region], 99.7))
        doubt = draws[:, i].std(axis=0, ddof=1)
        images = ((real, top, "gray"), (made, top, "gray"), (np.abs(made - real), top / 2, "magma"),
                  (doubt, top / 2, "magma"), (null[i], top, "gray"))  # fmt: skip
        for axis, (image, high, colours), name in zip(axes[i], images, names, strict=True):
            axis.imshow(image[::-1, ::-1, at].T, cmap=colours, vmin=0, vmax=high, interpolation="nearest")
            axis.set_title(f"{key.partition('.')[2]}: {name}" if i or name == "real" else name, fontsize=8)
            axis.set_axis_off()
    path.parent.mkdir(exist_ok=True)
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
