"""Intervals and tests over patients, each with what it assumes; metrics of images are in `metrics`."""

from radloom.stats.arms import Contrast, Ranked, dunn, friedman
from radloom.stats.intervals import Interval, bootstrap_ci, clopper_pearson, paired_bootstrap_ci, wilson
from radloom.stats.multiplicity import benjamini_hochberg, holm
from radloom.stats.tests import Discordant, Paired, Unpaired, mann_whitney, mcnemar, wilcoxon

__all__ = [
    "Contrast",
    "Discordant",
    "Interval",
    "Paired",
    "Ranked",
    "Unpaired",
    "benjamini_hochberg",
    "bootstrap_ci",
    "clopper_pearson",
    "dunn",
    "friedman",
    "holm",
    "mann_whitney",
    "mcnemar",
    "paired_bootstrap_ci",
    "wilcoxon",
    "wilson",
]
