"""What every metric does first: numpy or torch to float64 or boolean, or one clear line why it cannot; no metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from radloom.errors import RadloomError

Number = float | int | np.number
Spacing = Sequence[Number] | np.ndarray


@runtime_checkable
class Voxels(Protocol):
    """A numpy array or a torch tensor of one image or one mask: (x, y) or (x, y, z); no batch, no channel axis."""

    @property
    def shape(self) -> Any:
        """Voxels along each axis."""
        ...

    @property
    def dtype(self) -> Any:
        """The type of one value."""
        ...


def as_numpy(array: Voxels) -> np.ndarray:
    """The array's values on the CPU, detached when it is a torch tensor; torch itself is never imported here."""
    if hasattr(array, "detach"):
        tensor: Any = array
        tensor = tensor.detach().cpu().resolve_conj()
        # numpy has no bfloat16
        return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()
    return np.asarray(array)


def as_real(array: Voxels, name: str) -> np.ndarray:
    """The array in float64, so that no difference wraps (uint8, int16) and no variance loses digits (float16, float32).

    Raises RadloomError when it is empty, complex, not finite or has more axes than one image.
    """
    values = as_numpy(array)
    if values.ndim > 3 or values.size == 0:
        raise RadloomError(
            f"{name} has shape {values.shape}",
            expected="one non-empty image (x, y) or (x, y, z) without batch and channel axes",
            do="call once per case and channel",
        )
    if values.dtype.kind not in "fiub":
        raise RadloomError(
            f"{name} holds {values.dtype} values", expected="real numbers", do="take the magnitude of complex images"
        )
    values = values.astype(np.float64)
    wrong = values.size - np.count_nonzero(np.isfinite(values))
    if wrong:
        raise RadloomError(f"{name} has {wrong} NaN or infinite voxels", expected="finite values")
    return values


def real_pair(prediction: Voxels, target: Voxels) -> tuple[np.ndarray, np.ndarray]:
    """Both images in float64. Raises RadloomError when one is unfit or their shapes differ."""
    x, y = as_real(prediction, "the prediction"), as_real(target, "the target")
    same_shape(x, y, "the prediction", "the target")
    return x, y


def as_mask(array: Voxels, name: str) -> np.ndarray:
    """The mask as booleans. Raises RadloomError when it holds anything but 0 and 1 or has more axes than one image."""
    values = as_numpy(array)
    if values.ndim not in (2, 3) or values.size == 0:
        raise RadloomError(
            f"{name} has shape {values.shape}",
            expected="one non-empty mask (x, y) or (x, y, z) without batch and channel axes",
            do="call once per case and label",
        )
    if values.dtype == np.bool_:
        return values
    if not np.isin(values, (0, 1)).all():
        raise RadloomError(
            f"{name} holds other values than 0 and 1", expected="a mask of one label", do="pass for instance mask == 3"
        )
    return values != 0


def mask_pair(predicted: Voxels, truth: Voxels) -> tuple[np.ndarray, np.ndarray]:
    """Both masks as booleans. Raises RadloomError when one is unfit or their shapes differ."""
    a, b = as_mask(predicted, "the predicted mask"), as_mask(truth, "the true mask")
    same_shape(a, b, "the predicted mask", "the true mask")
    return a, b


def same_shape(a: np.ndarray, b: np.ndarray, name_a: str, name_b: str) -> None:
    """Raises RadloomError unless both arrays have the same shape."""
    if a.shape != b.shape:
        raise RadloomError(f"{name_a} has shape {a.shape} and {name_b} {b.shape}", expected="the same grid")


def region(mask: Voxels | None, like: np.ndarray) -> np.ndarray | None:
    """The boolean mask of a region in an image of this shape, or None for the whole image; an empty one is an error."""
    if mask is None:
        return None
    inside = as_mask(mask, "the region mask")
    same_shape(inside, like, "the region mask", "the image")
    if not inside.any():
        raise RadloomError("the region mask is empty", expected="at least one voxel", do="leave this case out, counted")
    return inside


def positive(value: Number, name: str) -> float:
    """The value as float. Raises RadloomError unless it is finite and above zero."""
    if not (np.isfinite(value) and value > 0):
        raise RadloomError(f"{name} is {value}", expected="a finite number above 0")
    return float(value)


def spacing_of(spacing_mm: Spacing, axes: int) -> tuple[float, ...]:
    """The spacing in mm, one value per axis. Raises RadloomError when their number differs or one is not above zero."""
    spacing = tuple(float(s) for s in spacing_mm)
    if len(spacing) != axes or not all(np.isfinite(s) and s > 0 for s in spacing):
        raise RadloomError(f"spacing_mm is {spacing}", expected=f"{axes} finite distances above 0 mm, one per axis")
    return spacing
