"""Tissue mixtures: the share of each tissue in a voxel with its own T1, T2 and PD there; no sequences, no noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from radloom.phantom.anatomy import Anatomy
from radloom.phantom.disease import Disease, Part
from radloom.phantom.fields import Grid, smooth_field
from radloom.phantom.tissues import Tissue

NORMAL_AGENT = {"grey": 0.03, "white": 0.01, "csf": 0.0, "blood": 0.8}  # mmol/L (SYSTEMS-direct 4.3)
FLUID_SHARE = {"csf": 0.25, "necrosis": 0.5, "mismatch core": 0.5}  # free water differs little between people


@dataclass(frozen=True, eq=False)
class Compartment:
    """A tissue's share of each brain voxel (n,), its PD, its T1 and T2 in ms there, and the contrast agent, mmol/L."""

    tissue: str
    fraction: np.ndarray
    pd: np.ndarray
    t1: np.ndarray
    t2: np.ndarray
    agent: float


def spread(table: Mapping[str, Tissue], *, rng: np.random.Generator) -> dict[str, Tissue]:
    """The table for one subject: T1 and T2 within 15 % of the mean, more than half of it common to all tissues."""
    common_t1, common_t2 = rng.uniform(0.92, 1.08, 2)
    found = {}
    for name, tissue in table.items():
        own_t1, own_t2, own_pd = rng.uniform(0.94, 1.06, 3)
        share = FLUID_SHARE.get(name, 1.0)
        found[name] = Tissue(
            pd=tissue.pd * own_pd ** (0.5 * share),
            t1=tissue.t1 * (common_t1 * own_t1) ** share,
            t2=tissue.t2 * (common_t2 * own_t2) ** share,
            source=tissue.source,
        )
    return found


def mixture(
    anatomy: Anatomy, ill: Disease, tissues: Mapping[str, Tissue], *, rng: np.random.Generator
) -> list[Compartment]:
    """The compartments of every brain voxel, their T1, T2 and PD varying smoothly by a few percent."""
    grid, brain = anatomy.grid, anatomy.brain
    grain, lumps = _water(grid, 9.0, rng=rng)[:, brain], _water(grid, 7.0, rng=rng)[:, brain]
    grey, white, csf = (one[brain] for one in anatomy.fractions)
    blood = 0.8 * vessels(grid, rng=rng)[brain] * np.clip(csf + 0.5 * grey - 0.2, 0, 1)
    healthy = np.clip(1 - sum((part.fraction[brain] for part in ill.parts), np.zeros(grey.shape)), 0, 1)
    shares = {"grey": grey, "white": white, "csf": csf, "blood": None}
    found = []
    for name in shares:
        share = blood if name == "blood" else shares[name] * (1 - blood)
        strength = 0.0 if name in ("csf", "blood") else 1.0
        found.append(_compartment(name, tissues[name], share * healthy, NORMAL_AGENT[name], grain, strength))
    for part in ill.parts:
        found.append(_diseased(part, brain, tissues, lumps))
    return found


def _water(grid: Grid, knots_mm: float, *, rng: np.random.Generator) -> np.ndarray:
    """(3, x, y, z): unit-variance fields for T1, T2 and PD, alike because more water lengthens and raises all three."""
    shared, *own = (smooth_field(grid, knots_mm, rng=rng) for _ in range(4))
    return 0.8 * shared + 0.6 * np.stack(own)


def _compartment(
    name: str, tissue: Tissue, fraction: np.ndarray, agent: float, grain: np.ndarray, strength: float
) -> Compartment:
    t1, t2, pd = (np.exp(strength * sd * one) for sd, one in zip((0.025, 0.025, 0.008), grain, strict=True))
    return Compartment(name, fraction, tissue.pd * pd, tissue.t1 * t1, tissue.t2 * t2, agent)


def _diseased(part: Part, brain: np.ndarray, tissues: Mapping[str, Tissue], grain: np.ndarray) -> Compartment:
    """A diseased part, lumpier than normal tissue; where it is hidden it borrows white matter's values."""
    own, white = tissues[part.tissue], tissues["white"]
    seen = Tissue(
        pd=own.pd if part.hidden == "no" else white.pd,
        t1=white.t1 if part.hidden == "t1" else own.t1,
        t2=white.t2 if part.hidden == "t2" else own.t2,
        source=own.source,
    )
    return _compartment(part.tissue, seen, part.fraction[brain], part.agent, grain, 2.0)


def vessels(grid: Grid, *, rng: np.random.Generator) -> np.ndarray:
    """Winding lines in [0, 1]: where two smooth random fields vanish together."""
    a, b = smooth_field(grid, 13.0, rng=rng), smooth_field(grid, 13.0, rng=rng)
    return np.exp(-(a**2 + b**2) / (2 * 0.16**2))
