"""The command line as a researcher uses it: help, JSON, next commands that can be pasted, progress."""

import json
import shlex
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest import mock

import pytest

from radloom.__main__ import main

SYSTEM = "conte2021_missing_sequence"
CLI = (sys.executable, "-m", "radloom")


def radloom(*arguments, cwd=None) -> subprocess.CompletedProcess:
    """The command's answer: training and report in a process of their own, the rest in this one."""
    command = [*map(str, arguments)]
    if {"run", "train", "plan", "report"} & {*command[:1]}:
        return subprocess.run([*CLI, *command], capture_output=True, text=True, cwd=cwd)
    out, err = StringIO(), StringIO()
    with (
        mock.patch.object(sys, "argv", ["radloom", *command]), redirect_stdout(out), redirect_stderr(err),
        chdir(cwd or "."), pytest.raises(SystemExit) as end,
    ):  # fmt: skip
        main()
    code = end.value.code
    return subprocess.CompletedProcess(command, code if isinstance(code, int) else 1, out.getvalue(), err.getvalue())


def succeed(*arguments, cwd=None) -> subprocess.CompletedProcess:
    done = radloom(*arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a space in its name that holds a cohort and a finished run, made by the command line."""
    folder = tmp_path_factory.mktemp("my study")
    make = ("data", "phantom", "brain", "--subjects", 8, "--shape", "32,32,8", "--out", folder / "co hort", "--json")
    assert json.loads(succeed(*make).stdout)["subjects"] == 8
    done = succeed("run", SYSTEM, "--data", "co hort", "--out", "the run", "--size", "tiny", "--json",
                   "--set", "steps=3", "--set", "patch=[16, 16]", cwd=folder)  # fmt: skip
    assert json.loads(done.stdout)["report"] == "the run/report.html"
    (folder / "stderr").write_text(done.stderr)
    return folder


@pytest.mark.parametrize("arguments", [("--help",), ("data", "--help"), ("run", "--help"), ("--version",)])
def test_help_imports_none_of_the_heavy_packages(arguments):
    code = (
        "import sys; sys.argv = ['radloom', *sys.argv[1:]]\n"
        "from radloom.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    heavy = {"torch", "monai", "lightning_fabric", "numpy", "pandas", "scipy", "matplotlib", "nibabel", "pydicom"}
    assert done.stdout
    assert not heavy & set(eval(done.stderr))


def test_every_command_says_what_it_does_in_one_uncut_line():
    for group in ((), ("data",)):
        text = succeed(*group, "--help").stdout.split("Commands:")[1]
        lines = [line for line in text.splitlines() if line.strip()]
        assert len(lines) >= 5
        assert not [line for line in lines if line.endswith("...") or line.startswith("   ")]


@pytest.mark.parametrize("arguments", [("--nope",), ("systems", "--nope"), ("nope",), ("data", "nope"), ("run",)])
def test_unknown_options_and_commands_get_a_short_message(arguments):
    done = radloom(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) <= 5
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "command",
    ["systems", f"show {SYSTEM}", f"cite {SYSTEM}", f"plan {SYSTEM} --size tiny", "data inspect COHORT",
     "data audit COHORT", "data split COHORT", "data build COHORT/images --map MAP --out BUILT", "evaluate RUN",
     "draw RUN", "report RUN", "export RUN --out DICOM"],
)  # fmt: skip
def test_every_command_answers_in_json_on_stdout_alone(place, tmp_path, command):
    (tmp_path / "map.csv").write_text("pattern,column\nsub-0001.t1.nii.gz,image.t1\n")
    cohort = tmp_path / "cohort"
    if "split" in command:  # it writes the table
        import shutil

        shutil.copytree(place / "co hort", cohort)
    else:
        cohort = place / "co hort"
    words = {"RUN": place / "the run", "COHORT": cohort, "COHORT/images": cohort / "images",
             "MAP": tmp_path / "map.csv", "BUILT": tmp_path / "built", "DICOM": tmp_path / "dicom"}  # fmt: skip
    done = succeed(*[words.get(word, word) for word in command.split()], "--json")
    assert isinstance(json.loads(done.stdout), dict | list)


def test_progress_is_short_and_says_nothing_of_precision(place):
    lines = (place / "stderr").read_text().splitlines()
    assert [line.split(":")[0] for line in lines] == ["plan", "train", "draw", "evaluate", "study"]
    assert lines[1].startswith("train: step 3 of 3, done in")


def test_the_next_commands_can_be_pasted_in_any_folder(place, tmp_path):
    lines = (place / "the run" / "next.txt").read_text().splitlines()
    commands = [shlex.split(line, comments=True) for line in lines]
    verbs = [command[1] for command in commands]
    assert verbs == ["-m", "draw", "export", "run"]
    other = tmp_path / "other"
    succeed("data", "phantom", "brain", "--subjects", 3, "--seed", 5, "--shape", "32,32,8", "--out", other)
    table = (other / "cohort.csv").read_text().replace("sub-", "new-").replace("images/new-", "images/sub-")
    (other / "cohort.csv").write_text(table)
    for command in commands[1:]:
        succeed(*[str(other) if word == "OTHER_COHORT" else word for word in command[1:]], cwd=tmp_path)
    assert len(list((place / "the run" / "samples").glob("new-*.nii.gz"))) == 6
    assert len(list((place / "the run" / "dicom").glob("*/*/*"))) >= 8
    record = json.loads((place / "the run-seed1" / "run.json").read_text())
    assert (record["seed"], record["training"]["steps"], record["training"]["patch"]) == (1, 3, [16, 16])


def test_each_hint_leads_to_the_next_stage(place, tmp_path):
    cohort, run = tmp_path / "the cohort", tmp_path / "a run"
    said = succeed("data", "phantom", "brain", "--subjects", 5, "--shape", "32,32,8", "--out", cohort).stdout
    assert succeed(*hint(said)).stdout.startswith(" ")  # data inspect
    said = succeed("train", SYSTEM, "--data", cohort, "--out", run, "--size", "tiny", "--set", "steps=2").stdout
    for stage in ("draw", "evaluate", "report"):
        assert hint(said)[0] == stage
        said = succeed(*hint(said)).stdout
    assert Path(said.strip()).is_file()


def hint(stdout: str) -> list[str]:
    """The command after "next: radloom"."""
    last = stdout.splitlines()[-1]
    assert last.startswith("next: radloom ")
    return shlex.split(last)[2:]


def test_a_run_without_validation_patients_works(place, tmp_path):
    import pandas as pd

    table = pd.read_csv(place / "co hort" / "cohort.csv", dtype=str, keep_default_na=False)
    table["split"] = table["split"].replace("val", "")
    for column in (c for c in table.columns if c.startswith(("image.", "mask."))):
        table[column] = [str(place / "co hort" / text) for text in table[column]]
    table.to_csv(tmp_path / "novel.csv", index=False)
    run = tmp_path / "run"
    data = tmp_path / "novel.csv"
    succeed("run", SYSTEM, "--data", data, "--out", run, "--size", "tiny", "--set", "steps=2")
    assert (run / "report.html").is_file()
    assert json.loads((run / "run.json").read_text())["cohort"] == str(data)


def test_paths_in_a_built_table_are_clean(place, tmp_path):
    (tmp_path / "map.csv").write_text("pattern,column\nsub-0001.t1.nii.gz,image.t1\n")
    (tmp_path / "in").mkdir()
    winding = tmp_path / "in" / ".." / "in" / ".." / Path("..") / tmp_path.name
    (tmp_path / "cases" / "a").mkdir(parents=True)
    (tmp_path / "cases" / "a" / "sub-0001.t1.nii.gz").symlink_to(place / "co hort" / "images" / "sub-0001.t1.nii.gz")
    succeed("data", "build", winding / "cases", "--map", tmp_path / "map.csv", "--out", tmp_path / "out")
    row = (tmp_path / "out" / "cohort.csv").read_text().splitlines()[1]
    assert row.endswith(
        f",{tmp_path.resolve()}/cases/a/sub-0001.t1.nii.gz"
    )  # the name that the user knows, not a link's target
