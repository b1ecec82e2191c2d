"""Which cases the report shows and the tiles of each; how a tile is drawn is in pictures.py."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from radloom import io
from radloom.data.cohort import Cohort
from radloom.data.region import foreground
from radloom.data.transforms import Rescale, network_scale
from radloom.errors import RadloomError
from radloom.files import read_json
from radloom.report import names, pictures
from radloom.report.figures import scale
from radloom.report.measured import Measured, measured
from radloom.report.source import Source, where
from radloom.types import Image

_MARK = "SYNTHETIC"
_TUMOUR = "mask.tumour"
_LABELS = {1: "core or necrosis", 2: "oedema", 3: "enhancing rim"}


@dataclass(frozen=True)
class Outline:
    """A border over a tile: CSS class and SVG path in voxels."""

    style: str
    path: str


@dataclass(frozen=True)
class Tile:
    """One picture with its caption. kind: "real", "synthetic", "error" or "segmentation"."""

    kind: str
    caption: str
    alt: str
    uri: str
    note: str = ""
    outlines: tuple[Outline, ...] = ()


@dataclass(frozen=True)
class Shown:
    """One case of the gallery. given: the inputs; rows: each target's name and tiles; segmented: segmentations."""

    rank: str
    case: str
    patient: str
    where: str
    left: str
    size: tuple[float, float]
    voxels: tuple[int, int]
    numbers: Measured
    given: tuple[Tile, ...]
    rows: tuple[tuple[str, tuple[Tile, ...]], ...]
    segmented: tuple[Tile, ...]


@dataclass(frozen=True)
class Gallery:
    """The cases shown; the ends of the error colours, in network units; the labels of the outlines."""

    cases: tuple[Shown, ...]
    limit: float
    labels: tuple[tuple[str, str], ...]
    expert: bool


def chosen(source: Source, target: str) -> list[tuple[str, str]]:
    """(rank, case) of the median, best and worst case by the model's PSNR of `target`; fewer when there are fewer."""
    rows = source.fidelity.query("arm == 'model' and region == 'brain' and metric == 'psnr' and target == @target")
    means: Any = rows.dropna(subset="value").groupby("case", sort=True)["value"].mean()
    cases = [str(case) for case in means.sort_values(kind="stable").index]
    if len(cases) < 2:
        return [("The only case", case) for case in cases]
    best, worst = ("Best", cases[-1]), ("Worst", cases[0])
    return [best, worst] if len(cases) == 2 else [("Typical (median)", cases[(len(cases) - 1) // 2]), best, worst]


def gallery(source: Source, target: str) -> Gallery:
    """The gallery of a run, ranked by its hardest target. Raises RadloomError when an image is absent."""
    cohort = Cohort.read(Path(source.record["cohort"]))
    loaded = [_load(source, cohort, rank, case) for rank, case in chosen(source, target)]
    limit = _limit(loaded)
    legend = tuple(dict.fromkeys(entry for one in loaded for entry in _legend(one)))
    expert = any(one.expert is not None and one.masks for one in loaded)
    return Gallery(tuple(_shown(source, one, limit) for one in loaded), limit, legend, expert)


@dataclass(frozen=True)
class _Loaded:
    """A case's images in network units, its masks by (arm, replaced), and what is shown of them."""

    rank: str
    case: str
    patient: str
    seen: pictures.View
    inputs: dict[str, Image]
    real: dict[str, Image]
    synthetic: dict[str, Image]
    masks: dict[tuple[str, str], Image]
    expert: Image | None
    expert_key: str
    windows: dict[str, tuple[float, float]]


def _load(source: Source, cohort: Cohort, rank: str, case: str) -> _Loaded:
    given = {key: cohort.image(case, key) for key in source.record["inputs"]}
    inside = np.logical_or.reduce([foreground(image) for image in given.values()])  # as the model saw the head
    inputs = {key: _scaled(image, inside) for key, image in given.items()}
    judged = [key for key in source.targets if cohort.path(case, key) is not None]
    real = {key: _scaled(cohort.image(case, key), inside) for key in judged}
    synthetic = {key: _sample(source.folder, case, key) for key in judged}
    expert_key = _expert_key(cohort, case)
    expert = cohort.image(case, expert_key) if expert_key else None
    first = real[judged[0]]
    for name, image in [*inputs.items(), *real.items(), *synthetic.items()]:
        if image.shape != first.shape:
            raise RadloomError(
                f"{name} of case {case} has shape {image.shape}", expected=f"{first.shape}, as {judged[0]}"
            )
    lesion = expert.voxels > 0 if expert is not None else None
    windows = {key: pictures.window(image.voxels[inside]) for key, image in [*inputs.items(), *real.items()]}
    patient = str(cohort.case(case, []).patient)
    seen = pictures.view(first, inside=inside, lesion=lesion)
    return _Loaded(
        rank=rank,
        case=case,
        patient=patient,
        seen=seen,
        inputs=inputs,
        real=real,
        synthetic=synthetic,
        masks=_masks(source, case, first),
        expert=expert,
        expert_key=expert_key,
        windows=windows,
    )


def _scaled(image: Image, inside: np.ndarray) -> Image:
    return network_scale(image, inside).apply(image)


def _sample(folder: Path, case: str, key: str) -> Image:
    """The model's first draw in network units, by the scale that its sidecar records."""
    path = folder / "samples" / f"{case}.draw0.{key}.nii.gz"
    side: dict[str, Any] = read_json(path.with_name(path.name.removesuffix(".nii.gz") + ".json"))
    unit = side["scale"]
    return Rescale(float(unit["offset"]), float(unit["scale"])).apply(io.read(path))


def _expert_key(cohort: Cohort, case: str) -> str:
    """The entry of the expert's mask of disease, "" when the cohort or the case has none."""
    keys = [k for k in cohort.table.columns if k.startswith("mask.") and k != "mask.brain"]
    present = [k for k in sorted(keys, key=lambda k: k != _TUMOUR) if cohort.path(case, k) is not None]
    return present[0] if present else ""


def _masks(source: Source, case: str, like: Image) -> dict[tuple[str, str], Image]:
    """The segmentations shown: all-real, then the model's and the kept baselines' with most entries replaced."""
    rows = source.downstream
    found = {}
    for arm in ("real", "model", "cubic", "zero"):
        sets = list(dict.fromkeys(rows.loc[rows["arm"] == arm, "replaced"]))
        for replaced in sorted(sets, key=lambda s: -len(s.split("+")))[:1]:
            path = source.folder / "masks" / f"{case}.{arm}.{replaced or 'real'}.nii.gz"
            if path.exists():
                found[arm, replaced] = io.read(path, kind="label")
    return {key: mask for key, mask in found.items() if mask.shape == like.shape}


def _limit(loaded: list[_Loaded]) -> float:
    """The end of the error colours for all tiles: a round number at or above the 99th percentile of what is shown."""
    errors = [np.abs(_error(one, key)).ravel() for one in loaded for key in one.real]
    if not errors:
        return 1.0
    high = float(np.percentile(np.concatenate(errors), 99))
    return scale((0.0, max(high, 1e-3))).high


def _error(one: _Loaded, key: str) -> np.ndarray:
    return one.seen.of(one.synthetic[key].voxels) - one.seen.of(one.real[key].voxels)


def _shown(source: Source, one: _Loaded, limit: float) -> Shown:
    given = tuple(_grey(one, key, image, "real") for key, image in one.inputs.items())
    rows = []
    for key in one.real:
        name = names.entry(key)
        error = pictures.signed(_error(one, key), one.seen, limit)
        tile = Tile(
            "error",
            "Error",
            f"error of synthetic {name} of case {one.case}, synthetic minus real",
            error,
            f"± {limit:.2g}",
        )
        tiles = (_grey(one, key, one.real[key], "real"), _grey(one, key, one.synthetic[key], "synthetic"), tile)
        rows.append((name, tiles))
    segmented = _segmentations(source, one)
    seen = one.seen
    total = next(iter(one.real.values())).shape[seen.axis]
    lesion = one.expert is not None and (one.expert.voxels > 0).any()
    chosen_by = "most lesion" if lesion else "most tissue"
    place = f"{seen.plane} slice {seen.index + 1} of {total}, the one with {chosen_by}" if total > 1 else seen.plane
    return Shown(
        rank=one.rank,
        case=one.case,
        patient=one.patient,
        where=place,
        left=seen.left,
        size=seen.size_mm,
        voxels=seen.shape,
        numbers=measured(source, one.case),
        given=given,
        rows=tuple(rows),
        segmented=segmented,
    )


def _grey(one: _Loaded, key: str, image: Image, kind: str) -> Tile:
    name, limits = names.entry(key), one.windows[key]
    mark = _MARK if kind == "synthetic" else ""
    uri = pictures.grey(one.seen.of(image.voxels), one.seen, limits, mark=mark)
    note = f"window {names.fixed(limits[0], 1)} to {names.fixed(limits[1], 1)}"
    return Tile(kind, f"{kind.capitalize()} {name}", f"{kind} {name} of case {one.case}", uri, note)


def _segmentations(source: Source, one: _Loaded) -> tuple[Tile, ...]:
    """The segmentations over the last target: real under the all-real arm and the expert, synthetic under the model."""
    key = list(one.real)[-1]
    real = pictures.grey(one.seen.of(one.real[key].voxels), one.seen, one.windows[key], mark="")
    tiles = []
    if one.expert is not None:
        alt = f"expert mask of case {one.case} over real {names.entry(key)}"
        tiles.append(Tile("segmentation", "Expert", alt, real, "", _outlines(one, one.expert)))
    for (arm, replaced), mask in one.masks.items():
        under, made = real, ""
        if arm == "model":
            image = one.synthetic[key] if key in replaced.split("+") else one.real[key]
            made = _MARK if image is one.synthetic[key] else ""
            under = pictures.grey(one.seen.of(image.voxels), one.seen, one.windows[key], mark=made)
        caption = "All real" if arm == "real" else f"{names.arm(arm).capitalize()} {names.replaced(replaced)}"
        alt = f"segmentation of case {one.case}, {caption}"
        dice = _dice(source, one.case, arm, replaced)
        expert = (Outline("expert", pictures.outline(one.seen.of(one.expert.voxels) > 0)),) if one.expert else ()
        tiles.append(Tile("segmentation", caption, alt, under, dice, (*_outlines(one, mask), *expert)))
    return tuple(tiles)


def _outlines(one: _Loaded, mask: Image) -> tuple[Outline, ...]:
    plane = one.seen.of(mask.voxels)
    return tuple(Outline(_style(int(v)), pictures.outline(plane == v)) for v in np.unique(plane) if v)


def _legend(one: _Loaded) -> list[tuple[str, str]]:
    """(CSS class, name) of each label that is shown of a case."""
    shown = list(one.masks.values()) if one.expert is None else [*one.masks.values(), one.expert]
    tumour = one.expert_key in ("", _TUMOUR)
    labels = sorted({int(v) for mask in shown for v in np.unique(one.seen.of(mask.voxels)) if v})
    return [(_style(v), _LABELS.get(v, f"label {v}") if tumour else names.entry(one.expert_key)) for v in labels]


def _style(label: int) -> str:
    return f"label{(label - 1) % 4 + 1}"


def _dice(source: Source, case: str, arm: str, replaced: str) -> str:
    """The case's Dice of the first region, in words; "" when it was not measured."""
    rows = source.downstream
    for column, value in (("case", case), ("arm", arm), ("replaced", replaced), ("metric", "dice")):
        rows = where(rows, column, value)
    if not len(rows):
        return ""
    value, region = float(rows["value"].iloc[0]), rows["region"].iloc[0]
    return f"Dice undefined, {region}" if math.isnan(value) else f"Dice {names.fixed(value, 2)}, {region}"
