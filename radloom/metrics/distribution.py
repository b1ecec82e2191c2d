"""How close a set of synthetic images is to a set of real ones, by their features; each idea has a file of its own.

Features are matrices (n, d), numpy or torch: one row per image, one column per feature of an extractor, whose name
belongs beside every number. `real` comes first and `synthetic` second.
"""

from radloom.metrics.diversity import (
    InceptionScore,
    PairwiseSimilarity,
    inception_score,
    ms_ssim_diversity,
    vendi_score,
)
from radloom.metrics.extrapolation import ExtrapolatedDistance, fid_infinity
from radloom.metrics.frechet import FrechetDistance, FrechetFloor, fid, frechet_distance, frechet_floor
from radloom.metrics.kernel import Discrepancy, SubsetDiscrepancy, cmmd, kid, mmd2_interval, mmd2_polynomial
from radloom.metrics.manifold import (
    ImprovedPrecisionRecall,
    Prdc,
    PrdcIntervals,
    improved_precision_recall,
    prdc,
    prdc_intervals,
)
from radloom.metrics.moments import Moments
from radloom.metrics.neighbours import Neighbours, nearest_neighbours
from radloom.metrics.prd import PrdCurve, prd_curve, prd_from_histograms
from radloom.metrics.radiomic_distance import RadiomicDistance, frechet_radiomic_distance

__all__ = [
    "Discrepancy",
    "ExtrapolatedDistance",
    "FrechetDistance",
    "FrechetFloor",
    "ImprovedPrecisionRecall",
    "InceptionScore",
    "Moments",
    "Neighbours",
    "PairwiseSimilarity",
    "PrdCurve",
    "Prdc",
    "PrdcIntervals",
    "RadiomicDistance",
    "SubsetDiscrepancy",
    "cmmd",
    "fid",
    "fid_infinity",
    "frechet_distance",
    "frechet_floor",
    "frechet_radiomic_distance",
    "improved_precision_recall",
    "inception_score",
    "kid",
    "mmd2_interval",
    "mmd2_polynomial",
    "ms_ssim_diversity",
    "nearest_neighbours",
    "prd_curve",
    "prd_from_histograms",
    "prdc",
    "prdc_intervals",
    "vendi_score",
]
