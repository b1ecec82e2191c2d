"""The shape of a thorax in millimetres: outline, rib cage, diaphragm, heart and lungs as depths below surfaces.

x to the right, y to the front, z upwards; the midline is x = 0, the carina lies near z = 40. No values, no grids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

SIDES = {"right": 1.0, "left": -1.0}
CAGE_POWER = 2.35  # a section of the rib cage is a superellipse
HEART_MM = (52.0, 47.0, 50.0)
SHOULDER_MM = {"raised": 30.0, "down": 52.0}  # how far the shoulders stand out
Arms = Literal["raised", "down"]
Points = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Build:
    """One person's sizes, mm unless said otherwise."""

    female: bool
    width: float  # half the inner width of the rib cage
    depth: float  # half its inner depth
    top: float  # of the lungs
    domes: tuple[float, float]  # heights of the diaphragm, right and left
    fat: float  # thickness of the fat below the skin
    muscle: float
    heart: float  # size relative to the usual
    heart_turn: float  # radians about y; upright in the slim
    wave: tuple[float, float, float, float]  # how the cage's width varies with height
    bend: float  # sideways curve of the spine
    turn: float  # radians about z; nobody stands quite straight
    age: float  # years


def draw_build(*, rng: np.random.Generator) -> Build:
    """A person at random; women are smaller, the heavy have wider hearts and higher diaphragms."""
    female = bool(rng.random() < 0.5)
    fat = float(np.clip(np.exp(rng.normal(np.log(13), 0.5)), 4, 38))
    base = rng.normal(-52, 9) + 0.4 * (fat - 13)
    return Build(
        female=female,
        width=float(rng.normal(122 if female else 133, 6)),
        depth=float(rng.normal(79 if female else 87, 5)),
        top=float(rng.normal(122, 6)),
        domes=(float(base + rng.normal(7, 4)), float(base + rng.normal(-6, 4))),
        fat=fat,
        muscle=float(np.clip(rng.normal(13 if female else 17, 3), 7, 26)),
        heart=float(np.clip(rng.normal(0.96, 0.06), 0.82, 1.1)),
        heart_turn=float(rng.normal(0.55 + 0.008 * (fat - 13), 0.15)),
        wave=tuple(rng.normal(0, 0.022, 4)),  # pyright: ignore[reportArgumentType]
        bend=float(rng.normal(0, 4)),
        turn=float(rng.normal(0, 0.035)),
        age=float(rng.uniform(30, 85)),
    )


def cage_half(build: Build, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Half the inner width and half the inner depth of the rib cage at height z, mm."""
    rise = np.clip((z + 45) / (build.top + 22 + 45), 0, 0.999)
    taper = (1 - rise**2.6) ** (1 / 2.2)
    phase = (z + 130) / 260 * np.pi
    a, b, c, d = build.wave
    ripple = 1 + a * np.sin(phase) + b * np.sin(2 * phase)
    low = 1 - 0.05 * np.clip((-z - 45) / 80, 0, 1)
    front = 1 + c * np.sin(phase) + d * np.sin(2 * phase)
    return build.width * taper * ripple * low, build.depth * taper**0.6 * front


def spine_x(build: Build, z: np.ndarray | float) -> np.ndarray:
    """Where the spine's middle lies, mm."""
    return np.asarray(build.bend * np.sin((np.asarray(z) + 60) / 120 * np.pi * 0.7))


def depth_in_oval(x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray, power: float) -> np.ndarray:
    """Distance to the superellipse |x/a|^p + |y/b|^p = 1, mm, positive inside; exact along the axes."""
    level = ((np.abs(x) / a) ** power + (np.abs(y) / b) ** power) ** np.float32(1 / power)
    return (1 - level) * np.hypot(x, y) / np.maximum(level, np.float32(1e-3))


def depth_in_ellipsoid(offset: Points, radii: tuple[float, float, float]) -> np.ndarray:
    """Distance to an ellipsoid's surface from offsets to its centre, mm, positive inside; right at the surface."""
    u, v, w = (one / np.float32(r) for one, r in zip(offset, radii, strict=True))
    level = np.sqrt(u**2 + v**2 + w**2)
    slope = np.sqrt((u / radii[0]) ** 2 + (v / radii[1]) ** 2 + (w / radii[2]) ** 2)
    return (1 - level) * np.maximum(level, np.float32(1e-2)) / np.maximum(slope, np.float32(1e-4))


def cage_depth(build: Build, p: Points) -> np.ndarray:
    """Distance inside the pleura along the ribs, mm."""
    a, b = cage_half(build, p[2])
    return depth_in_oval(p[0], p[1], a.astype(np.float32), b.astype(np.float32), CAGE_POWER)


def body_depth(build: Build, p: Points, *, arms: Arms) -> np.ndarray:
    """Distance inside the skin, mm: trunk, shoulders and neck; raised arms leave narrower shoulders."""
    x, y, z = p
    wall = build.fat + build.muscle
    a, b = cage_half(build, np.minimum(z, 60))
    shoulder = np.clip((z - 10) / 110, 0, 1) ** 1.5
    a = a + wall * 1.15 + 11 + shoulder * (SHOULDER_MM[arms] - 0.2 * wall)
    b = b + wall * 0.85 + 9 - 5 * shoulder
    trunk = depth_in_oval(x, y + 2, a.astype(np.float32), b.astype(np.float32), 2.5)
    top = build.top + 0.3 * build.fat + 78 * np.exp(-np.abs(x) / 62) - 0.0011 * np.maximum(np.abs(x) - 70, 0) ** 2
    slope = (top - z) * 0.9
    neck = 57 + 0.5 * build.fat - np.hypot(x, (y + 12) * 1.05)
    return np.maximum(np.minimum(trunk, slope), np.where(z > 100, neck, np.float32(-99)))


def dome_z(build: Build, side: float, x: np.ndarray | float, y: np.ndarray | float) -> np.ndarray:
    """Height of the diaphragm on a side, mm; its sulcus is deepest behind."""
    high = build.domes[0] if side > 0 else build.domes[1]
    across = (side * x - 58) / (build.width - 52)
    along = (y - 18) / build.depth
    return np.asarray(high - 42 * np.abs(across) ** 2.2 - 38 * along**2 - 14 * np.clip(-along, 0, 2))


def heart_centre(build: Build) -> tuple[float, float, float]:
    """Of the heart, mm; it rests on the diaphragm and leans to the left."""
    rest = float(np.mean(build.domes))
    return (-20.0 * build.heart, 26.0, rest + 27.0 + 18 * (build.heart - 1))


def heart_depth(build: Build, p: Points) -> np.ndarray:
    """Distance inside the heart, mm: ventricles along the turned long axis, and the right atrium."""
    cx, cy, cz = heart_centre(build)
    x, y, z = p[0] - np.float32(cx), p[1] - np.float32(cy), p[2] - np.float32(cz)
    cos, sin = np.float32(np.cos(build.heart_turn)), np.float32(np.sin(build.heart_turn))
    s = build.heart
    long, short = -sin * x - cos * z, -cos * x + sin * z  # towards the apex: to the left and down
    ventricles = depth_in_ellipsoid((short, y, long), (HEART_MM[0] * 0.93 * s, 45 * s, 66 * s))
    atrium = depth_in_ellipsoid((x - 26 * s, y + 8, z - 4), (37 * s, 35 * s, 43 * s))
    return np.maximum(ventricles, atrium)


def middle_depth(build: Build, side: float, p: Points) -> np.ndarray:
    """Distance from the mediastinum's border on a side into the chest, mm; negative inside the mediastinum."""
    x, y, z = p
    high = np.clip((z - 35) / 60, 0, 1)
    half = 17 + 9 * high + (5 if side > 0 else 4) * np.exp(-(((z - 40) / 30) ** 2))
    front = np.clip((y - 18) / 45, 0, 1)
    half = half * (1 - 0.72 * front * (1 - 0.5 * high))
    spine = spine_x(build, z)
    free = side * x - half
    column = np.hypot(x - spine, (y + 0.80 * build.depth) * 0.95) - 22
    return np.minimum(free, column)


def lung_depth(build: Build, side: float, p: Points) -> np.ndarray:
    """Distance inside a lung, mm: below its apex, in the cage, above the diaphragm, beside heart and mediastinum."""
    x, y, z = p
    apex = build.top - 0.011 * (side * x - 46) ** 2 - 0.009 * (y + 16) ** 2 - z
    depth = np.minimum(cage_depth(build, p), 0.8 * apex)
    depth = np.minimum(depth, middle_depth(build, side, p))
    depth = np.minimum(depth, 0.85 * (z - dome_z(build, side, x, y)))
    depth = np.minimum(depth, -heart_depth(build, p) - 2)
    if side < 0:  # arch and descending aorta push into the left lung
        arch = depth_in_ellipsoid((x + 20, y + 12, z - 66), (19.0, 32.0, 17.0))
        down = 14 - np.hypot(x + 22, y + 0.44 * build.depth) - np.where(z > 66, np.float32(99), np.float32(0))
        depth = np.minimum(depth, -np.maximum(arch, down))
    return depth


def hilum(build: Build, side: float) -> np.ndarray:
    """Where vessels and bronchi enter a lung, mm."""
    return np.array([side * 33.0, -6.0, 22.0 if side > 0 else 30.0])
