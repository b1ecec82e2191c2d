"""The radiomics benchmark runs and its page is whole; no time is judged here."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "radiomics.py"


@pytest.mark.filterwarnings("ignore:The intensities for this image")
def test_a_rehearsal_says_that_it_is_one_and_finds_equal_values(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))  # where it finds its neighbours
    spec = spec_from_file_location("radiomics_benchmark", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(sys, "argv", ["radiomics.py", "--quick", "--out", str(tmp_path)])
    module.main()
    page = (tmp_path / "radiomics.md").read_text(encoding="utf-8")
    assert "a rehearsal, not a measurement" in page
    assert "| 24^3, 4,224 voxels |" in page
    for name, features in (("frd_v0", 93), ("frd_v1", 385), ("frd_v1", 1001), ("lee774", 774)):
        assert any(line.startswith(f"| {name}_features") and line.endswith(f"| {features} |")
                   for line in page.splitlines())  # fmt: skip
