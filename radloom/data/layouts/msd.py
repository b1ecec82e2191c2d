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
    column = f"mask.{_TASKS.get(organ, organ)}"
    own = tuple((int(label), int(label)) for label in about.get("labels", {}) if int(label))
    labels = _BRAIN if "flair" in channels else LabelMap(own, others="refuse")
    missing: list[str] = []
    entries: list[Entry] = []
    for part, item in [("train", one) for one in about.get("training", [])] + [
        ("test", o) for o in about.get("test", [])
    ]:
        image, mask = (item["image"], item.get("label")) if isinstance(item, dict) else (item, None)
        image = folder / image
        if not image.exists():
            missing += [image.name] if image.parent.exists() else []  # the test images are an archive of their own
            continue
        case = image.name.removesuffix(".gz").removesuffix(".nii")
        entries += [
            Entry(case, case, f"image.{name}", _channel(image, i, len(channels))) for i, name in enumerate(channels)
        ]
        entries += cells(case, case, {"label.part": part})
        if mask:
            entries.append(Entry(case, case, column, Found((mask,), folder / mask, case), labels=labels))
    if missing and entries:
        raise RadloomError(
            f"{folder}/dataset.json lists {len(missing)} images that are not there: {', '.join(missing[:6])}",
            expected="the whole task", do="unpack it again, or take their entries out of dataset.json",
        )  # fmt: skip
    return entries


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
