"""What every folder layout keeps: it knows its own, passes over others, and says its licence."""

import json
import re
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest import mock

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radloom.__main__ import main
from radloom.data import layouts
from radloom.data.build import GENERAL, build
from radloom.data.faults import FIXED, TYPED
from radloom.data.layout import matching
from radloom.data.tables import cells, plain_number, word
from radloom.errors import RadloomError

NAMES = layouts.names()
SETS = [name for name in NAMES if name not in GENERAL]
TEXTS = st.text(st.characters(codec="latin-1"), max_size=12)
FEW = settings(max_examples=40, deadline=None)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "layouts.md"


def volume(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.nifti1.Nifti1Image(np.ones((3, 4, 5), np.float32), np.eye(4)).to_filename(path)


def radloom(*arguments) -> tuple[int, str, str]:
    """Exit status, output and errors of a command."""
    out, err = StringIO(), StringIO()
    with (
        mock.patch.object(sys, "argv", ["radloom", *map(str, arguments)]), redirect_stdout(out), redirect_stderr(err),
        pytest.raises(SystemExit) as end,
    ):  # fmt: skip
        main()
    code = end.value.code
    said = err.getvalue() + (code if isinstance(code, str) else "")  # what Python prints when a message ends it
    return (code if isinstance(code, int) else int(code is not None)), out.getvalue(), said


@pytest.mark.parametrize("name", NAMES)
def test_a_layout_says_what_it_is_what_it_looks_like_and_what_is_allowed(name):
    layout = layouts.load(name)
    assert layout.title
    assert layout.licence
    assert layout.looks_like
    assert "\n" not in layout.title + layout.licence + layout.looks_like + layout.notes
    assert bool(layout.marks) == (name not in GENERAL)
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{name}` |")]
    assert len(rows) == 1
    assert layout.licence in rows[0]


@pytest.mark.parametrize("name", SETS)
def test_a_layout_passes_over_an_empty_folder_and_somebody_elses_scans(name, tmp_path):
    recognise = layouts.load(name).recognise
    (tmp_path / "empty").mkdir()
    assert recognise(tmp_path / "empty") is None
    volume(tmp_path / "mine" / "patient01" / "FLAIR.nii.gz")
    volume(tmp_path / "mine" / "sub-02" / "anat" / "sub-02_T1w.nii.gz")
    (tmp_path / "mine" / "labels.csv").write_text("patient,age\npatient01,50\n")
    if name != "open_ms":  # its names are as plain as anybody's; its marks ask for more
        assert recognise(tmp_path / "mine") is None
    assert matching(tmp_path / "mine", {name: layouts.load(name)}) == []


def test_a_folder_of_ones_own_is_still_read_by_its_words(tmp_path):
    volume(tmp_path / "in" / "patient01" / "FLAIR.nii.gz")
    volume(tmp_path / "in" / "patient01" / "T1.nii.gz")
    cohort = build([tmp_path / "in"], tmp_path / "out")
    assert set(cohort.about["built_from"].values()) == {"plain"}
    assert "licences" not in cohort.about


def test_files_of_two_data_sets_in_one_folder_are_refused(tmp_path):
    volume(tmp_path / "in" / "IXI-T1" / "IXI002-Guys-0828-T1.nii.gz")
    volume(tmp_path / "in" / "kits" / "case_00000" / "imaging.nii.gz")
    with pytest.raises(RadloomError, match=r"files of several data sets: ixi, kits; .*--layout ixi"):
        build([tmp_path / "in"], tmp_path / "out")
    with pytest.raises(RadloomError, match=r"kits/case_00000/imaging\.nii\.gz; expected nothing but names such as IXI"):
        build([tmp_path / "in"], tmp_path / "out", layout="ixi")
    cohort = build([tmp_path / "in" / "IXI-T1", tmp_path / "in" / "kits"], tmp_path / "both")
    assert cohort.ids == ["IXI002", "case_00000"]
    assert set(cohort.about["licences"]) == {"ixi", "kits"}


def test_a_case_that_is_named_itself_is_recognised_by_its_own_name(tmp_path):
    volume(tmp_path / "case_00000" / "imaging.nii.gz")
    assert build([tmp_path / "case_00000"], tmp_path / "out").ids == ["case_00000"]


def test_a_wrong_layout_is_refused_with_the_way_out(tmp_path):
    volume(tmp_path / "in" / "patient01" / "FLAIR.nii.gz")
    with pytest.raises(RadloomError, match=r"no layout is called kit; expected kits"):
        build([tmp_path / "in"], tmp_path / "out", layout="kit")
    with pytest.raises(RadloomError, match=r"does not look like KiTS .*; expected files such as case_00000/imaging"):
        build([tmp_path / "in"], tmp_path / "out", layout="kits")
    (tmp_path / "map.csv").write_text("pattern,column\n*.nii.gz,image.t1\n")
    with pytest.raises(RadloomError, match="both a layout and a mapping"):
        build([tmp_path / "in"], tmp_path / "out", layout="plain", mapping=tmp_path / "map.csv")


def test_the_command_line_lists_layouts_and_takes_one_by_name(tmp_path):
    status, out, _ = radloom("data", "layouts", "--json")
    assert status == 0
    assert [row["name"] for row in json.loads(out)] == NAMES
    volume(tmp_path / "in" / "case_00000" / "imaging.nii.gz")
    status, out, _ = radloom("data", "build", tmp_path / "in", "--layout", "kits", "--out", tmp_path / "out")
    assert (status, out.splitlines()[0]) == (0, "1 cases of 1 patients with image.ct; read as kits")
    volume(tmp_path / "in" / "case_00000" / "other.nii.gz")
    status, out, err = radloom("data", "build", tmp_path / "in", "--layout", "kits", "--out", tmp_path / "again")
    assert status != 0
    assert len(err.strip().splitlines()) == 1
    assert "case_00000/other.nii.gz" in err


@FEW
@given(TEXTS)
def test_a_word_is_part_of_a_columns_name_and_stays_when_made_a_word_again(text):
    made = word(text)
    assert word(made) == made
    assert re.fullmatch(r"\w*", made)


@FEW
@given(st.integers(-(10**9), 10**9), st.integers(0, 3))
def test_a_whole_number_loses_its_decimals_and_nothing_else(number, zeros):
    assert plain_number(f"{number}.{'0' * zeros}" if zeros else str(number)) == str(number)
    assert plain_number(f"{number}.5") == f"{number}.5"


@FEW
@given(st.dictionaries(st.sampled_from(["label.a", "text.b", "time.c", "site"]), TEXTS))
def test_cells_are_never_empty_and_lie_in_columns_that_a_cohort_has(values):
    for entry in cells("case", "patient", values):
        assert entry.text.strip()
        assert entry.found is None
        assert entry.column in FIXED or entry.column.startswith(TYPED)
        assert entry.text in (values[entry.column].strip(), plain_number(values[entry.column].strip()))
