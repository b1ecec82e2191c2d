"""Registration: one image of each case is moved onto the grid of another, by mutual information (SimpleITK)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from radloom.data.cohort import Cohort
from radloom.data.provenance import carry_mark
from radloom.data.region import background
from radloom.errors import RadloomError
from radloom.files import whole_folder
from radloom.io import write
from radloom.io.orient import LPS_TO_RAS
from radloom.types import Image

if TYPE_CHECKING:
    import SimpleITK

Movement = Literal["rigid", "affine", "deformable"]
_BINS = 40
_SHARE = 0.3  # of the voxels that the measure looks at
_WINDOW_HU = (-250.0, 500.0)  # of what a CT shows to the measure: soft tissue and the onset of bone
_KNOTS_MM = 40.0  # between control points of a deformation


@dataclass(frozen=True)
class Alignment:
    """How a moving image comes to lie on a fixed one. before, after: mutual information in nats, larger is better."""

    transform: SimpleITK.Transform
    fixed: Image
    before: float
    after: float

    def apply(self, image: Image) -> Image:
        """The image, which lies where the moving one lay, on the fixed grid; labels by nearest voxel."""
        import SimpleITK as sitk

        method = sitk.sitkNearestNeighbor if image.kind == "label" else sitk.sitkLinear
        fill = background(image)
        moved = sitk.Resample(_itk(image), _itk(self.fixed), self.transform, method, fill)
        voxels = sitk.GetArrayFromImage(moved).T.astype(image.voxels.dtype)
        return replace(image, voxels=voxels, affine=self.fixed.affine, history=())


def moved_by(name: str) -> Movement:
    """The movement of this name. Raises RadloomError when there is none."""
    for movement in ("rigid", "affine", "deformable"):
        if name == movement:
            return movement
    raise RadloomError(f"movement {name} is unknown", expected="rigid, affine or deformable")


def pair_of_masks(text: str | None) -> tuple[str, str] | None:
    """The two entries in "mask.a,mask.b"; None without a text."""
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 2 or not all(part.startswith("mask.") for part in parts):
        raise RadloomError(f"--centres {text} cannot be read", expected="two masks, such as mask.tumour,mask.tumour_ct")
    return parts[0], parts[1]


def align(
    fixed: Image,
    moving: Image,
    *,
    movement: Movement = "rigid",
    centres: tuple[Image, Image] | None = None,
    seed: int = 0,
) -> Alignment:
    """Finds where `moving` lies on `fixed`, by Mattes' mutual information (IEEE Trans Med Imaging 2003;22:120-128).

    Starts with the centres of both fields of view together, or with those of two masks of the same structure. Then
    rigid, from coarse to fine at 4, 2 and 1 voxels; affine and deformable (cubic B-splines, knots 40 mm apart) go on
    from there. Images in HU are seen from -250 to 500 HU. One thread, so that a seed gives one answer. Blind to a wrong
    start beyond some centimetres, and to whether it succeeded: look at the result.
    """
    a, b = _itk(_seen(fixed)), _itk(_seen(moving))
    start = _start(a, b, centres)
    with _one_thread():
        return _aligned(fixed, a, b, start, movement, seed)


def _aligned(
    fixed: Image, a: SimpleITK.Image, b: SimpleITK.Image, start: Any, movement: Movement, seed: int
) -> Alignment:
    import SimpleITK as sitk

    before = _information(a, b, start, seed)
    found = _optimised(a, b, start, rate=2.0, seed=seed)
    if movement == "affine":
        affine = sitk.AffineTransform(3)
        affine.SetMatrix(found.GetMatrix())
        affine.SetTranslation(found.GetTranslation())
        affine.SetCenter(found.GetCenter())
        found = _optimised(a, b, affine, rate=1.0, seed=seed)
    if movement == "deformable":
        mesh = [max(1, round(size * mm / _KNOTS_MM)) for size, mm in zip(a.GetSize(), a.GetSpacing(), strict=True)]
        spline = sitk.BSplineTransformInitializer(a, mesh, order=3)
        found = sitk.CompositeTransform([found, _deformed(a, b, found, spline, seed)])
    return Alignment(found, fixed, before, _information(a, b, found, seed))


def register(
    cohort: Cohort,
    out: Path,
    *,
    fixed: str,
    moving: str,
    movement: Movement = "rigid",
    carry: Sequence[str] = (),
    centres: tuple[str, str] | None = None,
    unit: str | None = None,
) -> Cohort:
    """A new cohort at `out` in which `moving` and the entries of `carry` lie on the grid of `fixed` in every case.

    Other entries stay where they are. centres: masks on the fixed and on the moving image whose centres are laid
    together first. unit: of the moving image where its file names none, such as "HU". `about` records movement and
    mutual information before and after by case. Raises RadloomError when an entry is missing or nothing overlaps.
    """
    needed = [fixed, moving, *carry, *(centres or ())]
    cohort.require(needed)
    table, found = cohort.table.copy(), {}
    with whole_folder(out) as folder:
        (folder / "images").mkdir()
        for row, case in zip(table.index, cohort.ids, strict=True):
            masks = (cohort.image(case, centres[0]), cohort.image(case, centres[1])) if centres else None
            image = cohort.image(case, moving)
            image = replace(image, unit=unit) if unit and image.unit == "1" else image
            try:
                done = align(cohort.image(case, fixed), image, movement=movement, centres=masks)
            except RuntimeError as error:
                reason = str(error).strip().splitlines()[-1]
                raise RadloomError(f"{moving} of case {case} cannot be registered: {reason}",
                                   expected="images that overlap", do="name masks of one structure with --centres",
                                   ) from error  # fmt: skip
            found[case] = {"before": round(done.before, 4), "after": round(done.after, 4)}
            for key in (moving, *carry):
                path = folder / "images" / f"{case}.{key}.nii.gz"
                write(done.apply(image if key == moving else cohort.image(case, key)), path)
                table.loc[row, key] = str(path.resolve())
                carry_mark(cohort.path(case, key), path)
        about: Mapping[str, Any] = {
            **cohort.about,
            "registered": {"fixed": fixed, "moving": moving, "movement": movement, "carried": list(carry),
                           "mutual_information": found},
        }  # fmt: skip
        moved = replace(cohort, table=table, about=dict(about))
        moved.write(folder / "cohort.csv")
    return Cohort.read(out)


@contextmanager
def _one_thread() -> Iterator[None]:
    """ITK on one thread: sums over several come out otherwise each time, in their last bits."""
    import SimpleITK as sitk

    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def _seen(image: Image) -> Image:
    return replace(image, voxels=np.clip(image.voxels, *_WINDOW_HU)) if image.unit == "HU" else image


def _itk(image: Image) -> SimpleITK.Image:
    import SimpleITK as sitk

    affine = LPS_TO_RAS @ image.affine
    spacing = np.array(image.spacing_mm)
    file = sitk.GetImageFromArray(np.ascontiguousarray(image.voxels.astype(np.float32).T))
    file.SetSpacing(spacing.tolist())
    file.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    file.SetOrigin(affine[:3, 3].tolist())
    return file


def _start(a: SimpleITK.Image, b: SimpleITK.Image, centres: tuple[Image, Image] | None) -> SimpleITK.Euler3DTransform:
    """A shift that lays the centres together; it turns about the fixed one."""
    import SimpleITK as sitk

    here, there = (_middle(a), _middle(b)) if centres is None else (_centroid(centres[0]), _centroid(centres[1]))
    start = sitk.Euler3DTransform()
    start.SetCenter(here.tolist())
    start.SetTranslation((there - here).tolist())
    return start


def _middle(image: SimpleITK.Image) -> np.ndarray:
    return np.array(image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()]))


def _centroid(mask: Image) -> np.ndarray:
    inside = np.argwhere(mask.voxels > 0)
    if not len(inside):
        raise RadloomError("a mask that marks the centre is empty", do="take another mask, or none")
    return (LPS_TO_RAS @ mask.affine @ np.append(inside.mean(axis=0), 1.0))[:3]


def _method(seed: int) -> SimpleITK.ImageRegistrationMethod:
    import SimpleITK as sitk

    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(_SHARE, seed + 1)
    method.SetInterpolator(sitk.sitkLinear)
    return method


def _information(a: SimpleITK.Image, b: SimpleITK.Image, transform: SimpleITK.Transform, seed: int) -> float:
    method = _method(seed)
    method.SetInitialTransform(transform)
    return -float(method.MetricEvaluate(a, b))


def _optimised(a: SimpleITK.Image, b: SimpleITK.Image, start: Any, *, rate: float, seed: int) -> Any:
    method = _method(seed)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=rate, minStep=1e-3, numberOfIterations=200, gradientMagnitudeTolerance=1e-6
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([2, 1, 0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
    method.SetInitialTransform(start, inPlace=True)
    method.Execute(a, b)
    return start


def _deformed(a: SimpleITK.Image, b: SimpleITK.Image, moved: Any, spline: Any, seed: int) -> Any:
    method = _method(seed)
    method.SetOptimizerAsLBFGSB(numberOfIterations=60, gradientConvergenceTolerance=1e-5)
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([1, 0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
    method.SetMovingInitialTransform(moved)
    method.SetInitialTransform(spline, inPlace=True)
    method.Execute(a, b)
    return spline
