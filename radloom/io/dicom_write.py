"""Image -> a DICOM series that says what it is: derived, and synthetic where it is. Reading is in dicom."""

from __future__ import annotations

import hashlib
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from radloom.errors import RadloomError
from radloom.files import whole_folder
from radloom.io import dicom_modules as modules
from radloom.io.dicom import Series
from radloom.io.orient import LPS_TO_RAS, canonical, codes, oriented
from radloom.types import Image

if TYPE_CHECKING:
    from pydicom import Dataset

_UNITS = {"CT": ("HU", "1"), "PT": ("Bq/ml", "counts", "SUV", "1")}


@dataclass(frozen=True)
class Provenance:
    """What made an image: the system and its version, its weights, the run and the split it was trained on."""

    system: str
    version: str
    weights_sha256: str
    run: str
    split_hash: str
    seed: int
    synthetic: bool  # False for an image that is derived but not generated

    @property
    def mark(self) -> str:
        """The word at the start of SeriesDescription."""
        return "SYNTHETIC" if self.synthetic else "DERIVED"

    @property
    def sentence(self) -> str:
        """Where the image comes from, for DerivationDescription and ContributionDescription."""
        kind = "Synthetic image, drawn by a generative model" if self.synthetic else "Image computed by a model"
        return (
            f"{kind}: {self.system} {self.version}; weights sha256 {self.weights_sha256}; run {self.run}; "
            f"training split {self.split_hash}; seed {self.seed}. Not for diagnosis."
        )


def write_series(
    image: Image,
    folder: Path,
    *,
    provenance: Provenance,
    source: Series | None = None,
    modality: str = "MR",
    description: str = "",
    examination: str = "",
    burnt_in: str = "",
) -> None:
    """Writes one file per slice into `folder`, all or none, on the image's own grid.

    An earlier export of radloom in `folder` is replaced; a folder that holds anything else is refused.

    modality: "MR", "CT", "PT", "CR" or "DX"; DX is written as Computed Radiography, whose module asks for no detector
        physics that a generated image does not have.
    source: the series that the image was computed from; patient, study and frame of reference are copied from it, and
        each slice refers to the source slice at its position, or to all slices where the grids differ.
    description: stands in SeriesDescription behind the mark.
    examination: what the series of one examination share where there is no source: they become one study in one frame
        of reference. "" makes a study of this series alone.
    burnt_in: a text to draw into the top left corner of every slice, such as "SYNTHETIC"; "" draws nothing.
    Slices lie as in the source, else across the axis of the largest spacing. UIDs depend on content and provenance
    alone: the same export gives the same files. Acquisition parameters are never copied: nobody acquired the image.
    """
    if modality not in modules.SOP_CLASSES:
        raise RadloomError(f"cannot write modality {modality!r} as DICOM", expected=", ".join(modules.SOP_CLASSES))
    if image.unit not in _UNITS.get(modality, (image.unit,)):
        raise RadloomError(
            f"an image in {image.unit!r} cannot be {modality}", expected=f"unit {' or '.join(_UNITS[modality])}"
        )
    _refuse_foreign(Path(folder))
    originals = modules.source_headers(source)
    laid = _laid_out(image, originals, modality)
    if modality in ("CR", "DX") and laid.shape[2] != 1:
        raise RadloomError(
            f"an image of {laid.shape[2]} slices cannot be a radiograph",
            expected="one picture, (x, y, 1)",
            do="choose modality MR or CT, or a slice",
        )
    stored = quantised(laid, modality)
    if burnt_in:
        stored = replace(stored, values=modules.with_text(stored.values, burnt_in))
    salt = _salt(stored, laid, provenance, source, modality, description)
    study = [provenance.run, provenance.weights_sha256, examination] if examination else salt
    series = modules.series_module(provenance.mark, modality, description, salt, study, originals)
    with whole_folder(Path(folder)) as temporary:
        for k in range(laid.shape[2]):
            dataset = modules.copied(series)
            _add_plane(dataset, laid, k, modality)
            modules.add_pixels(dataset, stored, k, modality)
            modules.add_derivation(dataset, provenance, originals, _position(laid, k), laid)
            if burnt_in:
                dataset.ImageComments = f"The mark {burnt_in!r} is drawn into the pixels"
            modules.add_modality(dataset, modality, laid.unit, laid.shape[2], k)
            modules.save(dataset, temporary / f"{k + 1:04d}.dcm", salt, k)


def _refuse_foreign(folder: Path) -> None:
    """Raises RadloomError when the folder holds a file that radloom did not export: it would be lost."""
    from radloom.io.dicom_group import READ_ERRORS, dicom_file

    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        try:
            header = dicom_file(path, ("Manufacturer", "SOPClassUID")) if path.is_file() else None
        except READ_ERRORS:
            header = None
        if header is None or header.get("Manufacturer") != "radloom":
            raise RadloomError(
                f"cannot write a series into {folder}: it holds {path.name}, which radloom did not write",
                expected="a new or empty folder, or an earlier export",
                do="choose another --out",
            )


def _laid_out(image: Image, originals: list[Dataset], modality: str) -> Image:
    """The image with axes (column, row, slice) as slices will hold them: those of the source where there is one."""
    first = originals[0] if originals else None
    if first is not None and first.get("ImageOrientationPatient"):
        direction = np.array([float(v) for v in first.ImageOrientationPatient]).reshape(2, 3)
        source = np.eye(4)
        source[:3, :3] = np.column_stack([*direction, np.cross(direction[0], direction[1])])
        laid = oriented(image, codes(LPS_TO_RAS @ source))
    elif modality in ("CR", "DX"):
        laid = oriented(image, "LPS")  # the convention of raster
    else:
        # (columns to, rows to, slices to) as a radiologist looks at sagittal, coronal and axial slices
        order = ("PIR", "LIP", "LPS")[_thickest(canonical(image))]
        laid = oriented(image, order)
    directions = laid.affine[:3, :2] / np.linalg.norm(laid.affine[:3, :2], axis=0)
    if abs(directions[:, 0] @ directions[:, 1]) > 1e-4:
        raise RadloomError(
            "cannot write a sheared slice as DICOM", expected="orthogonal rows and columns", do="resample"
        )
    return laid


def _thickest(image: Image) -> int:
    """The axis of the largest spacing; z when several share it."""
    spacing = np.round(image.spacing_mm, 3)
    return int(2 - np.argmax(spacing[::-1]))


def _position(image: Image, k: int) -> np.ndarray:
    """(3,) LPS+ position of the first voxel of slice k, mm."""
    return (LPS_TO_RAS @ image.affine @ np.array([0.0, 0.0, k, 1.0]))[:3]


def _add_plane(dataset: Dataset, image: Image, k: int, modality: str) -> None:
    affine = LPS_TO_RAS @ image.affine
    spacing = image.spacing_mm
    row, column = affine[:3, 0] / spacing[0], affine[:3, 1] / spacing[1]
    between = abs(float(affine[:3, 2] @ np.cross(row, column)))
    dataset.InstanceNumber = k + 1
    dataset.PixelSpacing = modules.decimals([spacing[1], spacing[0]])
    if modality in ("CR", "DX"):
        dataset.ImagerPixelSpacing = dataset.PixelSpacing
        return
    dataset.ImagePositionPatient = modules.decimals(_position(image, k))
    dataset.ImageOrientationPatient = modules.decimals([*row, *column])
    dataset.SliceThickness = modules.decimals([between])[0]
    if modality == "MR":
        dataset.SpacingBetweenSlices = dataset.SliceThickness


@dataclass(frozen=True, eq=False)
class Stored:
    """Values as DICOM stores them: value = stored * slope + intercept."""

    values: np.ndarray  # int16 (column, row, slice)
    slope: float
    intercept: float
    unit: str

    @property
    def window(self) -> tuple[float, float]:
        """Centre and width of the grey scale, one for the series: 40/400 HU, else the 1st to the 99th percentile."""
        if self.unit == "HU":
            return (40.0, 400.0)
        low, high = (float(v) * self.slope + self.intercept for v in np.percentile(self.values, (1, 99)))
        return ((low + high) / 2, max(high - low, self.slope, 1.0 if self.slope == 1.0 else 0.0))


def quantised(image: Image, modality: str) -> Stored:
    """The image as int16, slope and intercept that give its voxels back to within half a step.

    Whole numbers come back exactly where 16 bits hold their range. PET's module allows no intercept other than 0.
    """
    voxels = image.voxels
    if not np.isfinite(voxels).all():
        raise RadloomError("an image with values that are not finite cannot be DICOM", expected="finite values")
    low, high = float(voxels.min()), float(voxels.max())
    whole = voxels.dtype.kind in "biu" or bool((voxels == np.rint(voxels)).all())
    if whole and low >= -32768 and high <= 32767:
        slope, intercept = 1.0, 0.0
    elif modality == "PT":
        slope, intercept = _step(max(abs(low), abs(high))), 0.0
    elif whole and high - low <= 65535:
        slope, intercept = 1.0, low + 32768
    else:
        intercept = float(modules.decimals([(low + high) / 2])[0])
        slope = _step(max(high - intercept, intercept - low))
    values = np.rint((voxels.astype(np.float64) - intercept) / slope)
    return Stored(np.clip(values, -32768, 32767).astype(np.int16), slope, intercept, image.unit)


def _step(reach: float) -> float:
    """The smallest step that DICOM's 16 characters can hold with which 32767 steps span `reach`; 1 for no reach."""
    exact = reach / 32766.0 if reach > 0 else 1.0
    return float(modules.decimals([exact])[0])


def _salt(
    stored: Stored, image: Image, provenance: Provenance, source: Series | None, modality: str, description: str
) -> list[str]:
    """What the UIDs are made from: everything that makes this export another than the next."""
    content = hashlib.sha256(np.ascontiguousarray(stored.values).tobytes())
    content.update(repr((stored.values.shape, stored.slope, stored.intercept, stored.unit)).encode())
    content.update(np.round(image.affine, 4).tobytes())
    about = [str(value) for value in astuple(provenance)]
    return [*about, content.hexdigest(), source.uid if source else "", modality, description]
