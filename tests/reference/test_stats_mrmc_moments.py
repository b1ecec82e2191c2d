"""U-statistics of areas over readers and cases: iMRMC's printed values, moments counted one by one, exact means.

Values of iMRMC (DIDSR, public domain), all from its public repository: the developer's notes compare its analysis of
Van Dyke's data (dataset02) with Hillis's; version 4.0.0 wrote the tables of the simulated pilot study; and the
split-plot study was put through the arithmetic of its R functions (doAUC, doAUCmrmcCov, doDFdifference) in R 4.2.2.
"""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as t_distribution

from radloom.errors import RadloomError
from radloom.stats import EightMoments, mrmc_u

NAMES = ["reader", "modality", "case", "diseased", "rating"]


@pytest.fixture(scope="module")
def van_dyke(shared: Path) -> pd.DataFrame:
    path = shared / "reference_cases" / "reader_studies" / "dataset02.csv"
    if not path.is_file():
        pytest.skip(f"the reader studies are absent here ({path})")
    return pd.read_csv(path)


def pilot() -> pd.DataFrame:
    """150 diseased, then 150 normal cases; each reader calls the first so many positive in modality A and in B."""
    last = {"A": (171, 204, 138), "B": (282, 288, 282)}
    rows = [
        (reader, modality, case, int(case < 150), int(case < positive))
        for modality, of in last.items()
        for reader, positive in enumerate(of)
        for case in range(300)
    ]
    return pd.DataFrame(rows, columns=NAMES)


def split_plot() -> pd.DataFrame:
    """Two of four blocks of cases for each reader, some readings lost, and a reader who never saw modality 0."""
    blocks = ((0, 1), (1, 2), (2, 3), (3, 0), (0, 2))
    rows = [
        (r, m, c, c % 2, round((c * 17 + r * 13 + m * 29 + (c * r * 5) % 7) % 23 / 6 + (1.2 + 0.5 * m) * (c % 2), 6))
        for r, m, c in product(range(5), range(2), range(24))
        if not (m == 0 and r == 4) and c // 6 in blocks[r] and (r * 7 + m * 5 + c * 3) % 11
    ]
    return pd.DataFrame(rows, columns=NAMES)


def rounded_down(estimate: float, t: float, df: float) -> tuple[float, float, float]:
    """iMRMC's p and interval: its t law has whole degrees of freedom."""
    law, error = t_distribution(np.floor(df)), estimate / t
    reach = law.ppf(0.975) * error
    return 2 * law.sf(abs(t)), estimate - reach, estimate + reach


def one_reader_and_two(moments: EightMoments, diseased: int, normal: int) -> tuple[float, float]:
    """The covariance of areas of the same reader, and of two readers: Obuchowski and Rockette's, from the moments."""
    weights = np.array([1, normal - 1, diseased - 1, (normal - 1) * (diseased - 1)]) / (diseased * normal)
    same, other = np.array(moments.moments).reshape(2, 4)
    return float(weights @ same - same[3]), float(weights @ other - other[3])


def test_van_dyke_has_the_covariances_that_imrmc_printed(van_dyke):
    found = mrmc_u(van_dyke)
    assert [found.modalities[m].estimate for m in (0, 1)] == pytest.approx([0.8970370370370371, 0.9408373590982286])
    assert found.variances[0, 0].covariance == pytest.approx(0.001094, abs=5e-7)
    assert found.variances[1, 1].covariance == pytest.approx(0.0004619, abs=5e-8)
    (a, a2), (b, b2), (cov1, cov3) = (
        one_reader_and_two(found.variances[pair], 45, 69) for pair in ((0, 0), (1, 1), (0, 1))
    )
    assert (a + b) / 2 == pytest.approx(0.0007883925116993987, rel=1e-11)
    assert (a2, b2) == pytest.approx((0.0004771787573982257, 0.000200951201747325), rel=1e-11)
    assert (a2 + b2) / 2 == pytest.approx(0.00033906497957277536, rel=1e-11)
    assert (cov1, cov3) == pytest.approx((0.00034167055664123536, 0.00023561484554908418), rel=1e-11)


def test_van_dyke_has_the_difference_that_imrmc_printed(van_dyke):
    found = mrmc_u(van_dyke)
    difference = found.differences[0]
    variance = (difference.estimate / difference.t) ** 2
    assert variance == pytest.approx(2 / 5 * 0.001068281291862514, rel=1e-11)  # 2 / J times its denominator of F
    # With the whole degrees of freedom of Hillis (15.034) it printed p and this interval, of modality 1 less 0.
    p, low, high = rounded_down(difference.estimate, difference.t, 15.03418081366654)
    assert p == pytest.approx(0.05120198087071426, rel=1e-9)
    assert (-high, -low) == pytest.approx((-0.0002600199399431652, 0.08786066406232627), rel=1e-9, abs=1e-12)
    # By its R functions: its own degrees of freedom (BDG), and p with these rounded down to 12.
    assert difference.df == pytest.approx(12.8134110059817, rel=1e-11)
    assert difference.p == pytest.approx(0.0542304229996900, rel=1e-11)
    assert rounded_down(difference.estimate, difference.t, difference.df)[0] == pytest.approx(0.0556466643218106)


def test_the_pilot_study_has_the_tables_that_imrmc_wrote():
    found = mrmc_u(pilot())
    printed = {
        ("A", "A"): (0.855, 0.82557, 0.848826, 0.819396, 0.821667, 0.81415, 0.821667, 0.81415),
        ("B", "B"): (0.33, 0.306107, 0.33, 0.306107, 0.326667, 0.305996, 0.326667, 0.305996),
        ("A", "B"): (0.5042, 0.500374, 0.5042, 0.500374, 0.504333, 0.499535, 0.504333, 0.499535),
    }
    coefficients = (1.48148e-5, 2.20741e-3, 2.20741e-3, 3.28904e-1, 2.96296e-5, 4.41481e-3, 4.41481e-3, -3.42193e-1)
    components = {("A", "A"): (1.47222e-2, 2.04444e-3, 3.62222e-3), ("B", "B"): (2.16e-2, 0, 8.88889e-5),
                  ("A", "B"): (4.44444e-3, 0, 5.55556e-4)}  # fmt: skip
    assert found.variances["A", "A"].covariance == pytest.approx(1.86122297e-3, rel=4e-9)
    assert found.variances["B", "B"].covariance == pytest.approx(1.82252051e-4, rel=4e-9)
    for pair, moments in printed.items():
        ours = found.variances[pair]
        assert ours.moments == pytest.approx(moments, abs=6e-7)
        assert ours.coefficients == pytest.approx(coefficients, rel=4e-6)
        assert ours.components == pytest.approx(components[pair], rel=4e-6, abs=1e-15)


def test_the_pilot_study_has_the_degrees_of_freedom_and_intervals_that_imrmc_wrote():
    found = mrmc_u(pilot())
    assert found.df == pytest.approx({"A": 2.11212165, "B": 29.4284717}, rel=4e-9)
    difference = found.differences[0]
    assert (difference.estimate, difference.df) == pytest.approx((0.35, 2.39887433), rel=4e-9)
    assert (difference.estimate / difference.t) ** 2 == pytest.approx(1.42393736e-3, rel=4e-9)
    expected = (1.14251514e-2, 1.87638992e-1, 5.12361008e-1)
    assert rounded_down(difference.estimate, difference.t, difference.df) == pytest.approx(expected, rel=5e-9)
    assert found.modalities["A"].estimate == pytest.approx(9.03333333e-1, rel=4e-9)
    assert (found.n_readers, found.n_cases, found.modalities["A"].n_patients) == (3, 300, 300)


def test_a_split_plot_study_has_the_values_of_imrmcs_functions():
    found = mrmc_u(split_plot())
    of = [found.variances[pair] for pair in ((0, 0), (1, 1), (0, 1))]
    assert [one.covariance for one in of] == pytest.approx(
        [0.0056852402498725, 0.000774336065880759, -0.00291739675635315], rel=1e-10
    )
    assert of[0].moments == pytest.approx([
        0.852173913043478, 0.763265306122449, 0.734615384615385, 0.721818181818182, 0.666666666666667,
        0.724409448818898, 0.779116465863454, 0.720515137821961], rel=1e-12)  # fmt: skip
    assert of[2].coefficients == pytest.approx([
        0.00547077454650158, 0.02764180823495537, 0.02764180823495537, 0.13964871868701412, 0.00397350993377483,
        0.04727900950187158, 0.04336308666858624, -0.29501871580765904], rel=1e-12)  # fmt: skip
    assert [found.modalities[m].estimate for m in (0, 1)] == pytest.approx([0.852173913043478, 0.847682119205298])
    assert found.df == pytest.approx({0: 7.22363232736063, 1: 4}, rel=1e-10)
    difference = found.differences[0]
    assert difference.df == 3
    assert (difference.estimate / difference.t) ** 2 == pytest.approx(0.0122943698284596, rel=1e-10)
    assert difference.p == pytest.approx(0.970231439303176, rel=1e-10)
    assert (difference.low, difference.high) == pytest.approx((-0.348377786886143, 0.357361374562503), rel=1e-9)


def test_the_moments_are_means_over_pairs_that_share_just_that():
    """Every pair of comparisons of the split-plot study, counted one by one."""
    table = split_plot()
    ratings = {(m, r, c): v for r, m, c, _, v in table.itertuples(index=False)}
    made: dict[int, list[tuple[int, int, int, float]]] = {0: [], 1: []}
    for m, r, d, n in product(range(2), range(5), range(1, 24, 2), range(0, 24, 2)):
        if (m, r, d) in ratings and (m, r, n) in ratings:
            high, low = ratings[m, r, d], ratings[m, r, n]
            made[m].append((r, d, n, float(high > low) + 0.5 * float(high == low)))
    found = mrmc_u(table)
    for a, b in ((0, 0), (1, 1), (0, 1)):
        first, second = (np.array(made[m]) for m in (a, b))
        apart = first[:, None, :3] != second[None, :, :3]
        which = apart @ np.array([4, 2, 1])
        products = first[:, None, 3] * second[None, :, 3]
        moments = [products[which == k].mean() for k in range(8)]
        shares = [np.mean(which == k) for k in range(8)]
        ours = found.variances[a, b]
        assert ours.moments == pytest.approx(moments, rel=1e-12)
        assert ours.coefficients == pytest.approx([*shares[:7], shares[7] - 1], rel=1e-12)


def test_the_variance_is_right_on_average_over_every_possible_study():
    """Two kinds of reader, of diseased and of normal case, equally likely; 2 of each drawn: all 64 studies."""
    diseased, normal = np.array([[[3, 1], [2, 2]], [[2, 4], [1, 1]]]), np.array([[[1, 2], [2, 0]], [[2, 1], [0, 3]]])
    areas, variances = [], []
    for kinds in product(range(2), repeat=6):
        readers, cases = kinds[:2], ((1, kinds[2]), (1, kinds[3]), (0, kinds[4]), (0, kinds[5]))
        rows = [
            (r, m, c, ill, (diseased if ill else normal)[m, reader, kind])
            for (r, reader), m, (c, (ill, kind)) in product(enumerate(readers), range(2), enumerate(cases))
        ]
        found = mrmc_u(pd.DataFrame(rows, columns=NAMES))
        areas.append([found.modalities[m].estimate for m in (0, 1)])
        variances.append([found.variances[pair].covariance for pair in ((0, 0), (1, 1), (0, 1))])
    true = np.cov(np.transpose(areas), ddof=0)
    assert np.mean(variances, axis=0) == pytest.approx([true[0, 0], true[1, 1], true[0, 1]], rel=1e-12)
    assert true[0, 0] > 0.01


def test_readers_of_one_modality_only_share_no_reader_with_the_other():
    table = split_plot()
    apart = table[(table.modality == 0) == (table.reader < 2)]
    found = mrmc_u(apart)
    assert found.variances[0, 1].moments[:4] == (0, 0, 0, 0)
    assert found.variances[0, 1].components[2] == 0
    assert np.isfinite(found.differences[0].df)


def test_a_variance_below_zero_is_shown_and_gives_no_interval():
    """Both readers miss another case: their areas agree better than chance would have them do."""
    ratings = [[2, 0, 1, 1], [0, 2, 1, 1]]
    rows = [(r, 0, c, int(c < 2), of[c]) for r, of in enumerate(ratings) for c in range(4)]
    found = mrmc_u(pd.DataFrame(rows, columns=NAMES))
    only = found.modalities[0]
    assert (only.estimate, found.variances[0, 0].covariance) == (0.5, pytest.approx(-0.25))
    assert np.isnan([only.low, only.high, found.df[0]]).all()


def test_two_modalities_rated_alike_do_not_differ_and_have_no_p():
    one = split_plot().query("modality == 1")
    found = mrmc_u(pd.concat([one, one.assign(modality=2)])).differences[0]
    assert found.estimate == 0
    assert np.isnan([found.low, found.high, found.p]).all()


def test_studies_without_two_readers_or_cases_of_a_class_are_refused():
    table = split_plot()
    with pytest.raises(RadloomError, match="1 readers, 6 diseased and 5 normal"):
        mrmc_u(table[(table.reader == 0) & (table.modality == 1)])
    with pytest.raises(RadloomError, match="in modality 0 1 readers compared"):
        mrmc_u(table[(table.modality == 1) | (table.reader == 0)])
    with pytest.raises(RadloomError, match="0 diseased and 24 normal"):
        mrmc_u(table.assign(diseased=0))
    with pytest.raises(RadloomError, match="has 2 ratings of case"):
        mrmc_u(pd.concat([table, table.iloc[:1]]))
    with pytest.raises(RadloomError, match="1 ratings are missing"):
        mrmc_u(table.assign(rating=np.where(np.arange(len(table)) == 3, np.nan, table.rating)))
    with pytest.raises(RadloomError, match=r"level is 1\.5"):
        mrmc_u(table, level=1.5)
