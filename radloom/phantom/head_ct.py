"""One simulated emergency head: CT in HU, the same head on contrast-enhanced T1, masks and worklist columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from scipy import ndimage

from radloom.phantom.acquisition import log_bias
from radloom.phantom.anatomy import Anatomy, Atlas, new_subject
from radloom.phantom.emergencies import DRAWS, Emergency, push_of
from radloom.phantom.emergencies import injure as injured
from radloom.phantom.fields import smooth_field
from radloom.phantom.head import Head, cover, whole_head_grid
from radloom.phantom.mr_signal import spin_echo, with_agent
from radloom.phantom.tissues import RELAXIVITY, TISSUES
from radloom.random import numpy_stream
from radloom.types import Case, Image

# Means in HU; grey and white matter differ by less than the noise of one voxel.
HU = {"grey": 39.0, "white": 31.5, "csf": 8.0, "cortical": 1250.0, "diploe": 480.0, "fat": -95.0, "muscle": 55.0,
      "skin": 30.0, "eye": 12.0, "air": -985.0}  # fmt: skip
SPREAD = {"grey": 1.0, "white": 1.0, "csf": 1.5, "cortical": 110.0, "diploe": 110.0, "fat": 6.0, "muscle": 4.0,
          "skin": 8.0, "eye": 2.0, "air": 0.0}  # fmt: skip
GRAIN = {"cortical": 60.0, "diploe": 90.0, "fat": 8.0, "muscle": 6.0, "skin": 10.0}  # HU, sd inside the tissue
OUTSIDE = -1000.0
# T1, T2 in ms and PD of what is not brain, 1.5 T (SYSTEMS-direct 4.1; muscle, fat and marrow).
OUTER_MR = {"fat": (350.0, 70.0, 1.0), "muscle": (900.0, 47.0, 1.0), "skin": (500.0, 40.0, 0.7),
            "diploe": (420.0, 60.0, 0.75), "cortical": (1000.0, 5.0, 0.05), "eye": (3800.0, 900.0, 0.98)}  # fmt: skip
AGENT = {"grey": 0.03, "white": 0.01, "csf": 0.0, "muscle": 0.1, "skin": 0.15}  # mmol/L
SITES = (("north", "A", 2.6, 0.55), ("east", "B", 3.4, 0.45), ("south", "C", 3.0, 0.75))  # noise HU, blur mm
IMAGES = ("ct", "t1c")


def subject(
    atlas: Atlas,
    index: int,
    *,
    seed: int,
    shape: tuple[int, int, int],
    images: Sequence[str],
    variant: str = "emergency",
) -> Case:
    """The examination of subject `index`, a pure function of seed, index, shape and variant.

    The people of "normal" are others than those of "emergency", so that one may train on the first and test on the
    second.
    """
    own = () if variant == "emergency" else (variant,)

    def stream(name: str) -> np.random.Generator:
        return numpy_stream(seed, "brain-ct", *own, index, name)

    grid = whole_head_grid(shape)
    ill = DRAWS[variant](rng=stream("emergency"))
    anatomy = new_subject(atlas, grid, push=push_of(ill), rng=stream("anatomy"))
    head = cover(anatomy.brain, grid, rng=stream("head"))
    anatomy = replace(anatomy, fractions=with_clefts(anatomy, head))
    wounds, masks = injured(ill, anatomy, head, rng=stream("injury"))
    site, vendor, noise, blur = SITES[stream("site").integers(len(SITES))]
    found: dict[str, Image] = {}
    if "ct" in images:
        hu = scanned(hounsfield(anatomy, head, wounds, stream), anatomy, head, noise, blur, rng=stream("ct"))
        found["image.ct"] = Image(hu, grid.affine, unit="HU")
    if "t1c" in images:
        found["image.t1c"] = Image(enhanced_t1(anatomy, head, wounds, stream), grid.affine)
    found |= {key: Image(mask, grid.affine, kind="label") for key, mask in masks.items()}
    found["mask.brain"] = Image(anatomy.brain.astype(np.uint8), grid.affine, kind="label")
    name = f"{variant if own else 'sub'}-{index:04d}"
    labels = ill.labels | worklist(index, ill, seed=seed)
    return Case(name, name, found, labels, {"text.report": ill.report}, site=site, vendor=vendor)


def with_clefts(anatomy: Anatomy, head: Head) -> np.ndarray:
    """The brain's fractions with room for CSF at its surface taken as it is; outside the brain they are 0."""
    return anatomy.fractions * (1 - np.clip(head.body - head.parts["csf"], 0, 1))


def hounsfield(
    anatomy: Anatomy, head: Head, wounds: Sequence[tuple[np.ndarray, float]], stream: Callable
) -> np.ndarray:
    """Noiseless HU: the sum over tissues of fraction times HU. wounds: (fraction, HU) that replace what was there."""
    rng, grid = stream("hu"), anatomy.grid
    level = {name: HU[name] + SPREAD[name] * rng.uniform(-1, 1) for name in HU}
    shares = dict(zip(("grey", "white", "csf"), anatomy.fractions, strict=True))
    csf = shares["csf"] + head.parts["csf"]
    parts = {**head.parts, **shares, "csf": csf}
    total = np.zeros(grid.shape)
    held = np.zeros(grid.shape)
    for name, fraction in parts.items():
        value = np.full(grid.shape, level[name])
        if name in GRAIN:
            value += GRAIN[name] * smooth_field(grid, 6.0, rng=rng)
        total += fraction * value
        held += fraction
    total += OUTSIDE * (1 - held)
    for fraction, value in wounds:
        total = total * (1 - fraction) + fraction * value
    return total


def scanned(
    hu: np.ndarray, anatomy: Anatomy, head: Head, noise: float, blur: float, *, rng: np.random.Generator
) -> np.ndarray:
    """int16 HU as a scanner stores them: blurred, a slight cup under the skull, correlated noise, -1024 to 3071."""
    grid = anatomy.grid
    sd = [blur / spacing for spacing in grid.spacing_mm[:2]] + [0.0]
    smooth = ndimage.gaussian_filter(hu, sd)
    inside = np.clip(head.depth_mm, -25, 0)
    cup = rng.uniform(0.5, 3.0) * np.exp(inside / 6.0) * (head.depth_mm < 1)  # what beam hardening leaves
    grains = ndimage.gaussian_filter(rng.standard_normal(hu.shape), [0.6, 0.6, 0.0])
    grains -= ndimage.gaussian_filter(grains, [3.0, 3.0, 0.0])  # filtered back-projection has no coarse noise
    level = noise * np.where(head.depth_mm < 12, 1.0 + 0.25 * np.exp(-((inside + 25) ** 2) / 400), 0.5)
    return np.clip(np.rint(smooth + cup + level * grains / grains.std()), -1024, 3071).astype(np.int16)


def enhanced_t1(
    anatomy: Anatomy, head: Head, wounds: Sequence[tuple[np.ndarray, float]], stream: Callable
) -> np.ndarray:
    """int16 spin-echo T1 after a gadolinium chelate at 1.5 T on the CT grid; fresh blood is nearly isointense."""
    rng, grid, table = stream("t1c"), anatomy.grid, TISSUES["1.5T"]
    sequence = partial(spin_echo, tr=520.0, te=12.0)
    r1 = RELAXIVITY["1.5T"][0]
    signal = np.zeros(grid.shape)
    for name, fraction in zip(("grey", "white", "csf"), anatomy.fractions, strict=True):
        one = table[name]
        signal += fraction * sequence(one.pd, with_agent(one.t1, AGENT[name], relaxivity=r1), one.t2)
    signal += head.parts["csf"] * sequence(1.0, table["csf"].t1, table["csf"].t2)
    for name, (t1, t2, pd) in OUTER_MR.items():
        value = sequence(pd, with_agent(t1, AGENT.get(name, 0.0), relaxivity=r1), t2)
        signal += head.parts[name] * value * np.exp(0.1 * smooth_field(grid, 8.0, rng=rng))
    white = sequence(table["white"].pd, table["white"].t1, table["white"].t2)
    for fraction, value in wounds:
        own = 0.9 * white if value > 40 else 0.72 * white  # blood, or swollen and dead tissue
        signal = signal * (1 - fraction) + fraction * own
    signal = ndimage.gaussian_filter(signal, [0.7 / spacing for spacing in grid.spacing_mm[:2]] + [0.0])
    signal *= np.exp(log_bias(grid, 0.15, rng=rng))
    noisy = np.hypot(signal + 0.02 * white * rng.standard_normal(signal.shape),
                     0.02 * white * rng.standard_normal(signal.shape))  # fmt: skip
    return np.rint(np.clip(noisy * 500 / white * rng.uniform(0.7, 1.4), 0, 32767)).astype(np.int16)


def worklist(index: int, ill: Emergency, *, seed: int) -> dict[str, float | int]:
    """Arrival and reading times in seconds: Poisson arrivals (100 s apart on average), reading log-normal about 90 s.

    The arrival of subject i is the sum of the first i + 1 waits, each drawn for its own subject.
    """
    waits = [numpy_stream(seed, "brain-ct", i, "wait").exponential(100.0) for i in range(index + 1)]
    reading = numpy_stream(seed, "brain-ct", index, "reading").lognormal(np.log(86.0) + 0.15 * ill.urgent, 0.3)
    return {"label.emergency": int(ill.urgent), "time.arrival": round(float(sum(waits)), 1),
            "time.reading": round(float(reading), 1)}  # fmt: skip
