"""Random contrast: the median stays, HU stays, and an input is the same in a slice and its neighbours."""

import numpy as np
import pytest

from radloom.data.augment import with_other_contrast


def cut(channels: int) -> np.ndarray:
    """The same ramp from 0 to 2 in every channel, then the region."""
    ramp = np.linspace(0, 2, 41, dtype=np.float32).reshape(1, 41)
    return np.stack([*[ramp] * channels, np.ones_like(ramp)])


def exponents(changed: np.ndarray) -> np.ndarray:
    """What each channel's values were raised to, from the largest one."""
    return np.log(changed[:-1, 0, -1]) / np.log(2.0)


def test_nothing_and_the_median_stay_and_the_region_is_left_alone() -> None:
    changed = with_other_contrast(cut(3), (False, False, False), 1, 0.3, np.random.default_rng(0))
    np.testing.assert_allclose(changed[:-1, 0, [0, 20]], [[0, 1]] * 3, atol=1e-6)
    assert (changed[-1] == 1).all()
    assert len(set(exponents(changed).round(4))) == 3


def test_hounsfield_units_are_not_changed_whether_given_or_wanted() -> None:
    powers = exponents(with_other_contrast(cut(3), (False, True, True), 1, 0.3, np.random.default_rng(1)))
    assert powers[0] != pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(powers[1:], 1, atol=1e-6)


def test_an_input_has_one_contrast_in_a_slice_and_its_neighbours() -> None:
    a, b, above_a, above_b, below_a, below_b, target = exponents(
        with_other_contrast(cut(7), (False, False, False), 1, 0.3, np.random.default_rng(2))
    )
    assert above_a == below_a == pytest.approx(a)
    assert above_b == below_b == pytest.approx(b)
    assert len({round(float(p), 4) for p in (a, b, target)}) == 3


def test_the_exponents_spread_as_asked() -> None:
    rng = np.random.default_rng(3)
    logs = np.log([exponents(with_other_contrast(cut(2), (False, False), 1, 0.2, rng)) for _ in range(4000)])
    np.testing.assert_allclose(logs.std(axis=0), [np.hypot(0.2, 0.1), 0.2], rtol=0.05)
    np.testing.assert_allclose(logs.mean(axis=0), 0, atol=0.015)
