"""One simulated examination of a pelvis: T1, T2 and CT of one anatomy with its masks, as a Case."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy import ndimage

from radloom.phantom.ct_scan import ct_scan
from radloom.phantom.pelvis import NUMBERS, Pelvis, new_pelvis
from radloom.phantom.pelvis_values import SITES, TISSUES, PelvicSite, PelvicTissue
from radloom.phantom.simulation import Request
from radloom.phantom.solids import body_field, labelled, painted
from radloom.random import numpy_stream
from radloom.types import Case, Image

IMAGES = ("t1", "t2", "ct")
FAT_UNITS = 600.0  # fat's value in the stored T1 image before the scanner's gain
Stream = Callable[[str], np.random.Generator]


def examination(request: Request, index: int) -> Case:
    """The examination of subject `index`."""

    def stream(name: str) -> np.random.Generator:
        return numpy_stream(request.seed, "pelvis", index, name)

    site = SITES[stream("site").integers(len(SITES))]
    pelvis = new_pelvis(request.shape, rng=stream("anatomy"))
    grid = pelvis.space.grid
    tissues = spread(TISSUES, rng=stream("values"))
    texture = 0.7 * body_field(grid, 11.0, rng=stream("grain")) + 0.6 * body_field(grid, 26.0, rng=stream("lumps"))
    images = {}
    for key in request.images:
        voxels = (
            _ct(pelvis, tissues, texture, site, rng=stream("scan.ct"))
            if key == "ct"
            else _mr(pelvis, tissues, texture, site, key, stream=stream)
        )
        images[f"image.{key}"] = Image(voxels, grid.affine, unit="HU" if key == "ct" else "1")
    organs = labelled(grid.shape, pelvis.layers, NUMBERS)
    tumour = labelled(grid.shape, pelvis.layers, {"tumour": 1})
    images |= {key: Image(voxels, grid.affine, kind="label")
               for key, voxels in {"mask.organs": organs, "mask.tumour": tumour}.items()}  # fmt: skip
    labels = {
        "label.sex": pelvis.sex,
        "label.tumour": int(tumour.any()),
        "label.tumour_ml": round(pelvis.tumour_ml if tumour.any() else 0.0, 3),
    }
    name = f"sub-{index:04d}"
    return Case(name, name, images, labels, site=site.site, vendor=site.vendor)


def spread(table: Mapping[str, PelvicTissue], *, rng: np.random.Generator) -> dict[str, PelvicTissue]:
    """The table for one subject: T1 and T2 within 12 % of the mean, HU of soft tissue within a few units."""
    found = {}
    for name, one in table.items():
        t1, t2 = np.exp(np.clip(rng.normal(0, 0.05, 2), -0.12, 0.12))
        hu = one.hu + float(rng.normal(0, 0.06 * abs(one.hu) if one.hu > 100 else 4.0))
        found[name] = PelvicTissue(
            hu,
            one.texture_hu,
            one.pd,
            (one.t1[0] * float(t1), one.t1[1] * float(t1)),
            (one.t2[0] * float(t2), one.t2[1] * float(t2)),
        )
    return found


def _ct(
    pelvis: Pelvis,
    tissues: Mapping[str, PelvicTissue],
    texture: np.ndarray,
    site: PelvicSite,
    *,
    rng: np.random.Generator,
) -> np.ndarray:
    grid = pelvis.space.grid

    def value(name: str) -> tuple[float, float]:
        return tissues[name].hu, tissues[name].texture_hu

    return ct_scan(painted(grid.shape, pelvis.layers, value, texture, -1000.0), grid, site.ct, rng=rng)


def _mr(
    pelvis: Pelvis,
    tissues: Mapping[str, PelvicTissue],
    texture: np.ndarray,
    site: PelvicSite,
    contrast: str,
    *,
    stream: Stream,
) -> np.ndarray:
    """int16 magnitude: signals mixed by partial volume, blurred, under the coil's bias, with Rician noise."""
    grid, sequence = pelvis.space.grid, site.t1 if contrast == "t1" else site.t2
    own = 0.8 * texture + 0.6 * body_field(grid, 14.0, rng=stream(f"grain.{contrast}"))

    def signal(name: str) -> float:
        one = tissues[name]
        return float(sequence(one.pd, one.t1[site.field], one.t2[site.field]))

    def value(name: str) -> tuple[float, float]:
        # Stool and marrow are uneven, fluid is not.
        uneven = 0.02 if TISSUES[name].texture_hu < 4 else 0.25 if name == "stool" else 0.07
        return signal(name), uneven * signal(name)

    volume = painted(grid.shape, pelvis.layers, value, own, 0.0)
    sd = [site.blur_mm / 2.3548 / one for one in grid.spacing_mm[:2]]
    volume = ndimage.gaussian_filter(volume, [*sd, 0.0])
    x, y, _ = grid.points_mm().astype(np.float32)
    centre = np.exp(-((x / 260) ** 2 + (y / 200) ** 2))  # surface coils are brighter near the skin
    coil = site.bias * (body_field(grid, 150.0, rng=stream("coil")) - 0.8 * (centre - centre.mean()))
    volume = volume * np.exp(coil)
    fat = float(site.t1(TISSUES["fat"].pd, TISSUES["fat"].t1[site.field], TISSUES["fat"].t2[site.field]))
    reference = fat if contrast == "t1" else signal("fat")
    rng = stream(f"scan.{contrast}")
    noise = site.noise * reference
    noisy = np.hypot(volume + noise * rng.standard_normal(grid.shape), noise * rng.standard_normal(grid.shape))
    gain = FAT_UNITS / reference * rng.uniform(0.7, 1.4)
    return np.rint(np.clip(noisy * gain, 0, 32767)).astype(np.int16)
