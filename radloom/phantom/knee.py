"""The anatomy of a knee as voxel fractions: bones, cartilage, menisci with tears, ligaments, fluid, muscle, fat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radloom.errors import RadloomError
from radloom.phantom.fields import Grid, smooth_field

FIELD_MM = (150.0, 150.0, 84.0)
Number = float | int
Three = tuple[Number, Number, Number]
SOFT_MM = 0.7  # half the width of a border
TISSUES = ("fat", "muscle", "marrow", "cortical", "cartilage", "meniscus", "ligament", "fluid", "vessel", "skin")
TEARS = ("horizontal", "vertical", "radial")


@dataclass(frozen=True)
class Tear:
    """A tear of a meniscus: side "medial" or "lateral", kind, where on the C in degrees, how long and wide, mm.

    reaches: to the surface. A bright line inside that does not is degeneration, not a tear, and looks nearly alike.
    """

    side: str
    kind: str
    angle_deg: float
    length_mm: float
    width_mm: float
    reaches: bool


@dataclass(frozen=True, eq=False)
class Knee:
    """Fractions of TISSUES (x, y, z), the numbered tears, and the menisci (1 medial, 2 lateral)."""

    grid: Grid
    parts: dict[str, np.ndarray]
    tears: np.ndarray
    menisci: np.ndarray


def knee_grid(shape: tuple[int, int, int]) -> Grid:
    """The grid of `shape` around the joint, which lies at 0 mm; slices of 4 mm or thinner."""
    if len(shape) != 3 or min(shape[:2]) < 16 or shape[2] < 1:
        raise RadloomError(f"cannot make images of shape {shape}", expected="three sizes, (>= 16, >= 16, >= 1)")
    spacing = (FIELD_MM[0] / shape[0], FIELD_MM[1] / shape[1], min(FIELD_MM[2] / shape[2], 4.0))
    x, y, z = (-d * (n - 1) / 2 for d, n in zip(spacing, shape, strict=True))
    return Grid(shape, (x, y, z), spacing)


def draw_tears(*, rng: np.random.Generator) -> list[Tear]:
    """The bright lines in a subject's menisci: tears in about half of the subjects, degeneration in a third."""
    found = []
    for side, chance in (("medial", 0.4), ("lateral", 0.2)):
        for reaches in (True, False):
            if rng.random() < (chance if reaches else 0.2):
                kind = str(rng.choice(TEARS)) if reaches else "horizontal"
                angle = float(rng.uniform(-150, -60) if rng.random() < 0.6 else rng.uniform(-50, 60))
                found.append(Tear(side, kind, angle, float(rng.uniform(6, 16)), float(rng.uniform(1.0, 2.2)), reaches))
    return found


def build(grid: Grid, tears: list[Tear], *, medial: int, rng: np.random.Generator) -> Knee:
    """A subject's knee; medial: the sign of x on the inner side."""
    size = float(rng.uniform(0.92, 1.08))
    points = grid.points_mm()
    bend = np.stack([1.3 * smooth_field(grid, 30.0, rng=rng) + 0.4 * smooth_field(grid, 12.0, rng=rng) for _ in "xyz"])
    x, y, z = (points + bend) / size - np.array([0.0, 4.0, 0.0])[:, None, None, None]
    parts = {name: np.zeros(grid.shape) for name in TISSUES}
    body = _soft_tissue(parts, (x, y, z), grid, rng=rng)
    effusion = float(rng.uniform(0.0, 1.0))
    _put(parts, "fluid", body * _joint_fluid(x, y, z, effusion))
    femur, tibia = _femur(x, y, z), _tibia(x, y, z)
    for depth in (femur, tibia):
        # The shafts carry no cartilage; the facing surfaces carry 2-3 mm, thinner where it is worn.
        worn = np.clip(2.4 + 0.5 * smooth_field(grid, 16.0, rng=rng), 0.6, 3.4)
        facing = _inside(14.0 - np.abs(z - (4.0 if depth is femur else -8.0)))
        _put(parts, "cartilage", _inside(depth + worn) * facing)
    menisci = _menisci(parts, (x, y, z), medial, femur, tibia)
    numbered = _torn(parts, (x, y, z), menisci, tears, medial, grid, rng=rng)
    patella = _ellipsoid((x, y, z), (1, 43, 24), (21, 10, 20))
    fibula = _ellipsoid((x, y, z), (-medial * 38, -16, -38), (9, 9, 24))
    for depth in (femur, tibia, patella, fibula):
        _put(parts, "cortical", _inside(depth))
        _put(parts, "marrow", _inside(depth - 1.3))
    _ligaments(parts, (x, y, z), medial)
    return Knee(grid, parts, numbered, menisci[2])


def _inside(depth_mm: np.ndarray) -> np.ndarray:
    return np.clip(0.5 + depth_mm / (2 * SOFT_MM), 0, 1)


def _put(parts: dict[str, np.ndarray], name: str, fraction: np.ndarray) -> None:
    """The fraction becomes this tissue; what was there gives way."""
    for other in parts:
        parts[other] = parts[other] * (1 - fraction)
    parts[name] = parts[name] + fraction


def _ellipsoid(at: tuple[np.ndarray, ...], centre: Three, radii: Three) -> np.ndarray:
    """Depth below the surface, mm (about), negative outside."""
    away = [(p - c) / r for p, c, r in zip(at, centre, radii, strict=True)]
    distance = np.sqrt(sum(one**2 for one in away) + 1e-12)
    # First-order distance: value over the length of its gradient.
    slope = np.sqrt(sum((one / r) ** 2 for one, r in zip(away, radii, strict=True))) / distance
    return (1 - distance) / np.maximum(slope, 1e-6)


def _column(x: np.ndarray, y: np.ndarray, centre: tuple[Number, Number], radii: tuple[Number, Number]) -> np.ndarray:
    """Depth in an upright column of elliptic section, mm."""
    return (1 - np.hypot((x - centre[0]) / radii[0], (y - centre[1]) / radii[1])) * min(radii)


def _femur(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Depth in the femur, mm: two condyles, a notch between them behind, metaphysis and shaft."""
    at = (x, y, z)
    condyles = np.maximum(_ellipsoid(at, (21, -5, 18), (18, 31, 21)), _ellipsoid(at, (-21, -5, 18), (18, 32, 21)))
    trochlea = _ellipsoid(at, (0, 12, 24), (30, 17, 18))
    flare = np.clip(34 - 0.35 * (z - 22), 16, 36)
    shaft = np.minimum((1 - np.hypot(x / flare, (y - 2) / (0.62 * flare))) * 0.62 * flare, z - 22)
    whole = np.maximum.reduce([condyles, trochlea, shaft])
    notch = _ellipsoid(at, (0, -22, 6), (9, 24, 17))
    return np.minimum(whole, -notch)


def _tibia(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Depth in the tibia, mm: a plateau with two shallow cups and an eminence, tapering to the shaft."""
    wide = np.clip(38 + 0.42 * (z + 16), 17, 38)
    section = (1 - (np.abs(x / wide) ** 2.6 + np.abs((y + 3) / (0.66 * wide)) ** 2.6) ** (1 / 2.6)) * 0.66 * wide
    cups = 1.8 * np.exp(-(((np.abs(x) - 21) / 11) ** 2) - ((y + 4) / 16) ** 2)
    eminence = 7.0 * np.exp(-((x / 6.5) ** 2) - ((y + 4) / 9) ** 2)
    return np.minimum(section, -9.5 - cups + eminence - z)


def _menisci(
    parts: dict[str, np.ndarray], at: tuple[np.ndarray, ...], medial: int, femur: np.ndarray, tibia: np.ndarray
) -> tuple[dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]], np.ndarray, np.ndarray]:
    """({side: (radius share, angle, height)}, fraction, labels): two C-shaped wedges, thick at their outer rim."""
    x, y, z = at
    frames, total, labels = {}, np.zeros(x.shape), np.zeros(x.shape, np.uint8)
    for number, (side, sign, radii) in enumerate((("medial", medial, (17.5, 22)), ("lateral", -medial, (17, 19))), 1):
        u, v = (x - sign * 20.5) / radii[0] * sign, (y + 4) / radii[1]
        rho, angle = np.hypot(u, v), np.rad2deg(np.arctan2(v, u))
        height = z + 8.2
        half = np.clip((rho - 0.52) / 0.48, 0, 1) * 3.6
        gap = np.clip(0.5 + (150 - np.abs(angle)) / 20, 0, 1)  # the C opens towards the middle
        wedge = _inside(half - np.abs(height)) * _inside((1.04 - rho) * radii[0]) * (half > 0.2) * gap
        wedge = wedge * _inside(-np.maximum(femur + 1.0, tibia + 1.0))
        frames[side] = (rho, angle, height)
        total = np.maximum(total, wedge)
        labels[wedge > 0.5] = number
    _put(parts, "meniscus", total)
    return frames, total, labels


def _torn(
    parts: dict[str, np.ndarray], at: tuple[np.ndarray, ...], menisci: tuple, tears: list[Tear], medial: int,
    grid: Grid, *, rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """uint8 numbers of the tears; fluid enters them, and degeneration is a fainter line inside that has no number."""
    frames, wedge, _ = menisci
    numbered = np.zeros(wedge.shape, np.uint8)
    count = 0
    rough = 0.35 * smooth_field(grid, 6.0, rng=rng)
    for tear in tears:
        rho, angle, height = frames[tear.side]
        along = np.deg2rad(angle - tear.angle_deg) * 18.0  # mm on the arc
        across = {"horizontal": height, "vertical": (rho - 0.82) * 18.0, "radial": along}[tear.kind] + rough
        thick = max(tear.width_mm, 0.6 * float(np.mean(grid.spacing_mm[:2])))
        line = _inside(thick / 2 - np.abs(across)) * min(1.0, tear.width_mm / thick)
        reach = np.abs(along) if tear.kind != "radial" else np.abs(rho - 0.75) * 18.0 * 1.6
        line = line * _inside(tear.length_mm / 2 - reach) * (rho > (0.5 if tear.reaches else 0.72))
        fluid = line * wedge * (1.0 if tear.reaches else 0.55)
        taken = np.minimum(fluid, parts["meniscus"])
        parts["meniscus"] = parts["meniscus"] - taken
        parts["fluid"] = parts["fluid"] + taken
        if tear.reaches:
            count += 1
            numbered[taken > 0.25] = count
    return numbered


def _joint_fluid(x: np.ndarray, y: np.ndarray, z: np.ndarray, effusion: float) -> np.ndarray:
    """Fraction of fluid: a film in the joint, and the pouch above the patella when there is an effusion."""
    joint = _inside(7.0 - np.abs(z + 6)) * _inside(_column(x, y, (0, -3), (39, 29)))
    pouch = _inside(_ellipsoid((x, y, z), (0, 30, 34), (20 + 8 * effusion, 4 + 6 * effusion, 14 + 6 * effusion)))
    return np.maximum(joint * (0.25 + 0.6 * effusion), pouch * (effusion > 0.25))


def _soft_tissue(
    parts: dict[str, np.ndarray], at: tuple[np.ndarray, ...], grid: Grid, *, rng: np.random.Generator
) -> np.ndarray:
    """Skin, fat and muscle with septa, the popliteal vessels; returns the fraction inside the skin."""
    x, y, z = at
    wide = float(rng.uniform(54, 62))
    outline = _column(x, y, (0, 0), (wide, wide * rng.uniform(0.92, 1.02))) + 1.5 * smooth_field(grid, 40.0, rng=rng)
    body = _inside(outline)
    parts["skin"] = body * _inside(1.6 - outline)
    parts["fat"] = body * (1 - _inside(1.6 - outline))
    rind = float(rng.uniform(6, 13))
    muscles = [((-27, -32), (16, 13)), ((27, -32), (17, 13)), ((0, -40), (12, 9))]
    if grid.axes_mm()[2][-1] > 15:
        muscles += [((38, 8), (12, 20)), ((-38, 8), (12, 18))]
    for i, (centre, radii) in enumerate(muscles):
        level = 1.0 if i < 3 else np.clip((z - 12) / 12, 0, 1)
        septa = np.abs(smooth_field(grid, 8.0, rng=rng)) > 0.12
        belly = _inside(_column(x, y, centre, radii)) * level * _inside(outline - rind)
        _put(parts, "muscle", belly * (0.5 + 0.5 * septa))
    for centre in ((4, -42), (-5, -39)):
        _put(parts, "vessel", _inside(3.2 - np.hypot(x - centre[0], y - centre[1])) * body)
    return body


def _ligaments(parts: dict[str, np.ndarray], at: tuple[np.ndarray, ...], medial: int) -> None:
    """Both cruciates, both collaterals, patellar and quadriceps tendon as dark cords and bands."""
    x, y, z = at
    cords = (
        ((medial * 3, 10, -8), (-medial * 7, -20, 16), 3.6),  # anterior cruciate
        ((-medial * 1, -26, -14), (medial * 6, -6, 12), 4.4),  # posterior cruciate
        ((-medial * 40, -8, 18), (-medial * 40, -16, -26), 2.2),  # lateral collateral
    )
    for start, end, radius in cords:
        _put(parts, "ligament", 0.9 * _inside(radius - _from_segment(at, np.array(start), np.array(end))))
    band = _inside(1.6 - np.abs(x * medial - 40.5 + 0.004 * z**2)) * _inside(12 - np.abs(y + 2))
    _put(parts, "ligament", band * _inside(34 - np.abs(z + 2)))
    front = _inside(2.4 - np.abs(y - 47 - 0.1 * (z - 24))) * _inside(13 - np.abs(x))
    _put(parts, "ligament", front * np.maximum(_inside(6 - z), _inside(z - 42)))


def _from_segment(at: tuple[np.ndarray, ...], start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Distance to a straight line between two points, mm."""
    way = end - start
    away = np.stack(at) - start[:, None, None, None]
    share = np.clip(np.tensordot(way, away, 1) / (way @ way), 0, 1)
    return np.linalg.norm(away - way[:, None, None, None] * share, axis=0)
