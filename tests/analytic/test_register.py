"""Registration finds a known movement between images of different contrast, and refuses what it cannot do."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage
from typer.testing import CliRunner

from radloom import io
from radloom.cli_data import app
from radloom.data.cohort import Cohort
from radloom.data.provenance import origin
from radloom.data.register import align, pair_of_masks, register
from radloom.errors import RadloomError
from radloom.types import Image

SHAPE = (44, 40, 30)
SPACING = np.diag([2.0, 2.0, 2.5, 1.0])
SHIFT = np.array([7.0, -5.0, 4.0])
ANGLE = np.radians(8.0)


def body() -> np.ndarray:
    """Smooth structures of three scales inside an ellipsoid; 0 outside."""
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij"))
    inside = (grid**2 * np.array([1.4, 1.6, 1.5]).reshape(3, 1, 1, 1)).sum(axis=0) < 1
    noise = np.sum([ndimage.gaussian_filter(rng.standard_normal(SHAPE), s) * s**1.5 for s in (1.5, 3.0, 5.0)], axis=0)
    return np.where(inside, np.clip(3 + noise / noise.std(), 0.5, None), 0).astype(np.float32)


def turned(affine: np.ndarray) -> np.ndarray:
    """The affine after a turn about z through the world's origin and a shift, mm."""
    c, s = np.cos(ANGLE), np.sin(ANGLE)
    movement = np.array([[c, -s, 0, SHIFT[0]], [s, c, 0, SHIFT[1]], [0, 0, 1, SHIFT[2]], [0, 0, 0, 1.0]])
    return movement @ affine


def other_contrast(voxels: np.ndarray) -> np.ndarray:
    """Dark where the other is bright, bone-like peaks: no linear map of it."""
    return np.where(voxels > 0, 8 - voxels + 0.3 * (voxels - 3) ** 2, 0).astype(np.float32)


CENTRED = SPACING.copy()
CENTRED[:3, 3] = -SPACING[:3, :3] @ ((np.array(SHAPE) - 1) / 2)
FIXED = Image(body(), CENTRED)
MOVING = Image(other_contrast(body()), turned(CENTRED))


def misplaced(found: Image) -> float:
    """Mean distance in grey levels from what lies there, relative to the spread of the image, inside the body."""
    inside: Any = ndimage.binary_erosion(body() > 0, iterations=3)
    wanted = other_contrast(body())
    return float(np.abs(found.voxels - wanted)[inside].mean() / wanted[inside].std())


@pytest.mark.parametrize("movement", ["rigid", "affine"])
def test_a_known_turn_and_shift_are_found_across_contrasts(movement) -> None:
    done = align(FIXED, MOVING, movement=movement)
    assert done.after > done.before + 0.1
    c, s = np.cos(ANGLE), np.sin(ANGLE)
    for point in ([0, 0, 0], [25, -20, 15], [-20, 25, -20]):  # RAS; the transform speaks LPS
        wanted = np.array([c * point[0] - s * point[1], s * point[0] + c * point[1], point[2]]) + SHIFT
        x, y, z = done.transform.TransformPoint((-float(point[0]), -float(point[1]), float(point[2])))
        assert np.linalg.norm(np.array([-x, -y, z]) - wanted) < 1.0  # half a voxel
    assert misplaced(done.apply(MOVING)) < 0.15


def test_a_deformation_comes_nearer_than_a_rigid_movement() -> None:
    place = np.stack(np.meshgrid(*(np.arange(n, dtype=float) for n in SHAPE), indexing="ij"))
    bend = place.copy()
    bend[0] += 3.0 * np.sin(place[1] / SHAPE[1] * 2 * np.pi)  # up to 6 mm either way
    bent = ndimage.map_coordinates(body(), bend, order=1)
    moving = Image(other_contrast(np.where(bent > 0.5, bent, 0)), CENTRED)
    rigid, free = (align(FIXED, moving, movement=movement) for movement in ("rigid", "deformable"))
    assert free.after > rigid.after + 0.02
    assert misplaced(free.apply(moving)) < 0.8 * misplaced(rigid.apply(moving))


def test_one_seed_gives_one_answer() -> None:
    first, second = (align(FIXED, MOVING, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.apply(MOVING).voxels, second.apply(MOVING).voxels)


@pytest.fixture
def apart(tmp_path: Path) -> Path:
    """A cohort whose second entry lies far away in a frame of its own, with masks of one structure on both."""
    far = MOVING.affine.copy()
    far[:3, 3] += [300, -200, 500]
    mask = (body() > 4).astype(np.uint8)
    images = {"image.t1": FIXED, "image.ct": Image(MOVING.voxels, far), "mask.a": Image(mask, CENTRED, kind="label"),
              "mask.b": Image(mask, far, kind="label")}  # fmt: skip
    row = {"case": "p1", "patient": "p1", "site": "", "vendor": "", "split": "train"}
    for key, image in images.items():
        io.write(image, tmp_path / f"{key}.nii.gz")
        row[key] = f"{key}.nii.gz"
    pd.DataFrame([row]).to_csv(tmp_path / "cohort.csv", index=False)
    return tmp_path


def test_a_cohort_is_registered_from_the_centres_of_two_masks(apart: Path, tmp_path: Path) -> None:
    out = tmp_path / "registered"
    done = CliRunner().invoke(app, ["register", str(apart), "--out", str(out), "--fixed", "image.t1", "--moving",
                                    "image.ct", "--carry", "mask.b", "--centres", "mask.a,mask.b", "--unit", "HU",
                                    "--json"])  # fmt: skip
    assert done.exit_code == 0, done.output
    cohort = Cohort.read(out)
    ct = cohort.image("p1", "image.ct")
    assert ct.unit == "HU"
    assert ct.same_grid(cohort.image("p1", "image.t1"))
    assert misplaced(ct) < 0.2
    a, b = (cohort.image("p1", key).voxels > 0 for key in ("mask.a", "mask.b"))
    assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.85
    record = json.loads((out / "cohort.json").read_text())["registered"]
    assert record["mutual_information"]["p1"]["after"] > record["mutual_information"]["p1"]["before"]
    assert list(cohort.table["image.ct"]) == ["images/p1.image.ct.nii.gz"]


def test_a_synthetic_image_says_so_after_it_was_moved(apart: Path, tmp_path: Path) -> None:
    (apart / "image.ct.json").write_text(json.dumps({"synthetic": True, "split_hash": "f" * 64}))
    cohort = register(Cohort.read(apart), tmp_path / "moved", fixed="image.t1", moving="image.ct",
                      centres=("mask.a", "mask.b"))  # fmt: skip
    path = cohort.path("p1", "image.ct")
    assert path is not None
    made = origin(path)
    assert made is not None
    assert made.split_hash == "f" * 64


def test_images_that_do_not_overlap_and_wrong_words_are_refused_and_leave_nothing(apart: Path, tmp_path: Path) -> None:
    empty = Image(np.zeros(SHAPE, np.uint8), CENTRED, kind="label")
    io.write(empty, apart / "mask.a.nii.gz")
    out = tmp_path / "new"
    with pytest.raises(RadloomError, match="a mask that marks the centre is empty"):
        register(Cohort.read(apart), out, fixed="image.t1", moving="image.ct", centres=("mask.a", "mask.b"))
    assert not out.exists()
    with pytest.raises(RadloomError, match=r"no column image\.pet"):
        register(Cohort.read(apart), out, fixed="image.t1", moving="image.pet")
    with pytest.raises(RadloomError, match=r"--centres mask\.a cannot be read; expected two masks"):
        pair_of_masks("mask.a")
    done = CliRunner().invoke(app, ["register", str(apart), "--out", str(out), "--fixed", "image.t1", "--moving",
                                    "image.ct", "--movement", "fluid"])  # fmt: skip
    assert isinstance(done.exception, RadloomError)
    assert "movement fluid is unknown; expected rigid, affine or deformable" in str(done.exception)
