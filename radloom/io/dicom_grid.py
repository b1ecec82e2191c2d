"""Slices with places -> one array and its affine (LPS+, mm). Order comes from position alone."""

from __future__ import annotations

import numpy as np

from radloom.errors import RadloomError
from radloom.io.dicom_frames import Placed


def stacked(slices: list[Placed]) -> tuple[np.ndarray, np.ndarray]:
    """The voxels (column, row, slice) and their affine; RadloomError where slices do not form one regular volume.

    A gantry tilt (slices that shift sideways by a constant step) is kept as a sheared affine.
    """
    first = slices[0]
    _same_plane(slices)
    normal = np.cross(first.along_row, first.along_column)
    ordered = sorted(slices, key=lambda s: float(s.position @ normal))
    step = normal * first.thickness_mm if len(ordered) == 1 else _step(ordered, normal)
    affine = np.eye(4)
    affine[:3, 0] = first.along_row * first.spacing_mm[1]
    affine[:3, 1] = first.along_column * first.spacing_mm[0]
    affine[:3, 2] = step
    affine[:3, 3] = ordered[0].position
    voxels = np.stack([s.rows.T for s in ordered], axis=2)
    if any(s.rows.dtype.kind == "f" for s in ordered):
        voxels = voxels.astype(np.float32)
    return voxels, affine


def _same_plane(slices: list[Placed]) -> None:
    first = slices[0]
    for other in slices[1:]:
        if other.rows.shape != first.rows.shape:
            difference = f"sizes {first.rows.shape[::-1]} and {other.rows.shape[::-1]}"
        elif not np.allclose(other.spacing_mm, first.spacing_mm, rtol=1e-3, atol=0):
            difference = f"spacings {first.spacing_mm} and {other.spacing_mm} mm"
        elif (
            max(np.abs(other.along_row - first.along_row).max(), np.abs(other.along_column - first.along_column).max())
            > 2e-3
        ):
            difference = "different orientations"
        else:
            continue
        raise RadloomError(
            f"{first.where} and {other.where} have {difference}",
            expected="slices of one volume",
            do="read each volume by itself (find_series separates the files of a folder)",
        )


def _step(ordered: list[Placed], normal: np.ndarray) -> np.ndarray:
    """The vector from each slice to the next, mm; RadloomError names the place where slices repeat or are missing."""
    positions = np.array([s.position for s in ordered])
    gaps = np.diff(positions @ normal)
    typical = float(np.median(gaps))
    same = gaps < 1e-3
    if same.any():
        i = int(np.argmax(same))
        at_each = 1 + int(same[i:].argmin() if not same[i:].all() else same[i:].size)
        raise RadloomError(
            f"{at_each} slices lie at the same position ({ordered[i].where} and {ordered[i + 1].where})",
            expected="one volume, with one slice at each position",
            do="put each volume (time point, echo, direction, copy) into a folder of its own",
        )
    step = (positions[-1] - positions[0]) / (len(ordered) - 1)
    tolerance = 0.05 * typical + 0.05  # mm; scanners round positions
    uneven = np.abs(gaps - typical) > tolerance
    if uneven.any():
        i = int(np.argmax(np.abs(gaps - typical)))
        missing = round(gaps[i] / typical) - 1
        advice = f"find the {missing} missing slices" if missing > 0 else "export the series again, or resample it"
        raise RadloomError(
            f"slices {i + 1} and {i + 2} ({ordered[i].where} and {ordered[i + 1].where}) are {gaps[i]:.3g} mm apart, "
            f"other neighbours {typical:.3g} mm",
            expected="slices at equal distances",
            do=advice,
        )
    line = positions[0] + np.arange(len(ordered))[:, None] * step
    away = np.linalg.norm(positions - line, axis=1)
    if away.max() > 0.1 * typical + 0.1:
        worst = ordered[int(away.argmax())]
        raise RadloomError(
            f"{worst.where} lies {away.max():.3g} mm off the line of slices", expected="a straight stack"
        )
    return step
