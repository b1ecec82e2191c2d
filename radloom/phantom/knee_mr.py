"""One simulated knee examination: complex proton-density image, its magnitude, masks of menisci and tears."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from radloom.data.boxes import as_text, of_numbers
from radloom.phantom.fields import Grid, smooth_field
from radloom.phantom.knee import Knee, build, draw_tears, knee_grid
from radloom.phantom.mr_signal import spin_echo
from radloom.random import numpy_stream
from radloom.types import Case, Image

# PD, T1 and T2 in ms at 3 T (SYSTEMS-direct 4.1 for fat, marrow and muscle; the others are typical values, ours).
VALUES = {
    "fat": (1.0, 380.0, 110.0), "muscle": (0.95, 1350.0, 45.0), "marrow": (0.92, 420.0, 95.0),
    "cortical": (0.1, 1000.0, 1.0), "cartilage": (0.85, 1240.0, 38.0), "meniscus": (0.7, 1000.0, 12.0),
    "ligament": (0.7, 1000.0, 8.0), "fluid": (1.0, 3600.0, 750.0), "vessel": (0.25, 1800.0, 200.0),
    "skin": (0.7, 900.0, 30.0),
}  # fmt: skip
GRAIN = {"marrow": 0.07, "muscle": 0.06, "fat": 0.05, "cartilage": 0.06}  # relative sd
TR_MS, TE_MS, LAST_ECHO_MS = 2800.0, 30.0, 70.0
FATTY = ("fat", "marrow")
FAT_LEFT = 0.09  # of the fat's signal under fat saturation, more where the field is uneven
SITES = (("north", "A", 0.018, 0.5), ("east", "B", 0.03, 0.7))  # noise relative to fat without saturation, blur mm
IMAGES = ("pd", "real", "imag")


def subject(index: int, *, seed: int, shape: tuple[int, int, int], images: Sequence[str], fat_saturated: str) -> Case:
    """The examination of subject `index`, a pure function of seed, index, shape and variant ("pd" or "pdfs")."""

    def stream(name: str) -> np.random.Generator:
        return numpy_stream(seed, "knee-mri", index, name)

    grid, tears = knee_grid(shape), draw_tears(rng=stream("tears"))
    medial = int(stream("side").choice([-1, 1]))  # x > 0 is the patient's right: of a left knee that is the inner side
    knee = build(grid, tears, medial=medial, rng=stream("anatomy"))
    site, vendor, noise, blur = SITES[stream("site").integers(len(SITES))]
    value = signal(knee, fat_saturated, rng=stream("signal"))
    value = ndimage.gaussian_filter(value, [blur / spacing for spacing in grid.spacing_mm[:2]] + [0.0])
    complex_image = received(value, grid, noise, rng=stream(f"receive {fat_saturated}"))
    stored = {
        "image.pd": np.abs(complex_image),
        "image.real": np.real(complex_image),
        "image.imag": np.imag(complex_image),
    }
    found = {f"image.{key}": Image(stored[f"image.{key}"].astype(np.float32), grid.affine) for key in images}
    found["mask.tear"] = Image(knee.tears, grid.affine, kind="label")
    found["mask.meniscus"] = Image(knee.menisci, grid.affine, kind="label")
    labels = {
        "label.tear": int(any(tear.reaches for tear in tears)),
        "label.tear_medial": int(any(tear.reaches and tear.side == "medial" for tear in tears)),
        "label.tear_lateral": int(any(tear.reaches and tear.side == "lateral" for tear in tears)),
        "label.degeneration": int(any(not tear.reaches for tear in tears)),
        "label.side": "left" if medial > 0 else "right",
    }
    name, boxes = f"sub-{index:04d}", as_text(of_numbers(knee.tears))
    return Case(name, name, found, labels, {"text.boxes": boxes}, site=site, vendor=vendor)


def signal(knee: Knee, fat_saturated: str, *, rng: np.random.Generator) -> np.ndarray:
    """Noiseless turbo-spin-echo signal; 1 is fat without saturation."""
    fat = _of("fat")
    uneven = np.clip(FAT_LEFT + 0.05 * smooth_field(knee.grid, 60.0, rng=rng), 0.03, 0.35)
    total = np.zeros(knee.grid.shape)
    for name, fraction in knee.parts.items():
        value = np.full(knee.grid.shape, _of(name) / fat)
        if name in GRAIN:
            value *= np.exp(GRAIN[name] * smooth_field(knee.grid, 5.0, rng=rng))
        if name in FATTY and fat_saturated == "pdfs":
            value *= uneven
        total += fraction * value
    return total


def _of(name: str) -> float:
    pd, t1, t2 = VALUES[name]
    return float(spin_echo(pd, t1, t2, tr=TR_MS, te=TE_MS, last_echo=LAST_ECHO_MS))


def received(value: np.ndarray, grid: Grid, noise: float, *, rng: np.random.Generator) -> np.ndarray:
    """complex: the signal with the coil's shading, a smooth phase within +-pi / 2 and complex noise of this sd.

    Of the two noises the same standard deviation falls on the real and on the imaginary part.
    """
    shading = np.exp(0.15 * smooth_field(grid, 60.0, rng=rng))
    phase = np.pi / 2 * np.tanh(0.7 * smooth_field(grid, 50.0, rng=rng))
    clean = value * shading * np.exp(1j * phase)
    return clean + noise * (rng.standard_normal(value.shape) + 1j * rng.standard_normal(value.shape))
