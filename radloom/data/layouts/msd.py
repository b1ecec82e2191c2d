"""The Medical Segmentation Decathlon: ten tasks, each with a dataset.json that says which image has which mask."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from radloom.data.entries import Entry, Found
from radloom.data.labels import LabelMap
from radloom.data.layout import Layout
from radloom.data.tables import cells
from radloom.errors import RadloomError
from radloom.types import Image

_CHANNELS = {
    "flair": "flair",
    "t1w": "t1",
    "t1gd": "t1c",
    "t2w": "t2",
    "t2": "t2",
    "adc": "adc",
    "ct": "ct",
    "mri": "mri",
}
_TASKS = {
    "brats": "tumour", "braintumour": "tumour", "heart": "heart", "liver": "liver", "hippocampus": "hippocampus",
    "prostate": "prostate", "lung": "tumour", "pancreas": "pancreas", "hepaticvessel": "vessel", "spleen": "spleen",
    "colon": "tumour",
}  # fmt: skip
_BRAIN = LabelMap(((1, 2), (2, 1), (3, 3)), others="refuse")  # oedema and core change places


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of one task or of several; None without a dataset.json that lists training images and modality."""
    entries: list[Entry] = []
    for path in sorted(folder.rglob("dataset.json")):
        entries += _task(path.parent, _about(path))
    return entries or None


def _about(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RadloomError(f"cannot read {path}: {error}", expected="the task's own dataset.json") from error
    return about if isinstance(about, dict) and {"training", "modality", "labels"} <= about.keys() else {}


def _task(folder: Path, about: dict[str, Any]) -> list[Entry]:
    channels = [_CHANNELS.get(str(name).lower(), "") for _, name in sorted(about.get("modality", {}).items())]
    if not all(channels):
        raise RadloomError(
            f"{folder}/dataset.json names the modality {about['modality']}", expected=", ".join(_CHANNELS)
        )
    organ = folder.name.split("_", 1)[-1].lower()
    own = tuple((int(label), int(label)) for label in about.get("labels", {}) if int(label))
    labels = _BRAIN if "flair" in channels else LabelMap(own, others="refuse")
    entries: list[Entry] = []
    for part, image, mask in _listed(folder, about):
        case = image.name.removesuffix(".gz").removesuffix(".nii")
        entries += [Entry(case, case, f"image.{c}", _channel(image, i, len(channels))) for i, c in enumerate(channels)]
        entries += cells(case, case, {"label.part": part})
        if mask:
            found = Found(mask.relative_to(folder).parts, mask, case)
            entries.append(Entry(case, case, f"mask.{_TASKS.get(organ, organ)}", found, labels=labels))
    return entries


def _listed(folder: Path, about: dict[str, Any]) -> list[tuple[str, Path, Path | None]]:
    """Part, image and mask of each case. Raises RadloomError when list and folder differ.

    The test images are an archive of their own and may be absent as a whole.
    """
    found = [("train", folder / one["image"], folder / one["label"]) for one in about.get("training", [])]
    tests = [folder / (one["image"] if isinstance(one, dict) else one) for one in about.get("test", [])]
    found += [("test", image, None) for image in tests if image.parent.exists()]
    listed = {path for _, *paths in found for path in paths if path}
    there = {path for place in {path.parent for path in listed} for path in place.glob("*.nii*") if path.name[0] != "."}
    if there:
        _refuse(folder, listed - there, "lists {} that are not there")
        _refuse(folder, there - listed, "does not list {} that are there")
    return found if there else []


def _refuse(folder: Path, paths: set[Path], said: str) -> None:
    if paths:
        names = ", ".join(str(path.relative_to(folder)) for path in sorted(paths)[:6])
        raise RadloomError(
            f"{folder}/dataset.json {said.format(f'{len(paths)} files')}: {names}",
            expected="the task as it was published",
            do="unpack it again, or correct dataset.json",
        )


def _channel(path: Path, index: int, count: int) -> Found:
    return Found((path.name,), path, path.name, read=partial(read_channel, path, index) if count > 1 else None)


def read_channel(path: Path, index: int) -> Image:
    """One channel of a NIfTI file with four axes (x, y, z, channel), RAS+ mm."""
    import numpy as np
    from nibabel.filebasedimages import ImageFileError
    from nibabel.nifti1 import Nifti1Image

    from radloom.io.orient import canonical
    from radloom.io.values import typed, unreadable

    try:
        file = Nifti1Image.from_filename(path)
        voxels = np.asarray(file.dataobj)
    except (OSError, EOFError, ValueError, ImageFileError) as error:
        raise unreadable(path, error, "a complete NIfTI file") from error
    if voxels.ndim != 4 or index >= voxels.shape[3]:
        raise RadloomError(f"{path} has shape {voxels.shape}", expected="(x, y, z, channel) as dataset.json says")
    return canonical(Image(typed(voxels[..., index], "intensity", path), np.asarray(file.affine, dtype=float)))


LAYOUT = Layout(
    title="MSD: Medical Segmentation Decathlon",
    looks_like="Task03_Liver/dataset.json, Task03_Liver/imagesTr/liver_0.nii.gz",
    licence="CC BY-SA 4.0",
    recognise=recognise,
    marks=r"/Task\d\d_\w+/dataset\.json$",
    notes="channels become images of their own; in the brain task 1 oedema and 2 core become 2 and 1; others keep "
    "their labels; patients of the tasks are not linked to other sets",
)
