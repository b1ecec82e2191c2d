"""Published sets of radiomic features of one image: the 774 of Lee et al. and those of the Frechet radiomic distance.

The distance between two sets of images that uses them is elsewhere. The features' names are filter, then IBSI name.
"""

from __future__ import annotations

import math

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.arrays import Number, Spacing, Voxels, as_mask, as_real, same_shape, spacing_of
from radloom.metrics.radiomics_extract import region_features
from radloom.metrics.radiomics_filters import coiflet_subbands, laplacian_of_gaussian
from radloom.metrics.radiomics_levels import Binning, FixedWidth, Region, bounding_box, region_of, resampled

# PyRadiomics' 18 first-order features, under IBSI names; entropy and uniformity come from the histogram
FIRST_ORDER = ("stat_energy", "stat_total_energy", "ih_entropy", "stat_min", "stat_p10", "stat_p90", "stat_max",
               "stat_mean", "stat_median", "stat_iqr", "stat_range", "stat_mad", "stat_rmad", "stat_rms", "stat_skew",
               "stat_kurt", "stat_var", "ih_uniformity")  # fmt: skip
GLCM22 = ("cm_auto_corr", "cm_joint_avg", "cm_clust_prom", "cm_clust_shade", "cm_clust_tend", "cm_contrast", "cm_corr",
          "cm_diff_avg", "cm_diff_entr", "cm_diff_var", "cm_energy", "cm_joint_entr", "cm_info_corr1",
          "cm_info_corr2", "cm_inv_diff_mom", "cm_inv_diff_mom_norm", "cm_inv_diff", "cm_inv_diff_norm",
          "cm_inv_var", "cm_joint_max", "cm_sum_entr", "cm_joint_var")  # fmt: skip
GLCM24 = (*GLCM22, "cm_mcc", "cm_sum_avg")
_ZONE = ("glnu", "glnu_norm", "gl_var", "lgre", "hgre", "sre", "lre", "srlge", "srhge", "lrlge", "lrhge", "rlnu",
         "rlnu_norm", "r_perc", "rl_var", "rl_entr")  # fmt: skip
GLRLM = tuple(f"rlm_{name}" for name in _ZONE)
GLSZM = ("szm_sze", "szm_lze", "szm_lgze", "szm_hgze", "szm_szlge", "szm_szhge", "szm_lzlge", "szm_lzhge", "szm_glnu",
         "szm_glnu_norm", "szm_zsnu", "szm_zsnu_norm", "szm_z_perc", "szm_gl_var", "szm_zs_var",
         "szm_zs_entr")  # fmt: skip
GLDM = ("ngl_lde", "ngl_hde", "ngl_lgce", "ngl_hgce", "ngl_ldlge", "ngl_ldhge", "ngl_hdlge", "ngl_hdhge", "ngl_glnu",
        "ngl_dcnu", "ngl_dcnu_norm", "ngl_gl_var", "ngl_dc_var", "ngl_dc_entr")  # fmt: skip
NGTDM = ("ngt_coarseness", "ngt_contrast", "ngt_busyness", "ngt_complexity", "ngt_strength")

LEE86 = (*FIRST_ORDER, *GLCM22, *GLRLM, *GLSZM, *GLDM)
V0 = (*FIRST_ORDER, *GLCM24, *GLRLM, *GLSZM, *GLDM, *NGTDM)
V1 = (*FIRST_ORDER, *GLCM22, *GLRLM, *GLSZM, *NGTDM)
V1_SIGMAS_MM = (2.0, 3.0, 4.0, 5.0)
MARGIN = 6  # an even number beyond the reach of the wavelet


def lee774_features(image: Voxels, mask: Voxels, spacing_mm: Spacing, *, bin_width: Number = 25) -> dict[str, float]:
    """The 774 features of Lee et al. of one 3D region: 86 of the image (18 + 68) and of each of 8 wavelet sub-bands.

    image: (x, y, z), CT in HU. The paper gives the counts 18, 68 and 688; that the 68 are 22 co-occurrence, 16 run, 16
    zone and 14 dependence features is one reading that adds up, and so is the bin width of 25 HU. Bins start at a
    multiple of the width, directions are averaged (PyRadiomics). Kurtosis is the excess.
    Raises RadloomError for 2D images, empty masks, NaN. Blind to: shape.
    Lee SB et al. Invest Radiol 2022;57:308-317.

    >>> rng = np.random.default_rng(0)
    >>> found = lee774_features(100 * rng.normal(size=(8, 8, 8)), np.ones((8, 8, 8)), (1, 1, 1))
    >>> len(found), len([name for name in found if name.startswith("wavelet")])
    (774, 688)
    """
    values, inside = _volume(image, mask, axes=3)
    spacing = spacing_of(spacing_mm, 3)
    values, inside = _cropped(values, inside)
    found = {}
    for name, filtered in ({"original": values} | _wavelets(values)).items():
        found |= _named(name, region_of(filtered, inside, spacing), FixedWidth(bin_width), LEE86)
    return found


def frd_v0_features(image: Voxels, mask: Voxels, spacing_mm: Spacing) -> dict[str, float]:
    """The 93 features of one image for the first Frechet radiomic distance: original image, bins of 25, six classes.

    image, mask: (x, y) or (x, y, z); without a region of interest give a mask of ones. The paper's code also holds
    shape: it is left out, because it is the same for every image when there is no mask.
    Blind to: shape, and texture finer than 25 units: the image must be on the scale of 8-bit grey levels or HU.
    Osuala R et al. arXiv 2403.13890.

    >>> len(frd_v0_features(np.arange(64.0).reshape(8, 8), np.ones((8, 8)), (1, 1)))
    93
    """
    return _named("original", region_of(image, mask, spacing_mm), FixedWidth(25.0), V0)


def frd_v1_features(image: Voxels, mask: Voxels, spacing_mm: Spacing) -> dict[str, float]:
    """The features of one image for the Frechet radiomic distance of Konz et al.: 385 in 2D, 1001 in 3D.

    77 features (18 first-order, 22 co-occurrence, 16 run, 16 zone, 5 grey tone) of the image and its wavelet sub-bands
    (4 in 2D, 8 in 3D), in 3D also of Laplacians of Gaussian at 2, 3, 4, 5 mm (PyRadiomics drops those silently for
    single slices, so the authors' 2D vectors have none). The image is scaled to mean 0 and SD 100 over all its
    voxels, resampled to 2 mm by a cubic spline, binned at 5; energies are taken after adding 300.
    Deviations from the authors' code (frd-score 1.0.1): the new grid shares the centre instead of a corner of the old
    one, wavelets see the whole image, kurtosis is the excess, and PyRadiomics' diagnostics are left out.
    Raises RadloomError for a flat image, an empty mask or fewer than 4 voxels along an axis at 2 mm.
    Blind to: absolute intensity and shape. Konz N, Osuala R et al. arXiv 2412.01496.

    >>> rng = np.random.default_rng(0)
    >>> len(frd_v1_features(rng.normal(size=(32, 32)), np.ones((32, 32)), (1, 1)))
    385
    """
    values, inside = _volume(image, mask, axes=len(mask.shape))
    spread = float(values.std(ddof=1)) if values.size > 1 else 0.0
    if values.min() == values.max():
        raise RadloomError("the image is flat", expected="an image with contrast", do="leave this case out, counted")
    new = (2.0,) * values.ndim
    values, inside = resampled((values - values.mean()) / spread * 100, inside, spacing_mm, new, order=3)
    if min(values.shape) < 4:
        raise RadloomError(f"the image has shape {values.shape} at 2 mm", expected="at least 4 voxels along each axis")
    filtered = {"original": values} | _wavelets(values)
    if values.ndim == 3:
        filtered |= {f"log_{s:g}mm": laplacian_of_gaussian(values, new, sigma_mm=s) for s in V1_SIGMAS_MM}
    found = {}
    for name, picture in filtered.items():
        region = region_of(picture, inside, new)
        found |= _named(name, region, FixedWidth(5.0), V1) | _energies(name, region, 300.0)
    return found


def _volume(image: Voxels, mask: Voxels, axes: int) -> tuple[np.ndarray, np.ndarray]:
    values, inside = as_real(image, "the image"), as_mask(mask, "the region mask")
    same_shape(values, inside, "the image", "the region mask")
    if values.ndim != axes:
        raise RadloomError(f"the image has shape {values.shape}", expected=f"{axes} axes")
    return values, inside


def _cropped(values: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The part of the image that the sub-bands inside the mask depend on; axes without room for a margin stay whole."""
    box = tuple(
        slice(part.start - MARGIN, part.stop + MARGIN + (part.stop - part.start) % 2)
        if part.start >= MARGIN and part.stop + MARGIN < size
        else slice(None)
        for part, size in zip(bounding_box(inside), values.shape, strict=True)
    )
    return values[box], inside[box]


def _wavelets(values: np.ndarray) -> dict[str, np.ndarray]:
    return {f"wavelet_{name}": band for name, band in coiflet_subbands(values).items()}


def _named(prefix: str, region: Region, binning: Binning, names: tuple[str, ...]) -> dict[str, float]:
    """The listed features of a region, in that order."""
    classes = tuple(dict.fromkeys(name.split("_")[0] for name in names))
    found = region_features(region, binning, "average", classes)
    return {f"{prefix}_{name}": found[name] for name in names}


def _energies(prefix: str, region: Region, shift: float) -> dict[str, float]:
    """The three features that depend on where zero lies, after adding `shift`."""
    energy = float(np.sum((region.values + shift) ** 2))
    return {
        f"{prefix}_stat_energy": energy,
        f"{prefix}_stat_total_energy": energy * math.prod(region.spacing_mm),
        f"{prefix}_stat_rms": math.sqrt(energy / len(region.values)),
    }
