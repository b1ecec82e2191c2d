"""The examples in the docstrings of metrics and statistics run and print what they say."""

import doctest
import importlib

import pytest

MODULES = (
    "metrics.fidelity",
    "metrics.structural",
    "metrics.overlap",
    "metrics.surface",
    "metrics.agreement",
    "metrics.concordance",
    "metrics.icc",
    "metrics.kappa",
    "metrics.krippendorff",
    "metrics.likert",
    "metrics.roc",
    "metrics.classification",
    "metrics.calibration",
    "metrics.boxes",
    "metrics.detection",
    "metrics.average_precision",
    "metrics.afroc",
    "metrics.froc",
    "stats.intervals",
    "stats.tests",
    "stats.arms",
    "stats.multiplicity",
    "stats.auc",
    "stats.proportions",
    "stats.effect_size",
    "stats.equivalence",
    "stats.reader_study",
    "stats.mrmc",
    "stats.mrmc_moments",
    "stats.mrmc_sample_size",
    "stats.turing",
    "stats.survival",
    "metrics.moments",
    "metrics.frechet",
    "metrics.extrapolation",
    "metrics.kernel",
    "metrics.neighbours",
    "metrics.manifold",
    "metrics.screening",
    "metrics.prd",
    "metrics.diversity",
    "metrics.radiomic_distance",
    "metrics.copies",
    "metrics.membership",
    "metrics.memorisation",
    "metrics.data_copying",
)


@pytest.mark.parametrize("name", MODULES)
def test_every_public_function_has_an_example_that_runs(name):
    module = importlib.import_module(f"radloom.{name}")
    with_examples = {test.name.split(".")[-1] for test in doctest.DocTestFinder().find(module) if test.examples}
    public = {
        key
        for key, value in vars(module).items()
        if callable(value) and not isinstance(value, type) and getattr(value, "__module__", "") == module.__name__
        if not key.startswith("_")
    }
    assert public <= with_examples, f"without an example: {public - with_examples}"
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0
