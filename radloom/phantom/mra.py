"""One simulated time-of-flight angiography of the brain: arteries, tissue behind them, two resolutions, masks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from radloom.errors import RadloomError
from radloom.phantom.acquisition import log_bias
from radloom.phantom.anatomy import Atlas, new_subject
from radloom.phantom.cerebral_arteries import Arteries, Finding, draw_arteries
from radloom.phantom.fields import Grid, smooth_field
from radloom.phantom.head import cover
from radloom.phantom.time_of_flight import (
    Resolution,
    inflow,
    low_resolution,
    magnitude,
    slab_of,
    slabs_over,
    stationary,
)
from radloom.phantom.tissues import T2_STAR_PER_T2, TISSUES
from radloom.phantom.vessel_paint import painted
from radloom.phantom.vessel_tree import pulses_seen
from radloom.random import numpy_stream
from radloom.types import Case, Image

FIELD_MM, SLAB_MM, CENTRE_MM = 200.0, 64.0, (0.0, -17.0, -3.0)  # MNI; the circle of Willis and what leaves it
TR_MS = 24.0
LOW = Resolution(keep=(2, 2), slices=4)
NOISE = 0.0045  # of the unit in which fresh blood has 0.30
UNITS = 3000.0  # of the stored image per unit of signal
TOO_SLOW = 12.0  # further pulses that blood sees while it swirls in an aneurysm
# Skin, muscle and fat: PD, T1, T2* in ms at 3 T (SYSTEMS-direct 4.1); fat is in opposed phase at this echo time.
OUTER = {"cortical": 0.004, "diploe": 0.035, "fat": 0.085, "muscle": 0.062, "skin": 0.06, "eye": 0.02, "air": 0.0}
SITES = (("north", "A", 1.0), ("east", "B", 1.35))  # site, vendor, noise relative to NOISE


def mra_grid(shape: tuple[int, int, int]) -> Grid:
    """The grid of `shape` over the circle of Willis; slices of 1 mm or thinner unless they are very few."""
    if len(shape) != 3 or min(shape[:2]) < 16 or shape[2] < 1:
        raise RadloomError(f"cannot make images of shape {shape}", expected="three sizes, (>= 16, >= 16, >= 1)")
    spacing = (FIELD_MM / shape[0], FIELD_MM / shape[1], min(SLAB_MM / shape[2], 2.0))
    x, y, z = (c - d * (n - 1) / 2 for c, d, n in zip(CENTRE_MM, spacing, shape, strict=True))
    return Grid(shape, (x, y, z), spacing)


def subject(atlas: Atlas, index: int, *, seed: int, shape: tuple[int, int, int]) -> Case:
    """The examination of subject `index`, a pure function of seed, index and shape."""

    def stream(name: str) -> np.random.Generator:
        return numpy_stream(seed, "vessels-mra", index, name)

    grid = mra_grid(shape)
    arteries = draw_arteries(rng=stream("arteries"))
    fraction, blood = flowing(arteries, grid)
    still = background(atlas, grid, stream)
    site, vendor, noisy = SITES[stream("site").integers(len(SITES))]
    coil = np.exp(log_bias(grid, 0.15, rng=stream("coil")))
    signal = (still * (1 - fraction) + blood * fraction) * coil
    sd, rng = NOISE * noisy, stream("scan")
    shift = stream("shift").uniform(-0.5, 0.5, 3)
    gain = UNITS * rng.uniform(0.8, 1.25)
    images = {
        "image.high": magnitude(ndimage.gaussian_filter(signal, 0.45), sd, rng=rng),
        "image.low": low_resolution(signal, grid, LOW, sd, shift_mm=shift, rng=stream("low")),
    }
    found = {key: Image(np.rint(one * gain).astype(np.int16), grid.affine) for key, one in images.items()}
    found |= {key: Image(one, grid.affine, kind="label") for key, one in masks(arteries, fraction, grid).items()}
    name = f"sub-{index:04d}"
    return Case(name, name, found, tags(arteries.findings), site=site, vendor=vendor)


def flowing(arteries: Arteries, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """(fraction, signal) of flowing blood: inflow in every slab, dephasing behind tight stenoses and in flow gaps."""
    slabs = slabs_over(grid)
    pulses = pulses_seen(arteries.tree, slabs, tr_ms=TR_MS)
    points, radius, values = [], [], []
    ends: dict[str, float] = {}
    for tube, seen in zip(arteries.tree, pulses, strict=True):
        own = np.take_along_axis(seen, slab_of(tube.points[:, 2], slabs)[None], axis=0)[0]
        ends.setdefault(tube.name, float(own[-1]))
        value = inflow(own)
        for finding in arteries.findings:
            if finding.vessel == tube.name:
                value = value * _dephased(finding, tube.points)
        points.append(tube.points)
        radius.append(tube.radius)
        values.append(value)
    for finding in arteries.findings:
        if finding.kind == "aneurysm":
            points.append(np.array([finding.centre]))
            radius.append(np.array([finding.size_mm / 2]))
            # Blood stays longer in a large sac.
            age = ends.get(finding.vessel, 5.0) + TOO_SLOW * finding.size_mm / 8
            values.append(inflow(np.array([age])))
    return painted(grid, np.concatenate(points), np.concatenate(radius), np.concatenate(values))


def _dephased(finding: Finding, points: np.ndarray) -> np.ndarray:
    """Share of the signal that is left near a tight stenosis or in a flow gap, which narrows nothing."""
    distance = np.linalg.norm(points - np.array(finding.centre), axis=1)
    if finding.kind == "flow gap":
        return 1 - 0.85 * np.exp(-((distance / (0.6 * finding.size_mm)) ** 4))
    if finding.kind == "stenosis":
        return 1 - max(0.0, finding.share - 0.4) * np.exp(-((distance / finding.size_mm) ** 2))
    return np.ones(len(points))


def background(atlas: Atlas, grid: Grid, stream: Callable[[str], np.random.Generator]) -> np.ndarray:
    """Signal of everything that stands still; made at 2 mm, since only vessels are finer here."""
    nx, ny, nz = grid.shape
    shape = (min(nx, 96), min(ny, 96), max(min(nz, int(np.ceil(nz * grid.spacing_mm[2] / 2.5))), 1))
    spacing = tuple(d * n / m for d, n, m in zip(grid.spacing_mm, grid.shape, shape, strict=True))
    origin = tuple(o - d / 2 + s / 2 for o, d, s in zip(grid.origin_mm, grid.spacing_mm, spacing, strict=True))
    coarse = Grid(shape, origin, spacing)  # pyright: ignore[reportArgumentType]
    anatomy = new_subject(atlas, coarse, push=(np.zeros(3), 20.0, 0.0), rng=stream("anatomy"))
    head = cover(anatomy.brain, coarse, rng=stream("head"))
    rng = stream("tissue")
    table = TISSUES["3T"]
    signal = np.zeros(shape)
    for name, share in zip(("grey", "white", "csf"), anatomy.fractions, strict=True):
        tissue = table[name]
        level = stationary(tissue.pd, tissue.t1, tissue.t2 * T2_STAR_PER_T2) * rng.uniform(0.95, 1.05)
        signal += share * level * np.exp(0.03 * smooth_field(coarse, 9.0, rng=rng))
    signal += head.parts["csf"] * stationary(table["csf"].pd, table["csf"].t1, table["csf"].t2)
    for name, level in OUTER.items():
        grain = np.exp(0.12 * smooth_field(coarse, 7.0, rng=rng))
        signal += head.parts[name] * level * grain
    at = [(np.arange(n) + 0.5) * m / n - 0.5 for n, m in zip(grid.shape, shape, strict=True)]
    return np.maximum(_upsampled(signal, at), 0)


def _upsampled(values: np.ndarray, at: list[np.ndarray]) -> np.ndarray:
    """Linear interpolation at a product of positions along the axes, in voxels."""
    for axis, positions in enumerate(at):
        inside = np.clip(positions, 0, values.shape[axis] - 1)
        low = np.minimum(inside.astype(int), max(values.shape[axis] - 2, 0))
        high = np.minimum(low + 1, values.shape[axis] - 1)
        share = np.reshape(inside - low, [-1 if i == axis else 1 for i in range(3)])
        values = np.take(values, low, axis) * (1 - share) + np.take(values, high, axis) * share
    return values


def masks(arteries: Arteries, fraction: np.ndarray, grid: Grid) -> dict[str, np.ndarray]:
    """mask.vessel (half a voxel or more), and mask.aneurysm and mask.stenosis with one number per finding."""
    found = {"mask.vessel": (fraction >= 0.5).astype(np.uint8)}
    for kind in ("aneurysm", "stenosis"):
        mask = np.zeros(grid.shape, np.uint8)
        for number, finding in enumerate((one for one in arteries.findings if one.kind == kind), start=1):
            low, high = (np.array(finding.centre) + sign * finding.size_mm / 2 for sign in (-1, 1))
            mask[_box(grid, low, high, np.array(finding.centre), finding.size_mm / 2)] = number
        found[f"mask.{kind}"] = mask
    return found


def _box(grid: Grid, low: np.ndarray, high: np.ndarray, centre: np.ndarray, radius: float) -> tuple[np.ndarray, ...]:
    """Indices of the voxels in a ball, at least the nearest one if it lies on the grid."""
    origin, spacing = np.array(grid.origin_mm), np.array(grid.spacing_mm)
    first = np.maximum(np.floor((low - origin) / spacing).astype(int), 0)
    last = np.minimum(np.ceil((high - origin) / spacing).astype(int) + 1, grid.shape)
    nearest = np.rint((centre - origin) / spacing).astype(int)
    if (first >= last).any() or (nearest < 0).any() or (nearest >= grid.shape).any():
        return tuple(np.zeros((3, 0), int))
    voxels = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(first, last, strict=True)), indexing="ij"), -1)
    voxels = voxels.reshape(-1, 3)
    inside = np.linalg.norm(voxels * spacing + origin - centre, axis=1) <= radius
    return tuple(np.concatenate([voxels[inside], nearest[None]]).T)


def tags(findings: list[Finding]) -> dict[str, int | float | str]:
    """The columns: counts, the largest of each kind, and the vessels that are ill."""

    def of(kind: str) -> list[Finding]:
        return [one for one in findings if one.kind == kind]

    return {
        "label.aneurysm": len(of("aneurysm")),
        "label.aneurysm_mm": round(max((one.size_mm for one in of("aneurysm")), default=0.0), 2),
        "label.stenosis": len(of("stenosis")),
        "label.stenosis_share": round(max((one.share for one in of("stenosis")), default=0.0), 3),
        "label.occlusion": len(of("occlusion")),
        "label.flow_gap": len(of("flow gap")),
        "label.ill_vessels": "; ".join(f"{one.kind}: {one.vessel}" for one in findings),
    }
