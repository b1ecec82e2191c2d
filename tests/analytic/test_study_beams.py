"""The beam study: depths of water by hand, planted effects found, planted nulls not."""

import doctest
from collections.abc import Callable

import numpy as np
import pytest

from radloom.results import Results, Row
from radloom.studies import beams
from radloom.studies.beams import depth_error, electron_density, findings

ARMS = ("model", "zero", "mean", "linear", "cubic")


def test_electron_density_follows_the_published_slopes() -> None:
    hu = np.array([-2000.0, -1000.0, -400.0, 0.0, 195.0, 1950.0])
    np.testing.assert_allclose(electron_density(hu), [0, 0, 0.6, 1, 1.1, 2])
    assert doctest.testmod(beams).failed == 0


@pytest.mark.parametrize(("axis", "spacing_mm"), [(0, 2.0), (1, 3.0)])
def test_a_slab_of_bone_too_much_adds_its_own_depth_of_water(axis: int, spacing_mm: float) -> None:
    real, inside = np.zeros((40, 40, 2)), np.ones((40, 40, 2), bool)
    drawn = real.copy()
    np.moveaxis(drawn, axis, 0)[5:9] = 975.0  # half as dense again as water
    assert depth_error(drawn, real, inside, axis, spacing_mm) == pytest.approx(0.5 * 4 * spacing_mm)
    assert depth_error(real, drawn, inside, axis, spacing_mm) == pytest.approx(0.5 * 4 * spacing_mm)
    np.moveaxis(drawn, axis, 0)[20:24] = -500.0  # as much air beyond it: the ray comes out right
    assert depth_error(drawn, real, inside, axis, spacing_mm) == pytest.approx(0, abs=1e-9)


def test_short_rays_and_what_lies_outside_do_not_count() -> None:
    real, inside = np.zeros((60, 2, 1)), np.zeros((60, 2, 1), bool)
    inside[:50, 0], inside[:49, 1] = True, True
    drawn = real.copy()
    drawn[:, 1], drawn[55, 0] = -1000.0, -1000.0
    assert depth_error(drawn, real, inside, 0, 1.0) == 0  # the wrong ray has 49 mm, the wrong voxel lies outside
    inside[49, 1] = True
    assert depth_error(drawn, real, inside, 0, 1.0) == pytest.approx((0 + 50) / 2)
    assert np.isnan(depth_error(drawn, real, np.zeros_like(inside), 0, 1.0))


def table(patients: int, error: Callable[[str], float]) -> Results:
    rng, rows = np.random.default_rng(0), []
    for p in range(patients):
        for arm in ARMS:
            for region, metric, value in (("lateral beams", "depth error", error(arm) + rng.normal(0, 0.05)),
                                          ("anterior beams", "depth error", 2 * error(arm)), ("bone", "dice", 0.5),
                                          ("bone", "bias", -20.0)):  # fmt: skip
                rows.append(Row("s", "r", 0, f"c{p}", f"p{p}", "test", arm, "", "image.ct", region, metric, value, "1"))
    return Results.of(rows)


def test_a_planted_effect_is_found_and_a_planted_null_is_not() -> None:
    found = findings(table(9, lambda arm: {"model": 1.0, "cubic": 2.0}.get(arm, 3.0)))
    assert found["passed"] is True
    assert "(cubic) by 2.0" in str(found["answer"])
    depth, bone = found["tables"]  # type: ignore[misc]
    cubic = next(line for line in depth["rows"] if line[0] == "cubic")
    assert float(cubic[2]) == pytest.approx(1.0, abs=0.05)
    assert cubic[4] == "4.00"
    assert all(len(line) == len(one["columns"]) for one in (depth, bone) for line in one["rows"])
    assert bone["rows"][0] == ["model", "0.500", "-20"]
    assert findings(table(9, lambda arm: 2.0))["passed"] is False
    assert findings(table(4, lambda arm: 2.0))["passed"] is None
