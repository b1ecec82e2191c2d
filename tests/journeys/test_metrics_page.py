"""The page of metrics is what its script writes, so that no name, direction or blindness on it is out of date."""

import importlib.util
import inspect
from pathlib import Path
from types import ModuleType

import pytest

from radloom.metrics import METRICS, SET_METRICS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("metrics_page", ROOT / "docs" / "metrics_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current(script):
    written = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    assert script.page() == written, "run: python docs/metrics_page.py"


def test_the_page_has_every_registered_metric_with_its_direction_and_its_blindness():
    lines = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8").splitlines()
    for name, metric in {**METRICS, **SET_METRICS}.items():
        row = next(line for line in lines if line.startswith(f"| `{name}` |"))
        assert f"| {metric.better} | {metric.unit} | {metric.blind_to} |" in row, name


def test_the_first_sentence_ends_where_a_new_one_begins(script):
    assert script.sentence("Recall of Naeem et al. One is best. More.\n\nElse.") == "Recall of Naeem et al. One is best"
    assert script.sentence("It runs\nover lines; 0.5 is chance. Next") == "It runs over lines; 0.5 is chance"
    assert script.blind_to("Formula.\nBlind to: the\nsign. Smith J. Nature 2000;1:1-2.\n") == "the sign"
    assert script.blind_to("Formula.") == ""


def test_names_that_a_module_imports_only_are_not_its_own(script):
    names = dict(script.public(importlib.import_module("radloom.metrics.frechet")))
    assert {"fid", "FrechetDistance"} <= set(names)
    assert not {"Moments", "clusters", "_gaussian"} & set(names)
    assert all(inspect.isfunction(value) or inspect.isclass(value) for value in names.values())
