"""What pytorch-fid 0.3.0, torch-fidelity 0.4.0 and frd-score 1.0.1 themselves give for small sets of features.

They cannot be installed here beside a CPU torch (torchvision, cv2, pyradiomics), so their wheels were unpacked with
those imports replaced by empty modules, and these of their functions were run on the matrices below: pytorch-fid's
calculate_frechet_distance; torch-fidelity's fid_features_to_statistics with fid_statistics_to_metric,
kid_features_to_metric, isc_features_to_metric and prc_features_to_metric; frd-score's compute_frd with its defaults,
where only the extraction of features was replaced by the matrices. numpy 2, scipy and torch 2.13, on a CPU.
"""

import numpy as np
import pytest

from radloom.metrics import distribution


def matrix(rows: int, columns: int, shift: int) -> np.ndarray:
    """Multiples of 1/101 without any pattern that matters; whole numbers until the division, so exact everywhere."""
    i, j = np.indices((rows, columns))
    return ((i * i * (j + 3) + 31 * i * j * j + 17 * j + shift * (i + 5 * j + 1)) % 101) / 101


def pair(n: int, m: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    return matrix(n, d, 7), matrix(m, d, 29) + np.arange(d) / (2 * d)


def holes() -> tuple[np.ndarray, np.ndarray]:
    """One real and two synthetic images without some feature, one constant everywhere, one in the synthetic set."""
    x, y = pair(40, 50, 8)
    x[3, 2], y[[5, 9], 0] = np.nan, np.nan
    x[:, 4], y[:, 5] = 0.5, 0.25
    return x, y


MORE_IMAGES, MORE_FEATURES = (40, 50, 6), (12, 15, 20)


@pytest.mark.filterwarnings("ignore:fid of")
@pytest.mark.parametrize(
    ("sizes", "pytorch_fid", "torch_fidelity", "rel"),
    [
        (MORE_IMAGES, 0.40134980504945217, 0.4013498050494526, 1e-12),
        (MORE_FEATURES, 2.980941729882365, 2.9809417298823653, 1e-8),  # the root of a singular product is inexact
    ],
)
def test_the_frechet_distance_is_pytorch_fids_and_torch_fidelitys(sizes, pytorch_fid, torch_fidelity, rel):
    found = distribution.fid(*pair(*sizes))
    assert found == pytest.approx(pytorch_fid, rel=rel)
    assert found == pytest.approx(torch_fidelity, rel=rel)


@pytest.mark.filterwarnings("ignore:fid of")
@pytest.mark.parametrize(("sizes", "printed"), [(MORE_IMAGES, 0.4013497486196538), (MORE_FEATURES, 2.9809415928876626)])
def test_float32_means_keep_torch_fidelity_within_a_millionth(sizes, printed):
    x, y = (one.astype(np.float32) for one in pair(*sizes))
    assert distribution.fid(x, y) == pytest.approx(printed, rel=1e-6)


def test_the_kernel_distance_of_torch_fidelitys_subsets_is_torch_fidelitys():
    """Eight subsets of 30, drawn as it draws them: RandomState(2020) is the same for ever."""
    x, y = pair(*MORE_IMAGES)
    rng = np.random.RandomState(2020)
    values = []
    for _ in range(8):
        first, second = (rng.choice(len(z), 30, replace=False) for z in (x, y))
        values.append(distribution.mmd2_polynomial(x[first], y[second]))
    assert np.mean(values) == pytest.approx(0.4952675025964701, rel=1e-12)
    assert np.std(values) == pytest.approx(0.07710850788460755, rel=1e-12)


@pytest.mark.parametrize(
    ("splits", "mean", "sd"),
    [(10, 1.7268181991315508, 0.1322872217958369), (4, 1.8687482082866855, 0.056454687181043246)],
)
def test_the_inception_score_is_torch_fidelitys(splits, mean, sd):
    found = distribution.inception_score(8 * matrix(50, 5, 3), splits)
    assert (found.mean, found.sd) == pytest.approx((mean, sd), rel=1e-12)


@pytest.mark.parametrize(("k", "precision", "recall"), [(3, 0.82, 0.675), (5, 0.88, 0.9)])
def test_precision_and_recall_are_torch_fidelitys(k, precision, recall):
    """Its shares are float32: 0.8199999928 and 0.6750000119, 0.8799999952 and 0.8999999762."""
    found = distribution.improved_precision_recall(*pair(*MORE_IMAGES), k)
    assert (found.precision, found.recall) == pytest.approx((precision, recall), rel=1e-12)


@pytest.mark.parametrize(
    ("sets", "v0", "v1"),
    [
        (pair(*MORE_IMAGES), 14.638663476014287, 1.7816598819879137),
        (pair(*MORE_FEATURES), 128.46798789683567, 3.7733101075696625),
        (holes(), 29.96538102457678, 1.895677038855327),
    ],
    ids=["more images", "more features", "holes"],
)
def test_the_radiomic_distance_of_the_papers_program_is_frd_scores(sets, v0, v1):
    """v1 calculates in float32; v0 takes the root of a singular product where features outnumber images."""
    older = distribution.frechet_radiomic_distance(*sets, version="v0", preset="paper_exact")
    newer = distribution.frechet_radiomic_distance(*sets, version="v1", preset="paper_exact")
    assert older.value == pytest.approx(v0, rel=1e-8)
    assert newer.value == pytest.approx(v1, rel=1e-7)
