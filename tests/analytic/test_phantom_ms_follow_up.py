"""The MS follow-up: the first examination is the cohort's usual one, and what is new at the second is known."""

from functools import cache

import numpy as np

from radloom.phantom.anatomy import Atlas, load_atlas
from radloom.phantom.brain import subject
from radloom.phantom.ms_follow_up import MOST_NEW, two_examinations
from radloom.types import Case

SHAPE = (64, 64, 10)


@cache
def atlas() -> Atlas:
    return load_atlas()


@cache
def pairs() -> list[list[Case]]:
    return [two_examinations(atlas(), i, seed=4, shape=SHAPE, contrasts=("flair",)) for i in range(4)]


def test_the_first_examination_is_that_of_the_variant_ms() -> None:
    alone = subject(atlas(), 1, seed=4, shape=SHAPE, contrasts=("flair",), disease="ms")
    first = pairs()[1][0]
    for key in alone.images:
        assert np.array_equal(first.images[key].voxels, alone.images[key].voxels)
    assert not first.images["mask.new"].voxels.any()
    assert first.labels["time.months"] == 0


def test_both_belong_to_one_patient_one_brain_and_one_grid() -> None:
    for first, second in pairs():
        assert first.patient == second.patient
        assert {first.id, second.id} == {f"{first.patient}_ses-1", f"{first.patient}_ses-2"}
        assert first.images["image.flair"].same_grid(second.images["image.flair"])
        assert np.array_equal(first.images["mask.brain"].voxels, second.images["mask.brain"].voxels)
        assert 6 <= second.labels["time.months"] <= 24


def test_new_lesions_are_counted_apart_from_the_old_and_part_of_all() -> None:
    for first, second in pairs():
        old, new, whole = (
            case.images[f"mask.{key}"].voxels for case, key in ((first, "lesion"), (second, "new"), (second, "lesion"))
        )
        assert not (old[new > 0] > 0).any()
        assert np.array_equal(whole > 0, (old > 0) | (new > 0))
        assert set(np.unique(new)) == set(range(second.labels["label.new_lesions"] + 1))
        assert second.labels["label.new_lesions"] <= MOST_NEW
    assert len({second.labels["label.new_lesions"] for _, second in pairs()}) > 1


def test_new_lesions_are_bright_on_the_second_flair_only() -> None:
    seen = 0
    for first, second in pairs():
        new = second.images["mask.new"].voxels > 0
        if new.sum() < 8:
            continue
        seen += 1
        brain = (first.images["mask.brain"].voxels > 0) & (second.images["mask.lesion"].voxels == 0)
        before, after = (
            case.images["image.flair"].voxels / np.median(case.images["image.flair"].voxels[brain])
            for case in (first, second)
        )
        assert np.median(after[new] / before[new]) > 1.12  # a voxel of the mask is at least 0.4 lesion
        assert np.median(before[new]) < 1.15
    assert seen
