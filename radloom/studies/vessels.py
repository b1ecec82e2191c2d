"""Read vessels: a segmenter that learned from real angiograms reads drawn ones for lumen and for diseased carotids."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer
from scipy import ndimage

from radloom.data.cohort import Cohort, check_one_grid
from radloom.downstream.segment import Segmenter, SegmenterSettings, train_segmenter
from radloom.errors import RadloomError
from radloom.evaluation import all_arms
from radloom.files import sha256, write_json
from radloom.metrics.overlap import dice
from radloom.results import Results, Row
from radloom.runfolder import RunFolder
from radloom.stored import stored
from radloom.studies.vessels_findings import SIDES, findings
from radloom.studies.vessels_picture import picture
from radloom.system import Recipe, translation
from radloom.weights import save_weights

VESSELS, PLAQUE = "mask.vessels", "mask.plaque"
LUMEN, VEIN, CALCIFIED, SOFT = 1, 2, 3, 4  # what the segmenter tells apart; soft: plaque without calcium, and clot
_CLOT = 3  # of mask.plaque: an occluded artery
_NEAR = 4  # voxels in the plane around a carotid's lumen in which its wall is read
_SHOWN = ("model", "linear")


@dataclass(frozen=True)
class Neck:
    """The truth of a case: the segmenter's classes, the clot, and where each carotid's wall is read."""

    labels: Integer[np.ndarray, "x y z"]
    clot: Bool[np.ndarray, "x y z"]
    sides: Mapping[str, Bool[np.ndarray, "x y z"]]
    voxel_mm3: float


def needs(recipe: Recipe, cohort: Cohort) -> str | None:
    """Why the study cannot run on this cohort; None when it can."""
    target = translation(recipe).target
    if len(target) != 1:
        return "it reads one drawn angiogram, not several images"
    for split in ("train", "test"):
        part = cohort.where(split)
        for key in (VESSELS, PLAQUE):
            if key not in part.table.columns or not all(part.path(case, key) for case in part.ids):
                return f"not every {split} case has {key}"
    absent = [name for name in _columns() if name not in cohort.table.columns]
    if absent:
        return f"the cohort has no {absent[0]}"
    cases = [case for case in cohort.where("test").ids if cohort.path(case, target[0]) is not None]
    if not cases:
        return f"no test case has {target[0]}"
    unit = cohort.image(cases[0], target[0]).unit
    return None if unit == "HU" else f"{target[0]} is in units of {unit}, not in HU"


def run(recipe: Recipe, folder: RunFolder, cohort: Cohort) -> dict[str, object]:
    """Trains the reader on real angiograms, reads every arm of the test cases; writes results.csv and study.json.

    Raises RadloomError when `needs` names a reason.
    """
    started = time.perf_counter()
    missing = needs(recipe, cohort)
    if missing:
        raise RadloomError(f"the study vessels cannot run: {missing}", do="choose another cohort")
    cases = cohort.where("test").ids
    segmenter, digest = _reader(recipe, folder, cohort)
    known = [row for split in ("train", "val") for row in _known(recipe, folder, cohort, segmenter, split)]
    arms = all_arms(recipe, folder, cohort)
    rows = []
    task = translation(recipe)
    for case in cases:
        prepared, neck = task.read(cohort, case), read_neck(cohort, case)
        every = {"real": prepared.stack(task.target), **dict(arms.of(prepared))}
        read = {arm: segmenter.read(windowed(image)) for arm, image in every.items()}
        for arm, labels in read.items():
            rows += list(_rows(recipe, folder, cohort, case, arm, labels, neck))
        shown = {arm: (every[arm][0], read[arm]) for arm in ("real", *_SHOWN)}
        picture(folder.path / "study" / f"{case}.png", prepared.stack(task.inputs)[0], shown, neck.labels)
    results = Results.of(rows)
    results.added_to(folder.results)
    study = {
        "name": "vessels",
        **findings(Results.of([*known, *rows])),
        "segmenter": {"sha256": digest},
        "figures": _figures(cohort, cases),
    }
    write_json(folder.path / "study.json", study)
    folder.add_stage("study", time.perf_counter() - started)
    return study


def windowed(image: Float[np.ndarray, "c x y z"]) -> Float[np.ndarray, "c x y z"]:
    """HU from -100 to 700 as 0 to 2, from units of water: the reader's own window on blood, wall and calcium."""
    hu = (image - 1) * 1000
    return np.clip((hu + 100) / 400, 0, 2).astype(np.float32)


def read_neck(cohort: Cohort, case: str) -> Neck:
    """The truth of a case. Raises RadloomError on labels that the study does not know."""
    check_one_grid(cohort.case(case, [VESSELS, PLAQUE]))
    image = cohort.image(case, VESSELS)
    vessels, plaque = image.voxels.astype(int), cohort.image(case, PLAQUE).voxels.astype(int)
    for key, voxels, most in ((VESSELS, vessels, 5), (PLAQUE, plaque, 3)):
        if not 0 <= voxels.min() <= voxels.max() <= most:
            raise RadloomError(f"{key} of case {case} has labels {voxels.min()} to {voxels.max()}",
                               expected=f"0 to {most}", do="map them with `radloom data build --map`")  # fmt: skip
    labels = np.select([plaque == 2, plaque > 0, vessels == 5, vessels > 0], [CALCIFIED, SOFT, VEIN, LUMEN])
    voxel = float(np.prod(image.spacing_mm))
    return Neck(labels.astype(np.uint8), plaque == _CLOT, _sides(vessels, plaque), voxel)


def _sides(vessels: Integer[np.ndarray, "x y z"], plaque: Integer[np.ndarray, "x y z"]) -> dict[str, np.ndarray]:
    """Around each carotid and the plaques nearest to it along the first axis: the region in which its wall is read."""
    places = [np.argwhere(vessels == i)[:, 0] for i in (1, 2)]
    centres = [float(p.mean()) if len(p) else float("nan") for p in places]
    across = np.arange(vessels.shape[0]).reshape(-1, 1, 1)
    nearer = np.abs(across - centres[0]) <= np.abs(across - centres[1])
    if np.isnan(centres).any():  # a carotid that is nowhere open owns what is not nearer to the other
        nearer = across >= vessels.shape[0] / 2  # in RAS+ the first axis runs to the patient's right
    plane = ndimage.generate_binary_structure(3, 1)
    plane[:, :, [0, 2]] = False
    both = ((vessels == 1) | (plaque > 0) & nearer, (vessels == 2) | (plaque > 0) & ~nearer)
    wide = [ndimage.binary_dilation(one, plane, iterations=_NEAR) if one.any() else one for one in both]
    return dict(zip(SIDES, wide, strict=True))


def _reader(recipe: Recipe, folder: RunFolder, cohort: Cohort) -> tuple[Segmenter, str]:
    """Trains the segmenter on the real angiograms of the training patients, freezes it and keeps it."""
    task = translation(recipe)
    store = stored(task, folder, cohort, ("train", "val"))
    place, training = len(task.inputs), cohort.where("train").ids
    settings = SegmenterSettings(**recipe.system.sizes[recipe.size, recipe.dims].study)
    volumes = [windowed(np.asarray(store.volume(case)[:, place : place + 1])) for case in training]
    labels = [read_neck(cohort, case).labels for case in training]
    segmenter = train_segmenter(volumes, labels, classes=5, settings=settings, seed=folder.record()["seed"])
    path = folder.path / "segmenter.safetensors"
    save_weights(path, segmenter)
    return segmenter, sha256(path)


def _known(
    recipe: Recipe, folder: RunFolder, cohort: Cohort, segmenter: Segmenter, split: str
) -> Iterator[Row]:  # fmt: skip
    """The real angiograms of a split, on which the threshold of disease is set."""
    task = translation(recipe)
    for case in cohort.where(split).ids:
        if any(cohort.path(case, key) is None for key in (VESSELS, PLAQUE)):
            continue
        image = task.read(cohort, case).stack(task.target)
        yield from _rows(recipe, folder, cohort, case, "real", segmenter.read(windowed(image)), read_neck(cohort, case))


def _rows(
    recipe: Recipe, folder: RunFolder, cohort: Cohort, case: str, arm: str, read: Integer[np.ndarray, "x y z"],
    neck: Neck,
) -> Iterator[Row]:  # fmt: skip
    """Dice of the arteries' lumen, the share of clot read as open, and each carotid's plaque beside its truth."""
    record, about = folder.record(), cohort.case(case, [])
    found: list[tuple[str, str, float, str]] = [
        ("artery lumen", "dice", dice(read == LUMEN, neck.labels == LUMEN), "1")
    ]
    if neck.clot.any():
        found.append(("occluded artery", "read as open", float((read == LUMEN)[neck.clot].mean()), "1"))
    for side, column in zip(SIDES, _columns(), strict=True):
        inside = read[neck.sides[side]]
        found.append((side, "plaque", float(np.isin(inside, (CALCIFIED, SOFT)).sum()) * neck.voxel_mm3, "mm3"))
        found.append((side, "stenosis", float(about.labels[column]), "%"))
    for region, metric, value, unit in found:
        yield Row(system=record["system"], run=folder.path.name, seed=record["seed"], case=case, patient=about.patient,
                  split=about.split, arm=arm, replaced="", target=recipe.system.task.target[0], region=region,
                  metric=metric, value=value, unit=unit)  # fmt: skip


def _columns() -> Sequence[str]:
    return [f"label.stenosis_{side.split()[0]}" for side in SIDES]


def _figures(cohort: Cohort, cases: Sequence[str]) -> list[dict[str, str]]:
    """The patient whose carotids are narrowest, and the one whose are widest."""
    narrowed = {case: max(float(cohort.case(case, []).labels[name]) for name in _columns()) for case in cases}
    note = (
        "Native CT and truth, real, drawn and linearly mapped, each above what was read: lumen red, vein blue, calcium "
        "yellow, soft plaque or clot green."
    )
    chosen = {max(cases, key=narrowed.__getitem__): None, min(cases, key=narrowed.__getitem__): None}
    return [{"title": f"{case}, narrowed by {narrowed[case]:.0f} %", "file": f"study/{case}.png", "note": note}
            for case in chosen]  # fmt: skip
