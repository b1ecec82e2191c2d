"""Spectra of radiographs: the worked table of dual energy, NIST attenuation, SpekPy where it is there, hardening."""

import doctest
import math

import numpy as np
import pytest
import torch

from radloom.errors import RadloomError
from radloom.operators import xray, xray_spectrum
from radloom.operators.xray import Exposure, Thickness
from radloom.operators.xray_spectrum import decompose, effective_beam, expose_hardened, log_attenuation, shipped
from radloom.operators.xray_table import BEAM_NAMES, ROWS

PAIR = {"low": shipped("60 kVp"), "high": shipped("120 kVp")}


def test_effective_attenuation_is_that_of_the_worked_table() -> None:
    assert set(BEAM_NAMES) == set(xray.BEAMS)
    for name, beam in xray.BEAMS.items():
        found = effective_beam(shipped(name))
        assert found.soft == pytest.approx(beam.soft, rel=4e-4), name
        assert found.bone == pytest.approx(beam.bone, rel=4e-4), name


def test_weights_of_the_subtraction_are_those_of_the_worked_table() -> None:
    low, high, filtered = (effective_beam(shipped(one)) for one in ("60 kVp", "120 kVp", "120 kVp, 1 mm Cu"))
    for bones, softs, other in ((0.576, 0.809, high), (0.443, 0.739, filtered)):
        assert other.bone / low.bone == pytest.approx(bones, abs=5e-4)
        assert other.soft / low.soft == pytest.approx(softs, abs=5e-4)


def test_attenuation_agrees_with_nist_between_the_bins() -> None:
    # 1/cm at 30, 40, 60, 80, 100 keV of ICRU-44 soft tissue (1.06) and cortical bone (1.92), from the NIST tables.
    table = np.array(ROWS)
    for column, known in ((1, (0.4018, 0.2849, 0.2171, 0.1932, 0.1795)), (2, (2.556, 1.278, 0.6045, 0.4279, 0.3562))):
        found = np.exp(np.interp(np.log([30, 40, 60, 80, 100]), np.log(table[:, 0]), np.log(table[:, column])))
        np.testing.assert_allclose(10 * found, known, rtol=2e-3)


def test_caesium_iodide_has_its_two_edges() -> None:
    kev, csi = np.array(ROWS)[:, 0], np.array(ROWS)[:, 3]
    assert kev[1:][np.diff(csi) > 0].tolist() == [33.5, 36.5]  # iodine 33.17, caesium 35.98 keV


def test_a_single_energy_obeys_the_law_of_beer() -> None:
    table = np.array(ROWS)
    one = xray_spectrum.seen((table[:, 0] == 59.5).astype(float))
    t = Thickness(torch.tensor([100.0]), torch.tensor([10.0]))
    row = table[table[:, 0] == 59.5][0]
    assert float(log_attenuation(t, one)) == pytest.approx(100 * row[1] + 10 * row[2], rel=1e-5)


def test_the_beam_hardens_and_subtraction_by_weights_leaves_bone_that_decomposition_removes() -> None:
    soft = torch.linspace(20, 250, 24, dtype=torch.float64)
    slope = torch.diff(log_attenuation(Thickness(soft, torch.zeros_like(soft)), PAIR["low"]))
    assert bool((torch.diff(slope) < 0).all())
    bone = torch.tensor([0.0, 30.0], dtype=torch.float64)
    e = expose_hardened(Thickness(torch.full_like(bone, 40.0), bone), **PAIR)
    weighted = xray.soft_tissue_image(e, low=xray.BEAMS["60 kVp"], high=xray.BEAMS["120 kVp"])
    assert 0.01 < float((weighted[1] - weighted[0]) / (e.high[1] - e.high[0])) < 0.02  # of the bone's shadow
    found = decompose(e, **PAIR)
    torch.testing.assert_close(found.soft, torch.full_like(bone, 40.0), atol=1e-6, rtol=0)
    torch.testing.assert_close(found.bone, bone, atol=1e-6, rtol=0)


@pytest.mark.parametrize("soft", [0.0, 60.0, 240.0])
@pytest.mark.parametrize("bone", [0.0, 5.0, 60.0])
def test_every_thickness_comes_back(soft: float, bone: float) -> None:
    t = Thickness(torch.full((2, 1, 3), soft, dtype=torch.float64), torch.full((2, 1, 3), bone, dtype=torch.float64))
    found = decompose(expose_hardened(t, **PAIR), **PAIR)
    torch.testing.assert_close(found.soft, t.soft, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.bone, t.bone, atol=1e-5, rtol=0)


def test_hardened_exposures_can_be_differentiated() -> None:
    soft = torch.tensor([100.0], dtype=torch.float64, requires_grad=True)
    bone = torch.tensor([5.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda s: log_attenuation(Thickness(s, bone), PAIR["low"]), (soft,))


def test_the_shipped_spectra_are_those_of_spekpy() -> None:
    pytest.importorskip("spekpy", reason="spekpy is not installed")
    for name, kvp, filters in (("60 kVp", 60.0, {"Al": 2.5}), ("130 kVp, 0.1 mm Cu", 130.0, {"Al": 2.5, "Cu": 0.1})):
        theirs, ours = xray_spectrum.from_spekpy(kvp, filters), shipped(name)
        np.testing.assert_allclose(theirs.weight, ours.weight, rtol=2e-4, atol=1e-7)


def test_mistakes_are_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RadloomError, match="no spectrum is called '70 kVp'; expected one of 60 kVp"):
        shipped("70 kVp")
    monkeypatch.setitem(__import__("sys").modules, "spekpy", None)
    with pytest.raises(RadloomError, match=r"spekpy is not installed.*pip install spekpy"):
        xray_spectrum.from_spekpy(70.0, {"Al": 2.5})
    for low, high in ((torch.tensor([math.nan]), torch.zeros(1)), (torch.zeros(1), torch.zeros(2))):
        with pytest.raises(RadloomError, match="no NaN"):
            decompose(Exposure(low, high), **PAIR)


def test_examples_run() -> None:
    assert doctest.testmod(xray_spectrum).failed == 0
