"""Abdominal organs fitted into a frame: liver, spleen, kidneys, pancreas, stomach, bowel and liver lesions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radloom.phantom.abdomen import Frame
from radloom.phantom.solids import (
    Layer,
    body_field,
    box_around,
    depth_in_ellipsoid,
    ellipsoid,
    kept,
    softened,
    spline,
    tube,
    whole,
)

NUMBERS = {"liver": 1, "portal vein": 1, "hepatic vein": 1, "spleen": 2, "kidney right": 3, "medulla right": 3,
           "kidney left": 4, "medulla left": 4, "pancreas": 5, "aorta": 6, "gallbladder": 7,
           "disc": 8, "cortex": 8, "marrow": 8}  # fmt: skip
LESION_KINDS = ("metastasis", "cyst", "haemangioma", "hypervascular")


@dataclass(frozen=True, eq=False)
class Lesion:
    """A lesion of the liver: its kind, diameter in mm and layers (a haemangioma has a rim and a core)."""

    kind: str
    diameter_mm: float
    layers: tuple[Layer, ...]


def organs(frame: Frame, *, rng: np.random.Generator) -> tuple[list[Layer], np.ndarray]:
    """The layers of all organs in painting order, and the liver's fraction over the whole grid."""
    space = frame.space
    inside = softened(np.minimum(frame.cavity - 2, -frame.lung - 3), space.border_mm)
    stomach_layers, stomach = _stomach(frame, rng=rng)
    kidney_layers, beds = _kidneys(frame, rng=rng)
    spleen = _spleen(frame, np.maximum(beds, stomach), rng=rng)
    liver = _liver(frame, beds, rng=rng)
    found = [
        *_small_bowel(frame, rng=rng),
        *_colon(frame, rng=rng),
        *stomach_layers,
        *_pancreas(frame, rng=rng),
    ]
    found = [kept(layer, inside) for layer in found]
    found += [*kidney_layers, spleen, liver, *_gallbladder(frame, rng=rng)]
    return found, liver.fraction


def _liver(frame: Frame, beds: np.ndarray, *, rng: np.random.Generator) -> Layer:
    """Right and left lobe melted together, bounded by wall, diaphragm, kidney, porta and spine."""
    points, (dx, dy, dz) = frame.space.points, rng.normal(0, 4, 3)
    long = rng.uniform(0.85, 1.2)
    right = depth_in_ellipsoid(points, (70 + dx, 2 + dy, 34 + dz), (78, 92, 76 * long))
    left = depth_in_ellipsoid(
        points, (2 + dx, 46 + dy, 50 + dz), (rng.uniform(62, 95), 38, 34), (0, rng.uniform(-14, 4), -8)
    )
    depth = 9 * np.logaddexp(right / 9, left / 9)
    ripple = 2.0 * body_field(frame.space.grid, 38.0, rng=rng)
    visceral = 0.55 * (points[2] + 46) + 0.4 * (points[0] - 18) + 0.35 * (points[1] + 10)  # slopes to the right
    porta = depth_in_ellipsoid(points, (24, 10, 8), (20, 17, 22))
    spine = depth_in_ellipsoid(points, (-4, -50, 40), (46, 42, 120))
    depth = np.minimum(depth + ripple, np.minimum(frame.cavity - 2.5, -frame.lung - 3))
    for carved in (-visceral - 12, porta, spine, beds + 3):
        depth = np.minimum(depth, -carved)
    return whole(frame.space, "liver", depth)


def _spleen(frame: Frame, pressed: np.ndarray, *, rng: np.random.Generator) -> Layer:
    """A crescent under the left dome, hollowed by stomach and kidney."""
    centre = np.array([-102, -34, 40]) + rng.normal(0, 4, 3)
    size = rng.uniform(0.8, 1.2)
    depth = depth_in_ellipsoid(
        frame.space.points, centre, (41 * size, 60 * size, 58 * size), (0, rng.uniform(-15, 5), rng.uniform(15, 35))
    )
    depth = depth + 1.5 * body_field(frame.space.grid, 30.0, rng=rng)
    depth = np.minimum(np.minimum(depth, frame.cavity - 2.5), np.minimum(-frame.lung - 3, -pressed - 2))
    return whole(frame.space, "spleen", depth)


def _kidneys(frame: Frame, *, rng: np.random.Generator) -> tuple[list[Layer], np.ndarray]:
    """Both kidneys with sinus fat, renal pelvis and medulla, sometimes a cyst; and the depth in their fat capsules."""
    space = frame.space
    found, beds = [], np.full(space.grid.shape, -50.0, np.float32)
    columns = body_field(space.grid, 13.0, rng=rng)
    size = rng.uniform(0.88, 1.1)
    for side, name in ((1, "right"), (-1, "left")):
        centre = np.array([side * 64, -43, -18 if side > 0 else -6]) + rng.normal(0, 3.5, 3)
        radii = size * np.array([25, 30, 53]) * rng.uniform(0.93, 1.07, 3)
        turn = (rng.uniform(4, 12), side * rng.uniform(6, 16), side * rng.uniform(15, 40))
        box = box_around(space, centre - 60, centre + 60)
        points = space.points[(slice(None), *box)]
        depth = depth_in_ellipsoid(points, centre, radii, turn)
        hilum = centre + np.array([-side * 15, 8, 0])
        sinus = depth_in_ellipsoid(points, hilum, (17, 11, 26), turn)
        medulla = np.minimum(np.minimum(depth - 7.5, 14 - depth), 7 * columns[box] + 1.5)
        found += [
            Layer(f"kidney {name}", box, softened(depth, space.border_mm)),
            Layer(f"medulla {name}", box, softened(medulla, space.border_mm)),
            Layer("sinus", box, softened(sinus, space.border_mm)),
            ellipsoid(space, "urine", hilum, (7, 5, 14), turn_deg=turn),
        ]
        if rng.random() < 0.35:
            place = centre + radii * _direction(rng) * 0.95
            found.append(ellipsoid(space, "cyst", place, np.full(3, np.exp(rng.normal(np.log(9), 0.5)))))
        beds[box] = np.maximum(beds[box], depth + 4)
    return found, beds


def _stomach(frame: Frame, *, rng: np.random.Generator) -> tuple[list[Layer], np.ndarray]:
    """Wall, content and the gas above it; and the depth in the stomach over the whole grid."""
    space, full = frame.space, rng.uniform(0.65, 1.1)
    path = spline(np.array([(-54, -12, 78), (-66, 16, 52), (-54, 44, 20), (-22, 56, 0), (22, 44, 6)])
                  + rng.normal(0, 4, (5, 3)))  # fmt: skip
    radii = np.interp(np.linspace(0, 1, len(path)), [0, 0.25, 0.6, 0.85, 1], [26, 38, 28, 19, 12]) * full
    wall = tube(space, "gut wall", path, radii)
    content = tube(space, "stomach content", path, np.maximum(radii - 4.5, 3))
    level = rng.uniform(25, 62)
    gas = _gas(frame, content, level)
    depth = np.full(space.grid.shape, -50.0, np.float32)
    depth[wall.box] = (wall.fraction - 0.5) * 20
    return [wall, content, gas], depth


def _gas(frame: Frame, content: Layer, level_mm: float) -> Layer:
    """The part of a lumen above a horizontal level: a patient lies on the back."""
    above = softened(frame.space.points[1][content.box] - level_mm, frame.space.border_mm)
    return Layer("gas", content.box, content.fraction * above)


def _pancreas(frame: Frame, *, rng: np.random.Generator) -> list[Layer]:
    space = frame.space
    ripple = 2.2 * body_field(space.grid, 11.0, rng=rng)
    duodenum = spline([(24, 40, 4), (46, 22, 0), (50, 6, -26), (36, 2, -50), (0, -2, -52)])
    path = spline(np.array([(32, 10, -24), (30, 14, -6), (4, 20, 8), (-34, 4, 14), (-72, -18, 28)])
                  + rng.normal(0, 2.5, (5, 3)))  # fmt: skip
    radii = np.interp(np.linspace(0, 1, len(path)), [0, 0.2, 0.45, 0.75, 1], [13, 13, 8, 9.5, 7]) * rng.uniform(
        1.0, 1.4
    )
    return [
        tube(space, "gut wall", duodenum, 12.0, ripple=ripple),
        tube(space, "gut fluid", duodenum, 8.0, ripple=ripple),
        tube(space, "pancreas", path, radii, ripple=ripple),
    ]


def _gallbladder(frame: Frame, *, rng: np.random.Generator) -> list[Layer]:
    """A gallbladder, sometimes with stones; or clips where it was."""
    space = frame.space
    if rng.random() < 0.15:
        places = np.array([40, 26, -2]) + rng.normal(0, 5, (3, 3))
        return [ellipsoid(space, "clip", place, (1.8, 1.8, 3.0)) for place in places]
    size = rng.uniform(0.6, 1.15)
    centre = np.array([56, 44, -8]) + rng.normal(0, 3, 3)
    turn = (rng.uniform(-25, 0), rng.uniform(-15, 15), 0)
    found = [ellipsoid(space, "gut wall", centre, np.array([16, 19, 31]) * size, turn_deg=turn),
             ellipsoid(space, "gallbladder", centre, np.array([14, 17, 29]) * size, turn_deg=turn)]  # fmt: skip
    if rng.random() < 0.12:
        found += [ellipsoid(space, "stone", centre + rng.normal(0, 3, 3) - np.array([0, 9 * size, 0]), (3.5, 3.5, 3.5))
                  for _ in range(rng.integers(1, 4))]  # fmt: skip
    return found


def _colon(frame: Frame, *, rng: np.random.Generator) -> list[Layer]:
    """Ascending, transverse and descending colon with haustra, stool and gas."""
    space = frame.space
    haustra = 4.0 * body_field(space.grid, 15.0, rng=rng)
    droop = rng.uniform(-25, 15)
    points = np.array([(110, -8, -118), (108, -4, -60), (104, 14, -34), (70, 58, -34 + droop), (0, 68, -44 + droop),
                       (-64, 60, -22 + droop / 2), (-108, 18, 4), (-116, -14, -20), (-114, -16, -118)])  # fmt: skip
    path = spline(points + rng.normal(0, 4, points.shape))
    radii = np.interp(np.linspace(0, 1, len(path)), [0, 0.3, 0.7, 1], [26, 21, 18, 15]) * rng.uniform(0.75, 1.1)
    wall = tube(space, "gut wall", path, radii, ripple=haustra)
    content = tube(space, "stool", path, radii - 3.5, ripple=haustra)
    bubbles = softened(6 * (body_field(space.grid, 24.0, rng=rng) + (space.points[1] - 30) / 40), space.border_mm)
    return [wall, content, Layer("gas", content.box, content.fraction * bubbles[content.box])]


def _small_bowel(frame: Frame, *, rng: np.random.Generator) -> list[Layer]:
    """Winding loops in the lower middle: where two smooth fields nearly vanish together."""
    space = frame.space
    region = depth_in_ellipsoid(space.points, (-24, 20, -62), (96, 56, rng.uniform(60, 85)))
    region = np.minimum(region, frame.cavity - 4)
    depth = np.full(space.grid.shape, -50.0, np.float32)
    for _ in range(2):
        a, b = (body_field(space.grid, 40.0, rng=rng) for _ in range(2))
        depth = np.maximum(depth, 22 * (0.62 - np.hypot(a, b)))
    depth = np.minimum(depth, region)
    fluid = depth - 3.0
    bubbles = 8 * (body_field(space.grid, 30.0, rng=rng) - 1.1 + (space.points[1] - 30) / 60)
    return [
        whole(space, "gut wall", depth),
        whole(space, "gut fluid", fluid),
        whole(space, "gas", np.minimum(fluid, bubbles)),
    ]


def liver_lesions(frame: Frame, liver: np.ndarray, *, count: int, rng: np.random.Generator) -> list[Lesion]:
    """`count` or fewer lesions of 5-40 mm in the liver, apart from each other; some patients have one kind only."""
    space = frame.space
    voxels = np.argwhere(liver > 0.95)
    kinds = rng.choice(LESION_KINDS, 2, p=[0.4, 0.25, 0.15, 0.2])
    ripple = body_field(space.grid, 14.0, rng=rng)
    found: list[Lesion] = []
    placed: list[tuple[np.ndarray, float]] = []
    for _ in range(count if len(voxels) else 0):
        kind = str(rng.choice(kinds))
        diameter = float(np.clip(np.exp(rng.normal(np.log(13), 0.55)), 5, 40))
        place = space.points[(slice(None), *voxels[rng.integers(len(voxels))])].astype(float)
        if any(np.linalg.norm(place - other) < 0.6 * (diameter + size) for other, size in placed):
            continue
        placed.append((place, diameter))
        rough = ripple * (0.04 if kind == "cyst" else 0.12) * diameter / 2
        radii = diameter / 2 * np.exp(rng.normal(0, 0.1, 3))
        layers = [kept(ellipsoid(space, kind, place, radii, ripple=rough), liver)]
        if kind in ("haemangioma", "metastasis") and diameter > 12:
            core = ellipsoid(space, f"{kind} core", place, 0.6 * radii, ripple=rough)
            layers.append(kept(core, liver))
        found.append(Lesion(kind, diameter, tuple(layers)))
    return found


def _direction(rng: np.random.Generator) -> np.ndarray:
    vector = rng.standard_normal(3)
    return vector / np.linalg.norm(vector)
