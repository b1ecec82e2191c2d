"""One grey image as a network's input: window, 8 bit, antialiased resizing; no networks."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from radloom.errors import RadloomError
from radloom.metrics.features_extractor import Window, window_of


def as_input(
    image: np.ndarray, size: int | None, mode: str, window: Window | None, bit_depth: str
) -> Float[Tensor, "1 1 *s"]:
    """The image (x, y) or (x, y, z) as float32 with the first axis last: a picture's rows are y.

    An "8 bit" image is cut at the window and rounded to 0 ... 255; "any" is scaled to [0, 1] by the window without
    cutting, or kept without one. Resizing ("bicubic" or "bilinear", 2D only) antialiases and cuts what bicubic
    overshoots of 8 bits, as clean-fid. Raises RadloomError for a window that is upside down or missing.

    >>> as_input(np.array([[0.0, 50.0], [100.0, 400.0]]), None, "none", (0, 100), "8 bit")[0, 0].tolist()
    [[0.0, 255.0], [128.0, 255.0]]
    """
    values = np.ascontiguousarray(image.T)
    if bit_depth == "8 bit" and window is None:
        raise RadloomError("an 8-bit extractor without a window", expected="window=(low, high), one for all sets")
    if window is not None:
        low, high = window_of(window)
        values = (values - low) / (high - low)
        if bit_depth == "8 bit":
            values = np.floor(np.clip(values, 0, 1) * 255 + 0.5)  # halves go up, not to the even level
    x = torch.from_numpy(values.astype(np.float32))[None, None]
    if size is None:
        return x
    if x.ndim != 4 or mode not in ("bicubic", "bilinear"):
        raise RadloomError(
            f"cannot resize {image.ndim} axes by {mode!r}", expected="a 2D image, antialiased bicubic or bilinear"
        )
    x = F.interpolate(x, size=(size, size), mode=mode, antialias=True, align_corners=False)
    return x.clamp(0, 255) if bit_depth == "8 bit" else x
