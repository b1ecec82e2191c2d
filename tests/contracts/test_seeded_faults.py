"""The faults that seeded_faults.py plants still fit the code; whether tests notice them is for the script to say."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(TESTS))
    yield import_module("seeded_faults")
    sys.modules.pop("seeded_faults")


def test_ten_faults_find_their_formula_once_and_their_tests(script: ModuleType) -> None:
    assert len({fault.name for fault in script.FAULTS}) == 10
    for fault in script.FAULTS:
        text = (script.ROOT / fault.file).read_text()
        assert script.planted(fault, text) != text
        for test in fault.tests:
            path, _, name = test.partition("::")
            assert name in (script.ROOT / path).read_text()


def test_a_formula_that_is_gone_or_there_twice_stops_the_script(script: ModuleType) -> None:
    fault = script.Fault("a fault", "a.py", "a + b", "a - b", ())
    assert script.planted(fault, "c = a + b\n") == "c = a - b\n"
    for text in ("c = b + a\n", "c = a + b\nd = a + b\n"):
        with pytest.raises(SystemExit, match="not once"):
            script.planted(fault, text)


def test_a_fault_is_noticed_where_a_test_fails_and_the_copy_is_whole_afterwards(
    script: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "sums.py").write_text("def total(a, b):\n    return a + b\n")
    (tmp_path / "test_sums.py").write_text("from sums import total\n\n\ndef test_it():\n    assert total(2, 3) == 5\n")
    right = (tmp_path / "sums.py").read_text()
    for wrong, seen in (("a - b", True), ("b + a", False)):
        fault = script.Fault("a fault", "sums.py", "a + b", wrong, ("test_sums.py",))
        assert script.noticed(fault, tmp_path) == seen
        assert (tmp_path / "sums.py").read_text() == right
    with pytest.raises(SystemExit, match="could not judge"):
        script.noticed(script.Fault("a fault", "sums.py", "a + b", "a +", ("test_sums.py",)), tmp_path)
