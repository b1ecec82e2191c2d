"""Trees of vessels: centre lines, radii by Murray's law, narrowings and the pulses that their blood has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

STEP_MM = 0.4  # between the samples of a centre line
SMALLEST_MM = 0.3  # radius at which growth ends
VELOCITY_PER_RADIUS = 170.0  # 1/s: about 400 mm/s in a carotid of 2.3 mm and 70 mm/s in a branch of 0.4 mm


@dataclass(frozen=True, eq=False)
class Tube:
    """A stretch of vessel: centre line (n, 3) and radius (n,), mm; it leaves tube `parent` at that tube's `joint`.

    A root has parent -1. Both are places in the list that is the tree; a parent always comes before its branches.
    """

    name: str
    points: np.ndarray
    radius: np.ndarray
    parent: int = -1
    joint: int = -1


def through(controls: np.ndarray) -> np.ndarray:
    """(n, 3) points about STEP_MM apart on the smooth curve through the control points (k, 3), k >= 2, mm."""
    from scipy.interpolate import PchipInterpolator

    chords = np.linalg.norm(np.diff(controls, axis=0), axis=1)
    at = np.concatenate([[0.0], np.cumsum(chords)])
    count = max(int(at[-1] / STEP_MM) + 1, 2)
    return PchipInterpolator(at, controls)(np.linspace(0, at[-1], count))


def murray(radius: float, share: float) -> tuple[float, float]:
    """Radii of two branches that split the flow share : 1 - share (Murray 1926): r0^3 = r1^3 + r2^3.

    >>> [round(one, 3) for one in murray(1.0, 0.5)]
    [0.794, 0.794]
    """
    return radius * share ** (1 / 3), radius * (1 - share) ** (1 / 3)


def grown(tree: Sequence[Tube], root: int, pull: np.ndarray, *, depth: int, rng: np.random.Generator) -> list[Tube]:
    """The tree with branches that leave the end of tube `root`, two by two, drawn towards `pull` (3,)."""
    found = list(tree)
    waiting = [(root, depth)]
    while waiting:
        parent, left = waiting.pop(0)
        stem = found[parent]
        if left == 0 or stem.radius[-1] < 1.25 * SMALLEST_MM:
            continue
        heading = _unit(stem.points[-1] - stem.points[-6 if len(stem.points) > 6 else 0])
        aside = _unit(np.cross(heading, rng.standard_normal(3)))
        share = float(rng.uniform(0.3, 0.7))
        for sign, radius, part in zip((1, -1), murray(float(stem.radius[-1]), share), (share, 1 - share), strict=True):
            # The smaller branch leaves at the wider angle.
            direction = _unit(heading + sign * (1.35 - part) * aside + 0.55 * pull)
            length = float(rng.uniform(9, 18)) * (0.6 + 0.5 * radius)
            line = through(_wandering(stem.points[-1], direction, pull, length, rng=rng))
            taper = np.linspace(radius, max(0.88 * radius, 0.9 * SMALLEST_MM), len(line))
            found.append(Tube(stem.name, line, taper, parent, len(stem.points) - 1))
            waiting.append((len(found) - 1, left - 1))
    return found


def _wandering(
    start: np.ndarray, direction: np.ndarray, pull: np.ndarray, length: float, *, rng: np.random.Generator
) -> np.ndarray:
    controls = [start]
    for _ in range(3):
        direction = _unit(direction + 0.32 * rng.standard_normal(3) + 0.15 * pull)
        controls.append(controls[-1] + direction * length / 3)
    return np.stack(controls)


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def narrowed(tube: Tube, at: int, *, share: float, length_mm: float) -> Tube:
    """The tube with a cosine narrowing at sample `at`: there, and only there, the diameter is 1 - share of before."""
    away = np.abs(np.arange(len(tube.points)) - at) * STEP_MM
    shape = np.where(away < length_mm / 2, 0.5 + 0.5 * np.cos(2 * np.pi * away / length_mm), 0.0)
    return replace(tube, radius=tube.radius * (1 - share * shape))


def without(tree: Sequence[Tube], cut: int, at: int) -> list[Tube]:
    """The tree after an occlusion: tube `cut` ends at sample `at` and everything beyond it carries no blood."""
    dry = {cut}
    for i, tube in enumerate(tree):
        if tube.parent in dry and not (tube.parent == cut and tube.joint <= at):
            dry.add(i)
    short = replace(tree[cut], points=tree[cut].points[: at + 1], radius=tree[cut].radius[: at + 1])
    kept = [i for i in range(len(tree)) if i not in dry or i == cut]
    place = {old: new for new, old in enumerate(kept)}
    return [replace(short if i == cut else tree[i], parent=place.get(tree[i].parent, -1)) for i in kept]


def pulses_seen(tree: Sequence[Tube], slabs_mm: Sequence[tuple[float, float]], *, tr_ms: float) -> list[np.ndarray]:
    """Per tube (slabs, n): radio-frequency pulses that the blood at each sample has seen in each slab.

    slabs_mm: (low, high) along z. Blood is fresh where it enters a slab and ages by ds / (v TR) on its way (Haacke et
    al. 1999); v is proportional to the radius. 0 outside the slab.
    """
    found: list[np.ndarray] = []
    for tube in tree:
        steps = np.concatenate([[0.0], np.linalg.norm(np.diff(tube.points, axis=0), axis=1)])
        # The narrow part of a stenosis is fast, not slow: the speed follows the widest radius of the tube.
        velocity = VELOCITY_PER_RADIUS * np.maximum(tube.radius, 0.8 * tube.radius.max())
        aged = steps / (velocity * tr_ms / 1000)
        z, seen = tube.points[:, 2], np.zeros((len(slabs_mm), len(steps)))
        for k, (low, high) in enumerate(slabs_mm):
            inside = (z >= low) & (z <= high)
            before = found[tube.parent][k, tube.joint] if tube.parent >= 0 else 0.0
            total = before + np.cumsum(aged)
            outside_total = np.maximum.accumulate(np.where(inside, 0.0, total))
            seen[k] = np.where(inside, total - outside_total, 0.0)
        found.append(seen)
    return found
