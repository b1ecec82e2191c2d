"""What cannot be compared ends in one clear line."""

import sys
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from unittest import mock

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from PIL import Image as Pillow

from radloom.__main__ import main


def complaint(*arguments) -> str:
    """The one line on stderr with which the command refuses."""
    err = StringIO()
    with (
        mock.patch.object(sys, "argv", ["radloom", "compare", *map(str, arguments)]), redirect_stderr(err),
        pytest.raises(SystemExit) as end,
    ):  # fmt: skip
        main()
    text = err.getvalue() + (end.value.code if isinstance(end.value.code, str) else "")
    assert end.value.code not in (0, None)
    assert len(text.strip().splitlines()) == 1, text
    return text


def pictures(folder: Path, n: int, side: int = 40) -> Path:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(n)
    for i in range(n):
        Pillow.fromarray(rng.integers(0, 255, (side, side), dtype=np.uint8)).save(folder / f"{folder.name}{i}.png")
    return folder


def volume(path: Path, voxels: np.ndarray, spacing: float = 1.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels.astype(np.float32), np.diag([spacing, spacing, spacing, 1.0])), path)


@pytest.fixture
def good(tmp_path) -> Path:
    return pictures(tmp_path / "good", 4)


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "out"


def test_a_folder_that_is_absent_or_empty_or_one_file(tmp_path, good, out):
    (tmp_path / "empty").mkdir()
    assert "no file or folder" in complaint(good, tmp_path / "absent", "--out", out)
    assert "holds no image" in complaint(good, tmp_path / "empty", "--out", out)
    assert "is one file" in complaint(good, next(good.iterdir()), "--out", out)
    assert not out.exists()


def test_a_set_of_one_image(tmp_path, good, out):
    assert "has 1 image" in complaint(good, pictures(tmp_path / "one", 1), "--out", out)


def test_nan_is_named_with_its_file(tmp_path, good, out):
    broken = np.ones((40, 40, 1))
    broken[3, 3] = np.nan
    for i in range(3):
        volume(tmp_path / "nan" / f"v{i}.nii.gz", broken if i == 1 else np.ones((40, 40, 1)) * i)
    text = complaint(good, tmp_path / "nan", "--out", out)
    assert "v1.nii.gz" in text
    assert "1 NaN" in text


def test_a_name_twice(tmp_path, good, out):
    pictures(tmp_path / "twice" / "a", 2)
    (tmp_path / "twice" / "b").mkdir()
    (tmp_path / "twice" / "b" / "a0.png").write_bytes((tmp_path / "twice" / "a" / "a1.png").read_bytes())
    text = complaint(good, tmp_path / "twice", "--out", out)
    assert 'called "a0"' in text
    assert "radloom data build" in text


def test_slices_and_volumes_are_not_mixed(tmp_path, good, out):
    rng = np.random.default_rng(0)
    for i in range(3):
        volume(tmp_path / "volumes" / f"v{i}.nii.gz", rng.random((40, 40, 5)))
        volume(tmp_path / "mixed" / f"v{i}.nii.gz", rng.random((40, 40, 5 if i else 1)))
    assert "slices or volumes, not both" in complaint(tmp_path / "mixed", tmp_path / "volumes", "--out", out)
    assert "the same kind in both" in complaint(good, tmp_path / "volumes", "--radiomics", 0, "--out", out)


def test_a_pair_on_two_grids(tmp_path, out):
    rng = np.random.default_rng(0)
    for i in range(3):
        voxels = rng.random((40, 40, 5))
        volume(tmp_path / "a" / f"v{i}.nii.gz", voxels)
        volume(tmp_path / "shape" / f"v{i}.nii.gz", voxels[:, :, :4])
        volume(tmp_path / "spacing" / f"v{i}.nii.gz", voxels, 1.5)
    for other, words in (("shape", "40x40x5 real and 40x40x4 synthetic"), ("spacing", "different grids of 40x40x5")):
        text = complaint(tmp_path / "a", tmp_path / other, "--radiomics", 0, "--out", out)
        assert words in text
        assert "--pairs none" in text


def test_constant_real_images(tmp_path, good, out):
    (tmp_path / "flat").mkdir()
    for i in range(3):
        Pillow.fromarray(np.zeros((40, 40), np.uint8)).save(tmp_path / "flat" / f"f{i}.png")
    assert "constant" in complaint(tmp_path / "flat", good, "--out", out)


def test_columns_that_do_not_meet(tmp_path, good, out):
    rng = np.random.default_rng(0)
    for name in ("t1", "flair"):
        rows = []
        for i in range(3):
            volume(tmp_path / name / f"v{i}.nii.gz", rng.random((40, 40, 5)))
            rows.append({"case": f"c{i}", "patient": f"p{i}", f"image.{name}": f"v{i}.nii.gz"})
        pd.DataFrame(rows).to_csv(tmp_path / name / "cohort.csv", index=False)
    assert "a column in both" in complaint(tmp_path / "t1", tmp_path / "flair", "--out", out)
    assert "no column image.t2" in complaint(tmp_path / "t1", good, "--column", "image.t2", "--out", out)
    unseen = ("--held-out", tmp_path / "flair", "--column", "image.t1")
    assert "flair has no column image.t1" in complaint(tmp_path / "t1", good, *unseen, "--out", out)
    assert "no images in split" in complaint(tmp_path / "t1", good, "--split", "test", "--out", out)
    assert "is no cohort table" in complaint(good, good, "--split", "test", "--out", out)
    table = pd.read_csv(tmp_path / "t1" / "cohort.csv")
    table["image.t1c"] = table["image.t1"]
    table.to_csv(tmp_path / "t1" / "cohort.csv", index=False)
    assert "--column image.t1" in complaint(tmp_path / "t1", good, "--out", out)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--weights", "resnet=x.pt"), "names no network"),
        (("--weights", "inception"), "NAME=FILE"),
        (("--weights", "inception=absent.pth"), "no weights at absent.pth"),
        (("--window", "9"), "LOW,HIGH"),
        (("--window", "9,1"), "the lower one first"),
        (("--data-range", "-1"), "above 0"),
        (("--pairs", "some"), "auto or none"),
        (("--normalise", "mean"), "none or median"),
        (("--patient", "([a-z"), "regular expression"),
        (("--patient", "[0-9]"), "a group in parentheses"),
    ],
)
def test_an_option_that_cannot_be(good, out, options, words):
    assert words in complaint(good, good, *options, "--out", out)


def test_an_array_file_that_is_no_set(tmp_path, good, out):
    np.save(tmp_path / "one.npy", np.zeros((4, 4)))
    np.savez(tmp_path / "two.npz", a=np.zeros((3, 40, 40)), b=np.zeros((3, 40, 40)))
    np.savez(tmp_path / "names.npz", images=np.zeros((3, 40, 40)), cases=np.array(["a", "b"]))
    assert "real images (n, rows, columns)" in complaint(good, tmp_path / "one.npy", "--out", out)
    assert "an array images" in complaint(good, tmp_path / "two.npz", "--out", out)
    assert "cases of shape (2,)" in complaint(good, tmp_path / "names.npz", "--out", out)


def test_few_or_small_images_leave_a_page_that_says_what_is_missing(tmp_path):
    from radloom.compare.comparison import sentences
    from radloom.compare.run import Options, compare
    from radloom.report.compare_page import page

    rng = np.random.default_rng(0)
    real, made = rng.random((3, 20, 20)), rng.random((3, 20, 20))
    found = compare(real, made, options=Options(radiomics=0))
    reasons = {one.metric: one.reason for one in found.targets[0].found.refused}
    assert "32 voxels" in reasons["everything in the features of multiscale_texture_2d"]
    assert "two halves of 8" in reasons["spectral_distance of real halves"]
    assert "32 voxels" in page(found)
    assert sentences(found.targets[0])
