"""Size and shape of a 3D region (IBSI section 3.1); no intensities, and no shape of 2D regions."""

from __future__ import annotations

import math

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.arrays import Spacing, Voxels, as_mask, spacing_of
from radloom.metrics.radiomics_levels import bounding_box

Mesh = tuple[np.ndarray, np.ndarray]


def shape_features(mask: Voxels, spacing_mm: Spacing) -> dict[str, float]:
    """The IBSI morphological features that need the mask only: mm, mm^2, mm^3, ratios unit 1.

    Volume and area are those of the marching-cubes mesh at one half; morph_vol_approx counts voxels. Axis lengths are
    4 sqrt(eigenvalue) of the covariance of voxel centres over N - 1 (PyRadiomics: N). Diameters and hulls are of the
    mesh's vertices. In a region without extent along an axis (one voxel, one slice) axes have length 0, and ratios
    that divide by one are NaN. Left out: the bounding boxes and the ellipsoid of least volume, on which IBSI found no
    consensus, and the features that need intensities.
    Blind to: detail below a voxel; two lumps in one mask count as one. The mesh of a binary ball is stepped and 9 % too
    large in area. Lorensen WE, Cline HE. Comput Graph 1987;21:163-169; Zwanenburg A et al. Radiology 2020;295:328-338.

    >>> found = shape_features(np.ones((1, 1, 1)), (1, 1, 1))  # the mesh of one voxel is an octahedron
    >>> round(found["morph_volume"], 6), found["morph_diam"], found["morph_vol_approx"]
    (0.166667, 1.0, 1.0)
    """
    inside = as_mask(mask, "the region mask")
    if inside.ndim != 3:
        raise RadloomError("shape features need a 3D mask", expected="a mask (x, y, z)", do="leave the class shape out")
    spacing = np.array(spacing_of(spacing_mm, 3))
    inside = inside[bounding_box(inside)]
    vertices, faces = _mesh(inside, spacing)
    volume, area = _volume_and_area(vertices, faces)
    axes = _axes(inside, spacing)
    hull_volume, hull_area, diameter = _hull(vertices)
    a, b, c = np.ptp(vertices, axis=0)
    box, box_area = a * b * c, 2 * (a * b + b * c + a * c)
    ratio = 36 * math.pi * volume**2 / area**3
    ellipsoid = math.pi / 6 * float(np.prod(axes))
    major, minor, least = (float(axis) for axis in axes)
    return {
        "morph_volume": volume,
        "morph_vol_approx": float(np.count_nonzero(inside) * np.prod(spacing)),
        "morph_area_mesh": area,
        "morph_av": area / volume,
        "morph_comp_1": volume / (math.sqrt(math.pi) * area**1.5),
        "morph_comp_2": ratio,
        "morph_sph_dispr": ratio ** (-1 / 3),
        "morph_sphericity": ratio ** (1 / 3),
        "morph_asphericity": ratio ** (-1 / 3) - 1,
        "morph_diam": diameter,
        "morph_pca_maj_axis": major,
        "morph_pca_min_axis": minor,
        "morph_pca_least_axis": least,
        "morph_pca_elongation": minor / major if major else math.nan,
        "morph_pca_flatness": least / major if major else math.nan,
        "morph_vol_dens_aabb": volume / float(box),
        "morph_area_dens_aabb": area / float(box_area),
        "morph_vol_dens_aee": volume / ellipsoid if ellipsoid else math.nan,
        "morph_vol_dens_conv_hull": volume / hull_volume,
        "morph_area_dens_conv_hull": area / hull_area,
    }


def _mesh(inside: np.ndarray, spacing: np.ndarray) -> Mesh:
    from skimage.measure import marching_cubes

    vertices, faces, _, _ = marching_cubes(np.pad(inside, 1).astype(np.float32), level=0.5)
    return vertices.astype(np.float64) * spacing, faces


def _volume_and_area(vertices: np.ndarray, faces: np.ndarray) -> tuple[float, float]:
    """Tetrahedra from the origin to every triangle, and the triangles."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    normal = np.cross(b - a, c - a)
    volume = abs(float(np.sum(np.einsum("ij,ij->i", a, normal)))) / 6
    return volume, float(np.sum(np.sqrt(np.einsum("ij,ij->i", normal, normal)))) / 2


def _axes(inside: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Lengths of the principal axes, longest first."""
    points = np.argwhere(inside) * spacing
    points = points - points.mean(0)
    values = np.linalg.eigvalsh(points.T @ points / max(len(points) - 1, 1))
    return 4 * np.sqrt(np.clip(values[::-1], 0, None))


def _hull(vertices: np.ndarray) -> tuple[float, float, float]:
    """Volume and area of the convex hull, and its largest diameter: the farthest points lie on the hull."""
    from scipy.spatial import ConvexHull

    hull = ConvexHull(vertices)
    points = vertices[hull.vertices]
    squares = np.sum(points**2, axis=1)
    largest = 0.0
    for start in range(0, len(points), 1024):  # in blocks, so that memory stays small
        block = points[start : start + 1024]
        distances = squares[start : start + 1024, None] + squares[None] - 2 * block @ points.T
        largest = max(largest, float(distances.max()))
    return float(hull.volume), float(hull.area), math.sqrt(largest)
