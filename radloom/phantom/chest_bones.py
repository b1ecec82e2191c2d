"""Bones of the thorax as clouds: ribs, spine, sternum, clavicles, shoulder blades and upper arms; no values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from radloom.phantom.chest_shape import CAGE_POWER, SIDES, Arms, Build, cage_half, spine_x
from radloom.phantom.solids import spline
from radloom.phantom.splats import Cloud, joined, tube

RIBS = 11
VERTEBRA_MM = 23.5  # one vertebra with its disc


@dataclass(frozen=True, eq=False)
class Bones:
    """All bone, the marrow in it, and the costal cartilage; clouds."""

    whole: Cloud
    marrow: Cloud
    cartilage: Cloud


def bones(build: Build, cell_mm: float, *, arms: Arms, rng: np.random.Generator) -> Bones:
    """The skeleton of one thorax; every rib sits a little differently on the two sides."""
    whole, marrow, cartilage = [], [], []
    for side in SIDES.values():
        for number in range(RIBS):
            path, ends = _rib(build, side, number, rng=rng)
            radius = (3.6 if build.female else 4.1) * rng.uniform(0.92, 1.08) * (0.85 if number in (0, RIBS - 1) else 1)
            # Seen from the front a rib is about twice as high as it is thick.
            whole.append(tube(path[:ends], 1.75 * radius, cell_mm, flat=0.55))
            marrow.append(tube(path[:ends], 1.75 * radius - 1.5, cell_mm, flat=0.45))
            if number < 9:
                cartilage.append(tube(path[ends - 1 :], 1.4 * radius, cell_mm, flat=0.6))
        for part in _shoulder(build, side, cell_mm, arms=arms, rng=rng):
            whole.append(part[0])
            marrow.append(part[1])
    for solid, spongy in (_spine(build, cell_mm, rng=rng), _sternum(build, cell_mm)):
        whole += solid
        marrow += spongy
    return Bones(joined(whole), joined(marrow), joined(cartilage))


def rib_height(build: Build, number: int) -> float:
    """Height at which rib `number` (0 is the first) leaves the spine, mm."""
    return build.top + 10 - number * (21.0 + 0.045 * build.top)


def _rib(build: Build, side: float, number: int, *, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """The path from the spine to the sternum, (n, 3) mm, and how many of its points are bone."""
    start = rib_height(build, number) + rng.normal(0, 1.2)
    drop = np.interp(number, [0, 2, 6, 10], [22, 48, 72, 62]) + rng.normal(0, 2.5)
    end = 0.90 * np.pi if number < 7 else (0.82 - 0.05 * (number - 7)) * np.pi
    angle = np.linspace(0.10 * np.pi, end, 90)
    share = (angle - angle[0]) / (0.9 * np.pi - angle[0])
    z = start + 5 * np.sin(np.minimum(share * 4, 1) * np.pi) - drop * share**1.25
    if number < 9:  # cartilage climbs back to the sternum
        z += 0.45 * drop * np.clip((share - 0.78) / 0.22, 0, 1) ** 2
    a, b = cage_half(build, z)
    a, b = np.maximum(a, 26 if number == 0 else 34) + 4.5, np.maximum(b, 30) + 4.5
    sin, cos = np.sin(angle), np.cos(angle)
    x = side * a * np.abs(sin) ** (2 / CAGE_POWER)
    y = -b * np.sign(cos) * np.abs(cos) ** (2 / CAGE_POWER)
    path = np.stack([x, y, z], 1)
    joint = np.array([spine_x(build, start) + side * 17, -0.80 * build.depth - 14, start + 2])
    neck = np.linspace(0, 1, 8)[:-1, None]
    path = np.concatenate([joint + neck * (path[0] - joint), path])
    bony = np.interp(number, [0, 1, 5, 8], [0.66, 0.76, 0.74, 0.85]) + rng.normal(0, 0.02)
    ends = len(path) if number >= 9 else int(7 + 90 * bony / max(float(share[-1]), 0.5))
    return path, min(ends, len(path))


def _spine(build: Build, cell_mm: float, *, rng: np.random.Generator) -> tuple[list[Cloud], list[Cloud]]:
    whole, marrow = [], []
    back = -0.80 * build.depth
    first = rng.uniform(0, VERTEBRA_MM)
    for base in np.arange(-200 + first, 200, VERTEBRA_MM):
        size = 1 - 0.0011 * (base + 100)  # vertebrae grow downwards
        x = float(spine_x(build, base))
        body = np.array([[x, back, base + 2.5], [x, back, base + VERTEBRA_MM - 2.5]])
        # A body is waisted, with dense end plates.
        inner = np.array([[x, back, base + 4.0], [x, back, base + VERTEBRA_MM - 4.0]])
        whole.append(tube(body, 15.5 * size, cell_mm, flat=1.15, up=(0, 1, 0)))
        marrow.append(tube(inner, 15.5 * size - 1.2, cell_mm, flat=1.15, up=(0, 1, 0)))
        middle = base + 0.6 * VERTEBRA_MM
        for side in SIDES.values():
            pedicle = [[x + side * 11, back - 12, middle], [x + side * 13, back - 26, middle]]
            process = [[x + side * 12, back - 25, middle], [x + side * 32, back - 32, middle + 4]]
            for knots, radius in ((pedicle, 4.0), (process, 4.2)):
                whole.append(tube(np.array(knots), radius, cell_mm))
                marrow.append(tube(np.array(knots), radius - 1.4, cell_mm))
        spinous = np.array([[x, back - 29, middle], [x, back - 52, middle - 18]])
        whole.append(tube(spinous, 3.2, cell_mm))
    return whole, marrow


def _sternum(build: Build, cell_mm: float) -> tuple[list[Cloud], list[Cloud]]:
    high = build.top - 30
    z = np.linspace(high, high - 150, 24)
    _, b = cage_half(build, np.minimum(z, 60))
    path = np.stack([0 * z, b + 3, z], 1)
    widths = np.interp(np.arange(24), [0, 6, 8, 19, 23], [8.5, 6.5, 5.0, 5.5, 2.5])
    return (
        [tube(path, widths, cell_mm, flat=2.6, up=(0, 1, 0))],
        [tube(path, np.maximum(widths - 1.3, 1), cell_mm, flat=2.6, up=(0, 1, 0))],
    )


def _shoulder(
    build: Build, side: float, cell_mm: float, *, arms: Arms, rng: np.random.Generator
) -> Sequence[tuple[Cloud, Cloud]]:
    """Clavicle, blade with its spine, and head and shaft of the upper arm."""
    lift, out = rng.normal(0, 5), build.width + 18
    top = build.top
    clavicle = spline(
        np.array(
            [
                [side * 16, 0.60 * build.depth, top - 26],
                [side * 55, 0.62 * build.depth, top - 15 + 0.4 * lift],
                [side * 100, 0.10 * build.depth, top - 3 + lift],
                [side * (out - 5), -0.1 * build.depth, top - 2 + lift],
            ]
        )
    )
    elbow = [side * (out + 130), -4, top - 190 + lift] if arms == "down" else [side * (out + 40), 10, top + 190]
    arm = np.array([[side * (out + 12), -12, top - 20 + lift], elbow])
    head = np.array([[side * (out + 9), -14, top - 5 + lift], [side * (out + 13), -13, top - 37 + lift]])
    ridge = spline(
        np.array(
            [
                [side * 78, -build.depth - 6, top - 47 + lift],
                [side * 120, -build.depth + 2, top - 20 + lift],
                [side * (out - 2), -30, top + 2 + lift],
            ]
        )
    )
    solid = [(clavicle, 5.2), (head, np.array([19.0, 17.0])), (arm, 11.0), (ridge, 4.2)]
    found = [(tube(p, r, cell_mm), tube(p, np.asarray(r) - 1.8, cell_mm)) for p, r in solid]
    return [*found, _blade(build, side, top + lift, cell_mm)]


def _blade(build: Build, side: float, top: float, cell_mm: float) -> tuple[Cloud, Cloud]:
    """A thin curved triangle behind the ribs, thick along its outer border; its marrow is too thin to count."""
    low, high = top - 150, top - 22
    rows = []
    for z in np.arange(low, high, 0.7 * cell_mm):
        share = (z - low) / (high - low)
        inner, outer = 92 - 14 * share, 100 + (build.width - 72) * share**0.8
        inner, outer = min(inner, outer - 4), outer
        x = np.arange(inner, outer, 0.7 * cell_mm)
        y = -(build.depth + 9) + 0.0035 * (x - inner) ** 2 + 26 * ((x - 75) / 80) ** 2
        rows.append(np.stack([side * x, y, np.full(x.shape, z)], 1))
    points = np.concatenate(rows)
    plate = Cloud(points, np.full(len(points), 2.4 * (0.7 * cell_mm) ** 2))
    edges = np.array([row[-1] for row in rows])
    border = tube(edges, 3.6, cell_mm)
    return joined([plate, border]), tube(edges, 2.0, cell_mm)
