"""Prepared cases, their store on disk, and the slices and cubes cut from it."""

from pathlib import Path

import numpy as np
import pytest

from radloom.data.views import AxialSlices, Cubes, Prepared, Store, View, centred, prepare
from radloom.errors import RadloomError
from radloom.types import Case, Image

INPUTS, TARGETS = ("image.t1c", "image.t2"), ("image.t1", "image.flair")
SHAPE = (20, 18, 6)


def case(**changed: Image | None) -> Case:
    """A head of ones times a factor by sequence, background at 10."""
    rng = np.random.default_rng(0)
    head = np.zeros(SHAPE, dtype=bool)
    head[4:16, 5:14, 1:] = True
    images = {}
    for factor, key in enumerate((*INPUTS, *TARGETS), start=1):
        voxels = np.where(head, 10 + 100 * factor * rng.uniform(0.5, 1.5, SHAPE), 10).astype(np.float32)
        images[key] = Image(voxels, np.diag([2.0, 2.0, 5.0, 1.0]))
    images |= {key.replace("_", "."): image for key, image in changed.items()}
    return Case("sub-1", "patient-1", {key: image for key, image in images.items() if image is not None})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "cache", (*INPUTS, *TARGETS))
    store.add(prepare(case(), INPUTS, TARGETS))
    return store


def test_background_is_zero_and_the_median_of_the_head_one_in_every_channel() -> None:
    prepared = prepare(case(), INPUTS, TARGETS)
    assert prepared.region.sum() == 12 * 9 * 5
    for key, channel in prepared.channels.items():
        assert channel.dtype == np.float32
        assert not channel[~prepared.region].any()
        assert np.median(channel[prepared.region]) == pytest.approx(1, rel=1e-5)
        back = prepared.scales[key].inverse(prepared.grid.with_voxels(channel)).voxels
        np.testing.assert_allclose(back, case().images[key].voxels, rtol=1e-5)


def test_region_and_inputs_do_not_depend_on_the_targets() -> None:
    one = prepare(case(), INPUTS, TARGETS)
    other_target = (
        case().images["image.t1"].with_voxels(np.random.default_rng(1).uniform(1, 9, SHAPE).astype(np.float32))
    )
    for other in (prepare(case(image_t1=other_target), INPUTS, TARGETS), prepare(case(image_t1=None), INPUTS, TARGETS)):
        assert np.array_equal(one.region, other.region)
        assert np.array_equal(one.stack(INPUTS), other.stack(INPUTS))
        assert one.scales["image.t2"] == other.scales["image.t2"]
    assert "image.t1" not in prepare(case(image_t1=None), INPUTS, TARGETS).channels


def test_region_is_the_union_of_the_inputs_heads() -> None:
    smaller = case().images["image.t2"].voxels.copy()
    smaller[4:8] = 10
    larger = case().images["image.t2"].voxels.copy()
    larger[2:4, 5:14, 1:] = 200
    for voxels, edge in ((smaller, 4), (larger, 2)):
        region = prepare(case(image_t2=case().images["image.t2"].with_voxels(voxels)), INPUTS, TARGETS).region
        assert np.flatnonzero(region.any(axis=(1, 2)))[0] == edge


def test_missing_input_other_grid_and_nan_are_one_line() -> None:
    good = case().images["image.t2"]
    shifted = Image(good.voxels, good.affine + _shift(3.0))
    faults = {
        "has no image.t2": case(image_t2=None),
        "different grids": case(image_t2=shifted),
        "on different grids": case(image_flair=Image(good.voxels[:, :, :3], good.affine)),
        "NaN": case(image_t2=good.with_voxels(np.where(good.voxels > 300, np.nan, good.voxels))),
    }
    for message, faulty in faults.items():
        with pytest.raises(RadloomError, match=message) as error:
            prepare(faulty, INPUTS, TARGETS)
        assert "\n" not in str(error.value)


def _shift(mm: float) -> np.ndarray:
    matrix = np.zeros((4, 4))
    matrix[0, 3] = mm
    return matrix


def test_store_gives_back_what_was_added(store: Store) -> None:
    prepared = prepare(case(), INPUTS, TARGETS)
    volume = store.volume("sub-1")
    assert volume.shape == (6, 5, 20, 18)
    for i, key in enumerate((*INPUTS, *TARGETS)):
        assert np.array_equal(volume[:, i].transpose(1, 2, 0), prepared.channels[key])
        step = prepared.scales[key]
        assert store.scales("sub-1")[key] == {"offset": step.offset, "scale": step.scale, "unit": "1"}
    assert np.array_equal(volume[:, -1].transpose(1, 2, 0) > 0.5, prepared.region)
    with pytest.raises(ValueError, match="read-only"):
        volume[0, 0, 0, 0] = 1


def test_a_case_whose_scales_could_not_be_written_does_not_count_as_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "cache", INPUTS)

    def full(path: Path, value: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("radloom.data.views.write_json", full)
    with pytest.raises(OSError, match="No space"):
        store.add(prepare(case(), INPUTS, ()))
    assert not store.path("sub-1").exists()


def test_slices_that_show_the_head_are_positions(store: Store) -> None:
    assert AxialSlices((8, 8)).positions(store, ["sub-1"]) == [("sub-1", z) for z in range(1, 6)]
    assert AxialSlices((8, 8), least=0.5).positions(store, ["sub-1"]) == []  # the head fills 0.3 of a slice


@pytest.mark.parametrize("patch", [(8, 8), (20, 18), (7, 18), (32, 25), (21, 5)])
def test_slice_is_cropped_or_padded_evenly_to_the_patch(store: Store, patch: tuple[int, int]) -> None:
    cut = AxialSlices(patch).cut(store, ("sub-1", 3), np.random.default_rng(0))
    assert cut.shape == (5, *patch)
    inner = [
        slice((e - n) // 2, (e - n) // 2 + n) if e > n else slice(None) for e, n in zip(patch, (20, 18), strict=True)
    ]
    found = cut[(slice(None), *inner)]
    whole = store.volume("sub-1")[3]
    places = [
        (i, j)
        for i in range(20 - found.shape[1] + 1)
        for j in range(18 - found.shape[2] + 1)
        if np.array_equal(whole[:, i : i + found.shape[1], j : j + found.shape[2]], found)
    ]
    assert places
    assert np.abs(cut).sum() == pytest.approx(np.abs(found).sum())  # all else is 0


def test_random_crops_reach_every_place_and_repeat_for_the_same_stream(store: Store) -> None:
    view = AxialSlices((19, 18))
    cuts = [view.cut(store, ("sub-1", 3), np.random.default_rng(seed)) for seed in range(12)]
    assert len({cut.tobytes() for cut in cuts}) == 2
    assert np.array_equal(cuts[0], view.cut(store, ("sub-1", 3), np.random.default_rng(0)))


def test_cubes_have_the_axes_x_y_z_and_show_the_head(store: Store) -> None:
    view = Cubes((6, 5, 8), per_case=3)
    assert view.positions(store, ["sub-1"]) == [("sub-1", 0), ("sub-1", 1), ("sub-1", 2)]
    cubes = [view.cut(store, ("sub-1", 0), np.random.default_rng(seed)) for seed in range(20)]
    assert all(cube.shape == (5, 6, 5, 8) for cube in cubes)
    assert all(cube[-1].any() for cube in cubes)
    assert all(not cube[..., 0].any() and not cube[..., -1].any() for cube in cubes)  # 6 slices padded to 8
    whole = Cubes(SHAPE).cut(store, ("sub-1", 0), np.random.default_rng(0))
    assert np.array_equal(whole, store.volume("sub-1").transpose(1, 2, 3, 0))


def test_centre_of_a_case_is_its_fullest_slice_or_middle_cube(store: Store) -> None:
    assert AxialSlices((8, 8)).centre(store, "sub-1").shape == (5, 20, 18)
    assert np.array_equal(AxialSlices((8, 8)).centre(store, "sub-1"), store.volume("sub-1")[1])
    assert Cubes((6, 30, 4)).centre(store, "sub-1").shape == (5, 6, 18, 4)
    array = np.arange(10.0)[None]
    assert centred(array, (4,)).tolist() == [[3, 4, 5, 6]]
    assert centred(array, (99,)).shape == (1, 10)


def test_views_are_views_and_prepared_cases_are_frozen() -> None:
    assert isinstance(AxialSlices((8, 8)), View)
    assert isinstance(Cubes((8, 8, 8)), View)
    prepared = prepare(case(), INPUTS, ())
    assert isinstance(prepared, Prepared)
    with pytest.raises(AttributeError):
        prepared.case = "other"  # pyright: ignore[reportAttributeAccessIssue]
