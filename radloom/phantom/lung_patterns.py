"""Interstitial disease of the lung: where each pattern lies and the HU of its fine structure; no scanner."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue]

from radloom.phantom.chest import Chest
from radloom.phantom.solids import body_field

PATTERNS = {1: "ground glass", 2: "consolidation", 3: "reticulation", 4: "honeycombing", 5: "emphysema"}
GROUND_GLASS, CONSOLIDATION, RETICULATION, HONEYCOMB, EMPHYSEMA = PATTERNS


def draw_patterns(chest: Chest, *, rng: np.random.Generator) -> np.ndarray:
    """uint8 (x, y, z): the pattern of each voxel of the lungs, 0 where there is none.

    Fibrosis is subpleural and basal with honeycombs outermost, emphysema lies in the upper lobes, ground glass and
    consolidation anywhere; one person has two to five of them. Later patterns lie over earlier ones.
    """
    z = np.broadcast_to(chest.points[2], chest.depth.shape)
    inside = chest.lungs.max(0) >= 0.5
    low, high = np.percentile(z[inside], [2, 98]) if inside.any() else (0.0, 1.0)
    height = (z - low) / max(float(high - low), 1.0) * 2 - 1  # -1 at the bases, 1 at the apices
    rim = np.exp(-np.maximum(chest.depth, 0) / 16)
    mixed = np.zeros(chest.depth.shape, np.uint8)
    fields = {number: body_field(chest.grid, 30.0, rng=rng) for number in PATTERNS}
    chosen = _chosen(rng)
    leaning = {
        GROUND_GLASS: 0.25 * rim - 0.2 * height,
        EMPHYSEMA: 0.9 * height,
        CONSOLIDATION: 0.4 * rim - 0.5 * height,
        RETICULATION: 2.4 * rim - 0.8 * height,
        HONEYCOMB: 3.0 * rim - 1.0 * height,
    }
    for number, lean in leaning.items():
        extent = rng.uniform(*EXTENT[number])
        if number not in chosen or not inside.any():
            continue
        score = fields[number] + lean
        mixed[inside & (score > np.quantile(score[inside], 1 - extent))] = number
    return mixed


EXTENT = {  # share of the lungs, before later patterns cover it
    GROUND_GLASS: (0.06, 0.35),
    CONSOLIDATION: (0.01, 0.08),
    RETICULATION: (0.06, 0.30),
    HONEYCOMB: (0.02, 0.12),
    EMPHYSEMA: (0.05, 0.30),
}


def _chosen(rng: np.random.Generator) -> set[int]:
    """Usual interstitial pneumonia, an organising or a smoker's pattern, or a mixture."""
    kinds = (
        {RETICULATION, HONEYCOMB, GROUND_GLASS},
        {GROUND_GLASS, CONSOLIDATION},
        {EMPHYSEMA, RETICULATION, HONEYCOMB},
        {GROUND_GLASS, RETICULATION},
        set(PATTERNS),
    )
    return kinds[rng.choice(5, p=(0.3, 0.2, 0.2, 0.15, 0.15))]


def pattern_hu(chest: Chest, patterns: np.ndarray, parenchyma: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """float32 HU of the parenchyma with its patterns (SYSTEMS: Hwang's phantom); healthy where `patterns` is 0."""
    hu = parenchyma.copy()
    fine = body_field(chest.grid, 9.0, rng=rng)
    strength = {number: rng.uniform(*span) for number, span in STRENGTH.items()}
    seeds = {RETICULATION: float(rng.uniform(9, 13)), HONEYCOMB: float(rng.uniform(6.5, 10))}
    glass = patterns == GROUND_GLASS
    hu[glass] += strength[GROUND_GLASS] + 25 * fine[glass]
    solid = patterns == CONSOLIDATION
    hu[solid] = strength[CONSOLIDATION] + 18 * fine[solid]
    lucent = patterns == EMPHYSEMA
    hu[lucent] = np.maximum(hu[lucent] - strength[EMPHYSEMA] * (1 + 0.5 * np.clip(fine[lucent], -1, 1)), -985)
    for number in (RETICULATION, HONEYCOMB):
        where = patterns == number
        share = wall_share(chest, where, seeds[number], WALL_MM[number], rng=rng)
        inside = hu[where] + 90 if number == RETICULATION else np.float32(-950)
        hu[where] = inside + share * (strength[number] - inside)
    return hu


STRENGTH = {  # HU added (ground glass), taken away (emphysema) or reached (the others)
    GROUND_GLASS: (150.0, 300.0),
    CONSOLIDATION: (-40.0, 50.0),
    RETICULATION: (-280.0, -100.0),
    HONEYCOMB: (-230.0, -60.0),
    EMPHYSEMA: (60.0, 110.0),
}
WALL_MM = {RETICULATION: 1.5, HONEYCOMB: 2.2}


def wall_share(
    chest: Chest, where: np.ndarray, cell_mm: float, wall_mm: float, *, rng: np.random.Generator
) -> np.ndarray:
    """(n,): the share of each voxel of `where` that is wall between cells about `cell_mm` wide (Worley 1996).

    Cells belong to random seeds; a voxel's distance from the wall is half of the difference between its distances to
    the nearest two seeds. A wall thinner than the voxel fills only its share.
    """
    low, high = np.array([-150.0, -130.0, -180.0]), np.array([150.0, 130.0, 170.0])
    seeds = low + rng.random((int(np.prod(high - low) / cell_mm**3), 3)) * (high - low)
    if not where.any():
        return np.zeros(0, np.float32)
    x, y, z = np.nonzero(where)
    axes = chest.grid.axes_mm()
    places = np.stack([axes[0][x], axes[1][y], axes[2][z]], 1)
    near, _ = cKDTree(seeds).query(places, k=2)
    voxel = float(np.mean(sorted(chest.grid.spacing_mm)[:2]))
    away = (near[:, 1] - near[:, 0]) / 2
    wide = max(wall_mm, voxel)
    share = np.clip(0.5 + (wide / 2 - away) / voxel, 0, 1) * min(wall_mm / voxel, 1.0) ** 0.5
    return share.astype(np.float32)
