"""Radiographs: dual energy cancels bone, detectors blur as stated, masks and labels agree, reports tell the truth."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from radloom.errors import RadloomError
from radloom.operators import xray
from radloom.phantom import chest_xray
from radloom.phantom.chest_findings import ENLARGED, HEALTHY, Findings, Seen, draw_findings, report, with_heart
from radloom.phantom.chest_shape import draw_build
from radloom.phantom.cohorts import load
from radloom.phantom.lung_nodules import Nodule
from radloom.phantom.radiograph import (
    LOW,
    STANDARD,
    VENDORS,
    Layers,
    Vendor,
    attenuated,
    displayed,
    exposed,
    projected,
    separated,
    without_glare,
)
from radloom.phantom.simulation import Request
from radloom.random import numpy_stream
from radloom.types import Case

BRIGHT = type(VENDORS[0])("bright", "here", 1e9, 1e14, 0.0, 0.0, 1.0)  # no blur, next to no noise


@cache
def case(variant: str, index: int, images: tuple[str, ...]) -> Case:
    return chest_xray.subject(index, Request(0, (64, 64, 1), variant, images))


def test_thickness_is_that_of_the_operator() -> None:
    hu = np.random.default_rng(0).uniform(-1000, 1600, (5, 6, 7))
    ours = projected(hu, depth_mm=4.0, pixel_mm=2.0)
    theirs = xray.thickness(torch.tensor(hu)[None, None], xray.Projection(1, 6, 4.0))
    np.testing.assert_allclose(ours.soft, theirs.soft[0, 0], rtol=1e-9)
    np.testing.assert_allclose(ours.bone, theirs.bone[0, 0], rtol=1e-9)


@pytest.mark.parametrize("name", [STANDARD, LOW])
def test_beams_harden_and_have_the_worked_attenuation_behind_twelve_centimetres(name: str) -> None:
    soft = np.array([0.0, 5.0, 120.0, 125.0, 250.0, 255.0])
    through = attenuated(soft, 0 * soft, name)
    first, middle, last = (np.diff(through)[[0, 2, 4]] / 5.0).tolist()
    assert first > middle > last
    assert middle == pytest.approx(xray.BEAMS[name].soft, rel=4e-4)
    bone = attenuated(np.array([120.0, 120.0]), np.array([0.0, 5.0]), name)
    assert np.diff(bone)[0] / 5.0 == pytest.approx(xray.BEAMS[name].bone, rel=4e-4)


@pytest.mark.parametrize("thick", [40.0, 120.0, 240.0])
@pytest.mark.parametrize("bony", [3.0, 12.0, 40.0])
def test_two_exposures_cancel_bone_and_measure_it(thick: float, bony: float) -> None:
    bone = np.zeros((32, 32))
    bone[8:20, 8:20] = bony
    layers = Layers(np.full((32, 32), thick), bone, 2.0)
    rng = np.random.default_rng(0)
    high = exposed(layers, STANDARD, BRIGHT, scatter=0.0, rng=rng)
    low = exposed(layers, LOW, BRIGHT, scatter=0.0, rng=rng)
    only, found = separated(high, low, smooth_px=(0.0, 0.0))
    assert np.ptp(high) > 0.9 * bony * 0.05  # bone casts a shadow ...
    assert np.ptp(only) < 0.02 * np.ptp(high)  # of which less than 2 % is left, behind every thickness
    np.testing.assert_allclose(found, bone, atol=0.02 + 0.003 * bony)


@cache
def healthy_patient() -> chest_xray.Patient:
    def stream(name: str) -> np.random.Generator:
        return numpy_stream(0, "bone cancels", name)

    return chest_xray.patient(draw_build(rng=stream("build")), HEALTHY, (96, 96, 1), stream=stream)


def test_bone_cancels_in_the_soft_tissue_image_of_a_whole_patient() -> None:
    layers, rng = healthy_patient().layers, np.random.default_rng(0)
    high, low = (exposed(layers, beam, BRIGHT, scatter=0.0, rng=rng) for beam in (STANDARD, LOW))
    only, _ = separated(high, low, smooth_px=(0.0, 0.0))
    bare = attenuated(layers.soft, 0 * layers.bone, STANDARD)
    thick = layers.bone > 5
    assert thick.sum() > 300
    assert np.abs((only - bare)[thick] / (high - bare)[thick]).max() < 0.02


@pytest.mark.parametrize("vendor", VENDORS)
def test_glare_that_hides_bone_from_the_subtraction_is_taken_out(vendor: Vendor) -> None:
    who, rng = healthy_patient(), np.random.default_rng(0)
    layers, quiet = who.layers, replace(vendor, photons=1e14)
    high, low = (exposed(layers, beam, quiet, scatter=0.0, rng=rng) for beam in (STANDARD, LOW))
    glaring = separated(high, low, smooth_px=(0.0, 0.0))[1]
    clean = separated(without_glare(high, vendor), without_glare(low, vendor), smooth_px=(0.0, 0.0))[1]
    lungs = (who.masks["mask.lung"] > 0) & (layers.bone > 3)
    behind = (layers.soft > 150) & (layers.bone > 3)
    for where, off in ((lungs, 1.0), (behind, 3.0)):
        before, after = (abs(float(np.median(one[where] - layers.bone[where]))) for one in (glaring, clean))
        assert after < off  # mm, at most pixels; the body's rim stays wrong
        assert after < 0.5 * before


def test_detector_blurs_a_sine_by_its_transfer() -> None:
    vendor = type(BRIGHT)("blurred", "here", 1.5, 1e14, 0.0, 0.0, 1.0)
    soft = (100 + 5 * np.cos(2 * np.pi * 8 * (np.arange(64) + 0.5) / 64))[:, None] * np.ones(
        (1, 64)
    )  # a quarter of Nyquist's
    sharp = np.exp(-attenuated(soft, 0 * soft, STANDARD))
    seen = np.exp(-exposed(Layers(soft, 0 * soft, 2.0), STANDARD, vendor, scatter=0.0, rng=np.random.default_rng(0)))
    before, after = (np.abs(np.fft.fft(one[:, 0])[8]) for one in (sharp, seen))
    assert after / before == pytest.approx(np.exp(-0.25 * 1.25 / 1.5), rel=1e-3)


def test_noise_is_that_of_the_photons() -> None:
    vendor = type(BRIGHT)("noisy", "here", 1e9, 1e4, 0.5, 0.0, 1.0)
    layers = Layers(np.full((128, 128), 100.0), np.zeros((128, 128)), 2.0)
    seen = exposed(layers, STANDARD, vendor, scatter=0.0, rng=np.random.default_rng(0))
    assert seen.std() == pytest.approx(1 / np.sqrt(1e4 * np.exp(-seen.mean())), rel=0.06)
    assert 2.178 < seen.mean() < 2.8  # a beam that is not yet hardened loses more than that of 0.02178/mm


def test_display_is_that_of_the_operator_without_sharpening() -> None:
    log = np.random.default_rng(0).uniform(0, 6, (16, 16))
    vendor = type(BRIGHT)("plain", "here", 1.0, 1.0, 0.0, 0.0, 0.8)
    theirs = xray.display(torch.tensor(log), window=(1.0, 5.0), gamma=0.8)
    np.testing.assert_allclose(displayed(log, vendor, (1.0, 5.0)), 4095 * theirs, atol=0.51)


def test_film_differs_from_its_boneless_truth_under_bone_only() -> None:
    one = case("none", 1, ("cxr", "boneless"))
    more = (one.images["image.cxr"].voxels.astype(int) - one.images["image.boneless"].voxels)[..., 0]
    lung, bone = one.images["mask.lung"].voxels[..., 0] > 0, one.images["mask.bone"].voxels[..., 0] > 0
    assert (lung & bone).sum() > 50
    assert (lung & ~bone).sum() > 20
    assert np.median(more[lung & bone]) > 150
    assert abs(np.median(more[lung & ~bone])) < 100  # the vendor's unsharp mask darkens what lies beside bone


def test_effusion_and_its_mask_agree_and_whiten_the_base() -> None:
    for index in range(5):
        one = case("effusion", index, ("cxr", "healthy"))
        water = one.images["mask.effusion"].voxels > 0
        assert water.any() == bool(one.labels["label.effusion"])
        if water.any():
            film, well = one.images["image.cxr"].voxels, one.images["image.healthy"].voxels
            assert film[water].mean() > well[water].mean() + 150
            assert not (one.images["mask.lung"].voxels[..., 0] > 0)[:, :8].any()


def test_the_heart_ratio_is_a_quotient_of_widths() -> None:
    masks = {name: np.zeros((40, 10), np.uint8) for name in ("mask.lung", "mask.heart", "mask.effusion")}
    masks["mask.lung"][4:12], masks["mask.lung"][26:36] = 2, 1
    masks["mask.heart"][10:26, 3:6] = 1
    assert chest_xray.heart_ratio(masks) == pytest.approx(16 / 32)
    masks["mask.heart"][:] = 0
    assert chest_xray.heart_ratio(masks) == 0


def test_failing_hearts_are_larger_and_some_are_silent() -> None:
    found = [draw_findings("failure", rng=numpy_stream(3, "findings", i)) for i in range(3000)]
    failing = [one for one in found if one.failure]
    assert len(failing) / 3000 == pytest.approx(0.5, abs=0.03)
    assert np.mean([one.congestion == 0 for one in failing]) == pytest.approx(0.15, abs=0.03)
    build = draw_build(rng=np.random.default_rng(0))
    ill = Findings(0, (0.0, 0.0), True, 0.8)
    assert (
        with_heart(build, ill, rng=np.random.default_rng(1)).heart
        > with_heart(build, HEALTHY, rng=np.random.default_rng(1)).heart
    )


def test_reports_say_what_is_there_and_miss_small_nodules() -> None:
    build = draw_build(rng=np.random.default_rng(0))
    big = Nodule((60.0, 0.0, build.top - 20), 28.0, "solid", (1.0, 1.0, 1.0), (0.0,) * 7, 0, True)
    tiny = Nodule((-60.0, 0.0, 0.0), 5.0, "ground-glass", (1.0, 1.0, 1.0), (0.0,) * 7, 0, False)
    findings = Findings(2, (100.0, 0.0), True, 0.8)
    seen = Seen(ENLARGED + 0.1, (False, True))
    texts = [report(build, findings, [big, tiny], seen, rng=numpy_stream(0, "r", i)) for i in range(200)]
    assert np.mean(["large nodule of 28 mm in the right upper zone" in text for text in texts]) > 0.97
    assert np.mean(["nodule of 5 mm" in text for text in texts]) < 0.15
    assert "Heart: enlarged, cardiothoracic ratio 0.60." in texts[0]
    assert "large right pleural effusion" in texts[0]
    well = report(build, HEALTHY, [], Seen(0.4, ()), rng=np.random.default_rng(0))
    assert well == ("Heart: not enlarged. Vessels: normal. Lungs: no focal opacity. Pleura: no effusion. "
                    "Impression: no acute finding.")  # fmt: skip


def test_covered_nodules_are_those_under_bone() -> None:
    nodule, bone = np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8)
    nodule[1:3, 1:3], nodule[5:7, 5:7] = 1, 2
    bone[:, 1] = 1  # half of the first
    made = [Nodule((0.0, 0.0, 0.0), 8.0, "solid", (1.0, 1.0, 1.0), (0.0,) * 7, 0, False)] * 3
    layers = Layers(np.zeros((8, 8)), np.zeros((8, 8)), 2.0)
    who = chest_xray.Patient(layers, {"mask.bone": bone, "mask.nodule": nodule}, layers.soft, bone > 0, made)
    assert chest_xray.covered(who) == (True, False, False)  # the third lies hidden behind another


def test_impossible_shapes_are_refused() -> None:
    for shape in ((64, 64, 2), (64, 48, 1), (16, 16, 1)):
        with pytest.raises(RadloomError, match="radiograph of shape"):
            load("chest-xray").begin(Request(0, shape, "none", ("cxr",)))
