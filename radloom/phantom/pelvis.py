"""The pelvis's anatomy in one subject's space: bones, muscles, bladder, prostate or uterus, rectum and vessels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from radloom.phantom.solids import (
    Layer,
    Space,
    body_field,
    body_grid,
    depth_in_ellipsoid,
    depth_in_oval,
    ellipsoid,
    kept,
    softened,
    spline,
    tube,
    warped_space,
    whole,
)

SIZE_MM = (416.0, 416.0, 192.0)
WARPS = ((95.0, 4.0), (42.0, 2.0))
NUMBERS = {"bladder wall": 1, "urine": 1, "prostate": 2, "central gland": 2, "uterus": 2, "endometrium": 2,
           "rectum wall": 3, "stool": 3, "gas": 3, "femur cortex": 4, "femur marrow": 4,
           "pelvic cortex": 5, "pelvic marrow": 5, "sacrum cortex": 5, "sacrum marrow": 5, "tumour": 2}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Pelvis:
    """A subject's space, its layers in painting order, and what the table says of it."""

    space: Space
    layers: tuple[Layer, ...]
    sex: str
    tumour_ml: float


def new_pelvis(shape: tuple[int, int, int], *, rng: np.random.Generator) -> Pelvis:
    """A new subject, lean to obese, of either sex; z = 0 is the top of the femoral heads' centres."""
    space = warped_space(body_grid(shape, SIZE_MM), WARPS, rng=rng, tilt_deg=1.5)
    sex = str(rng.choice(["male", "female"]))
    stature = rng.uniform(0.9, 1.03, 3)
    for axis in range(3):
        space.points[axis] /= stature[axis]
    body = _body(space, sex, rng=rng)
    organs, tumour = _organs(space, sex, rng=rng)
    tumour_ml = float(tumour.fraction.sum() * np.prod(space.grid.spacing_mm) / 1000) if tumour else 0.0
    return Pelvis(space, (*body, *organs, *_vessels(space, rng=rng), *_bones(space, sex, rng=rng)), sex, tumour_ml)


def _body(space: Space, sex: str, *, rng: np.random.Generator) -> list[Layer]:
    """Skin, subcutaneous fat, the muscular wall, gluteal and hip muscles with fat between them, pelvic cavity."""
    x, y, z = space.points
    fat_side, fat_back = np.exp(rng.normal(np.log(20), 0.35)), np.exp(rng.normal(np.log(24), 0.3))
    fat_front = np.exp(rng.normal(np.log(18), 0.45))
    hips = 148 + 8 * np.exp(-(((z + 30) / 60) ** 2)) + (6 if sex == "female" else 0)  # widest at the trochanters
    depth = 92 + 0.05 * (z - 20)
    muscle = depth_in_oval(x, y, (hips, depth), 2.3)
    front = np.clip(0.5 + y / 100, 0, 1)
    cleft = 16 * np.exp(-(x**2) / 200) * (1 - front) * np.clip((20 - z) / 60, 0, 1)
    fat = np.where(y > 0, fat_front, fat_back) * np.abs(front * 2 - 1) + fat_side * (1 - np.abs(front * 2 - 1)) - cleft
    skin = muscle + np.clip(fat, 4, 38)
    # Muscles are bundles: thin septa of fat run between them where a smooth field changes sign.
    bundles = np.minimum(*(np.abs(body_field(space.grid, knots, rng=rng)) for knots in (46.0, 36.0)))
    septa = np.minimum(muscle - 4, 1.1 - 15 * bundles)
    thighs = np.minimum(muscle, 0.25 * (-z - 52) - np.abs(x))  # the fat that parts them
    cavity = depth_in_ellipsoid(space.points, (0, 2, 40), (84, 66, 110))
    cavity = np.minimum(cavity, 10 + 0.9 * (z + 52))  # the pelvic floor
    found = [
        whole(space, "skin", skin),
        whole(space, "fat", skin - 2.5),
        whole(space, "muscle", np.minimum(muscle, 40.0)),
        _weak(whole(space, "septum", septa), 0.6),
        whole(space, "fat", thighs),
        whole(space, "cavity", cavity),
    ]
    for side in (1, -1):
        psoas = spline([(side * 44, -4, 110), (side * 56, 14, 60), (side * 78, 32, 10), (side * 92, 26, -40)])
        found.append(tube(space, "muscle", psoas, np.linspace(21, 14, len(psoas))))
        internus = spline([(side * 78, -30, 30), (side * 72, -10, -10), (side * 62, 0, -45)])
        found.append(tube(space, "muscle", internus, 11.0))
        piriformis = spline([(side * 22, -62, 28), (side * 60, -66, 10), (side * 96, -50, -4)])
        found.append(tube(space, "muscle", piriformis, 10.0))
    return found


def _weak(layer: Layer, share: float) -> Layer:
    """The layer, thinner than a voxel: it fills this share of each."""
    return replace(layer, fraction=layer.fraction * np.float32(share))


def _organs(space: Space, sex: str, *, rng: np.random.Generator) -> tuple[list[Layer], Layer | None]:
    """Bowel, rectum, bladder and prostate or uterus; and the tumour, if there is one."""
    inside = softened(np.minimum(depth_in_ellipsoid(space.points, (0, 2, 40), (80, 62, 108)), 60), space.border_mm)
    full = rng.uniform(0.65, 1.35)  # how full the bladder is
    centre = np.array([rng.normal(0, 3), 24 + rng.normal(0, 3), 4 + 18 * (full - 0.6)])
    radii = np.array([36, 27, 26]) * full ** np.array([0.9, 0.9, 1.1])
    ripple = 1.5 * body_field(space.grid, 30.0, rng=rng)
    found = [kept(layer, inside) for layer in _bowel(space, rng=rng)]
    found += _rectum(space, rng=rng)
    gland, tumour = (_prostate if sex == "male" else _uterus)(space, centre, radii, rng=rng)
    found += gland
    thick = rng.uniform(2.5, 5.0)
    found += [
        ellipsoid(space, "bladder wall", centre, radii + thick, ripple=ripple),
        ellipsoid(space, "urine", centre, radii, ripple=ripple),
    ]
    return found, tumour


def _bowel(space: Space, *, rng: np.random.Generator) -> list[Layer]:
    """Loops above the bladder: where two smooth fields nearly vanish together."""
    region = depth_in_ellipsoid(space.points, (0, 16, 86), (72, 46, rng.uniform(38, 56)))
    depth = np.full(space.grid.shape, -50.0, np.float32)
    for _ in range(2):
        a, b = (body_field(space.grid, 40.0, rng=rng) for _ in range(2))
        depth = np.maximum(depth, 22 * (0.65 - np.hypot(a, b)))
    depth = np.minimum(depth, region)
    bubbles = 8 * (body_field(space.grid, 30.0, rng=rng) - 1.0 + (space.points[1] - 20) / 50)
    return [
        whole(space, "gut wall", depth),
        whole(space, "gut fluid", depth - 3.0),
        whole(space, "gas", np.minimum(depth - 3.0, bubbles)),
    ]


def _rectum(space: Space, *, rng: np.random.Generator) -> list[Layer]:
    """Rectum and lower sigmoid along the sacrum, holding stool and sometimes gas."""
    sway = rng.normal(0, 4, (5, 3)) * np.array([1, 0.5, 0.5])
    path = spline(np.array([(0, -30, -78), (0, -42, -40), (0, -50, -5), (4, -46, 30), (-30, -18, 62)]) + sway)
    wide = np.interp(np.linspace(0, 1, len(path)), [0, 0.15, 0.5, 1], [9, 13, rng.uniform(14, 22), 14])
    folds = 2.0 * body_field(space.grid, 14.0, rng=rng)
    wall = tube(space, "rectum wall", path, wide, ripple=folds)
    content = tube(space, "stool", path, np.maximum(wide - 4.0, 1.5), ripple=folds)
    bubble = softened(6 * (body_field(space.grid, 32.0, rng=rng) - rng.uniform(-0.3, 1.5)), space.border_mm)
    return [wall, content, Layer("gas", content.box, content.fraction * bubble[content.box])]


def _prostate(
    space: Space, bladder: np.ndarray, radii: np.ndarray, *, rng: np.random.Generator
) -> tuple[list[Layer], Layer | None]:
    """Prostate with central gland and seminal vesicles below the bladder; half of them with a tumour behind."""
    size = rng.uniform(0.8, 1.35)
    centre = np.array([bladder[0], 0 + rng.normal(0, 2), bladder[2] - radii[2] - 16 * size])
    found = [
        tube(space, "vesicle", spline([(s * 4, -14, centre[2] + 16 * size), (s * 18, -20, centre[2] + 22 * size),
                                       (s * 32, -18, centre[2] + 28 * size)]), 5.0)
        for s in (1, -1)
    ]  # fmt: skip
    found += [
        ellipsoid(space, "prostate", centre, np.array([24, 17, 19]) * size),
        ellipsoid(space, "central gland", centre + np.array([0, 4, 3]) * size, np.array([16, 11, 14]) * size),
    ]
    if rng.random() < 0.5:
        return found, None
    side = rng.choice([-1, 1])
    place = centre + np.array([side * rng.uniform(8, 14), -rng.uniform(8, 11), rng.uniform(-8, 6)]) * size
    tumour = ellipsoid(space, "tumour", place, rng.uniform(4, 9) * np.array([1.2, 0.8, 1.2]))
    gland = ellipsoid(space, "prostate", centre, np.array([24, 17, 19]) * size)
    whole_gland = np.zeros(space.grid.shape, np.float32)
    whole_gland[gland.box] = gland.fraction
    tumour = kept(tumour, whole_gland)
    return [*found, tumour], tumour


def _uterus(
    space: Space, bladder: np.ndarray, radii: np.ndarray, *, rng: np.random.Generator
) -> tuple[list[Layer], Layer | None]:
    """Uterus behind and above the bladder with endometrium and cervix; ovaries; half of them with a fibroid."""
    size, lean = rng.uniform(0.75, 1.15), rng.uniform(20, 60)
    centre = np.array([rng.normal(0, 6), -12.0, bladder[2] + 0.5 * radii[2] + 6])
    turn = (lean, 0, rng.normal(0, 8))
    cervix = spline([(0, -18, -30), (0, -18, -8), (centre[0], -12, centre[2])])
    found = [
        tube(space, "uterus", cervix, 12.0 * size),
        ellipsoid(space, "uterus", centre, np.array([27, 20, 34]) * size, turn_deg=turn),
        ellipsoid(space, "endometrium", centre, np.array([12, rng.uniform(2, 6), 20]) * size, turn_deg=turn),
    ]
    for side in (1, -1):
        ovary = np.array([side * rng.uniform(36, 50), -14, centre[2] + rng.normal(0, 8)])
        found.append(ellipsoid(space, "ovary", ovary, (13, 9, 15)))
        for _ in range(3):
            found.append(ellipsoid(space, "follicle", ovary + rng.normal(0, 5, 3), np.full(3, rng.uniform(2, 4.5))))
    if rng.random() < 0.5:
        return found, None
    place = centre + np.array([rng.choice([-1, 1]) * 16, 0, rng.uniform(-8, 14)]) * size
    tumour = ellipsoid(space, "tumour", place, np.full(3, rng.uniform(7, 16)))
    return [*found, tumour], tumour


def _vessels(space: Space, *, rng: np.random.Generator) -> list[Layer]:
    """External iliac and femoral arteries and veins, both sides."""
    found = []
    for side in (1, -1):
        artery = np.array([(side * 22, -20, 112), (side * 44, -2, 70), (side * 66, 38, 20), (side * 72, 60, -10),
                           (side * 78, 62, -90)]) + rng.normal(0, 2.5, (5, 3))  # fmt: skip
        found.append(tube(space, "artery", spline(artery), 4.6))
        found.append(tube(space, "vein", spline(artery + np.array([-side * 9, -9, 0])), 5.6))
    return found


def _bones(space: Space, sex: str, *, rng: np.random.Generator) -> list[Layer]:
    """Sacrum, iliac wings, acetabula, pubis, ischium and the upper femora, each a shell of cortex around marrow."""
    found = []
    wide = 1.06 if sex == "female" else 1.0
    thick = rng.uniform(0.85, 1.2)
    sacrum = depth_in_ellipsoid(space.points, (0, -66, 50), (50, 21, 66), (14, 0, 0))
    canal = ellipsoid(space, "canal", (0, -77, 66), (9, 5, 40), turn_deg=(14, 0, 0))
    found += [whole(space, "sacrum cortex", sacrum), whole(space, "sacrum marrow", sacrum - 2.0 * thick), canal]
    for side in (1, -1):
        found += _hip_bone(space, side * wide, thick)
        found += _femur(space, side * wide, thick)
    return found


def _hip_bone(space: Space, side: float, thick: float) -> list[Layer]:
    """Ilium as a curved blade, socket, pubic arm to the symphysis and ischium."""
    x, y, z = space.points
    x = x * np.float32(np.sign(side)) / np.float32(abs(side))
    run = np.clip((y + 66) / 112, 0, 1)  # from the sacroiliac joint to the anterior spine
    blade_x = 36 + run * (50 + 0.42 * np.clip(z - 16, 0, None)) + 12 * np.sin(np.pi * run)
    blade = 3.2 + 5.5 * np.abs(run - 0.55) - 0.8 * np.abs(x - blade_x)
    blade = np.minimum(blade, np.minimum(z - 14, 0.5 * (118 - z - 50 * (run - 0.5) ** 2)))
    blade = np.minimum(blade, np.minimum(y + 66, 0.6 * (40 + 0.15 * z - y)))
    socket = depth_in_ellipsoid(np.stack([x, y, z]), (84, 2, 4), (24, 32, 34))
    pubis = _bar((x, y, z), (74, 26, 0), (3, 44, -36), 9.0)
    lower = _bar((x, y, z), (6, 40, -42), (44, -16, -74), 7.0)
    ischium = _bar((x, y, z), (74, -20, 0), (52, -26, -66), 14.0)
    bone = np.maximum(np.maximum(np.maximum(blade, socket), np.maximum(pubis, lower)), ischium)
    return [whole(space, "pelvic cortex", bone), whole(space, "pelvic marrow", bone - 2.4 * thick)]


def _femur(space: Space, side: float, thick: float) -> list[Layer]:
    """Cartilage, head, neck, trochanter and shaft."""
    x, y, z = space.points
    x = x * np.float32(np.sign(side)) / np.float32(abs(side))
    head = depth_in_ellipsoid(np.stack([x, y, z]), (92, 4, 0), (23.5, 23.5, 23.5))
    bone = np.maximum(head, _bar((x, y, z), (98, 2, -4), (132, -8, -30), 13.0))
    bone = np.maximum(bone, _bar((x, y, z), (140, -14, -22), (134, -8, -60), 17.0))
    shaft = _bar((x, y, z), (134, -6, -50), (124, 2, -140), 15.5)
    cortex = np.maximum(bone, shaft)
    marrow = np.maximum(bone - 2.0 * thick, shaft - 6.0 * thick)
    return [
        whole(space, "cartilage", head + 3.0),
        whole(space, "femur cortex", cortex),
        whole(space, "femur marrow", marrow),
    ]


def _bar(
    points: tuple[np.ndarray, np.ndarray, np.ndarray],
    start: tuple[float | int, float | int, float | int],
    end: tuple[float | int, float | int, float | int],
    radius: float,
) -> np.ndarray:
    """Depth, mm, in a straight bar with round ends."""
    along = np.subtract(end, start).astype(np.float32)
    away = [p - np.float32(s) for p, s in zip(points, start, strict=True)]
    share = np.clip(sum(a * d for a, d in zip(away, along, strict=True)) / float(along @ along), 0, 1)
    return np.float32(radius) - np.sqrt(sum((a - share * d) ** 2 for a, d in zip(away, along, strict=True)))
