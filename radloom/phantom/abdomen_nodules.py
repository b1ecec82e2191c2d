"""A liver-nodule phantom: an unmoving torso of even materials, spheres of known size and contrast, and its ROIs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from radloom.phantom.abdomen import Frame
from radloom.phantom.solids import Layer, Space, ellipsoid, kept

DIAMETERS_MM = (5.0, 8.0, 10.0, 12.0, 15.0, 20.0)
CONTRASTS_HU = (-60.0, -40.0, -20.0, 20.0, 40.0)
MATERIALS = ("liver", "spleen", "kidney right", "kidney left", "portal vein", "hepatic vein", "aorta", "vein")
PARENCHYMA, VESSEL, PARASPINAL, NODULE = 1, 2, 3, 4  # labels of mask.roi (Lee et al. 2022)
ROI_RADIUS_MM = 12.0


def draw_nodules(
    frame: Frame, liver: np.ndarray, *, rng: np.random.Generator
) -> tuple[list[Layer], list[float], list[float]]:
    """Spheres inside the liver, not touching: layers "nodule 1", ..., contrasts to the liver, HU, and diameters, mm."""
    space = frame.space
    deep = np.asarray(ndimage.distance_transform_edt(liver > 0.95, sampling=space.grid.spacing_mm))
    layers: list[Layer] = []
    contrasts: list[float] = []
    diameters: list[float] = []
    free = deep.copy()
    for diameter in rng.permutation(DIAMETERS_MM):
        places = np.argwhere(free > diameter / 2 + 3)
        if not len(places):
            continue
        place = places[rng.integers(len(places))]
        name = f"nodule {len(layers) + 1}"
        layers.append(kept(_ball(frame, name, place, float(diameter)), liver))
        contrasts.append(float(rng.choice(CONTRASTS_HU)))
        diameters.append(float(diameter))
        free = np.minimum(free, _distance_mm(frame, place) - diameter / 2)
    return layers, contrasts, diameters


def _distance_mm(frame: Frame, voxel: Sequence[int] | np.ndarray) -> np.ndarray:
    """Distance of every voxel to this one, mm."""
    x, y, z = (axis - axis[i] for axis, i in zip(frame.space.grid.axes_mm(), voxel, strict=True))
    return np.sqrt(x[:, None, None] ** 2 + y[:, None] ** 2 + z**2)


def _ball(frame: Frame, name: str, place: np.ndarray, diameter: float) -> Layer:
    """A sphere in the scanner's mm: warped space would make it an egg."""
    straight = Space(frame.space.grid, frame.space.grid.points_mm().astype(np.float32))
    centre = [float(axis[i]) for axis, i in zip(frame.space.grid.axes_mm(), place, strict=True)]
    return ellipsoid(straight, name, centre, (diameter / 2, diameter / 2, diameter / 2))


def regions_of_interest(frame: Frame, organs: np.ndarray, nodules: np.ndarray, plain_liver: np.ndarray) -> np.ndarray:
    """uint8: spheres in liver without vessels or nodules, in the aorta and beside the spine, and the nodules."""
    spacing = frame.space.grid.spacing_mm
    roi = np.zeros(organs.shape, np.uint8)
    beside_spine = np.hypot(frame.space.points[0] - 33, frame.space.points[1] + 80) < ROI_RADIUS_MM
    margin_mm = 1.5 * max(spacing[:2])  # the kernel carries a border's HU that far
    for label, region in (
        (PARENCHYMA, plain_liver & (nodules == 0)),
        (VESSEL, organs == 6),
        (PARASPINAL, beside_spine),
    ):
        deep = np.asarray(ndimage.distance_transform_edt(region, sampling=spacing))
        if deep.max() > 0:
            centre = [int(i) for i in np.unravel_index(deep.argmax(), deep.shape)]
            away = _distance_mm(frame, centre)
            roi[away <= np.clip(float(deep.max()) - margin_mm, 0.0, ROI_RADIUS_MM)] = label
    roi[nodules > 0] = NODULE
    return roi
