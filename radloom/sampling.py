"""Drawing for a cohort's cases: a trained run's images on the source's grid, each with a sidecar."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from radloom.data.cohort import Cohort
from radloom.data.transforms import Rescale
from radloom.data.views import Prepared
from radloom.errors import RadloomError
from radloom.files import read_json, write_json
from radloom.io import read, write
from radloom.models.model import Model
from radloom.models.regression import Regression
from radloom.models.wrappers import Slicewise, Tiled
from radloom.random import torch_stream
from radloom.runfolder import RunFolder
from radloom.system import Recipe, Task, translation
from radloom.types import Image
from radloom.weights import load_tensors

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def trained_model(recipe: Recipe, folder: RunFolder) -> Model:
    """The run's trained model, ready to draw whole volumes (1, c, x, y, z)."""
    return on_volumes(loaded_model(recipe, folder), recipe)


def loaded_model(recipe: Recipe, folder: RunFolder) -> Model:
    """The run's trained model as it was trained, of slices or cubes."""
    model = recipe.build()
    load_tensors(model, folder.weights)
    return model.eval().requires_grad_(False)


def error_model(recipe: Recipe, folder: RunFolder) -> Model | None:
    """Draws the error that the run's model expects of its own volumes; None for a model that expects none."""
    model = loaded_model(recipe, folder)
    return on_volumes(model.errors(), recipe) if isinstance(model, Regression) else None


def on_volumes(model: Model, recipe: Recipe) -> Model:
    """A model of slices or cubes as a model of whole volumes."""
    task = recipe.system.task
    context = task.context if isinstance(task, Task) else 0
    return Slicewise(model, context=context) if recipe.dims == 2 else Tiled(model, recipe.training.patch)


def draw(
    recipe: Recipe,
    folder: RunFolder,
    cohort: Cohort,
    fabric: Fabric,
    *,
    table: Path,
    seed: int,
    draws: int = 1,
    cases: Sequence[str] | None = None,
) -> list[str]:
    """Draws the targets of these cases (all of the test split unless given) into samples/; returns their ids.

    table: the cohort's file, which every image names as its source.
    A case's images depend on (seed, case, draw) alone: not on the other cases, nor on the number of processes.
    """
    started = time.perf_counter()
    chosen = list(cases) if cases is not None else cohort.where("test").ids
    if not chosen:
        raise RadloomError("the cohort has no case in split test", expected="cases to draw",
                           do="assign a test split with `radloom data split`, or name cases with --case")  # fmt: skip
    model = trained_model(recipe, folder).to(fabric.device)
    expected = error_model(recipe, folder)
    expected = None if expected is None else expected.to(fabric.device)
    record = folder.record()
    for case in chosen[fabric.global_rank :: fabric.world_size]:
        prepared = recipe.system.task.read(cohort, case)
        for number in range(draws):
            rng = torch_stream(seed, "draw", case, number, device=fabric.device)
            _write(folder, record, table, prepared, _drawn(recipe, model, prepared, rng), number, seed)
        if expected is not None:
            _write_errors(folder, record, prepared, _drawn(recipe, expected, prepared, torch_stream(seed, case)))
    fabric.barrier()
    if fabric.is_global_zero:
        folder.add_stage("draw", time.perf_counter() - started)
    return chosen


def _drawn(recipe: Recipe, model: Model, prepared: Prepared, rng: torch.Generator) -> np.ndarray:
    """The targets (c, x, y, z) in brain medians."""
    task = translation(recipe)
    given = task.given(prepared).to(rng.device)
    with torch.no_grad():
        x = model.sample(given, (1, len(task.target), *prepared.region.shape), rng=rng)[0].float().cpu().numpy()
    if not np.isfinite(x).all():
        raise RadloomError(f"the model drew NaN for case {prepared.case}", do="train again with a lower learning rate")
    return x * prepared.region


def _write(
    folder: RunFolder, record: dict[str, Any], table: Path, prepared: Prepared, drawn: np.ndarray, number: int,
    seed: int,
) -> None:  # fmt: skip
    """Writes each target in the training patients' typical scanner units, on the grid of the case's own files."""
    for key, voxels in zip(record["target"], drawn, strict=True):
        typical = record["scale"][key]
        scale = Rescale(typical["offset"], typical["scale"], typical["unit"])
        image = scale.inverse(replace(prepared.grid, voxels=voxels.astype(np.float32), unit="1"))
        stem = folder.path / "samples" / f"{prepared.case}.draw{number}.{key}"
        write(image.on_source_grid(), stem.with_name(stem.name + ".nii.gz"))
        sidecar = {
            "synthetic": True, "system": record["system"], "run": folder.path.resolve().name,
            "case": prepared.case, "patient": prepared.patient,
            "draw": number, "key": key, "seed": seed,
            "condition": [name for name in record["inputs"] if name in prepared.scales],
            "split_hash": record["split_hash"], "weights_sha256": record["weights_sha256"], "unit": typical["unit"],
            "scale": typical, "source": str(table),
        }  # fmt: skip
        write_json(stem.with_name(stem.name + ".json"), sidecar)


def _write_errors(folder: RunFolder, record: dict[str, Any], prepared: Prepared, expected: np.ndarray) -> None:
    """Writes the absolute error to expect of each target, in the images' own units, into expected_error/."""
    (folder.path / "expected_error").mkdir(exist_ok=True)
    for key, voxels in zip(record["target"], expected, strict=True):
        typical = record["scale"][key]
        error = replace(prepared.grid, voxels=(voxels * typical["scale"]).astype(np.float32), unit=typical["unit"])
        write(error.on_source_grid(), folder.path / "expected_error" / f"{prepared.case}.{key}.nii.gz")


def read_sample(folder: RunFolder, case: str, key: str, number: int = 0) -> Image:
    """A drawn image in units of the brain median, RAS+. Raises RadloomError when it has not been drawn."""
    stem = folder.path / "samples" / f"{case}.draw{number}.{key}"
    path = stem.with_name(stem.name + ".nii.gz")
    if not path.is_file():
        raise RadloomError(f"{path} is absent", do=f"draw it first: radloom draw {folder.path}")
    scale = read_json(stem.with_name(stem.name + ".json"))["scale"]
    return Rescale(scale["offset"], scale["scale"]).apply(read(path))
