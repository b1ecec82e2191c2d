"""Wrong input ends in one clear line on stderr and a non-zero exit, with nothing half-written."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from radloom.__main__ import main

SYSTEM = "conte2021_missing_sequence"
TINY = ("--size", "tiny", "--set", "steps=2")


@pytest.fixture
def radloom(capsys, monkeypatch):
    """Runs the command line in this process: (exit status, stdout, stderr)."""

    def call(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["radloom", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr)
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A cohort of six small cases, cohort.csv beside images/."""
    from radloom.phantom import write_cohort

    folder = tmp_path_factory.mktemp("made") / "cohort"
    write_cohort("brain", folder, subjects=6, seed=0, shape=(32, 32, 8))
    return folder


@pytest.fixture
def cohort(made, tmp_path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "a cohort"))


@pytest.fixture(scope="module")
def trained(made, tmp_path_factory) -> Path:
    """A run of two steps on that cohort."""
    out = tmp_path_factory.mktemp("trained") / "run"
    command = [sys.executable, "-m", "radloom", "train", SYSTEM, "--data", made, "--out", out, *TINY]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    return out


def edit(cohort: Path, change) -> None:
    import pandas as pd

    table = pd.read_csv(cohort / "cohort.csv", dtype=str, keep_default_na=False)
    change(table).to_csv(cohort / "cohort.csv", index=False)


def one_line(answer: tuple[int, str, str], *words: str) -> None:
    """The command failed with one line that holds these words (and at most the plan's line of progress)."""
    code, out, err = answer
    lines = [line for line in err.splitlines() if not line.startswith(("plan:", "train:", "draw:"))]
    assert (code, out) == (1, "")
    assert len(lines) == 1, err
    assert lines[0].startswith("radloom: ")
    for word in words:
        assert word in lines[0], lines[0]


def nothing_half_written(folder: Path, *absent: Path) -> None:
    assert not [path for path in folder.rglob("*") if "partial" in path.name]
    assert not [path for path in absent if path.exists()]


def first(cohort: Path, key: str) -> Path:
    return cohort / "images" / f"sub-0000.{key}.nii.gz"


def moved(path: Path) -> None:
    image = nib.nifti1.load(path)
    affine = image.affine.copy()
    affine[0, 3] += 7
    nib.nifti1.Nifti1Image(np.asarray(image.dataobj), affine).to_filename(path)


def without_split(name: str):
    return lambda table: table.assign(split=table["split"].replace(name, ""))


def one_patient_in_two_splits(table):
    table.loc[table["split"] == "test", "patient"] = table.loc[table["split"] == "train", "patient"].iloc[0]
    return table


def last_test_image(cohort: Path) -> Path:
    import pandas as pd

    table = pd.read_csv(cohort / "cohort.csv")
    return cohort / table.loc[table["split"] == "test", "image.flair"].iloc[-1]


WRONG = {
    "a missing channel": (lambda c: edit(c, lambda t: t.drop(columns="image.t2")), ["no column image.t2"]),
    "a missing entry": (
        lambda c: edit(c, lambda t: t.assign(**{"image.t2": t["image.t2"].where(t.index > 0, "")})),
        ["have no image.t2: sub-0000"],
    ),
    "a truncated image": (
        lambda c: first(c, "t1c").write_bytes(first(c, "t1c").read_bytes()[:2000]),
        ["sub-0000.t1c.nii.gz", "truncated"],
    ),
    "a test image that is none": (lambda c: last_test_image(c).write_text("no image"), ["flair", "copy or export"]),
    "an unknown column": (lambda c: edit(c, lambda t: t.assign(scanner="A")), ['unknown column "scanner"']),
    "a dead path": (lambda c: first(c, "flair").unlink(), ['line 2, column "image.flair"', "does not exist"]),
    "an unknown split": (lambda c: edit(c, lambda t: t.assign(split="training")), ['split "training"']),
    "a patient in two splits": (lambda c: edit(c, one_patient_in_two_splits), ["is in the splits"]),
    "another grid": (lambda c: moved(first(c, "t2")), ["sub-0000", "different grids", "data build"]),
    "no training split": (lambda c: edit(c, without_split("train")), ['split "train"', "data split"]),
    "no test split": (lambda c: edit(c, without_split("test")), ['split "test"', "data split"]),
    "one case": (lambda c: edit(c, lambda t: t.head(1)), ['split "']),
    "no table": (lambda c: (c / "cohort.csv").unlink(), ["cohort.csv", "data build"]),
    "an empty table": (lambda c: (c / "cohort.csv").write_text(""), ["cohort.csv"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_cohort_is_refused_before_training_and_leaves_no_run(radloom, cohort, tmp_path, name):
    spoil, words = WRONG[name]
    spoil(cohort)
    one_line(radloom("run", SYSTEM, "--data", cohort, "--out", tmp_path / "run", *TINY), *words)
    nothing_half_written(tmp_path, tmp_path / "run")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--set", "step=3"), "no setting step"),
        (("--set", "steps"), "NAME=VALUE"),
        (("--set", "steps=many"), "steps=many"),
        (("--set", "steps=0"), "steps"),
        (("--set", "batch=-1"), "batch"),
        (("--set", "patch=[8,8,8]"), "patch"),
        (("--set", "patch=[8,8]"), "a patch of 8x8 is too small for the discriminator; expected at least 12"),
        (("--dims", "3", "--set", "patch=[16,16,8]"), "a patch of 16x16x8 is too small"),
        (("--set", "sees=none"), "sees=none"),
        (("--dims", "4"), "4D"),
        (("--size", "paper", "--dims", "3"), "no size paper in 3D"),
        (("--size", "huge"), "no size huge"),
    ],
)
def test_wrong_settings_are_refused_and_leave_no_run(radloom, made, tmp_path, options, word):
    one_line(radloom("run", SYSTEM, "--data", made, "--out", tmp_path / "run", "--size", "tiny", *options), word)
    nothing_half_written(tmp_path, tmp_path / "run")


def test_an_unknown_system_names_the_nearest(radloom):
    one_line(radloom("show", "conte2021_missing_sequenze"), "expected conte2021_missing_sequence")


def test_an_existing_run_is_not_overwritten_and_resumed_only_by_its_own_command(radloom, made, cohort, trained):
    before = (trained / "run.json").read_bytes()
    again = ("train", SYSTEM, "--data", made, "--out", trained)
    one_line(radloom(*again, *TINY), "exists already", "--resume")
    one_line(radloom(*again, "--resume", "--size", "tiny", "--set", "steps=3"), "--set steps 2 and not 3")
    one_line(radloom(*again, "--resume", *TINY, "--seed", "1"), "--seed 0 and not 1")
    one_line(radloom("train", SYSTEM, "--data", cohort, "--out", trained, "--resume", *TINY), "--data")
    assert radloom(*again, "--resume", *TINY)[0] == 0  # nothing to do
    assert (trained / "run.json").read_bytes() == before


def test_stages_name_what_is_missing_before_them(radloom, cohort, trained, tmp_path):
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    one_line(radloom("draw", tmp_path), "not a run folder", "radloom train")
    one_line(radloom("draw", run, "--case", "NOPE"), 'no case "NOPE"')
    one_line(radloom("report", run), "results.csv", "radloom evaluate")
    one_line(radloom("evaluate", run), "absent", "radloom draw")
    one_line(radloom("export", run, "--out", tmp_path / "dicom"), "radloom draw")
    one_line(radloom("study", "dose", run), "no study dose", "replace")
    one_line(radloom("draw", run, "--data", cohort), "names of the run's own cases")
    edit(cohort, lambda t: t.drop(columns="image.t1c"))
    one_line(radloom("draw", run, "--data", cohort), "image.t1c")
    nothing_half_written(tmp_path, tmp_path / "dicom", run / "samples")


@pytest.mark.parametrize("text", ["", "{", "{}", '{"system": "conte2021_missing_sequence"}'])
def test_a_corrupt_record_is_named(radloom, trained, tmp_path, text):
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    (run / "run.json").write_text(text)
    for command in (("draw", run), ("evaluate", run), ("report", run)):
        one_line(radloom(*command), "run.json")


def test_a_record_of_another_version_is_refused(radloom, trained, tmp_path):
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    record = json.loads((run / "run.json").read_text())
    record["settings"]["forgotten"] = 1
    (run / "run.json").write_text(json.dumps(record))
    one_line(radloom("draw", run), "other settings")


def test_missing_truncated_and_foreign_weights_are_named(radloom, trained, tmp_path):
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    weights = run / "weights.safetensors"
    whole = weights.read_bytes()
    weights.unlink()
    one_line(radloom("draw", run), "weights.safetensors")
    weights.write_bytes(whole[: len(whole) // 2])
    one_line(radloom("draw", run), "weights.safetensors")
    shutil.copy(run / "state" / "optimisers.safetensors", weights)
    one_line(radloom("draw", run), "another model")


def test_a_cohort_that_changed_after_training_is_refused(radloom, made, trained, cohort, tmp_path):
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    record = json.loads((run / "run.json").read_text()) | {"cohort": str(cohort / "cohort.csv")}
    (run / "run.json").write_text(json.dumps(record))
    edit(cohort, lambda t: t.assign(split=t["split"].replace("val", "train")))
    one_line(radloom("draw", run), "changed after")


def build_errors(folder: Path) -> dict[str, tuple[Path, list[str]]]:
    def picture(path: Path, shape=(8, 8, 4)) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.nifti1.Nifti1Image(np.ones(shape, np.float32), np.eye(4)).to_filename(path)

    (folder / "empty").mkdir()
    picture(folder / "grids" / "a" / "t1.nii.gz")
    picture(folder / "grids" / "a" / "t2.nii.gz", (9, 8, 4))
    picture(folder / "mask" / "a" / "t1.nii.gz")
    picture(folder / "mask" / "a" / "tumour_seg.nii.gz", (9, 8, 4))
    picture(folder / "cut" / "a" / "t1.nii.gz")
    whole = (folder / "cut" / "a" / "t1.nii.gz").read_bytes()
    (folder / "cut" / "a" / "t1.nii.gz").write_bytes(whole[:-20])
    return {
        "empty": (folder / "empty", ["no image"]),
        "nowhere": (folder / "nowhere", ["no folder"]),
        "grids": (folder / "grids", ["different grids", "--like"]),
        "mask": (folder / "mask", ["different grids", "mask.tumour"]),
        "cut": (folder / "cut", ["t1.nii.gz", "truncated"]),
    }


@pytest.mark.parametrize("name", ["empty", "nowhere", "grids", "mask", "cut"])
def test_folders_that_make_no_cohort_are_refused_and_leave_none(radloom, tmp_path, name):
    folder, words = build_errors(tmp_path)[name]
    one_line(radloom("data", "build", folder, "--out", tmp_path / "out"), *words)
    nothing_half_written(tmp_path, tmp_path / "out")


def test_two_patients_under_one_name_are_refused(radloom, tmp_path):
    from radloom.io.dicom_write import Provenance, write_series
    from radloom.types import Image

    image = Image(np.arange(96, dtype=np.float32).reshape(4, 4, 6), np.diag([1.0, 1, 3, 1]))
    for name in ("a", "b"):
        made_by = Provenance(name, "1", "0" * 64, name, "0" * 64, 0, synthetic=False)
        write_series(image, tmp_path / "in" / "pat" / f"t1_{name}", provenance=made_by, description="t1")
    answer = radloom("data", "build", tmp_path / "in" / "pat", tmp_path / "in", "--out", tmp_path / "out")
    assert answer[0] == 1
    for path in (tmp_path / "in" / "pat").rglob("*.dcm"):
        assert path.stat().st_size  # the sources stay
    (tmp_path / "in2" / "pat").mkdir(parents=True)
    shutil.move(tmp_path / "in" / "pat" / "t1_a", tmp_path / "in2" / "pat" / "first" / "t1")
    shutil.move(tmp_path / "in" / "pat" / "t1_b", tmp_path / "in2" / "pat" / "second" / "t1")
    one_line(
        radloom("data", "build", tmp_path / "in2", "--out", tmp_path / "out"), '"pat"', "DICOM series of 2 patients"
    )
    nothing_half_written(tmp_path, tmp_path / "out")


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 3 MiB; its tests run as root on Linux and are skipped elsewhere."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("a small disk can be mounted by root on Linux only")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_is_said_and_keeps_what_was_saved(radloom, made, small_disk):
    big = ("--size", "tiny", "--set", "width=64", "--set", "channels=[64,128]")
    command = [sys.executable, "-m", "radloom", "train", SYSTEM, "--data", made, "--out", small_disk / "run", *big]
    done = subprocess.run(command, capture_output=True, text=True)
    one_line((done.returncode, done.stdout, done.stderr), "free some space")
    nothing_half_written(small_disk, small_disk / "run")
    one_line(radloom("data", "phantom", "brain", "--subjects", "40", "--out", small_disk / "cohort"), "free some space")
    nothing_half_written(small_disk, small_disk / "cohort")


def test_a_disk_that_fills_during_training_keeps_the_last_checkpoint(radloom, made, small_disk):
    run = small_disk / "run"
    out = subprocess.Popen(
        [sys.executable, "-m", "radloom", "train", SYSTEM, "--data", made, "--out", run, "--size", "tiny",
         "--set", "steps=1000"], stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for(lambda: (run / "state" / "counters.json").is_file() and json_of(run / "state" / "counters.json")["step"])
    with (small_disk / "other").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(16384)):
            pass
    err = out.communicate(timeout=60)[1]
    assert out.returncode == 1
    assert "Traceback" not in err
    assert "free some space" in err.splitlines()[-1]
    assert json_of(run / "state" / "counters.json")["step"] > 0
    nothing_half_written(small_disk)


def json_of(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {"step": 0}  # between the removal of the old state and the rename of the new one


def wait_for(ready, seconds: float = 300) -> None:
    for _ in range(int(seconds / 0.05)):
        if ready():
            return
        time.sleep(0.05)
    raise AssertionError("it never came")


def interrupted(process: subprocess.Popen) -> tuple[str, str]:
    """What the process said after Ctrl-C, pressed again where a library swallowed it."""
    for _ in range(5):
        process.send_signal(signal.SIGINT)
        try:
            return process.communicate(timeout=45)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError("it does not stop")


def test_an_interrupted_draw_says_so_and_leaves_whole_images_alone(made, trained, tmp_path):
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    command = [sys.executable, "-m", "radloom", "draw", run, "--draws", "5000"]
    # a shell that runs the tests in the background has its children ignore Ctrl-C
    heeded = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heeded)
    wait_for(lambda: list(run.glob("samples/*.draw1.image.flair.json")))
    out, err = interrupted(process)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines() == ["radloom: interrupted; what was finished is kept."]
    nothing_half_written(run)
    for path in run.glob("samples/*.nii.gz"):
        assert nib.nifti1.load(path).get_fdata().size


def test_an_interrupt_while_the_program_loads_is_one_line(radloom, monkeypatch):
    def pressed(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr("radloom.cli.app", pressed)
    assert radloom("systems") == (130, "", "radloom: interrupted before anything was done.\n")


def test_an_interrupted_run_resumes_to_the_same_weights(made, tmp_path):
    settings = ["--size", "tiny", "--set", "steps=60"]
    command = [sys.executable, "-m", "radloom", "train", SYSTEM, "--data", str(made)]
    run, straight = tmp_path / "stopped", tmp_path / "straight"
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*command, "--out", run, *settings], stderr=subprocess.PIPE, text=True, env=one_thread)
    wait_for(lambda: (run / "state" / "counters.json").is_file())
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=300)[1]
    assert process.returncode not in (0, None)
    assert "Traceback" not in err
    assert "--resume" in err.splitlines()[-1]
    nothing_half_written(tmp_path, run / "weights.safetensors")
    (tmp_path / "straight").mkdir()
    shutil.copy(run / "threads.json", straight)  # sums in the same order
    shutil.copy(run / "run.json", straight)
    subprocess.run([*command, "--out", run, *settings, "--resume"], check=True, capture_output=True, env=one_thread)
    subprocess.run(
        [*command, "--out", straight, *settings, "--resume"], check=True, capture_output=True, env=one_thread
    )
    assert (run / "weights.safetensors").read_bytes() == (straight / "weights.safetensors").read_bytes()
