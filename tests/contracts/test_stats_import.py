"""Statistics are imported from one place, and the import loads nothing heavy."""

import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path

import radloom.stats

LOADED = """
import json, sys
from radloom.stats import bootstrap_ci
heavy = ("torch", "scipy", "pandas", "sklearn", "monai", "lifelines")
print(json.dumps([name for name in heavy if name in sys.modules]))
"""


def test_importing_the_statistics_loads_no_heavy_package():
    done = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == []


def test_every_name_that_is_offered_exists_and_is_documented():
    for name in radloom.stats.__all__:
        assert getattr(radloom.stats, name).__doc__, name


def test_every_public_function_of_statistics_is_offered():
    hidden = {"numbers", "ranks"}  # what the others are built from
    built_from = {"plain", "finite", "two_classes", "mid_ranks", "psi", "readings"}
    for path in Path(radloom.stats.__file__).parent.glob("*.py"):
        if path.stem in hidden | {"__init__"}:
            continue
        module = importlib.import_module(f"radloom.stats.{path.stem}")
        own = {name for name, value in vars(module).items() if inspect.isfunction(value) and name[0] != "_"
               and value.__module__ == module.__name__}  # fmt: skip
        assert own - built_from <= set(radloom.stats.__all__), path.stem
