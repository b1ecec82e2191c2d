"""Scores of anomaly maps against sklearn and by hand; planted maps are found, planted nulls are not; patients count."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from radloom.errors import RadloomError
from radloom.studies import anomaly_scores as scores
from radloom.studies.anomaly import _arm
from radloom.studies.anomaly_slices import Slices
from radloom.studies.anomaly_tables import tables


def slices(patients: int = 12, each: int = 3, seed: int = 0, well: int = 4) -> Slices:
    """Slices of 16 x 16 with a square of disease in all patients but the first few."""
    rng = np.random.default_rng(seed)
    n = patients * each
    truth = np.zeros((n, 16, 16), bool)
    for i in range(well * each, n):
        a, b = rng.integers(2, 9, size=2)
        truth[i, a : a + 4, b : b + 5] = True
    region = np.zeros_like(truth)
    region[:, 1:-1, 1:-1] = True
    names = tuple(f"p{i // each}" for i in range(n))
    x = np.zeros((n, 1, 16, 16), np.float32)
    return Slices(x, region, truth, names, np.arange(n) % each, names, truth.any(axis=(1, 2)))


def maps(of: Slices, effect: float, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.random(of.truth.shape) + effect * of.truth).astype(np.float32) * of.region


def test_areas_agree_with_sklearn():
    s = slices()
    for digits, tolerance in ((2, 1e-12), (7, 2e-3)):  # few values: every one is a threshold
        m = np.round(maps(s, 0.4), digits)
        counts = scores.count(m, s.region, s.truth, s.patient)
        ill, healthy = counts.ill.sum(0), counts.healthy.sum(0)
        y, p = s.truth[s.region], m[s.region]
        assert scores.auprc(ill, healthy) == pytest.approx(average_precision_score(y, p), abs=tolerance)
        assert scores.auroc(ill, healthy) == pytest.approx(roc_auc_score(y, p), abs=tolerance)


def test_dice_at_every_threshold_is_that_of_the_marked_voxels():
    s = slices()
    m = np.round(maps(s, 0.4), 1)
    counts = scores.count(m, s.region, s.truth, s.patient)
    found = scores.dices(counts.ill.sum(0), counts.healthy.sum(0))
    for threshold, value in zip(counts.thresholds, found, strict=True):
        marked = (m >= threshold) & s.region
        assert value == pytest.approx(2 * (marked & s.truth).sum() / (marked.sum() + s.truth.sum()))


def test_patients_counts_add_up_and_a_patient_drawn_twice_counts_twice():
    s = slices()
    counts = scores.count(maps(s, 0.4), s.region, s.truth, s.patient)
    assert counts.patients == tuple(f"p{i}" for i in range(12))
    assert counts.ill[:, 0].sum() == s.truth.sum()
    assert (counts.healthy[:, 0] == 3 * 14 * 14 - counts.ill[:, 0]).all()
    drawn = np.zeros((1, 12))
    drawn[0, 5] = 2
    ill, healthy = scores.resampled(counts, drawn)
    np.testing.assert_array_equal(ill[0], 2 * counts.ill[5])
    np.testing.assert_array_equal(healthy[0], 2 * counts.healthy[5])


def test_a_constant_map_knows_as_much_as_the_share_of_disease():
    s = slices()
    counts = scores.count(np.ones(s.truth.shape, np.float32), s.region, s.truth, s.patient)
    assert scores.auprc(counts.ill.sum(0), counts.healthy.sum(0)) == pytest.approx(s.truth[s.region].mean())
    assert scores.auroc(counts.ill.sum(0), counts.healthy.sum(0)) == pytest.approx(0.5)


def test_bad_maps_are_refused():
    s = slices()
    m = maps(s, 0.4)
    with pytest.raises(RadloomError, match="expected one shape"):
        scores.count(m, s.region, s.truth, s.patient[:-1])
    with pytest.raises(RadloomError, match="NaN"):
        scores.count(np.where(s.region, np.nan, m), s.region, s.truth, s.patient)
    with pytest.raises(RadloomError, match="all voxels are ill or none"):
        scores.count(m, s.region, s.truth & False, s.patient)


def test_otsu_parts_where_the_variance_between_both_sides_is_largest():
    rng = np.random.default_rng(3)
    v = np.concatenate([rng.normal(0, 1, 300), rng.normal(6, 1, 60)])
    cuts = np.linspace(v.min(), v.max(), 2000)[1:-1]
    between = [(v <= c).mean() * (v > c).mean() * (v[v <= c].mean() - v[v > c].mean()) ** 2 for c in cuts]
    assert (v > scores.otsu(v)).sum() == (v > cuts[int(np.argmax(between))]).sum()
    assert scores.otsu(np.full(5, 0.3)) == pytest.approx(0.3)
    assert scores.otsu(np.array([])) == 0.0
    assert scores.otsu(np.array([1.0, 1.0, 1.0, 2.0])) == 1.5


def test_a_lesion_is_found_when_a_tenth_of_it_is_marked():
    truth = np.zeros((2, 128, 128), bool)
    truth[0, :7, :10] = True  # 70 pixels: small
    truth[0, 40:50, 40:60] = True  # 200: medium
    truth[1, 10:50, 10:50] = True  # 1600: large
    marked = np.zeros_like(truth)
    marked[0, 0, :7] = True  # a tenth of 70
    marked[0, 40, 40:59] = True  # 19 of 200
    assert scores.lesions(marked, truth) == [(0, "small", True), (0, "medium", False), (1, "large", False)]


def test_slices_and_cases_are_scored_by_their_most_suspect_parts():
    m = np.zeros((4, 10, 10), np.float32)
    m[0, 0, 0], m[1, 5, 5], m[2, 3, 3], m[3, 2, 2] = 1, 2, 3, 4
    region = np.ones(m.shape, bool)
    found = scores.slice_scores(m, region)
    assert found.tolist() == [1, 2, 3, 4]
    assert scores.case_scores(found, ("a", "a", "a", "b")) == {"a": 2.0, "b": 4.0}
    assert scores.slice_scores(m, region & False).tolist() == [0, 0, 0, 0]


def study(effect: float, other: float) -> dict:
    val, test = slices(6, seed=9, well=2), slices(24, seed=2, well=8)
    arms = [_arm(name, maps(val, e, 4), maps(test, e, k), val, test, 0.1)
            for k, (name, e) in enumerate([("model", effect), ("VAE", other), ("U-Net with labels", 0.9)])]  # fmt: skip
    rng = np.random.default_rng(0)
    draws = np.stack([np.bincount(rng.integers(24, size=24), minlength=24) for _ in range(300)]).astype(float)
    return tables(arms, val, test, draws, rng)


def test_a_planted_better_map_is_found_and_a_planted_null_is_not():
    better, equal = study(0.6, 0.2), study(0.3, 0.3)
    assert better["passed"] is True
    assert equal["passed"] is False
    low, high = equal["pixels"][0]["gaps"]["VAE"][1:]
    assert low < 0 < high
    assert "U-Net" not in better["pixels"][0]["gaps"]  # labels are another matter
    assert "24 test patients" in better["answer"]


def test_the_tables_show_every_arm_with_intervals():
    found = study(0.6, 0.2)
    voxels, lesions, images = found["tables"]
    for table in (voxels, lesions, images):
        assert [row[0] for row in table["rows"]] == ["model", "VAE", "U-Net with labels"]
        assert all(len(row) == len(table["columns"]) for row in table["rows"])
    estimate, low, high = found["pixels"][0]["auprc"]
    assert low < estimate < high
    assert "(" in images["rows"][0][2]
    assert found["pixels"][0]["dice"][0] <= found["pixels"][0]["best_dice"][0] + 1e-9
