"""Statistics are imported from one place, and the import loads nothing heavy."""

import json
import subprocess
import sys

import radloom.stats

LOADED = """
import json, sys
from radloom.stats import bootstrap_ci
print(json.dumps([name for name in ("torch", "scipy", "pandas", "sklearn", "monai") if name in sys.modules]))
"""


def test_importing_the_statistics_loads_no_heavy_package():
    done = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == []


def test_every_name_that_is_offered_exists_and_is_documented():
    for name in radloom.stats.__all__:
        assert getattr(radloom.stats, name).__doc__, name
