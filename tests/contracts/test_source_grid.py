"""A drawn image of a resampled cohort returns to the grid of the scanner's file."""

import nibabel as nib
import numpy as np

from radloom import io
from radloom.data.build import build
from radloom.data.source_grid import from_record, on_source_grid
from radloom.data.transforms import PadOrCrop, Rescale
from radloom.types import Image


def test_an_image_on_a_resampled_grid_returns_to_the_files_own_voxels(tmp_path):
    x, y, z = np.mgrid[:20, :24, :10] / 10.0
    voxels = (5 + np.sin(x) + np.cos(y) + z).astype(np.float32)
    affine = np.array([[-2.0, 0, 0, 30], [0, -2.0, 0, 40], [0, 0, 3.0, -5], [0, 0, 0, 1]])
    for name in ("t1", "t2"):
        (tmp_path / "scans" / "p1").mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(voxels, affine), tmp_path / "scans" / "p1" / f"p1_{name}.nii.gz")
    cohort = build([tmp_path / "scans"], tmp_path / "cohort", spacing_mm=(1.0, 1.0, 3.0))
    case = cohort.ids[0]
    resampled = cohort.image(case, "image.t1")
    assert resampled.spacing_mm == (1.0, 1.0, 3.0)

    back = on_source_grid(resampled, cohort, case, "image.t1")

    assert back.shape == (20, 24, 10)
    np.testing.assert_allclose(back.affine, affine)
    np.testing.assert_allclose(back.voxels[2:-2, 2:-2], voxels[2:-2, 2:-2], atol=0.02)


def test_an_entry_that_was_not_resampled_stays_as_it_is(tmp_path):
    image = Image(np.ones((3, 4, 5), np.float32), np.eye(4))
    io.write(image, tmp_path / "scans" / "p1" / "p1_t1.nii.gz")
    cohort = build([tmp_path / "scans"], tmp_path / "cohort")
    assert on_source_grid(image, cohort, cohort.ids[0], "image.t1").same_grid(image)


def test_every_recorded_step_is_read_back_as_it_was():
    image = Image(np.arange(60, dtype=np.float32).reshape(3, 4, 5), np.eye(4))
    for step in (Rescale(1.0, 2.0), PadOrCrop((5, 4, 3))):
        applied = step.apply(image).history[-1]
        changed, again = step.apply(image), from_record(applied.record())
        np.testing.assert_array_equal(again.inverse(changed).voxels, applied.inverse(changed).voxels)
