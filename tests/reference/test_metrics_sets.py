"""Scores of sets and their intervals against plain loops, scipy, scikit-learn and values worked by hand."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import entropy

from radloom.metrics import distribution
from radloom.metrics.fidelity import ms_ssim
from radloom.metrics.structural import SCALE_WEIGHTS

FEW_SCALES = SCALE_WEIGHTS[:2]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def half_width(values: np.ndarray, patients: np.ndarray) -> float:
    """Half of the 95 % normal interval of a mean over patients of as many rows each."""
    means = np.array([values[patients == patient].mean() for patient in np.unique(patients)])
    return 1.96 * float(means.std()) / math.sqrt(len(means))


def test_the_curve_agrees_with_its_algorithm_written_out():
    from sklearn.cluster import KMeans

    x, y = rng(0).normal(size=(80, 3)), rng(1).normal(size=(80, 3)) * 1.5 + 0.7
    found = distribution.prd_curve(x, y, 6, 11, runs=2, rng=rng(5))
    seeds, precisions, recalls = rng(5), np.zeros((2, 11)), np.zeros((2, 11))
    for run in range(2):
        labels = KMeans(6, random_state=int(seeds.integers(2**31 - 1))).fit(np.vstack([x, y])).labels_
        for step in range(11):
            slope = math.tan(1e-10 + step * (math.pi / 2 - 2e-10) / 10)
            for cluster in range(6):
                p, q = np.mean(labels[:80] == cluster), np.mean(labels[80:] == cluster)
                precisions[run, step] += min(slope * p, q)
                recalls[run, step] += min(p, q / slope)
    np.testing.assert_allclose(found.precision, precisions.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(found.recall, recalls.mean(axis=0), rtol=1e-9)
    pairs = list(zip(found.precision, found.recall, strict=True))
    assert found.f8 == pytest.approx(max(65 * p * r / (64 * p + r) for p, r in pairs), rel=1e-12)
    assert found.f1_8 == pytest.approx(max((65 / 64) * p * r / (p / 64 + r) for p, r in pairs), rel=1e-12)


@pytest.mark.parametrize("order", [0, 0.5, 1, 2, np.inf])
def test_vendi_score_of_kinds_is_the_diversity_number_of_their_shares(order):
    rows = np.eye(5)[[0, 0, 0, 3, 3, 4]] * np.array([[1.0], [2], [9], [1], [0.1], [4]])  # length does not count
    shares = np.array([3, 2, 1]) / 6  # eigenvalues of a matrix of blocks of ones
    want = {0: 3, 1: math.exp(entropy(shares)), np.inf: 2}.get(order)
    if want is None:
        want = sum(p**order for p in shares) ** (1 / (1 - order))
    assert distribution.vendi_score(rows, order) == pytest.approx(want, rel=1e-9)


@pytest.mark.parametrize("copies", [1, 4])
def test_vendi_score_of_two_directions_is_worked_by_hand(copies):
    angle = 0.4  # the cosine's matrix has the eigenvalues (1 -+ cos)/2, whether n <= d or not
    rows = np.tile(np.array([[1.0, 0], [math.cos(angle), math.sin(angle)]]), (copies, 1))
    want = math.exp(entropy([(1 + math.cos(angle)) / 2, (1 - math.cos(angle)) / 2]))
    assert distribution.vendi_score(rows) == pytest.approx(want, rel=1e-9)


def test_inception_score_agrees_with_a_plain_loop():
    logits = rng().normal(size=(11, 4)) * 3
    order = rng(7).permutation(11)
    for rows, stream in ((logits, None), (logits[order], rng(7))):
        scores = []
        for a, b in ((0, 3), (3, 7), (7, 11)):  # floor(11 i / 3)
            shares = np.array([np.exp(row) / np.exp(row).sum() for row in rows[a:b]])
            scores.append(math.exp(np.mean([entropy(row, shares.mean(axis=0)) for row in shares])))
        found = distribution.inception_score(logits, 3, rng=stream)
        assert found.mean == pytest.approx(np.mean(scores), rel=1e-10)
        assert found.sd == pytest.approx(np.std(scores), rel=1e-8)
        assert (found.splits, found.n, found.d) == (3, 11, 4)


def test_pairwise_similarity_has_the_mean_and_the_jackknife_of_its_pairs():
    images = [rng(i).random((24, 24)) + 0.2 * i for i in range(5)]
    patients = np.array(["a", "b", "b", "c", "d"])
    value = {(i, j): ms_ssim(images[i], images[j], data_range=2, weights=FEW_SCALES)
             for i, j in itertools.combinations(range(5), 2) if (i, j) != (1, 2)}  # fmt: skip
    found = distribution.ms_ssim_diversity(images, data_range=2, weights=FEW_SCALES, patients=patients)
    assert found.pairs == 9
    assert found.mean == pytest.approx(np.mean(list(value.values())), rel=1e-12)
    assert found.sd == pytest.approx(np.std(list(value.values()), ddof=1), rel=1e-12)
    without = [np.mean([v for (i, j), v in value.items() if who not in (patients[i], patients[j])]) for who in "abcd"]
    assert found.se == pytest.approx(math.sqrt(3 / 4 * sum((w - np.mean(without)) ** 2 for w in without)), rel=1e-10)


def test_drawn_pairs_are_pairs_without_a_standard_error():
    images = rng().random((5, 24, 24))
    settings = {"data_range": 1, "weights": FEW_SCALES}
    whole = distribution.ms_ssim_diversity(images, **settings)
    drawn = distribution.ms_ssim_diversity(images, pairs=10, rng=rng(), **settings)  # all ten, none twice
    assert drawn.mean == pytest.approx(whole.mean, rel=1e-12)
    assert math.isnan(drawn.se)
    one = distribution.ms_ssim_diversity(images, pairs=1, rng=rng(), **settings)
    values = [ms_ssim(a, b, **settings) for a, b in itertools.combinations(images, 2)]
    assert np.min(np.abs(one.mean - np.array(values))) < 1e-12
    assert math.isnan(one.sd)


def test_intervals_of_prdc_count_patients_not_images():
    x, y = np.repeat(rng(0).normal(size=(40, 2)), 3, axis=0), np.repeat(rng(1).normal(size=(40, 2)) + 0.8, 3, axis=0)
    x, y = x + rng(2).normal(size=x.shape) * 0.01, y + rng(3).normal(size=y.shape) * 0.01
    who = np.repeat(np.arange(40), 3)
    apart = np.linalg.norm(x[:, None] - y[None], axis=2)
    radius = {name: np.sort(np.linalg.norm(z[:, None] - z[None], axis=2), axis=1)[:, 5]
              for name, z in (("real", x), ("synthetic", y))}  # fmt: skip
    in_real = apart < radius["real"][:, None]
    want = {"precision": in_real.any(axis=0), "density": in_real.sum(axis=0) / 5,
            "recall": (apart < radius["synthetic"]).any(axis=1), "coverage": in_real.any(axis=1)}  # fmt: skip
    found = distribution.prdc_intervals(x, y, patients_real=who, patients_synthetic=who, rng=rng())
    for name, values in want.items():
        interval = getattr(found, name)
        assert interval.n_patients == 40
        assert interval.estimate == pytest.approx(values.mean(), rel=1e-12)
        assert (interval.high - interval.low) / 2 == pytest.approx(half_width(values, who), rel=0.2), name


def test_the_error_of_the_discrepancy_is_that_of_rows_repeated_as_their_patients_were_drawn():
    x, y = rng(0).normal(size=(6, 2)), rng(1).normal(size=(8, 2)) + 1
    of_x, of_y = np.array([0, 0, 1, 1, 2, 3]), np.array([5, 4, 3, 2, 2, 1, 1, 1])
    found = distribution.mmd2_interval(x, y, patients_real=of_x, patients_synthetic=of_y, draws=4, block=3, rng=rng(2))
    stream = rng(2)
    drawn_x, drawn_y = (stream.multinomial(k, np.full(k, 1 / k), size=4) for k in (4, 5))

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 2 + 1) ** 3)

    values = []
    for times_x, times_y in zip(drawn_x, drawn_y, strict=True):
        rows_x = [i for i in range(6) for _ in range(times_x[of_x[i]])]
        rows_y = [i for i in range(8) for _ in range(times_y[of_y[i] - 1])]
        within = [np.mean([kernel(z[i], z[j]) for i in rows for j in rows if i != j])
                  for z, rows in ((x, rows_x), (y, rows_y))]  # fmt: skip
        across = np.mean([kernel(x[i], y[j]) for i in rows_x for j in rows_y])
        values.append(sum(within) - 2 * across)
    assert found.se == pytest.approx(np.std(values, ddof=1), rel=1e-9)


def test_repeated_images_of_a_patient_do_not_narrow_the_extrapolated_distance():
    x, y = (np.repeat(rng(seed).normal(size=(60, 2)) + seed, 6, axis=0) for seed in (0, 1))
    who = np.repeat(np.arange(60), 6)
    blind = distribution.fid_infinity(x, y, sizes=3, draws=20, rng=rng())
    aware = distribution.fid_infinity(x, y, sizes=3, draws=20, patients_real=who, patients_synthetic=who, rng=rng())
    assert aware.value == blind.value
    assert 1.6 < aware.se / blind.se < 3.8  # the root of 6 is 2.4


def test_the_older_radiomic_distance_puts_missing_values_in_the_middle_of_the_scale():
    from sklearn.preprocessing import MinMaxScaler

    x, y = rng(0).normal(size=(30, 4)), rng(1).normal(size=(25, 4)) + 0.5
    x[3, 1], y[5, 2] = np.nan, np.nan
    scaler = MinMaxScaler((0, 7.45670747756958)).fit(np.concatenate([x, y]))
    a, b = (np.nan_to_num(scaler.transform(z), nan=7.45670747756958 / 2) for z in (x, y))
    found = distribution.frechet_radiomic_distance(x, y, version="v0", preset="paper_exact")
    assert found.value == pytest.approx(distribution.frechet_distance(a, b).value, rel=1e-9)
    assert found.dropped_rows == (0, 0)
    empty = np.column_stack([x, np.full(30, np.nan)]), np.column_stack([y, np.full(25, np.nan)])
    assert distribution.frechet_radiomic_distance(*empty, version="v0", preset="paper_exact").value == pytest.approx(
        found.value, rel=1e-9
    )


def test_diagnostics_are_left_out_unless_the_papers_program_is_asked_for():
    x, y = rng(0).normal(size=(30, 3)), rng(1).normal(size=(25, 3)) + np.array([0.5, 0.5, 5])
    names = ["mean", "energy", "diagnostics_Image_Mean"]
    clean = distribution.frechet_radiomic_distance(x, y, names=names)
    assert clean.d == 2
    assert clean.value == pytest.approx(distribution.frechet_radiomic_distance(x[:, :2], y[:, :2]).value, rel=1e-12)
    assert distribution.frechet_radiomic_distance(x, y, names=names, preset="paper_exact").d == 3
