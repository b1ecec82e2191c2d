"""The mode-collapse monitor on collapses that are planted, and on sets that are as varied as the real one."""

import doctest

import numpy as np
import pytest

from radloom.errors import RadloomError
from radloom.models import collapse
from radloom.models.collapse import alarms, likeness_excess, variety

RNG = np.random.default_rng(0)
CENTRES = 6 * np.array([[np.cos(a), np.sin(a)] for a in np.arange(8) * np.pi / 4])


def drawn(modes: list[int], count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return CENTRES[rng.choice(modes, count)] + 0.3 * rng.normal(size=(count, 2))


REAL = drawn(list(range(8)), 400, 0)


def test_as_varied_as_the_real_images_is_no_alarm() -> None:
    looks = [variety(step, REAL, drawn(list(range(8)), 400, 1 + step)) for step in range(4)]
    for i in range(4):
        assert alarms(looks[: i + 1]) == ()
    assert looks[0].coverage > 0.9
    assert looks[0].spread["all"] == pytest.approx(1, abs=0.15)


def test_a_generator_that_loses_modes_sets_off_the_alarm_and_one_that_loses_a_share_below_the_limit_does_not() -> None:
    good = variety(0, REAL, drawn(list(range(8)), 400, 1))
    seven = variety(10, REAL, drawn(list(range(7)), 400, 2))
    assert seven.coverage == pytest.approx(7 / 8, abs=0.05)
    assert alarms([good, seven]) == ()  # an eighth is less than a fifth
    four = variety(20, REAL, drawn([0, 1, 2, 3], 400, 3))
    found = alarms([good, seven, four])
    assert four.coverage == pytest.approx(1 / 2, abs=0.08)
    assert any(line.startswith("coverage fell from") and "step 20" in line for line in found)
    recovered = variety(30, REAL, drawn(list(range(8)), 400, 4))
    assert alarms([good, seven, four, recovered]) == ()


def test_a_collapse_that_was_there_from_the_first_look_is_seen_by_its_neighbours() -> None:
    one = variety(0, REAL, CENTRES[:1] + 0.01 * np.random.default_rng(1).normal(size=(400, 2)))
    assert any("different real neighbours" in line for line in alarms([one]))
    assert one.spread["all"] < 0.1


def test_spread_by_hand() -> None:
    real = np.array([[0.0], [10.0], [20.0], [30.0]])
    synthetic = np.array([[1.0], [2.0], [11.0]])  # two distinct neighbours
    found = variety(0, real, synthetic, k=1)
    assert found.spread["all"] == pytest.approx(2 / (4 * (1 - 0.75**3)))


def test_a_class_that_collapses_alone_is_named() -> None:
    names = ["tumour" if i % 2 else "none" for i in range(400)]
    real = np.concatenate([REAL, np.array([[40.0 * (name == "tumour")] for name in names])], axis=1)
    good = np.concatenate([drawn(list(range(8)), 400, 5), real[:, 2:]], axis=1)
    bad = good.copy()
    bad[1::2, :2] = CENTRES[0]  # every drawn tumour is one image
    found = variety(0, real, bad, classes=(names, names))
    assert found.spread["tumour"] < 0.05
    assert found.spread["none"] > 0.85
    assert next(line for line in alarms([found]) if "neighbours" in line).startswith("draws of tumour have 1%")


def test_draws_that_are_one_image_are_more_alike_than_real_ones() -> None:
    rng = np.random.default_rng(0)
    real = rng.random((12, 24, 24))
    same = np.repeat(rng.random((1, 24, 24)), 12, axis=0)
    # one scale fits; MS-SSIM of an image with itself is 1
    excess = likeness_excess(real, same, data_range=1.0, scales=1, pairs=20, rng=np.random.default_rng(1))
    assert 0.8 < excess <= 1.05
    assert "more alike" in alarms([variety(0, real.reshape(12, -1), same.reshape(12, -1), k=2, likeness=excess)])[-1]
    fair = likeness_excess(real, rng.random((12, 24, 24)), data_range=1.0, scales=1, pairs=200, rng=rng)
    assert abs(fair) < 0.05


def test_what_cannot_be_watched_is_refused() -> None:
    nan = REAL.copy()
    nan[3, 1] = np.nan
    for make in (
        lambda: variety(0, nan, REAL), lambda: variety(0, REAL, REAL[:, :1]), lambda: variety(0, REAL[:3], REAL),
        lambda: variety(0, REAL[:0], REAL), lambda: variety(0, REAL, REAL, classes=(["a"] * 400, ["a"] * 3)),
        lambda: variety(0, REAL, REAL, classes=(["a"] * 400, ["b"] * 400)), lambda: alarms([]),
        lambda: likeness_excess(REAL, REAL, data_range=1.0, scales=6, rng=RNG),
    ):  # fmt: skip
        with pytest.raises(RadloomError):
            make()


def test_the_examples_in_the_docstrings_run() -> None:
    assert doctest.testmod(collapse).failed == 0
