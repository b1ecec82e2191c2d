"""What a chest radiograph's patient has, effusion and heart failure in the volume, and the sentences of the report."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from radloom.phantom.chest import Chest
from radloom.phantom.chest_shape import SIDES, Build, dome_z, hilum
from radloom.phantom.lung_nodules import Nodule, nodule_count
from radloom.phantom.lung_patterns import wall_share
from radloom.phantom.solids import softened

SHARES = {  # of patients with nodules, effusion and heart failure
    "mixed": (0.40, 0.25, 0.30),
    "nodules": (1.0, 0.0, 0.0),
    "effusion": (0.0, 0.5, 0.0),
    "failure": (0.0, 0.0, 0.5),
    "none": (0.0, 0.0, 0.0),
}
EFFUSION_HU, SILENT = 8.0, 0.15  # share of failures without any sign on the film
ENLARGED = 0.5  # cardiothoracic ratio above which a heart is called enlarged


@dataclass(frozen=True)
class Findings:
    """The truth about one patient.

    nodules: how many to place. effusions: height of the fluid on the right and the left, mm, 0 for none. failure:
    whether the heart fails. congestion: how strongly the film shows it, 0 to 1; 0 in silent failure.
    """

    nodules: int
    effusions: tuple[float, float]
    failure: bool
    congestion: float


HEALTHY = Findings(0, (0.0, 0.0), False, 0.0)


def draw_findings(variant: str, *, rng: np.random.Generator) -> Findings:
    """A patient of this variant; failing hearts often bring effusions of their own, larger on the right."""
    nodular, wet, failing = rng.random(3) < SHARES[variant]
    nodules = nodule_count(rng=rng) if nodular else 0
    congestion = float(rng.uniform(0.25, 1.0)) if failing and rng.random() > SILENT else 0.0
    heights = rng.uniform(25, 105, 2) * (rng.random(2) < 0.62)
    if not heights.any():
        heights[rng.integers(2)] = rng.uniform(25, 105)
    right, left = heights if wet else (0.0, 0.0)
    if congestion > 0.5 and not wet and rng.random() < 0.6:
        right, left = rng.uniform(22, 55), rng.uniform(0, 40)
    return Findings(nodules, (float(right), float(left)), bool(failing), congestion)


def with_heart(build: Build, findings: Findings, *, rng: np.random.Generator) -> Build:
    """The build with the heart that failure has enlarged; a few healthy people have a large heart too."""
    large = 1.13 if rng.random() < 0.07 else 1.0
    return replace(build, heart=build.heart * (large + 0.10 * (findings.congestion > 0) + 0.17 * findings.congestion))


def fluid(chest: Chest, findings: Findings) -> np.ndarray:
    """float32 (2, x, y, z): share of each voxel of the right and left lung's space that is effusion.

    The fluid stands level and creeps up along the chest wall (the meniscus of an upright film).
    """
    z = chest.points[2]
    border, shares = max(chest.grid.spacing_mm[0], 1.0), []
    for i, side in enumerate(SIDES.values()):
        level = findings.effusions[i]
        low = float(dome_z(chest.build, side, side * 0.8 * chest.build.width, -40.0)) - 18
        creep = 0.45 * level * np.exp(-np.maximum(chest.cage, 0) / 20)
        share = softened(low + level + creep - z, border) if level > 0 else np.float32(0)
        shares.append(chest.lungs[i] * share)
    return np.stack(shares)


def oedema_hu(chest: Chest, lung: np.ndarray, findings: Findings, *, rng: np.random.Generator) -> np.ndarray:
    """The parenchyma with perihilar haze and, when congestion is strong, thin septal lines at the lateral bases."""
    if findings.congestion == 0:
        return lung
    near = np.zeros(lung.shape, np.float32)
    for side in SIDES.values():
        door = hilum(chest.build, side)
        away = np.sqrt(sum(((p - c) / s) ** 2 for p, c, s in zip(chest.points, door, (48, 60, 55), strict=True)))
        near = np.maximum(near, np.exp(-(away**2)))
    lung = lung + findings.congestion * (130 * near + 45)
    base = (chest.depth > 0) & (chest.depth < 26) & (np.abs(chest.points[0]) > 70) & (chest.points[2] < 0)
    if findings.congestion > 0.45:
        lung = lung.copy()
        lung[base] += 380 * findings.congestion * wall_share(chest, base, 16.0, 1.6, rng=rng)
    return lung


@dataclass(frozen=True)
class Seen:
    """What the film shows, as the report needs it: cardiothoracic ratio, and for each nodule whether bone covers it."""

    ratio: float
    covered: tuple[bool, ...]


def report(build: Build, findings: Findings, nodules: list[Nodule], seen: Seen, *, rng: np.random.Generator) -> str:
    """A short structured report; small or covered nodules and small effusions are now and then missed."""
    told = [one for one, hidden in zip(nodules, seen.covered, strict=True) if rng.random() > _missed(one, hidden)]
    heart = f"enlarged, cardiothoracic ratio {seen.ratio:.2f}" if seen.ratio > ENLARGED else "not enlarged"
    lungs = [f"{_size(one)} nodule of {one.diameter:.0f} mm in the {_place(build, one)}" for one in told]
    vessels = _vessels(findings.congestion)
    sides = [(name, level) for name, level in zip(SIDES, findings.effusions, strict=True)
             if level > 0 and rng.random() > (0.5 if level < 40 else 0.03)]  # fmt: skip
    pleura = [f"{_amount(level)} {name} pleural effusion" for name, level in sides]
    summary = [*(["heart failure"] if findings.congestion > 0.35 else []),
               *(["pleural effusion"] if pleura else []), *(["pulmonary nodule"] if told else [])]  # fmt: skip
    parts = {
        "Heart": heart,
        "Vessels": vessels,
        "Lungs": "; ".join(lungs) or "no focal opacity",
        "Pleura": "; ".join(pleura) or "no effusion",
        "Impression": ", ".join(summary) or "no acute finding",
    }
    return " ".join(f"{name}: {text}." for name, text in parts.items())


def _missed(nodule: Nodule, covered: bool) -> float:
    """Probability that a reader misses it: nearly all below 6 mm, few above 20 mm, more behind bone."""
    logit = 3.2 - 0.32 * nodule.diameter + 1.2 * covered + (1.0 if nodule.kind == "ground-glass" else 0.0)
    return float(1 / (1 + np.exp(-logit)))


def _size(nodule: Nodule) -> str:
    return "small" if nodule.diameter < 10 else "medium" if nodule.diameter < 20 else "large"


def _place(build: Build, nodule: Nodule) -> str:
    top, low = build.top, float(np.mean(build.domes))
    share = (nodule.centre[2] - low) / (top - low)
    zone = "lower" if share < 1 / 3 else "middle" if share < 2 / 3 else "upper"
    return f"{'right' if nodule.centre[0] > 0 else 'left'} {zone} zone"


def _vessels(congestion: float) -> str:
    if congestion > 0.6:
        return "interstitial oedema with septal lines"
    return "congested, widened in the upper zones" if congestion > 0.2 else "normal"


def _amount(level: float) -> str:
    return "small" if level < 50 else "moderate" if level < 90 else "large"
