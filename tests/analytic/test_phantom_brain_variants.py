"""Metastases with rough boxes, gliomas by grade, and tumours that grow by a known law while patients die of it."""

from functools import cache

import numpy as np
import pytest
from scipy import stats

from radloom.phantom import idh, metastases, response
from radloom.phantom.anatomy import Atlas, load_atlas
from radloom.phantom.disease import draw_tumour
from radloom.phantom.response import Course
from radloom.random import numpy_stream
from radloom.types import Case

SHAPE = (64, 64, 16)


@cache
def atlas() -> Atlas:
    return load_atlas()


@cache
def spread() -> list[Case]:
    return [metastases.subject(atlas(), i, seed=1, shape=SHAPE, contrasts=("t1", "t1c")) for i in range(5)]


@cache
def visits(index: int) -> list[Case]:
    return response.examinations(atlas(), index, seed=3, shape=(48, 48, 24), contrasts=("t1c",))


def test_metastases_are_numbered_lie_in_the_brain_and_take_up_contrast() -> None:
    gains = []
    for case in spread():
        numbered, brain = case.images["mask.metastasis"].voxels, case.images["mask.brain"].voxels > 0
        assert set(np.unique(numbered)) == set(range(case.labels["label.metastases"] + 1))
        assert not numbered[~brain].any()
        t1, t1c = (case.images[f"image.{one}"].voxels / np.median(case.images[f"image.{one}"].voxels[brain])
                   for one in ("t1", "t1c"))  # fmt: skip
        for number in range(1, numbered.max() + 1):
            inside = numbered == number
            gains.append((np.count_nonzero(inside), np.median((t1c / np.maximum(t1, 0.05))[inside])))
    large = [gain for voxels, gain in gains if voxels >= 3]
    assert len(large) >= 3
    assert min(large) > 1.2
    assert np.mean([gain for _, gain in gains]) > 1.1  # those of less than a voxel hardly show


def test_diameters_run_from_two_to_twenty_and_small_ones_prevail() -> None:
    from radloom.phantom.anatomy import head_grid, new_subject

    anatomy = new_subject(
        atlas(), head_grid((48, 48, 24), centre_z_mm=20.0), push=(np.zeros(3), 20.0, 0.0), rng=numpy_stream(0, "a")
    )
    drawn = [metastases.draw(anatomy, rng=numpy_stream(0, i)) for i in range(150)]
    sizes = np.array([one.diameter for each in drawn for one in each])
    assert sizes.min() >= 2
    assert sizes.max() <= 20
    assert np.median(sizes) < 8  # log-uniform: the root of 2 * 20 is 6.3
    assert 0.06 < np.mean([not each for each in drawn]) < 0.2
    assert max(map(len, drawn)) <= metastases.MOST


def test_rough_boxes_hold_their_lesion_but_for_the_few_that_are_shifted() -> None:
    numbered = np.zeros((60, 60, 12), np.uint8)
    numbered[25:33, 28:34, 4:6] = 1
    found = [metastases.rough_boxes(numbered, rng=numpy_stream(0, i))[1] for i in range(400)]
    low, high = np.array(found)[:, :3], np.array(found)[:, 3:]
    holds = (low <= [25, 28, 4]).all(1) & (high >= [33, 34, 6]).all(1)
    assert 0.93 < holds.mean() < 1
    assert set(low[:, 2]) == {4}
    assert set(high[:, 2]) == {6}
    # A side of 8 voxels grows by 40 % of 8 and 3 voxels at most on either end, half of that on average.
    grown = high[holds, 0] - low[holds, 0]
    assert grown.max() <= 8 + 2 * (3.2 + 3) + 1
    assert grown.mean() == pytest.approx(8 + 3.2 + 3, abs=0.4)


def test_boxes_in_the_table_are_those_that_are_painted() -> None:
    for case in spread():
        told = dict(one.split(":") for one in case.text["text.boxes"].split())
        assert len(told) == case.labels["label.metastases"]
        painted = case.images["mask.box"].voxels
        for number, text in told.items():
            x0, y0, z0, x1, y1, z1 = map(int, text.split(","))
            inside = painted[x0:x1, y0:y1, z0:z1]
            assert (inside > 0).all()
            assert (inside == int(number)).any()


def test_measured_size_and_enhancement_follow_their_grades() -> None:
    made = [idh.subject(atlas(), i, seed=5, shape=(48, 48, 24), contrasts=("t1",)).labels for i in range(12)]
    for grade, measured in (("label.size", "label.volume_cm3"), ("label.enhancement", "label.enhancing_share")):
        rank = stats.spearmanr([one[grade] for one in made], [one[measured] for one in made])
        assert rank[0] > 0.75, grade
    assert all(one["label.enhancing_share"] == 0 for one in made if one["label.enhancement"] == 0)


def test_idh_shifts_grades_place_and_margin_but_leaves_an_overlap() -> None:
    drawn = [idh.draw_graded(atlas(), rng=numpy_stream(0, "graded", i)) for i in range(500)]
    mutant, wild = ([one for one in drawn if one[0].idh_mutant == which] for which in (True, False))
    assert 200 < len(mutant) < 300
    grades = [np.array([(size, enhancement) for _, size, enhancement in group]) for group in (mutant, wild)]
    for a, b in zip(grades[0].T, grades[1].T, strict=True):
        above = stats.mannwhitneyu(b, a).statistic / (len(a) * len(b))  # the area under the ROC curve
        assert 0.6 < above < 0.9
        assert a.max() > np.median(b)
    frontal, distinct = (
        [np.mean([test(one[0]) for one in group]) for group in (mutant, wild)]
        for test in (lambda t: idh.location(t.centre) != "other", lambda t: t.softness == idh.DISTINCT)
    )
    assert frontal[0] > frontal[1] + 0.15
    assert distinct[0] > distinct[1] + 0.15


def test_lobes_by_position() -> None:
    assert [idh.location(one) for one in ((-30.0, 30.0, 30.0), (38.0, 0.0, 2.0), (25.0, -60.0, 30.0))] == [
        "frontal",
        "insular",
        "other",
    ]


def test_the_law_of_growth_by_hand() -> None:
    # exp(-0.2 * 5) + exp(0.1 * 5) - 1 = 0.3679 + 1.6487 - 1
    course = Course(growth=0.1, decay=0.2, months=20.0, died=True)
    assert course.volume(5.0) == pytest.approx(1.0166, abs=1e-4)
    assert course.volume(0.0) == 1


def test_visits_show_one_brain_whose_tumour_follows_the_law() -> None:
    for index in (0, 1, 4):
        cases = visits(index)
        first, last = cases[0], cases[-1]
        assert 2 <= len(cases) <= response.VISITS
        assert {case.patient for case in cases} == {f"sub-{index:04d}"}
        assert [case.labels["label.visit"] for case in cases] == list(range(1, len(cases) + 1))
        assert len({(case.labels["time.os"], case.labels["event.os"]) for case in cases}) == 1
        assert all(case.labels["time.months"] < case.labels["time.os"] for case in cases)
        assert np.array_equal(first.images["mask.brain"].voxels, last.images["mask.brain"].voxels)
        assert not np.array_equal(first.images["image.t1c"].voxels, last.images["image.t1c"].voxels)


def test_a_rim_has_the_volume_that_was_asked_for() -> None:
    from radloom.phantom.anatomy import head_grid, new_subject
    from radloom.phantom.disease import grow_tumour

    tumour = response.enhancing(draw_tumour(atlas(), rng=numpy_stream(3, "t")), rng=numpy_stream(3, "rim"))
    grid = head_grid((64, 64, 24), centre_z_mm=tumour.centre[2])
    anatomy = new_subject(atlas(), grid, push=(np.zeros(3), 20.0, 0.0), rng=numpy_stream(3, "a"))
    rims = []
    for volume in (1.0, 0.5, 2.0):
        ill = grow_tumour(response.scaled(tumour, volume), anatomy, rng=numpy_stream(3, "d"))
        rims.append(next(part.fraction.sum() for part in ill.parts if part.tissue == "rim"))
    # Borders of constant softness, sulci and the falx keep it from being exact.
    assert rims[1] / rims[0] == pytest.approx(0.5, abs=0.12)
    assert rims[2] / rims[0] == pytest.approx(2.0, abs=0.4)


def test_a_cox_model_finds_the_effect_of_growth_on_survival() -> None:
    lifelines = pytest.importorskip("lifelines")
    import pandas

    drawn = [response.draw_course(rng=numpy_stream(0, "course", i)) for i in range(1500)]
    table = pandas.DataFrame({"months": [one.months for one in drawn], "died": [one.died for one in drawn],
                              "growth": [np.log(one.growth) for one in drawn]})  # fmt: skip
    fitted = lifelines.CoxPHFitter().fit(table, "months", "died")
    assert fitted.params_["growth"] == pytest.approx(response.EFFECT, abs=0.15)
    assert 0.5 < np.mean([one.died for one in drawn]) < 0.9
    assert all(len(response.visit_months(one)) >= 2 for one in drawn)
    assert all(response.visit_months(one)[-1] < one.months for one in drawn)
