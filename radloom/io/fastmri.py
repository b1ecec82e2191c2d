"""fastMRI's HDF5 files -> reconstruction, complex image and k-space in the axes of a cohort's images, by h5py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from radloom.errors import RadloomError
from radloom.io.orient import canonical
from radloom.types import Image

# The files hold no position. Columns run to the Left; rows run upwards, since fastMRI+ (Zhao et al., Sci Data
# 2022;9:152) turned the pictures upside down to see them as in DICOM; slices run to the Superior.
_TO_RAS = np.array([-1.0, 1.0, 1.0])
_SPACE = "{http://www.ismrm.org/ISMRMRD}"
_RECONSTRUCTIONS = ("reconstruction_rss", "reconstruction_esc")
_SMOOTH = 32  # ours: lines of the centre of k-space that the coils' sensitivities are seen in


@dataclass(frozen=True)
class About:
    """What a file says of itself; texts are empty and numbers None where it does not.

    slices, coils (1 for single-coil files), encoded (rows, columns): the shape of its k-space.
    shape: (columns, rows) of the image, and spacing_mm along columns, rows and slices.
    patient, acquisition, maximum, norm, acceleration: its attributes. reconstruction: "" in test and challenge.
    """

    slices: int
    coils: int
    encoded: tuple[int, int]
    shape: tuple[int, int]
    spacing_mm: tuple[float, float, float]
    reconstruction: str = ""
    sampled: tuple[bool, ...] | None = None
    patient: str = ""
    acquisition: str = ""
    vendor: str = ""
    maximum: float | None = None
    norm: float | None = None
    acceleration: int | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the image, as its arrays have them."""
        return self.shape[1], self.shape[0]

    @property
    def affine(self) -> np.ndarray:
        """(4, 4) of voxels (column, row, slice), RAS mm, the first voxel at 0."""
        return np.diag([*(_TO_RAS * self.spacing_mm), 1.0])


@dataclass(frozen=True, eq=False)
class KSpace:
    """Measured samples (slice, coil, x, y), complex64, in the axes of the cohort's images, centred and orthonormal.

    `operators.mri.inverse_fourier(samples, 2)` are the coils' images over the whole encoded field; their middle
    `shape` (x, y) is what the cohort's images show. Unsampled lines are 0. sampled: bool (x,), which lines were taken.
    """

    samples: np.ndarray
    sampled: np.ndarray
    shape: tuple[int, int]


def read_about(path: Path) -> About:
    """What the file says of itself; no image is read. Raises RadloomError where arrays or header are not fastMRI's."""
    with opened(path) as file:
        return about(file, dict(file.attrs), path)


def read_reconstruction(path: Path) -> Image:
    """The reconstruction in a fastMRI file, RAS+ mm: root sum of squares, or emulated single coil."""
    with opened(path) as file:
        found = about(file, dict(file.attrs), path)
        if not found.reconstruction:
            raise RadloomError(
                f"{path} holds no reconstruction, only {', '.join(file)}", expected="reconstruction_rss or _esc"
            )
        slices = np.asarray(file[found.reconstruction][()], dtype=np.float32)
    return _placed(slices, found)


def read_complex(path: Path) -> tuple[Image, Image]:
    """Real and imaginary part of the image in fully sampled k-space, on the reconstruction's grid.

    Single-coil: x = F^-1 y. Multi-coil: x = sum_k S_k* F^-1 y_k, the sensitivities S from the smooth part of the
    coils' images with root sum of squares 1 (Roemer et al., Magn Reson Med 1990;16:192-225); the phase is that of the
    strongest combination of coils. |x| is a little below the root sum of squares, which adds up the coils' noise.
    """
    with opened(path) as file:
        found = about(file, dict(file.attrs), path)
        if found.sampled is not None and not all(found.sampled):
            raise RadloomError(f"the k-space in {path} is undersampled", expected="a file of train or val")
        slices = np.stack([combined(one, found) for one in _coils(file, found)])
    return _placed(np.real(slices), found), _placed(np.imag(slices), found)


def read_zero_filled(path: Path) -> Image:
    """Root sum of squares over the coils of F^-1 y, unsampled lines 0: what undersampled k-space shows at once."""
    with opened(path) as file:
        found = about(file, dict(file.attrs), path)
        slices = [np.sqrt((np.abs(_image(one, found.size)) ** 2).sum(0)) for one in _coils(file, found)]
    return _placed(np.stack(slices), found)


def read_kspace(path: Path | str, *, slices: slice = slice(None)) -> KSpace:
    """The measured k-space of these slices; a multi-coil knee of 36 slices holds about 1 GB.

    Turning an image over its columns conjugates the place of a line and ramps its phase, so the samples are the
    file's own up to a phase that is known.
    """
    path = Path(path)
    with opened(path) as file:
        found = about(file, dict(file.attrs), path)
        samples = np.asarray(file["kspace"][slices], dtype=np.complex64)
    samples = samples.reshape(-1, found.coils, *found.encoded).swapaxes(2, 3)
    sampled = np.ones(found.encoded[1], bool) if found.sampled is None else np.array(found.sampled)
    n = found.encoded[1]
    ramp = np.exp(2j * np.pi * (np.arange(n) - n // 2) / n) if n % 2 == 0 else np.ones(n)
    turned = _mirrored(samples, 2) * ramp.astype(np.complex64)[:, None]
    return KSpace(turned, _mirrored(sampled, 0), found.shape)


def combined(kspace: np.ndarray, found: About) -> np.ndarray:
    """complex64 (rows, columns): one image from the k-space (coils, rows, columns) of a slice; see `read_complex`."""
    coils = _image(kspace, found.size)
    if found.coils == 1:
        return coils[0]
    window = np.ones(1, np.float32)
    for n in kspace.shape[1:]:
        apart = np.abs(np.arange(n) - n // 2) / (min(_SMOOTH, n) / 2)
        window = np.multiply.outer(window, np.where(apart < 1, np.cos(np.pi / 2 * apart) ** 2, 0).astype(np.float32))
    smooth = _image(kspace * window, found.size)
    flat = smooth.reshape(len(smooth), -1)
    strongest = np.linalg.eigh(flat @ flat.conj().T)[1][:, -1]
    phase = np.angle(np.tensordot(strongest.conj(), smooth, 1))
    strength = np.sqrt((np.abs(smooth) ** 2).sum(0))
    weight = (smooth.conj() * coils).sum(0) * np.exp(1j * phase)
    return np.divide(weight, strength, out=np.zeros_like(weight), where=strength > 0).astype(np.complex64)


def about(file: Mapping[str, Any], attributes: Mapping[str, Any], path: Path) -> About:
    """What the arrays and attributes of a file say; see `read_about`."""
    if "kspace" not in file or "ismrmrd_header" not in file:
        raise RadloomError(f"{path} holds only {', '.join(file)}", expected="kspace and ismrmrd_header")
    shape = tuple(file["kspace"].shape)
    if len(shape) not in (3, 4):
        raise RadloomError(f"{path} has k-space of shape {shape}", expected="(slice, coil, row, column), or no coil")
    sizes, spacing, vendor = _header(file["ismrmrd_header"][()], path)
    name = next((name for name in _RECONSTRUCTIONS if name in file), "")
    if name:
        drawn = tuple(file[name].shape)
        if len(drawn) != 3 or drawn[0] != shape[0]:
            raise RadloomError(f"{path} has a reconstruction of shape {drawn}", expected=f"({shape[0]}, row, column)")
        sizes = drawn[:0:-1]
    taken = tuple(bool(one) for one in np.ravel(file["mask"][()])) if "mask" in file else None
    if taken is not None and len(taken) != shape[-1]:
        raise RadloomError(f"{path} has a mask of {len(taken)} lines", expected=f"{shape[-1]}, one for each column")
    return About(
        shape[0], shape[1] if len(shape) == 4 else 1, (shape[-2], shape[-1]), (sizes[0], sizes[1]), spacing, name,
        taken, _text(attributes, "patient_id"), _text(attributes, "acquisition"), vendor,
        _number(attributes, "max"), _number(attributes, "norm"),
        None if "acceleration" not in attributes else int(attributes["acceleration"]),
    )  # fmt: skip


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The open HDF5 file. Raises RadloomError without the package h5py, and for a file that is not complete HDF5."""
    try:
        import h5py  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise RadloomError(
            f"{path} is an HDF5 file", expected="the package h5py, which reads it", do="pip install h5py"
        ) from error
    try:
        with h5py.File(path) as file:
            yield file
    except OSError as error:
        raise RadloomError(f"cannot read {path}: {error}", expected="a complete HDF5 file") from error


def _coils(file: Mapping[str, Any], found: About) -> Iterator[np.ndarray]:
    """The k-space (coil, row, column) of one slice after the other, since a file may be larger than memory."""
    for z in range(found.slices):
        yield np.asarray(file["kspace"][z], dtype=np.complex64).reshape(found.coils, *found.encoded)


def _image(kspace: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The middle `size` of the centred, orthonormal inverse transform over the last two axes, padded where smaller."""
    from scipy import fft

    for axis, n in ((-2, size[0]), (-1, size[1])):  # rows first: what the crop drops need not be transformed again
        kspace = fft.fftshift(fft.ifft(fft.ifftshift(kspace, axis), axis=axis, norm="ortho"), axis)
        kspace = _middle(kspace, axis, n)
    return kspace


def _middle(array: np.ndarray, axis: int, n: int) -> np.ndarray:
    has = array.shape[axis]
    if has >= n:
        start = (has - n) // 2
        return np.take(array, np.arange(start, start + n), axis)
    pads = [(0, 0)] * array.ndim
    pads[axis] = ((n - has) // 2, n - has - (n - has) // 2)
    return np.pad(array, pads)


def _mirrored(samples: np.ndarray, axis: int) -> np.ndarray:
    """The samples at -k, where k = 0 lies at n // 2; of an even number the first is its own mirror image."""
    turned = np.flip(samples, axis)
    return np.roll(turned, 1, axis) if samples.shape[axis] % 2 == 0 else turned


def _placed(slices: np.ndarray, found: About) -> Image:
    return canonical(Image(np.ascontiguousarray(slices.transpose(2, 1, 0), np.float32), found.affine))


def _header(header: bytes | str, path: Path) -> tuple[tuple[int, int], tuple[float, float, float], str]:
    """(columns, rows) of the reconstructed space, its mm along columns, rows and slices, and the scanner's maker.

    In the header x is the readout, which is a file's rows, and y its columns.
    """
    try:
        root = ElementTree.fromstring(header)
        space = root.find(f"{_SPACE}encoding/{_SPACE}reconSpace")
        view, count = ([float(space.findtext(f"{_SPACE}{name}/{_SPACE}{axis}")) for axis in "yxz"]  # pyright: ignore
                       for name in ("fieldOfView_mm", "matrixSize"))  # fmt: skip
        columns, rows, slices = (mm / n for mm, n in zip(view, count, strict=True))
    except (ElementTree.ParseError, AttributeError, TypeError, ValueError, ZeroDivisionError) as error:
        raise RadloomError(f"{path} has no readable header", expected="an ISMRMRD header with reconSpace") from error
    maker = root.findtext(f"{_SPACE}acquisitionSystemInformation/{_SPACE}systemVendor") or ""
    return (int(count[0]), int(count[1])), (columns, rows, slices), maker


def _text(attributes: Mapping[str, Any], name: str) -> str:
    found = attributes.get(name, "")
    return found.decode() if isinstance(found, bytes) else str(found)


def _number(attributes: Mapping[str, Any], name: str) -> float | None:
    return float(attributes[name]) if name in attributes else None
