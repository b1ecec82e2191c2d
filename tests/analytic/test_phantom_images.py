"""What the simulated brains must show: anatomy, phenotype, realism of the translation task, noise and bias."""

import itertools
from functools import cache

import numpy as np
import pytest

from radloom.phantom import acquisition, disease
from radloom.phantom.anatomy import Atlas, head_grid, load_atlas, new_subject
from radloom.phantom.brain import subject
from radloom.phantom.fields import smooth_field
from radloom.random import numpy_stream
from radloom.types import Case

SHAPE = (64, 64, 12)
FOUR = ("t1", "t1c", "t2", "flair")


@cache
def atlas() -> Atlas:
    return load_atlas()


@cache
def tumours() -> list[Case]:
    return [subject(atlas(), i, seed=3, shape=SHAPE, contrasts=FOUR, disease="tumour") for i in range(8)]


def inside(case: Case, contrast: str) -> np.ndarray:
    """Values in the brain divided by their median."""
    values = case.images[f"image.{contrast}"].voxels[case.images["mask.brain"].voxels > 0].astype(float)
    return values / np.median(values)


def labels(case: Case) -> np.ndarray:
    return case.images["mask.tumour"].voxels[case.images["mask.brain"].voxels > 0]


def test_background_is_zero_and_every_mask_lies_in_the_brain() -> None:
    for case in tumours():
        brain = case.images["mask.brain"].voxels > 0
        assert 0.2 < brain.mean() < 0.6
        assert not case.images["mask.tumour"].voxels[~brain].any()
        for contrast in FOUR:
            voxels = case.images[f"image.{contrast}"].voxels
            assert voxels.dtype == np.int16
            assert not voxels[~brain].any()
            assert np.count_nonzero(voxels[brain]) > 0.95 * brain.sum()


def test_tumour_labels_are_those_of_the_phenotype() -> None:
    seen = set()
    for case in tumours():
        found = set(np.unique(labels(case))) - {0}
        expected = {disease.CORE, disease.OEDEMA} | ({disease.ENHANCING} if case.labels["label.enhancing"] else set())
        assert found == expected, case.id
        seen.add(case.labels["label.enhancing"])
    assert seen == {0, 1}


def test_the_rim_enhances_and_nothing_else_much() -> None:
    case = next(case for case in tumours() if case.labels["label.enhancing"])
    gain = inside(case, "t1c") / np.maximum(inside(case, "t1"), 0.05)
    assert np.median(gain[labels(case) == disease.ENHANCING]) > 1.3
    assert np.median(gain[labels(case) == 0]) == pytest.approx(1.0, abs=0.1)


def test_oedema_is_bright_and_csf_dark_on_flair_while_both_are_bright_on_t2() -> None:
    for case in tumours():
        t2, flair, oedema = inside(case, "t2"), inside(case, "flair"), labels(case) == disease.OEDEMA
        csf = (t2 > np.quantile(t2, 0.99)) & (labels(case) == 0)
        assert np.median(flair[oedema]) > 1.05
        assert np.median(flair[csf]) < 0.5
        assert np.median(t2[oedema]) > 1.1


def test_idh_mutants_enhance_less_and_show_the_mismatch_sign_more() -> None:
    drawn = [disease.draw_tumour(atlas(), rng=numpy_stream(0, "test", i)) for i in range(120)]
    mutant = [one for one in drawn if one.idh_mutant]
    wild = [one for one in drawn if not one.idh_mutant]
    assert 30 < len(mutant) < 70
    assert np.mean([one.enhancing for one in wild]) > 0.75 > 0.45 > np.mean([one.enhancing for one in mutant])
    mismatch = [np.mean([one.core_tissue == "mismatch core" for one in group]) for group in (mutant, wild)]
    assert mismatch[0] > 0.4 > 0.2 > mismatch[1]
    assert {one.hidden for one in drawn} == {"no", "t1", "t2"}


def voxel_map_error(inputs: tuple[str, ...]) -> float:
    """Mean squared error of FLAIR from a cubic voxel-wise map that was fitted on the other cases."""

    def features(case: Case) -> np.ndarray:
        x = [inside(case, one) for one in inputs]
        powers = itertools.chain(*(itertools.combinations_with_replacement(range(len(x)), k) for k in range(4)))
        return np.stack([np.prod([x[i] for i in one], axis=0) * np.ones_like(x[0]) for one in powers], axis=1)

    a, y = [features(case) for case in tumours()], [inside(case, "flair") for case in tumours()]
    errors = []
    for i in range(len(a)):
        rest = [j for j in range(len(a)) if j != i]
        weights = np.linalg.lstsq(np.concatenate([a[j] for j in rest]), np.concatenate([y[j] for j in rest]))[0]
        errors.append(np.mean((a[i] @ weights - y[i]) ** 2))
    return float(np.mean(errors))


def test_flair_is_not_a_voxelwise_function_of_t2_nor_of_t1c_and_t2() -> None:
    t2, both = voxel_map_error(("t2",)), voxel_map_error(("t1c", "t2"))
    noise = 0.02**2  # the largest noise of a scanner, squared, where white matter is about the median
    assert t2 > 1.15 * both
    assert both > 8 * noise


def test_ms_lesions_are_bright_on_flair_and_dir_and_lie_in_the_brain() -> None:
    case = subject(atlas(), 1, seed=0, shape=(80, 80, 12), contrasts=("flair", "dir"), disease="ms")
    brain = case.images["mask.brain"].voxels > 0
    lesion = case.images["mask.lesion"].voxels > 0
    assert lesion.sum() > 20
    assert not lesion[~brain].any()
    for contrast in ("flair", "dir"):
        values = case.images[f"image.{contrast}"].voxels
        assert np.median(values[lesion]) > 1.3 * np.median(values[brain & ~lesion])


def test_subject_is_the_same_whatever_contrasts_are_asked_for() -> None:
    alone = subject(atlas(), 2, seed=3, shape=SHAPE, contrasts=("flair",), disease="tumour")
    assert np.array_equal(alone.images["image.flair"].voxels, tumours()[2].images["image.flair"].voxels)


def test_subjects_and_seeds_differ() -> None:
    other = subject(atlas(), 2, seed=4, shape=SHAPE, contrasts=("flair",), disease="tumour")
    assert not np.array_equal(other.images["mask.brain"].voxels, tumours()[2].images["mask.brain"].voxels)
    assert not np.array_equal(tumours()[1].images["mask.brain"].voxels, tumours()[2].images["mask.brain"].voxels)


def test_a_finer_grid_shows_the_same_field() -> None:
    fine = smooth_field(head_grid((64, 64, 24), centre_z_mm=0.0), 20.0, rng=numpy_stream(0, "field"))
    coarse = smooth_field(head_grid((32, 32, 24), centre_z_mm=0.0), 20.0, rng=numpy_stream(0, "field"))
    pairs = fine.reshape(32, 2, 32, 2, 24).mean((1, 3))
    assert np.abs(pairs - coarse).max() < 0.1
    assert fine.std() == pytest.approx(1.0, abs=0.2)


def test_a_flat_object_shows_the_bias_field_asked_for_and_rician_moments() -> None:
    grid = head_grid((48, 48, 12), centre_z_mm=0.0)
    field = acquisition.log_bias(grid, 0.15, rng=numpy_stream(0, "bias"))
    assert 0.1 < np.abs(field).max() < 0.17
    # Magnitude of pure noise is Rayleigh: mean sd * sqrt(pi / 2).
    noise = acquisition.rician(np.zeros((40, 40, 40)), 2.0, rng=numpy_stream(0, "noise"))
    assert noise.mean() == pytest.approx(2.0 * np.sqrt(np.pi / 2), rel=0.01)


def test_tissue_fractions_sum_to_one_in_the_brain_and_spread_stays_within_fifteen_percent() -> None:
    anatomy = new_subject(
        atlas(), head_grid((48, 48, 8), centre_z_mm=20.0), push=(np.zeros(3), 20.0, 0.2), rng=numpy_stream(0, "anatomy")
    )
    assert np.allclose(anatomy.fractions.sum(0)[anatomy.brain], 1)
    table = acquisition.TISSUES["3T"]
    for i in range(50):
        for name, tissue in acquisition.spread(table, rng=numpy_stream(i, "spread")).items():
            assert abs(tissue.t1 / table[name].t1 - 1) <= 0.15
            assert abs(tissue.t2 / table[name].t2 - 1) <= 0.15
