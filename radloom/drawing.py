"""Drawing from nothing or from a label: a trained run becomes as many synthetic images as one wants, with sidecars."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from radloom.data.cohort import Cohort
from radloom.data.condition import Condition
from radloom.data.transforms import Rescale
from radloom.errors import RadloomError
from radloom.files import write_json
from radloom.io import write
from radloom.random import numpy_stream, torch_stream
from radloom.runfolder import RunFolder
from radloom.sampling import loaded_model
from radloom.synthesis import Synthesis
from radloom.system import Recipe
from radloom.types import Image

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_CHUNK = 16  # images that share a random stream, from which each takes a stream of its own


@dataclass(frozen=True)
class Wish:
    """A condition to draw under. codes: as networks are given it; several, then each image takes one at random."""

    name: str
    codes: tuple[tuple[float, ...], ...]

    def code(self, seed: int, number: int) -> tuple[float, ...]:
        """The condition of image `number`."""
        if len(self.codes) == 1:
            return self.codes[0]
        return self.codes[int(numpy_stream(seed, "draw", self.name, "label", number).integers(len(self.codes)))]


def synthesis(recipe: Recipe) -> Synthesis:
    """The recipe's task, which draws from nothing. Raises RadloomError for one that needs images."""
    task = recipe.system.task
    if not isinstance(task, Synthesis):
        raise RadloomError(f"{recipe.system.name} draws from a case's images", expected="a system that needs none")
    return task


def wishes(task: Synthesis, cohort: Cohort, wanted: Sequence[str]) -> list[Wish]:
    """The conditions wanted ("label.idh=1", columns joined by commas), else each one that training cases have.

    Where a column holds values rather than classes, one wish: labels as the training cases have them.
    """
    if not task.condition:
        if wanted:
            raise RadloomError(f"--condition {wanted[0]}: this run was trained without a condition",
                               do="train with --set condition=label.NAME")  # fmt: skip
        return [Wish("image", ((),))]
    if wanted:
        return [_wanted(task.condition, text) for text in wanted]
    if any(one.of_slices for one in task.condition):
        kinds = product(*([float(i) for i in range(len(one.classes))] for one in task.condition))
        return [Wish(_name(task.condition, codes), (codes,)) for codes in kinds]
    training = cohort.where("train")
    rows = [tuple(one.code(v) for one, v in zip(task.condition, row, strict=True))
            for row in training.table[[one.column for one in task.condition]].itertuples(index=False)]  # fmt: skip
    if any(not one.classes for one in task.condition):
        return [Wish("as_trained", tuple(rows))]
    return [Wish(_name(task.condition, codes), (codes,)) for codes in sorted(set(rows))]


def draw_images(
    recipe: Recipe, folder: RunFolder, fabric: Fabric, asked: Sequence[Wish], *, count: int, seed: int
) -> list[str]:  # fmt: skip
    """Draws `count` images under each wish into samples/; returns their names, such as idh_1-00003.

    An image depends on (seed, wish, number) alone: not on the count, the batch, or the number of processes.
    """
    started = time.perf_counter()
    task, record = synthesis(recipe), folder.record()
    model = loaded_model(recipe, folder).to(fabric.device)
    like = task.read(folder.cohort(), folder.cohort().where("train").ids[0]).grid
    chunks = [(wish, first) for wish in asked for first in range(0, count, _CHUNK)]
    spent = 0.0
    batch = _CHUNK if recipe.dims == 2 else 1
    for wish, first in chunks[fabric.global_rank :: fabric.world_size]:
        rng = torch_stream(seed, "draw", wish.name, first // _CHUNK, device=fabric.device)
        numbers = range(first, min(first + _CHUNK, count))
        for part in (numbers[i : i + batch] for i in range(0, len(numbers), batch)):
            codes = [wish.code(seed, number) for number in part]
            given = task.told(codes).to(fabric.device)
            clock = time.process_time()
            with torch.no_grad():
                x = model.sample(given, (len(part), len(task.target), *task.grid), rng=rng).float().cpu().numpy()
            spent += time.process_time() - clock
            if not np.isfinite(x).all():
                raise RadloomError("the model drew NaN", do="train again with a lower learning rate")
            for number, code, image in zip(part, codes, x, strict=True):
                _write(folder, record, task, like, (wish.name, number, code), image, seed)
    fabric.barrier()
    names = [f"{wish.name}-{number:05d}" for wish in asked for number in range(count)]
    if fabric.is_global_zero:
        per_image = spent / max(1, sum(min(_CHUNK, count - first) for _, first in chunks[:: fabric.world_size]))
        folder.update({"drawn": {"names": names, "seed": seed, "cpu_seconds_per_image": round(per_image, 5)}})
        folder.add_stage("draw", time.perf_counter() - started)
    return names


def _write(
    folder: RunFolder, record: dict[str, Any], task: Synthesis, like: Image,
    place: tuple[str, int, tuple[float, ...]], drawn: np.ndarray, seed: int,
) -> None:  # fmt: skip
    """Writes each target, cut at the window as training images are, in their typical intensities."""
    wish, number, codes = place
    case = f"{wish}-{number:05d}"
    given = {one.column: one.said(code) for one, code in zip(task.condition, codes, strict=True)}
    for key, x in zip(task.target, drawn, strict=True):
        typical = record["scale"][key]
        voxels = np.clip(x, -1, 1).astype(np.float32).reshape(*x.shape, *(1,) * (3 - x.ndim))
        affine = np.diag([*like.spacing_mm, 1.0])
        affine[:3, 3] = -affine[:3, :3] @ ((np.array(voxels.shape) - 1) / 2)
        image = Rescale(typical["offset"], typical["scale"]).inverse(Image(voxels, affine, unit=like.unit))
        stem = folder.path / "samples" / f"{case}.draw0.{key}"
        write(image, stem.with_name(stem.name + ".nii.gz"))
        sidecar = {
            "synthetic": True, "system": record["system"], "run": folder.path.resolve().name, "case": case,
            "patient": case, "draw": 0, "key": key, "seed": seed, "condition": [], "given": given,
            "split_hash": record["split_hash"], "weights_sha256": record["weights_sha256"], "unit": like.unit,
            "scale": typical, "source": record["cohort"],
        }  # fmt: skip
        write_json(stem.with_name(stem.name + ".json"), sidecar)


def _wanted(conditions: Sequence[Condition], text: str) -> Wish:
    parts = [part.partition("=") for part in text.split(",")]
    pairs = {name: value for name, _, value in parts}
    if set(pairs) != {one.column for one in conditions}:
        raise RadloomError(f"--condition {text} cannot be read",
                           expected=",".join(f"{one.column}=VALUE" for one in conditions))  # fmt: skip
    codes = tuple(one.code(pairs[one.column]) for one in conditions)
    return Wish(_name(conditions, codes), (codes,))


def _name(conditions: Sequence[Condition], codes: Sequence[float]) -> str:
    """The name of a condition as a file's name may be, such as "idh_1"."""
    text = "_".join(f"{one.name}_{one.said(code)}" for one, code in zip(conditions, codes, strict=True))
    return re.sub(r"[^A-Za-z0-9_]+", "-", text)


def usual_count(recipe: Recipe, cohort: Cohort, asked: int) -> int:
    """How many images under each of `asked` conditions: in all as many as test images are judged, 64 to 512."""
    each = 1 if recipe.dims == 3 else 8
    return -(-min(512, max(64, each * len(cohort.where("test")))) // asked)


def samples_of(folder: RunFolder, key: str) -> list[tuple[str, Path]]:
    """(name, file) of the images drawn last. Raises RadloomError when none were drawn."""
    drawn = folder.record().get("drawn")
    if not drawn:
        raise RadloomError(f"{folder.path} has no drawn images", do=f"draw them first: radloom draw {folder.path}")
    return [(name, folder.path / "samples" / f"{name}.draw0.{key}.nii.gz") for name in drawn["names"]]
