"""What a comparison has found, target by target, with its provenance and its verdict in sentences; computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from radloom.compare.inputs import ImageSet
from radloom.compare.likeness import Nearest
from radloom.compare.measures import DUPLICATES, HALVES, OTHER, REAL, SYNTHETIC, Findings
from radloom.compare.planes import Described, Scale
from radloom.compare.space import Curves
from radloom.results import Results


@dataclass(frozen=True, eq=False)
class Target:
    """One column compared.

    spaces: the extractors in whose features the sets were compared, the first one leads. curves: precision and recall
    in the first. cases: one row per paired case and metric, empty without pairs. notes: what a reader must know.
    """

    column: str
    scale: Scale
    real: Described
    synthetic: Described
    found: Findings
    pairs: int
    cases: Results
    spaces: tuple[str, ...]
    curves: Curves | None
    nearest: Nearest | None
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two sets of images compared."""

    real: ImageSet
    synthetic: ImageSet
    held_out: ImageSet | None
    targets: tuple[Target, ...]
    seed: int
    provenance: dict[str, Any]


def sentences(target: Target) -> list[str]:
    """The verdict of a target in plain sentences, each beside its trivial baseline."""
    found = target.found
    space = target.spaces[0] if target.spaces else ""
    said = [*_distance(found, space), *_variety(found, space), *_copies(found), *_fidelity(found, target.pairs)]
    return said or ["Too few images for a verdict: no metric of sets applied."]


def _distance(found: Findings, space: str) -> list[str]:
    arms = [found.of("fd_equal_n", arm, space) for arm in (SYNTHETIC, HALVES, DUPLICATES)]
    made, floor, copied = arms
    if not (made and floor and copied):
        return []
    if made.low > floor.high:
        times = made.estimate / floor.estimate
        first = (
            f"The synthetic images can be told from the real ones: {times:.1f} times as far from them as real images"
        )
        first += " of other patients are"
    elif made.estimate <= floor.high:
        first = "The synthetic images are as near to the real ones as real images of other patients are"
    else:
        first = "The synthetic images are somewhat further from the real ones than real images of other patients are"
    return [f"{first} (Frechet distance {made.estimate:.3g} against {floor.estimate:.3g} between halves of the real "
            f"set, n = {made.n} each, {space}). Copies of the real images would get {copied.estimate:.3g}: this "
            "distance does not see copying."]  # fmt: skip


def _variety(found: Findings, space: str) -> list[str]:
    made, floor = (found.of("coverage_equal_n", arm, space) for arm in (SYNTHETIC, HALVES))
    if not (made and floor):
        return []
    mine, theirs = _percent(made.estimate, 0), _percent(floor.estimate, 0)
    return [f"They cover {mine} of the real images' neighbourhoods; as many other real images cover {theirs}."]


def _copies(found: Findings) -> list[str]:
    made, usual = found.of("copies", SYNTHETIC), found.of("copies", REAL)
    if not (made and usual):
        return []
    low, high = _percent(made.low), _percent(made.high)
    text = (f"{_percent(made.estimate)} of them (95 % interval {low} to {high}) are nearer to a real image than 99 % "
            f"of real images are to another patient's; chance gives {_percent(usual.estimate)}")  # fmt: skip
    same = found.of("identical", SYNTHETIC)
    if same and same.estimate > 0:
        text += f". {round(same.estimate * same.n)} are identical with a real image, voxel by voxel"
    return [f"{text}."]


def _fidelity(found: Findings, pairs: int) -> list[str]:
    made, other = found.of("ssim", SYNTHETIC), found.of("ssim", OTHER)
    name = "SSIM"
    if not made:
        name, made, other = "SSIM by slices", found.of("ssim_slices", SYNTHETIC), found.of("ssim_slices", OTHER)
    if not made:
        return []
    text = f"{name} of {pairs} pairs is {made.estimate:.3f} ({_bound(made.low)} to {_bound(made.high)})"
    if other:
        text += f"; another patient's real image gets {other.estimate:.3f}"
        if made.estimate <= other.estimate:
            text += ", so the pairs may not belong together"
    return [f"{text}."]


def _percent(value: float, digits: int = 1) -> str:
    return "–" if np.isnan(value) else f"{100 * value:.{digits}f} %"


def _bound(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


def notes_on(scale: Scale, real: Described, synthetic: Described, slices: int, eight_bit: Sequence[str]) -> list[str]:
    """What a reader must know before comparing these numbers with any other."""
    said = [f"Intensities: {scale.origin}. The same for both sets."]
    if real.is_3d:
        said.append(f"Volumes: up to {slices} axial slices of each, evenly spaced, are the images of all metrics of "
                    "sets; a patient's slices stay together as one cluster. n counts slices.")  # fmt: skip
    for name in eight_bit:
        said.append(f"{name} takes 8 bits by contract: intensities were cut at the window and rounded to 256 levels "
                    "for it. No other number on this page was.")  # fmt: skip
    for name, one in (("real", real), ("synthetic", synthetic)):
        if len(one.shapes) > 1:
            said.append(f"The {name} images have {len(one.shapes)} different sizes.")
    if real.shapes[0] != synthetic.shapes[0]:
        sizes = ["x".join(map(str, one.shapes[0])) for one in (real, synthetic)]
        said.append(f"The first real image has {sizes[0]} voxels, the first synthetic one {sizes[1]}: a different grid "
                    "alone moves the distances.")  # fmt: skip
    elif not np.allclose(real.spacings[0], synthetic.spacings[0], rtol=0.05):
        said.append("The voxel sizes of the two sets differ by more than 5 %: that alone moves the distances.")
    if real.units != synthetic.units:
        said.append(f"Units: real {', '.join(real.units)}, synthetic {', '.join(synthetic.units)}. A difference of "
                    "scale alone moves the distances.")  # fmt: skip
    return said
