"""The anatomy of a hanging breast as attenuation: skin, fat, gland, ligaments, masses, calcifications; no scanner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft

from radloom.errors import RadloomError
from radloom.phantom.fields import Grid
from radloom.phantom.solids import body_field, body_grid, depth_in_ellipsoid, softened
from radloom.phantom.splats import Cloud, fraction

FIELD_MM = (150.0, 150.0, 93.75)
SKIN_MM = 1.5
# 1/mm at 34.5 keV, where soft tissue attenuates 0.340 / cm: a 49 kVp beam behind 5 cm (SYSTEMS-direct 4.4). Fat, water
# and gland (of density 1.04) are that table's, log-log between its energies; skin, masses and calcium are ours.
WATER = 0.03190
MU = {"fat": 0.02583, "gland": 0.03336, "skin": 0.03450, "benign": 0.03400, "malignant": 0.03460, "calcium": 0.40}
GRAIN = 0.012  # relative sd inside a tissue
LATTICE, PERIOD_MM = 64, 168.0  # of the gland's noise: the same texture on every grid


@dataclass(frozen=True)
class Mass:
    """A mass: centre and radius, mm; a malignant one is denser and spiculated."""

    centre: tuple[float, float, float]
    radius: float
    malignant: bool


@dataclass(frozen=True)
class Build:
    """A subject's breast: width and depth at the chest wall and length to the nipple, mm; share of gland within."""

    radii: tuple[float, float]
    length: float
    gland: float
    masses: tuple[Mass, ...]
    calcified: bool


@dataclass(frozen=True, eq=False)
class Breast:
    """Attenuation (x, y, z), 1/mm, and the fractions of breast, gland, calcium and, numbered from 0, each mass."""

    attenuation: np.ndarray
    breast: np.ndarray
    gland: np.ndarray
    calcium: np.ndarray
    masses: tuple[np.ndarray, ...]
    specks: int


def breast_grid(shape: tuple[int, int, int]) -> Grid:
    """The grid of `shape`, its voxels cubes; z runs from the nipple to the chest wall, along the scanner's axis."""
    x, y, z = shape
    if x != y or x < 16 or not 0.55 * x < z < 0.7 * x:
        raise RadloomError(
            f"cannot make a breast of shape {shape}", expected="n, n (>= 16) and about 5/8 n, such as 64,64,40"
        )
    side = FIELD_MM[0] / x
    return body_grid(shape, (FIELD_MM[0], FIELD_MM[1], z * side))


def draw_build(*, rng: np.random.Generator) -> Build:
    """A breast of any size and density, a mass in about six of ten, calcifications in three of ten."""
    radius = float(rng.uniform(50, 66))
    radii = (radius, radius * float(rng.uniform(0.88, 1.0)))
    length = float(rng.uniform(60, 84))
    gland = float(np.exp(rng.uniform(np.log(0.08), np.log(0.6))))  # categories a to d of BI-RADS
    masses = []
    for _ in range(int(rng.choice([0, 1, 2], p=[0.4, 0.45, 0.15]))):
        turn, out, up = rng.uniform(0, 2 * np.pi), np.sqrt(rng.uniform(0, 0.45)), rng.uniform(0.2, 0.75)
        room = np.sqrt(1 - up**2)  # of the half ellipsoid at this height
        centre = (
            room * out * radii[0] * np.cos(turn),
            room * out * radii[1] * np.sin(turn),
            FIELD_MM[2] / 2 - up * length,
        )
        masses.append(Mass((float(centre[0]), float(centre[1]), float(centre[2])), float(rng.uniform(2.5, 7.5)),
                           bool(rng.random() < 0.5)))  # fmt: skip
    return Build(radii, length, gland, tuple(masses), bool(rng.random() < 0.3))


def build(grid: Grid, habit: Build, *, rng: np.random.Generator) -> Breast:
    """The subject's breast on the grid."""
    border = float(np.mean(grid.spacing_mm))
    points = grid.points_mm().astype(np.float32)
    warp = np.stack([2.2 * body_field(grid, 45.0, rng=rng) for _ in "xyz"])
    top = FIELD_MM[2] / 2
    depth = depth_in_ellipsoid(points + warp, (0, 0, top + 2), (*habit.radii, habit.length + 2))
    nipple = depth_in_ellipsoid(points + warp, (0, 0, top - habit.length - 1), (6.0, 6.0, 5.0))
    breast = softened(np.maximum(depth, nipple), border)
    inner = softened(depth - SKIN_MM, border)
    gland = _gland(grid, points, depth, habit, rng=rng) * inner
    sheets = np.abs(_gland_noise(grid, rng=rng, slope=3.4)) < 0.06  # Cooper's ligaments
    gland = np.maximum(gland, 0.45 * sheets * inner)
    grain = np.exp(GRAIN * body_field(grid, 5.0, rng=rng))
    attenuation = MU["skin"] * (breast - inner) + grain * (MU["gland"] * gland + MU["fat"] * (inner - gland))
    ragged = body_field(grid, 9.0, rng=rng)
    masses = []
    for mass in habit.masses:
        one = _mass(points, mass, ragged, border, rng=rng) * inner
        attenuation += one * (MU["malignant" if mass.malignant else "benign"] - attenuation)
        masses.append(one)
    specks = _specks(habit, rng=rng)
    calcium = fraction(specks, grid) * inner
    attenuation += calcium * (MU["calcium"] - attenuation)
    return Breast(attenuation.astype(np.float32), breast, gland, calcium, tuple(masses), len(specks.points))


def _gland(grid: Grid, points: np.ndarray, depth: np.ndarray, habit: Build, *, rng: np.random.Generator) -> np.ndarray:
    """Fraction of gland: thresholded 1/f^3 noise that thickens towards the nipple and leaves a rim of fat."""
    noise = _gland_noise(grid, rng=rng, slope=3.0)
    top = FIELD_MM[2] / 2
    aside = np.hypot(points[0] / habit.radii[0], points[1] / habit.radii[1])
    near = 1.4 * (0.75 - aside) - 0.6 * np.abs((top - points[2]) / habit.length - 0.55)
    level = noise + near - 3.0 * np.clip(1 - (depth - SKIN_MM) / 6.0, 0, 1)
    within = depth > SKIN_MM
    if not within.any():
        return np.zeros(grid.shape, np.float32)
    threshold = np.quantile(level[within], 1 - habit.gland)
    return softened(level - threshold, 0.35)


def _gland_noise(grid: Grid, *, rng: np.random.Generator, slope: float) -> np.ndarray:
    """A field of unit variance whose power falls as 1 / f^slope, drawn on a lattice of its own."""
    white = np.asarray(fft.rfftn(rng.standard_normal((LATTICE,) * 3, dtype=np.float32)))
    f = [fft.fftfreq(LATTICE), fft.fftfreq(LATTICE), fft.rfftfreq(LATTICE)]
    radius = np.sqrt(f[0][:, None, None] ** 2 + f[1][:, None] ** 2 + f[2] ** 2)
    radius[0, 0, 0] = np.inf  # the mean is 0
    field = np.asarray(fft.irfftn(white * radius ** (-slope / 2), s=(LATTICE,) * 3))
    field = (field / field.std()).astype(np.float32)
    for axis, along in enumerate(grid.axes_mm()):
        field = _resampled(field, axis, along / PERIOD_MM * LATTICE + LATTICE / 2)
    return field


def _resampled(field: np.ndarray, axis: int, place: np.ndarray) -> np.ndarray:
    """Linear interpolation along one axis of a periodic lattice."""
    low = np.floor(place).astype(int)
    share = (place - low).astype(np.float32)
    share = share.reshape([-1 if k == axis else 1 for k in range(field.ndim)])
    return (1 - share) * field.take(low % LATTICE, axis) + share * field.take((low + 1) % LATTICE, axis)


def _mass(points: np.ndarray, mass: Mass, ragged: np.ndarray, border: float, *, rng: np.random.Generator) -> np.ndarray:
    """Fraction of a mass: an ellipsoid, or a lumpy ball with thin rays."""
    if not mass.malignant:
        radii = mass.radius * np.exp(rng.normal(0, 0.12, 3))
        return softened(depth_in_ellipsoid(points, mass.centre, radii, rng.uniform(0, 90, 3)), border)
    away = points - np.array(mass.centre, np.float32)[:, None, None, None]
    distance = np.sqrt((away**2).sum(0))
    ball = softened(mass.radius * (0.9 + 0.15 * ragged) - distance, border)
    rays = rng.standard_normal((int(rng.integers(7, 13)), 3)).astype(np.float32)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    aligned = np.max([np.tensordot(ray, away, 1) for ray in rays], axis=0) / np.maximum(distance, 1e-3)
    spicule = (aligned > 0.96) * np.clip(1 - (distance - mass.radius) / (1.1 * mass.radius), 0, 1)
    return np.maximum(ball, 0.5 * spicule.astype(np.float32))


def _specks(habit: Build, *, rng: np.random.Generator) -> Cloud:
    """A cluster of 6-24 specks of 0.2-0.5 mm within 8 mm, in the first mass where there is one."""
    if not habit.calcified:
        return Cloud(np.zeros((0, 3)), np.zeros(0))
    count = int(rng.integers(6, 25))
    middle = (
        np.array(habit.masses[0].centre)
        if habit.masses
        else np.array(
            [*rng.uniform(-0.35, 0.35, 2) * habit.radii, FIELD_MM[2] / 2 - rng.uniform(0.3, 0.6) * habit.length]
        )
    )
    return Cloud(middle + rng.normal(0, 3.0, (count, 3)), np.pi / 6 * rng.uniform(0.2, 0.5, count) ** 3)


def halved(volume: np.ndarray) -> np.ndarray:
    """The mean over blocks of 2 x 2 x 2 voxels."""
    x, y, z = (n // 2 for n in volume.shape)
    return volume.reshape(x, 2, y, 2, z, 2).mean((1, 3, 5))


def numbered(masses: tuple[np.ndarray, ...], shape: tuple[int, int, int]) -> np.ndarray:
    """uint8: 1 for the first mass and so on, where it fills at least half of a voxel."""
    out = np.zeros(shape, np.uint8)
    for number, one in enumerate(masses, 1):
        out[one >= 0.5] = number
    return out


def density_class(share: float) -> str:
    """BI-RADS-like category a to d by the share of gland: at most a quarter, a half, three quarters of the scale here.

    >>> [density_class(share) for share in (0.05, 0.2, 0.4, 0.7)]
    ['a', 'b', 'c', 'd']
    """
    return "abcd"[int(np.searchsorted([0.12, 0.25, 0.5], share, side="right"))]
