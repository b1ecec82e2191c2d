"""The examples in the docstrings of extractors, radiomics and report scores run and print what they say."""

import doctest
import importlib

import pytest

MODULES = (
    "features",
    "features_extractor",
    "features_input",
    "features_texture",
    "features_weights",
    "radiomics_extract",
    "radiomics_filters",
    "radiomics_glcm",
    "radiomics_intensity",
    "radiomics_levels",
    "radiomics_mirp",
    "radiomics_ngtdm",
    "radiomics_sets",
    "radiomics_shape",
    "radiomics_zones",
    "resnet",
    "text",
)
ON_DISK = {"digest", "fill", "read_state"}  # shown by the tests of loading


@pytest.mark.parametrize("name", MODULES)
def test_every_public_function_has_an_example_that_runs(name):
    module = importlib.import_module(f"radloom.metrics.{name}")
    with_examples = {test.name.split(".")[-1] for test in doctest.DocTestFinder().find(module) if test.examples}
    public = {
        key for key, value in vars(module).items()
        if callable(value) and not isinstance(value, type) and getattr(value, "__module__", "") == module.__name__
        if not key.startswith("_")
    }  # fmt: skip
    assert public - ON_DISK <= with_examples, f"without an example: {public - ON_DISK - with_examples}"
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0
