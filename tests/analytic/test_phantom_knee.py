"""Knees: signals by tissue with and without fat saturation, tears equal to the columns, the complex image, k-space."""

from functools import cache

import numpy as np
import pytest

from radloom.errors import RadloomError
from radloom.phantom import knee, knee_mr
from radloom.phantom.knee import Tear
from radloom.random import numpy_stream
from radloom.types import Case

SHAPE = (72, 72, 28)
ALL = ("pd", "real", "imag")


@cache
def made(tears: tuple[Tear, ...] = ()) -> knee.Knee:
    return knee.build(knee.knee_grid(SHAPE), list(tears), medial=1, rng=numpy_stream(0, "knee"))


@cache
def cases() -> list[Case]:
    return [knee_mr.subject(i, seed=1, shape=SHAPE, images=ALL, fat_saturated="pd") for i in range(4)]


def test_fractions_sum_to_one_in_the_leg_and_to_nothing_outside() -> None:
    total = np.asarray(sum(made().parts.values()))
    assert total.max() < 1 + 1e-9
    assert total[36, 36].min() > 0.99
    assert total[:3].max() == 0
    assert set(made().parts) == set(knee.TISSUES)


def test_signals_are_those_worked_by_hand() -> None:
    # Fluid: 1.0 (1 - exp(-2730 / 3600)) exp(-30 / 750) = 0.5157; fat: 1.0 * 0.99924 * exp(-30 / 110) = 0.7607.
    parts = {name: np.zeros(SHAPE) for name in knee.TISSUES}
    parts["fluid"][:] = 1.0
    grid = knee.knee_grid(SHAPE)
    pool = knee.Knee(grid, parts, np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8))
    value = knee_mr.signal(pool, "pd", rng=numpy_stream(0, "signal"))
    assert value == pytest.approx(0.5105 / 0.7607, rel=0.01)


@pytest.mark.parametrize("form", ["pd", "pdfs"])
def test_menisci_and_cortex_are_dark_and_saturation_darkens_fat_and_marrow_only(form: str) -> None:
    value = knee_mr.signal(made(), form, rng=numpy_stream(0, "signal"))
    level = {name: np.median(value[part > 0.9]) for name, part in made().parts.items() if (part > 0.9).any()}
    assert level["meniscus"] < 0.4 * level["cartilage"]
    assert level["cortical"] < 0.1
    if form == "pd":
        assert level["fat"] == pytest.approx(1.0, abs=0.06)
        assert level["marrow"] > 0.75
    else:
        assert level["fat"] < 0.25
        assert level["marrow"] < 0.25
        assert level["cartilage"] > 2 * level["fat"]


@pytest.mark.parametrize("kind", knee.TEARS)
def test_a_tear_is_a_bright_line_in_its_meniscus_with_a_number(kind: str) -> None:
    tear = Tear("medial", kind, -80.0, 14.0, 2.0, True)
    torn = made((tear,))
    hit = torn.tears == 1
    assert hit.any()
    assert set(np.unique(torn.menisci[hit])) <= {0, 1}  # the medial one
    before, after = (knee_mr.signal(one, "pd", rng=numpy_stream(0, "signal")) for one in (made(), torn))
    assert np.median(after[hit] - before[hit]) > 0.08
    far = np.abs(torn.grid.points_mm()[2]) > 20
    assert np.array_equal(before[far], after[far])


def test_degeneration_looks_alike_and_has_no_number() -> None:
    line = Tear("lateral", "horizontal", -90.0, 14.0, 2.0, False)
    worn = made((line,))
    assert not worn.tears.any()
    before, after = (knee_mr.signal(one, "pd", rng=numpy_stream(0, "signal")) for one in (made(), worn))
    assert (after - before)[worn.menisci == 2].max() > 0.05


def test_the_medial_side_is_where_it_was_asked_for() -> None:
    x = made().grid.points_mm()[0]
    assert x[made().menisci == 1].min() > -3
    assert x[made().menisci == 2].max() < 3


def test_the_magnitude_is_that_of_the_complex_image_and_its_noise_is_the_scanners() -> None:
    for case in cases():
        real, imag, pd = (case.images[f"image.{one}"].voxels for one in ("real", "imag", "pd"))
        assert np.hypot(real, imag) == pytest.approx(pd, rel=1e-4, abs=1e-6)
        noise = {site: sd for site, _, sd, _ in knee_mr.SITES}[case.site]
        assert real[:5, :5].std() == pytest.approx(noise, rel=0.1)
        assert imag[:5, :5].std() == pytest.approx(noise, rel=0.1)
        assert np.abs(imag).mean() > 0.1 * np.abs(real).mean()  # the phase is not trivial


def test_columns_say_what_the_masks_hold() -> None:
    for case in cases():
        assert (case.labels["label.tear"] == 1) >= case.images["mask.tear"].voxels.any()
        assert case.labels["label.tear"] == max(case.labels["label.tear_medial"], case.labels["label.tear_lateral"])
        assert set(np.unique(case.images["mask.meniscus"].voxels)) == {0, 1, 2}
    drawn = [knee.draw_tears(rng=numpy_stream(0, "draw", i)) for i in range(200)]
    assert 0.4 < np.mean([any(tear.reaches for tear in one) for one in drawn]) < 0.65


def test_each_box_is_that_of_its_tear() -> None:
    told = {}
    for case in cases():
        tears = case.images["mask.tear"].voxels
        for text in case.text["text.boxes"].split():
            number, ends = text.split(":")
            low, high = np.array([int(end) for end in ends.split(",")]).reshape(2, 3)
            at = np.argwhere(tears == int(number))
            assert (at.min(0).tolist(), (at.max(0) + 1).tolist()) == (low.tolist(), high.tolist())
            told[case.id, int(number)] = True
    assert set(told) == {(c.id, int(n)) for c in cases() for n in np.unique(c.images["mask.tear"].voxels) if n}
    assert told


def test_both_forms_show_the_same_knee() -> None:
    other = knee_mr.subject(0, seed=1, shape=SHAPE, images=("pd",), fat_saturated="pdfs")
    for key in ("mask.tear", "mask.meniscus"):
        assert np.array_equal(other.images[key].voxels, cases()[0].images[key].voxels)


def test_full_multi_coil_k_space_gives_the_image_back() -> None:
    import torch

    from radloom.operators.mri import MultiCoil
    from radloom.operators.mri_sensitivity import loops

    cut = [torch.from_numpy(cases()[0].images[f"image.{one}"].voxels[:, :, 13].copy()) for one in ("real", "imag")]
    x = torch.complex(*cut)[None, None]
    operator = MultiCoil(torch.ones(1, 1, *x.shape[2:]), loops(SHAPE[:2], coils=8))
    y = operator(x)
    assert y.shape == (1, 8, *SHAPE[:2])
    assert torch.allclose(operator.adjoint(y), x, atol=1e-4)


def test_impossible_shapes_are_refused() -> None:
    with pytest.raises(RadloomError, match="shape"):
        knee.knee_grid((8, 64, 10))
