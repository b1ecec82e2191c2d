"""Every embedded cohort: the files that it writes, the same numbers for the same seed, and refused requests."""

import json
from pathlib import Path

import numpy as np
import pytest

from radloom.data.cohort import Cohort
from radloom.errors import RadloomError
from radloom.phantom import load, names, write_cohort

SMALL = (32, 32, 6)


def voxels(cohort: Cohort, case: str) -> dict[str, np.ndarray]:
    return {key: image.voxels for key, image in cohort.case(case).images.items()}


@pytest.mark.parametrize("name", names())
def test_cohort_loads_and_says_that_it_is_simulated(name: str, tmp_path: Path) -> None:
    simulation = load(name)
    cohort = Cohort.read(write_cohort(name, tmp_path / "c", subjects=4, shape=simulation.small))
    assert len(cohort.patients) == 4
    assert cohort.about["simulated"] is True
    assert cohort.about["generator"] == name
    assert set(cohort.table["split"]) == {"train", "val", "test"}
    case = cohort.case(cohort.ids[0])
    assert {f"image.{key}" for key in simulation.usual} <= set(case.images)
    for key, image in case.images.items():
        assert image.shape == simulation.small
        assert np.isfinite(image.voxels).all(), key
        assert np.ptp(image.voxels) > 0 or key.startswith("mask."), key
        assert image.kind == ("label" if key.startswith("mask.") else "intensity")


@pytest.mark.parametrize("name", names())
def test_a_subject_depends_on_the_seed_and_its_number_only(name: str, tmp_path: Path) -> None:
    shape = load(name).small
    small = Cohort.read(write_cohort(name, tmp_path / "a", subjects=2, shape=shape, seed=5, workers=1))
    large = Cohort.read(write_cohort(name, tmp_path / "b", subjects=3, shape=shape, seed=5))
    other = Cohort.read(write_cohort(name, tmp_path / "other", subjects=2, shape=shape, seed=6))
    for case in small.ids:
        first, second, third = (voxels(cohort, case) for cohort in (small, large, other))
        assert first.keys() == second.keys()
        assert all(np.array_equal(first[key], second[key]) for key in first)
        assert not all(np.array_equal(first[key], third[key]) for key in first if key in third)


@pytest.mark.parametrize("name", names())
def test_every_variant_and_image_can_be_made(name: str, tmp_path: Path) -> None:
    simulation = load(name)
    for variant in simulation.variants:
        out = write_cohort(name, tmp_path / variant, subjects=1, shape=simulation.small, variant=variant,
                           images=simulation.images)  # fmt: skip
        cohort = Cohort.read(out)
        assert {f"image.{key}" for key in simulation.images} <= set(cohort.image_columns)


@pytest.mark.parametrize("shape", [(16, 16, 1), (16, 24, 3), (40, 32, 30)])
def test_any_size_is_written_over_the_whole_head(shape: tuple[int, int, int], tmp_path: Path) -> None:
    cohort = Cohort.read(write_cohort("brain", tmp_path / "c", subjects=1, shape=shape))
    image = cohort.image(cohort.ids[0], "image.t1")
    assert image.shape == shape
    assert np.allclose(np.array(image.spacing_mm[:2]) * shape[:2], 192)
    assert image.spacing_mm[2] * shape[2] <= 120 + 1e-6
    brain = cohort.image(cohort.ids[0], "mask.brain").voxels > 0
    assert brain.any()
    assert not brain[[0, -1]].any()  # the head is not cut at its sides


def test_one_slice_passes_through_the_tumour(tmp_path: Path) -> None:
    cohort = Cohort.read(write_cohort("brain", tmp_path / "c", subjects=5, shape=(64, 64, 1)))
    for case in cohort.ids:
        assert np.count_nonzero(cohort.image(case, "mask.tumour").voxels) > 15


def test_lesions_or_no_disease_on_request(tmp_path: Path) -> None:
    ms = Cohort.read(write_cohort("brain", tmp_path / "ms", subjects=1, shape=SMALL, variant="ms", images=("dir",)))
    assert {"image.dir", "mask.lesion"} <= set(ms.table)
    assert "mask.tumour" not in ms.table
    healthy = Cohort.read(write_cohort("brain", tmp_path / "none", subjects=1, shape=SMALL, variant="none"))
    assert not {"mask.tumour", "mask.lesion", "label.idh"} & set(healthy.table)


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    with pytest.raises(RadloomError, match="exists"):
        write_cohort("brain", tmp_path / "c", subjects=1, shape=SMALL)
    assert not list((tmp_path / "c").iterdir())


@pytest.mark.parametrize(
    ("name", "request_", "complaint"),
    [
        ("liver", {}, "no embedded cohort"),
        ("brain", {"shape": (8, 96, 24)}, "shape"),
        ("brain", {"shape": (96, 96, 0)}, "shape"),
        ("brain", {"images": ("t1", "ct")}, "ct"),
        ("brain", {"images": ()}, "images"),
        ("brain", {"images": ("t1", "t1")}, "twice"),
        ("brain", {"subjects": 0}, "subjects"),
        ("brain", {"splits": (0.5, 0.1, 0.1)}, "splits"),
    ],
)
def test_impossible_requests_are_refused_and_leave_nothing(
    name: str, request_: dict, complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(RadloomError, match=complaint):
        write_cohort(name, tmp_path / "c", **{"subjects": 1, "shape": SMALL, **request_})
    assert not list(tmp_path.iterdir())


def test_splits_have_the_shares_asked_for(tmp_path: Path) -> None:
    from radloom.phantom.cohort import split_of_subjects

    found = split_of_subjects(64, (0.6, 0.15, 0.25), seed=0, name="brain")
    assert [found.count(one) for one in ("train", "val", "test")] == [38, 10, 16]
    assert found == split_of_subjects(64, (0.6, 0.15, 0.25), seed=0, name="brain")
    assert found != split_of_subjects(64, (0.6, 0.15, 0.25), seed=1, name="brain")
    assert set(split_of_subjects(3, (0.9, 0.05, 0.05), seed=0, name="brain")) == {"train", "val", "test"}


def test_description_is_json_with_the_settings(tmp_path: Path) -> None:
    out = write_cohort("brain", tmp_path / "c", subjects=1, shape=SMALL, seed=9)
    about = json.loads((out / "cohort.json").read_text())
    assert about["seed"] == 9
    assert about["shape"] == list(SMALL)
