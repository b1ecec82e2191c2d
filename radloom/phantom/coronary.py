"""One simulated coronary MR angiography: heart, great vessels and coronary tree, isotropic and anisotropic scans."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from radloom.errors import RadloomError
from radloom.phantom.fields import Grid, smooth_field
from radloom.phantom.time_of_flight import Resolution, low_resolution, magnitude
from radloom.phantom.vessel_paint import painted
from radloom.phantom.vessel_tree import Tube, grown, narrowed, through
from radloom.random import numpy_stream
from radloom.types import Case, Image

Number = float | int
Three = tuple[Number, Number, Number]

FIELD_MM = (192.0, 192.0, 112.0)
LOW = Resolution(keep=(1, 4), slices=4)  # 16 times fewer samples, as in Küstner et al. 2021
# Balanced steady state after T2 preparation and fat saturation, blood 1 (relative values, ours).
SIGNAL = {"blood": 1.0, "muscle": 0.36, "lung": 0.04, "fat": 0.14, "liver": 0.42, "bone": 0.22, "wall": 0.3}
NOISE = 0.03
UNITS = 700.0
SITES = (("north", "A", 1.0), ("east", "B", 1.4))


def heart_grid(shape: tuple[int, int, int]) -> Grid:
    """The grid of `shape` over the heart, its middle at 0 mm."""
    if len(shape) != 3 or min(shape[:2]) < 16 or shape[2] < 1:
        raise RadloomError(f"cannot make images of shape {shape}", expected="three sizes, (>= 16, >= 16, >= 1)")
    spacing = (FIELD_MM[0] / shape[0], FIELD_MM[1] / shape[1], min(FIELD_MM[2] / shape[2], 4.0))
    x, y, z = (-d * (n - 1) / 2 for d, n in zip(spacing, shape, strict=True))
    return Grid(shape, (x, y, z), spacing)


def subject(index: int, *, seed: int, shape: tuple[int, int, int]) -> Case:
    """The examination of subject `index`, a pure function of seed, index and shape."""

    def stream(name: str) -> np.random.Generator:
        return numpy_stream(seed, "vessels-mra", "coronary", index, name)

    grid, frame = heart_grid(shape), heart_frame(rng=stream("frame"))
    tree, shares = coronary_tree(frame, rng=stream("tree"))
    still = chest(grid, frame, rng=stream("chest"))
    points, radius = (np.concatenate([getattr(tube, what) for tube in tree]) for what in ("points", "radius"))
    fraction, _ = painted(grid, points, radius, np.ones(len(points)))
    fat, _ = painted(grid, points, radius + 2.2, np.ones(len(points)))  # coronaries run in fat, which sets them off
    near = np.where(still > 0.9, 0.0, np.clip(fat, 0, 1))
    signal = still * (1 - near) + SIGNAL["fat"] * near
    signal = signal * (1 - fraction) + SIGNAL["blood"] * fraction
    signal *= np.exp(0.12 * smooth_field(grid, 70.0, rng=stream("coil")))
    site, vendor, noisy = SITES[stream("site").integers(len(SITES))]
    sd, gain = NOISE * noisy, UNITS * stream("gain").uniform(0.8, 1.25)
    moved = stream("shift").uniform(-0.6, 0.6, 3)
    images = {
        "image.high": magnitude(ndimage.gaussian_filter(signal, 0.4), sd, rng=stream("high")),
        "image.low": low_resolution(signal, grid, LOW, sd, shift_mm=moved, rng=stream("low")),
    }
    found = {key: Image(np.rint(one * gain).astype(np.int16), grid.affine) for key, one in images.items()}
    vessel = (fraction >= 0.5).astype(np.uint8)
    found["mask.vessel"] = Image(vessel, grid.affine, kind="label")
    lengths = {f"label.{name}_mm": round(_length(tree, name), 1) for name in ("lad", "lcx", "rca")}
    labels = lengths | {"label.stenosis": len(shares), "label.stenosis_share": round(max(shares, default=0.0), 3)}
    name = f"sub-{index:04d}"
    return Case(name, name, found, labels, site=site, vendor=vendor)


def _length(tree: list[Tube], name: str) -> float:
    """Length of the main stem, mm: its first tube."""
    stem = next(tube for tube in tree if tube.name == name)
    return float(np.linalg.norm(np.diff(stem.points, axis=0), axis=1).sum())


def heart_frame(*, rng: np.random.Generator) -> np.ndarray:
    """(4, 3): the heart's axes as rows (towards the apex; towards the right ventricle; third) and its base, mm."""
    apex = np.array([-0.66, 0.5, -0.55]) + rng.normal(0, 0.07, 3)  # left, anterior, inferior
    apex /= np.linalg.norm(apex)
    septum = np.array([0.75, 0.62, -0.15]) + rng.normal(0, 0.06, 3)
    septum -= apex * (septum @ apex)
    septum /= np.linalg.norm(septum)
    size = float(rng.uniform(0.92, 1.08))
    return np.stack([apex, septum, np.cross(apex, septum), np.array([2.0, -12.0, 10.0]) + rng.normal(0, 2, 3)]) * [
        [size], [size], [size], [1.0]
    ]  # fmt: skip


def _at(frame: np.ndarray, along: Number, angle_deg: Number, radius: Number) -> np.ndarray:
    """A point of the heart: `along` its axis from the base, at an angle from the septum's direction; mm."""
    angle = np.deg2rad(angle_deg)
    return frame[3] + along * frame[0] + radius * (np.cos(angle) * frame[1] + np.sin(angle) * frame[2])


def _surface(along: Number) -> float:
    """Radius of the outer face of the left ventricle at `along` mm from its base, mm."""
    return 33.0 * float(np.sqrt(max(1 - (max(along, 0.0) / 84.0) ** 2, 0.0)))


def coronary_tree(frame: np.ndarray, *, rng: np.random.Generator) -> tuple[list[Tube], list[float]]:
    """(tree, shares of diameter lost): LAD in the anterior groove, LCX and RCA around the base, side branches."""
    turn = float(rng.uniform(-8, 8))
    root = _at(frame, -8.0, 20.0, 12.0)
    front, back = 62.0 + turn, -62.0 + turn  # the two grooves between the ventricles
    lad = [root, _at(frame, -2, front + 22, 33)]
    lad += [_at(frame, a, front + rng.normal(0, 3), _surface(a) + 4.0) for a in (10, 26, 42, 58, 72)]
    lcx = [lad[1]] + [_at(frame, 3 + rng.normal(0, 1), front + b, 37.0) for b in (55, 90, 125, 160)]
    reach = float(rng.uniform(0.75, 1.0))  # left- and right-dominant hearts
    rca = [_at(frame, -10, 0, 20), _at(frame, -6, front - 35, 44)]
    rca += [
        _at(frame, 5 + rng.normal(0, 1), front - b * reach, r) for b, r in ((55, 58), (80, 61), (105, 56), (124, 42))
    ]
    rca += [_at(frame, a, back, _surface(a) + 4.0) for a in (16, 34, 50)]
    tree = []
    for name, course, radii in (("lad", lad, (1.9, 0.8)), ("lcx", lcx, (1.6, 0.8)), ("rca", rca, (1.8, 0.8))):
        line = through(np.stack(course) + rng.normal(0, 0.7, (len(course), 3)))
        tree.append(Tube(name, line, np.linspace(*radii, len(line)) * rng.uniform(0.85, 1.15)))
    shares = []
    for i in range(3):
        if rng.random() < 0.3:
            share, at = float(rng.uniform(0.3, 0.9)), int(rng.uniform(0.15, 0.6) * len(tree[i].points))
            tree[i] = narrowed(tree[i], at, share=share, length_mm=float(rng.uniform(5, 12)))
            shares.append(share)
    for stem in (0, 0, 1, 2):
        at = int(rng.uniform(0.2, 0.7) * len(tree[stem].points))
        start, before = tree[stem].points[at], tree[stem].points[max(at - 8, 0)]
        heading = (start - before) / np.linalg.norm(start - before)
        aside = frame[0] / np.linalg.norm(frame[0]) if stem else -frame[2] * rng.choice([-1, 1])
        course = np.stack([start, start + 6 * (heading + aside), start + 16 * (0.3 * heading + aside)])
        twig = Tube(tree[stem].name + " branch", through(course), np.linspace(1.0, 0.7, len(through(course))), stem, at)
        tree = grown([*tree, twig], len(tree), aside, depth=1, rng=rng)
    return tree, shares


def chest(grid: Grid, frame: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Signal of the chest without its coronaries: wall, lungs, liver, spine, ventricles, atria, aorta."""
    x, y, z = points = grid.points_mm()
    # The parts are mapped to a warped space, so that no two hearts and no border is an exact ellipsoid.
    warped = points + np.stack([1.6 * smooth_field(grid, 22.0, rng=rng) for _ in range(3)])
    along, towards, aside = (np.tensordot(frame[i] / (frame[i] @ frame[i]), warped - frame[3][:, None, None, None], 1)
                             for i in range(3))  # fmt: skip
    wide = float(rng.uniform(0.95, 1.06))
    body = _soft(1 - np.sqrt((x / (160 * wide)) ** 2 + ((y + 18) / 108) ** 2), 100)
    inner = _soft(1 - np.sqrt((x / (135 * wide)) ** 2 + ((y + 16) / 84) ** 2), 90)
    signal = body * SIGNAL["wall"] * np.exp(0.15 * smooth_field(grid, 9.0, rng=rng))
    signal = _over(signal, inner, SIGNAL["lung"] * np.exp(0.5 * smooth_field(grid, 8.0, rng=rng)))
    dome = _soft(1 - np.sqrt(((x - 40) / 95) ** 2 + ((y - 5) / 90) ** 2 + ((z + 92) / 52) ** 2), 50) * inner
    signal = _over(signal, dome, SIGNAL["liver"] * np.exp(0.05 * smooth_field(grid, 8.0, rng=rng)))
    signal = _over(signal, _ball(points, (0, -88, 0), (21, 18, 400)), SIGNAL["bone"])
    mediastinum = _ball(points, (4, -14, 32), (44, 46, 52))
    signal = _over(signal, mediastinum, SIGNAL["fat"])
    own = np.stack([along, towards, aside])
    whole = np.maximum(_ball(own, (28, 0, 0), (62, 40, 39)), _ball(own, (16, 30, 0), (48, 38, 36)))
    signal = _over(signal, whole, SIGNAL["fat"])
    right = np.maximum(_ball(own, (16, 24, 4), (50, 38, 34)) * (along > -4), 0)
    signal = _over(signal, right, SIGNAL["muscle"])
    signal = _over(signal, _ball(own, (15, 23, 4), (46, 34, 30)) * (along > -2), SIGNAL["blood"])
    signal = _over(signal, _ball(own, (0, 0, 0), (84, 33, 33)) * (along > -3), SIGNAL["muscle"])
    wall = 10.0 + 1.5 * smooth_field(grid, 18.0, rng=rng)
    cavity = _soft(1 - np.sqrt((along / 72) ** 2 + (towards**2 + aside**2) / (33 - wall) ** 2), 25) * (along > -3)
    signal = _over(signal, cavity, SIGNAL["blood"])
    signal = _over(signal, _ball(own, (-24, -6, -14), (19, 27, 26)), SIGNAL["blood"] * 0.93)  # left atrium
    signal = _over(signal, _ball(own, (-22, 40, -22), (24, 21, 24)), SIGNAL["blood"] * 0.95)  # right atrium
    return _great_vessels(signal, grid, frame, inner)


def _great_vessels(signal: np.ndarray, grid: Grid, frame: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The signal with ascending and descending aorta and pulmonary trunk."""
    start = _at(frame, -6.0, 20.0, 8.0)
    rising = through(
        np.stack([start, start + np.array([10, 8, 24]), start + np.array([6, -2, 58]), start + np.array([-6, -30, 74])])
    )
    falling = through(np.array([[-22.0, -68, 90], [-20.0, -68, 0], [-16.0, -70, -90]]))
    outflow = _at(frame, -4.0, 52.0, 34.0)
    trunk = through(np.stack([outflow, outflow + np.array([-4, -10, 26]), outflow + np.array([-14, -34, 38])]))
    for line, radius in ((rising, 14.5), (falling, 11.5), (trunk, 12.5)):
        thin = line[::6]
        vessel, _ = painted(grid, thin, np.full(len(thin), radius), np.ones(len(thin)))
        signal = _over(signal, vessel * np.clip(inner + 0.5, 0, 1), SIGNAL["blood"])
    return signal


def _soft(depth: np.ndarray, scale_mm: Number) -> np.ndarray:
    return np.clip(0.5 + depth * scale_mm / 1.6, 0, 1)


def _ball(points: np.ndarray, centre: Three, radii: Three) -> np.ndarray:
    scaled = sum(((p - c) / r) ** 2 for p, c, r in zip(points, centre, radii, strict=True))
    return _soft(1 - np.sqrt(scaled), min(radii))


def _over(signal: np.ndarray, fraction: np.ndarray, value: np.ndarray | float) -> np.ndarray:
    return signal * (1 - fraction) + fraction * value
