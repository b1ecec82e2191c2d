"""Structural similarity: SSIM in 2D and 3D, its slice-wise mean, multi-scale SSIM, gradients; not differentiable."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.ndimage import correlate1d

from radloom.errors import RadloomError
from radloom.metrics.arrays import Number, Voxels, positive, real_pair, region

WINDOW = 11  # taps per axis (Wang et al. 2004, section III-C)
CROP = WINDOW // 2
SLAB = 16  # rows of the result at once
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # (Wang et al. 2003, section 3.2)


def ssim(prediction: Voxels, target: Voxels, *, data_range: Number, mask: Voxels | None = None) -> float:
    """Structural similarity, unit 1, in [-1, 1]; 1 is best and means identical; negative values are kept.

    SSIM = mean of (2 m_p m_t + C1)(2 s_pt + C2) / ((m_p^2 + m_t^2 + C1)(s_p^2 + s_t^2 + C2)), with local means m and
    population (co)variances s under a Gaussian window of 11 taps per axis and sigma 1.5 voxels, C1 = (0.01 R)^2,
    C2 = (0.03 R)^2, R = data_range. A (x, y) image has a 2D window, a (x, y, z) one a 3D window in voxels, not mm.
    Without a mask: mean over the interior, 5 voxels from every edge, where the window fits. With a mask: mean of the
    map over the mask, anywhere; beyond an edge the image is continued by reflection, the edge voxel repeated.
    The window of a voxel inside a mask also sees voxels outside.
    Blind to: absolute intensity shifts in bright regions (a wrong HU offset costs little), small lesions in a large
    image, and whether sharp detail is true; empty background counts as perfect. 3D SSIM is not the mean of slices.
    Wang Z et al. IEEE Trans Image Process 2004;13:600-612. Raises RadloomError when an axis has fewer than 11 voxels.

    >>> image = np.linspace(0, 1, 16 * 16).reshape(16, 16)
    >>> ssim(image, image, data_range=1)
    1.0
    """
    p, t = real_pair(prediction, target)
    inside = region(mask, t)
    _fits_window(t.shape)
    return _ssim_means(p, t, positive(data_range, "data_range"), inside)[0]


def ssim_slices(
    prediction: Voxels, target: Voxels, *, data_range: Number, axis: int = 2, mask: Voxels | None = None
) -> float:
    """Mean of the 2D SSIM of the slices across `axis` of a (x, y, z) volume, unit 1, in [-1, 1]; 1 is best.

    For thin volumes, and for papers that worked slice by slice: it is another number than 3D SSIM.
    With a mask: mean over the slices that meet the mask, each slice's map over its part of the mask (slices weigh
    the same). Blind to: what SSIM is blind to, and to jumps from slice to slice.
    Wang Z et al. IEEE Trans Image Process 2004;13:600-612.

    >>> volume = np.random.default_rng(0).random((16, 16, 3))
    >>> ssim_slices(volume, volume, data_range=1)
    1.0
    """
    p, t = real_pair(prediction, target)
    if t.ndim != 3 or axis not in (0, 1, 2):
        raise RadloomError(
            f"shape {t.shape}, axis {axis}", expected="a volume (x, y, z) and axis 0, 1 or 2", do="use ssim"
        )
    inside = region(mask, t)
    p, t = np.moveaxis(p, axis, 0), np.moveaxis(t, axis, 0)
    if inside is None:
        return float(np.mean([ssim(a, b, data_range=data_range) for a, b in zip(p, t, strict=True)]))
    slices = zip(p, t, np.moveaxis(inside, axis, 0), strict=True)
    return float(np.mean([ssim(a, b, data_range=data_range, mask=m) for a, b, m in slices if m.any()]))


def ms_ssim(
    prediction: Voxels,
    target: Voxels,
    *,
    data_range: Number,
    weights: Sequence[Number] | np.ndarray = SCALE_WEIGHTS,
    mask: Voxels | None = None,
) -> float:
    """Multi-scale structural similarity, unit 1, in [0, 1]; 1 is best.

    MS-SSIM = prod_{j<M} max(cs_j, 0)^w_j * max(SSIM_M, 0)^w_M; cs_j is the mean of (2 s_pt + C2)/(s_p^2 + s_t^2 + C2)
    at scale j, windows and interior as in `ssim`; each scale halves the last by means over 2x2(x2) voxels, an odd
    last voxel dropped. Five scales need 176 voxels per axis; for smaller images give fewer `weights`, for instance
    SCALE_WEIGHTS[:3]: they are divided by their sum, and the number is then another metric than the five-scale one.
    With a mask (ours; the paper has none): means of the maps over the mask, halved by majority, half counting as in.
    Blind to: what SSIM is blind to, and local intensity errors except at the coarsest scale.
    Wang Z, Simoncelli EP, Bovik AC. Asilomar Conf Signals Syst Comput 2003;2:1398-1402.

    >>> image = np.random.default_rng(0).random((44, 44))
    >>> ms_ssim(image, image, data_range=1, weights=SCALE_WEIGHTS[:3])
    1.0
    """
    p, t = real_pair(prediction, target)
    inside = region(mask, t)
    width = positive(data_range, "data_range")
    shares = _shares(weights)
    _fits_scales(t.shape, len(shares))
    product = 1.0
    for scale, share in enumerate(shares):
        if scale > 0:
            p, t = _halved(p), _halved(t)
            inside = None if inside is None else _halved_mask(inside)
        similarity, contrast = _ssim_means(p, t, width, inside)
        product *= max(similarity if scale == len(shares) - 1 else contrast, 0.0) ** share
    return float(product)


def gmsd(prediction: Voxels, target: Voxels, *, data_range: Number, mask: Voxels | None = None) -> float:
    """Gradient magnitude similarity deviation, unit 1; 0 is best.

    GMSD = population sd over the image (or mask) of GMS = (2 g_p g_t + c)/(g_p^2 + g_t^2 + c), g = length of the
    Prewitt gradient after halving by means over 2x2 voxels (an odd last one dropped), c = 0.0026 R^2, R = data_range
    (the authors' program has 170/255^2 = 0.002614 R^2). Zero lies beyond the edges, as in that program: pass
    intensities that start at 0 (HU + 1024). In 3D (ours) the mean is over 2x2x2 voxels and the Prewitt filter has
    3x3x3 taps. A mask is halved by majority, half counting as in.
    Blind to: intensity shifts, and an error that is the same everywhere (the deviation of an even loss of sharpness is
    small). Xue W et al. IEEE Trans Image Process 2014;23:684-695. Raises RadloomError below 6 voxels per axis.

    >>> image = np.random.default_rng(0).random((16, 16))
    >>> gmsd(image, image, data_range=1)
    0.0
    """
    p, t = real_pair(prediction, target)
    inside = region(mask, t)
    if t.ndim == 1 or min(t.shape) < 6:
        raise RadloomError(f"the images have shape {t.shape}", expected="at least 6 voxels along 2 or 3 axes")
    c = 0.0026 * positive(data_range, "data_range") ** 2
    g_p, g_t = (_squared_gradient(_halved(image)) for image in (p, t))
    similarity = (2 * np.sqrt(g_p * g_t) + c) / (g_p + g_t + c)
    if inside is not None:
        similarity = similarity[_halved_mask(inside)]
    return float(np.std(similarity))


def _ssim_means(x: np.ndarray, y: np.ndarray, data_range: float, inside: np.ndarray | None) -> tuple[float, float]:
    """Means of SSIM and of its contrast-structure factor, over the mask or over the interior without one."""
    first, last = (CROP, len(x) - CROP) if inside is None else (0, len(x))
    centre = float(y.mean())  # variances of centred values keep their digits under a large offset (HU)
    sums, count = np.zeros(2), 0
    # slab by slab: the fields between stay in the cache, and fresh memory costs more than the arithmetic
    for low in range(first, last, SLAB):
        high = min(low + SLAB, last)
        part = None if inside is None else inside[low:high]
        if part is not None and not part.any():
            continue
        near = slice(max(low - CROP, 0), min(high + CROP, len(x)))
        rows = slice(low - near.start, high - near.start)
        for i, field in enumerate(_ssim_maps(x[near] - centre, y[near] - centre, centre, data_range, rows, part)):
            sums[i] += field.sum()
            count += field.size * (i == 0)
    return float(sums[0] / count), float(sums[1] / count)


def _ssim_maps(
    x: np.ndarray, y: np.ndarray, centre: float, data_range: float, rows: slice, part: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """SSIM and its contrast-structure factor of the rows of a slab of centred images: interior, or values in `part`."""
    keep = slice(CROP, -CROP) if part is None else slice(None)
    # the formula needs only the sum of the two variances: four smoothed fields instead of five
    fields = (_smoothed(field, rows, keep) for field in (x, y, x * y, x * x + y * y))
    m_x, m_y, covariance, variances = (field if part is None else field[part] for field in fields)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    contrast = (2 * (covariance - m_x * m_y) + c2) / (variances - (m_x * m_x + m_y * m_y) + c2)
    m_x, m_y = m_x + centre, m_y + centre
    luminance = (2 * m_x * m_y + c1) / (m_x * m_x + m_y * m_y + c1)
    return luminance * contrast, contrast


def _smoothed(field: np.ndarray, rows: slice, keep: slice) -> np.ndarray:
    """The field under the Gaussian window, reflected beyond the edges: these rows, the kept part of the other axes."""
    taps = np.exp(-0.5 * (np.arange(-CROP, CROP + 1) / 1.5) ** 2)
    taps /= taps.sum()
    # along axis 0 as a product with the band matrix: correlate1d takes four times as long for strided lines
    band = correlate1d(np.eye(len(field)), taps, 0, mode="reflect")[rows]
    smooth = (band @ field.reshape(len(field), -1)).reshape(-1, *field.shape[1:])
    for axis in range(1, field.ndim):
        smooth = correlate1d(smooth, taps, axis, mode="reflect")[(slice(None),) * axis + (keep,)]
    return smooth


def _halved(image: np.ndarray) -> np.ndarray:
    """Means over blocks of two voxels per axis; an odd last voxel is dropped."""
    for axis in range(image.ndim):
        even = 2 * (image.shape[axis] // 2)
        first, second = (np.moveaxis(image, axis, 0)[start:even:2] for start in (0, 1))
        image = np.moveaxis((first + second) / 2, 0, axis)
    return image


def _halved_mask(inside: np.ndarray) -> np.ndarray:
    coarse = _halved(inside.astype(np.float64)) >= 0.5
    if not coarse.any():
        raise RadloomError("the region mask vanishes at a coarser scale", expected="a larger region", do="use ssim")
    return coarse


def _squared_gradient(image: np.ndarray) -> np.ndarray:
    total = np.zeros_like(image)
    for along in range(image.ndim):
        part = image
        for axis in range(image.ndim):
            taps = np.array([-1.0, 0.0, 1.0]) if axis == along else np.full(3, 1 / 3)
            part = correlate1d(part, taps, axis, mode="constant")
        total += part**2
    return total


def _fits_window(shape: tuple[int, ...]) -> None:
    if len(shape) == 1 or min(shape) < WINDOW:
        raise RadloomError(
            f"the images have shape {shape}",
            expected=f"at least {WINDOW} voxels along each of 2 or 3 axes, the width of the SSIM window",
            do="use ssim_slices for a thin volume, and drop the axis of one voxel from a 2D picture",
        )


def _shares(weights: Sequence[Number] | np.ndarray) -> np.ndarray:
    shares = np.asarray(weights, dtype=np.float64)
    if shares.ndim != 1 or len(shares) == 0 or not (np.isfinite(shares).all() and (shares > 0).all()):
        raise RadloomError(f"the scale weights are {weights}", expected="one or more finite numbers above 0")
    return shares / shares.sum() if not math.isclose(shares.sum(), 1, abs_tol=1e-3) else shares


def _fits_scales(shape: tuple[int, ...], scales: int) -> None:
    need = WINDOW * 2 ** (scales - 1)
    if len(shape) == 1 or min(shape) < need:
        fewer = max(0, int(math.log2(max(min(shape) / WINDOW, 0.5))) + 1) if len(shape) > 1 else 0
        raise RadloomError(
            f"the images have shape {shape}",
            expected=f"at least {need} voxels along each of 2 or 3 axes for {scales} scales",
            do=f"give weights=SCALE_WEIGHTS[:{fewer}]" if fewer else "use ssim_slices or a larger image",
        )
