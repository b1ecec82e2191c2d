"""Intervals and tests over patients, each with what it assumes; metrics of images are in `metrics`."""

from radloom.stats.arms import Contrast, Ranked, dunn, friedman
from radloom.stats.auc import AucDifference, auc, bootstrap_auc, delong_ci, delong_covariance, delong_test
from radloom.stats.effect_size import cliffs_delta
from radloom.stats.equivalence import Equivalence, NonInferiority, non_inferiority, tost, two_one_sided
from radloom.stats.intervals import Interval, bootstrap_ci, clopper_pearson, paired_bootstrap_ci, wilson
from radloom.stats.mrmc import (
    Components,
    Difference,
    MultiReader,
    against_standalone,
    components,
    mrmc_dbm,
    mrmc_or,
    one_modality,
)
from radloom.stats.mrmc_moments import EightMoments, UStatistics, mrmc_u
from radloom.stats.mrmc_sample_size import StudySize, mrmc_power, mrmc_sample_size
from radloom.stats.multiplicity import benjamini_hochberg, holm
from radloom.stats.proportions import newcombe
from radloom.stats.reader_study import ReaderStudy, figure_study, pair_study, roc_study
from radloom.stats.survival import CoxModel, Hazard, SurvivalCurve, c_index, cox, kaplan_meier, log_rank
from radloom.stats.tests import Discordant, Paired, Unpaired, mann_whitney, mcnemar, wilcoxon
from radloom.stats.turing import ReaderTuring, Turing, TwoAfc, turing_test, two_afc

__all__ = [
    "AucDifference",
    "Components",
    "Contrast",
    "CoxModel",
    "Difference",
    "Discordant",
    "EightMoments",
    "Equivalence",
    "Hazard",
    "Interval",
    "MultiReader",
    "NonInferiority",
    "Paired",
    "Ranked",
    "ReaderStudy",
    "ReaderTuring",
    "StudySize",
    "SurvivalCurve",
    "Turing",
    "TwoAfc",
    "UStatistics",
    "Unpaired",
    "against_standalone",
    "auc",
    "benjamini_hochberg",
    "bootstrap_auc",
    "bootstrap_ci",
    "c_index",
    "cliffs_delta",
    "clopper_pearson",
    "components",
    "cox",
    "delong_ci",
    "delong_covariance",
    "delong_test",
    "dunn",
    "figure_study",
    "friedman",
    "holm",
    "kaplan_meier",
    "log_rank",
    "mann_whitney",
    "mcnemar",
    "mrmc_dbm",
    "mrmc_or",
    "mrmc_power",
    "mrmc_sample_size",
    "mrmc_u",
    "newcombe",
    "non_inferiority",
    "one_modality",
    "pair_study",
    "paired_bootstrap_ci",
    "roc_study",
    "tost",
    "turing_test",
    "two_afc",
    "two_one_sided",
    "wilcoxon",
    "wilson",
]
