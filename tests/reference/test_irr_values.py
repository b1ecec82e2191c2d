"""Numbers that R's package irr printed for the data that come with it: Fleiss' diagnoses, anxiety, Krippendorff's C.

The package was not run here. Its output stands in public: statsmodels' tests of inter-rater agreement (seven digits,
also the source of both tables) and a page of M. Nguyen's A guide on data analysis, "Inter-rater reliability" (three
digits). Kendall's W on that page is DescTools'. irr leaves out categories that neither reader used, as we do unless
they are named. Its z and p take the standard error under chance alone, so they are not compared.
"""

import math

import numpy as np
import pytest

from radloom import stats
from radloom.metrics.agreement import cohen_kappa, fleiss_kappa, icc, krippendorff_alpha

# Fleiss JL. Psychol Bull 1971;76:378-382: 30 patients, six psychiatrists, five diagnoses.
DIAGNOSES_OF_30 = """
444444 222555 233335 555555 222444 113333 333355 113334 114444 555555 144444 124444 222333 144444 224445
333335 111455 111112 224444 133555 555555 244444 224555 114444 144445 222224 111155 224444 133333 555555
"""
DIAGNOSES = np.array([list(map(int, row)) for row in DIAGNOSES_OF_30.split()])
ANXIETY_BY_READER = ("33345523522615221243", "36462424332333221334", "21443216111233113322")
ANXIETY = np.array([list(map(int, reader)) for reader in ANXIETY_BY_READER]).T
N = math.nan
KRIPPENDORFF = [[1, 1, N, 1], [2, 2, 3, 2], [3, 3, 3, 3], [3, 3, 3, 3], [2, 2, 2, 2], [1, 2, 3, 4], [4, 4, 4, 4],
                [1, 1, 2, 1], [2, 2, 2, 2], [N, 5, 5, 5], [N, N, 1, 1], [N, N, 3, N]]  # fmt: skip


@pytest.mark.parametrize(
    ("weights", "printed"), [("identity", -0.006289308), ("linear", 0.1459075), ("quadratic", 0.2520325)]
)
def test_kappa_of_two_readers_of_anxiety_is_kappa2s(weights, printed):
    found = cohen_kappa(ANXIETY[:, 1], ANXIETY[:, 2], weights=weights)
    assert found.estimate == pytest.approx(printed, rel=4e-7)


@pytest.mark.parametrize(("weights", "printed"), [("identity", 0.651), ("linear", 0.633), ("quadratic", 0.655)])
def test_kappa_of_two_psychiatrists_is_kappa2s(weights, printed):
    found = cohen_kappa(DIAGNOSES[:, 0], DIAGNOSES[:, 1], weights=weights)
    assert found.estimate == pytest.approx(printed, abs=5e-4)


def test_fleiss_kappa_of_the_psychiatrists_is_kappam_fleiss():
    assert fleiss_kappa(DIAGNOSES).estimate == pytest.approx(0.4302445, abs=5e-8)
    assert fleiss_kappa(DIAGNOSES[:, :3]).estimate == pytest.approx(0.534, abs=5e-4)


@pytest.mark.parametrize(
    ("scale", "printed"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849), ("ratio", 0.797)]
)
def test_alpha_of_krippendorffs_data_is_kripp_alphas(scale, printed):
    found = krippendorff_alpha(KRIPPENDORFF, scale=scale, rng=np.random.default_rng(0), draws=5)
    assert found.estimate == pytest.approx(printed, abs=5e-4)


def test_the_intraclass_correlation_of_anxiety_is_iccs():
    """ICC(A,1), which is form 2,1; irr's p, 0.0543, has 39.7 degrees of freedom where Shrout and Fleiss have 38."""
    found = icc(ANXIETY, form="2,1")
    assert (found.n, found.readers) == (20, 3)
    assert (found.estimate, found.low, found.high) == pytest.approx((0.198, -0.039, 0.494), abs=5e-4)
    assert found.f == pytest.approx(1.83, abs=5e-3)


def test_kendalls_w_is_that_of_the_friedman_test():
    ranks = np.array([[1, 6, 3, 2, 5, 4], [1, 5, 6, 2, 4, 3], [2, 3, 6, 5, 4, 1]])
    found = stats.friedman(ranks)
    assert found.statistic == pytest.approx(8.5238, abs=5e-5)
    assert found.p == pytest.approx(0.1296, abs=5e-5)
    assert found.kendall_w == pytest.approx(0.568254, abs=5e-7)
