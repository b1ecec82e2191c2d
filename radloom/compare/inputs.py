"""What `compare` is given: a folder, a cohort table, a run's samples or an array becomes a set of images by column.

Images are read when asked for. Nothing is measured here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from radloom import io
from radloom.data.cohort import Cohort, table_path
from radloom.data.entries import Found, scan
from radloom.errors import RadloomError
from radloom.files import read_json
from radloom.metrics.arrays import as_numpy
from radloom.types import Image

_SAMPLE = re.compile(r"(?P<case>.+)\.draw(?P<draw>\d+)\.(?P<column>image\..+)")
Source = Any  # a path, or an array or tensor (n, rows, columns) or (n, x, y, z); no type names them all


@dataclass(frozen=True, eq=False)
class Item:
    """One image of a set: whose it is, where it lies, and how to read it.

    named: whether `case` is a name that another set may share; the rows of an array have none.
    """

    case: str
    patient: str
    place: str
    load: Callable[[], Image]
    draw: int = 0
    named: bool = True

    def image(self) -> Image:
        """The image. Raises RadloomError when it does not open or holds NaN or infinite voxels."""
        image = self.load()
        wrong = image.voxels.size - np.count_nonzero(np.isfinite(image.voxels))
        if wrong:
            raise RadloomError(
                f"{self.place} has {wrong} NaN or infinite voxels",
                expected="finite values",
                do="export it again, or leave it out and say so",
            )
        return image


@dataclass(frozen=True, eq=False)
class ImageSet:
    """The images of one side by column ("image.flair"; "" where a folder or an array has no columns).

    simulated: whether the cohort table says that a simulation made its images.
    """

    name: str
    kind: str
    items: Mapping[str, tuple[Item, ...]]
    simulated: bool = False

    @property
    def columns(self) -> list[str]:
        """The names of the columns, "" left out."""
        return [column for column in self.items if column]

    def of(self, column: str) -> tuple[Item, ...]:
        """The images of a column; a set without columns has one unnamed column that stands for any."""
        return self.items[column if column in self.items else ""]


def read_set(source: Source, *, split: str = "", patient: str = "") -> ImageSet:
    """The images of a folder, a cohort table or its folder, a run or its samples, a .npy or .npz file, or an array.

    split: only these cases of a cohort table. patient: a regular expression whose first group, found in a case's name,
    is the patient (of folders and arrays; a cohort table knows its patients).
    Raises RadloomError for what is absent, empty, has a name twice, or mixes images with and without a column.
    """
    if not isinstance(source, str | Path):
        return _named(_array("array", as_numpy(source), {}), patient)
    path = Path(source)
    if not path.exists():
        raise RadloomError(f"no file or folder {path}", expected="a folder of images, a cohort table or an array file")
    if path.suffix.lower() == ".csv" or (path.is_dir() and table_path(path).is_file()):
        return _cohort(path, split)
    if split:
        raise RadloomError(f"{path} is no cohort table", expected=f'a table with a split "{split}"')
    if path.is_file() and path.suffix.lower() in io.RAW:
        return _named(_array_file(path), patient)
    if path.is_file():
        raise RadloomError(f"{path} is one file", expected="a folder of images, a cohort table (.csv), .npy or .npz")
    folder = path / "samples" if (path / "run.json").is_file() and (path / "samples").is_dir() else path
    return _named(_folder(folder), patient)


def shared_columns(real: ImageSet, synthetic: ImageSet, wanted: Sequence[str]) -> list[str]:
    """The columns to compare: those wanted, else all that both sets have. Raises RadloomError when there is none."""
    for side in (real, synthetic):
        absent = [column for column in wanted if side.columns and column not in side.columns]
        if absent:
            raise RadloomError(
                f"{side.name} has no column {', '.join(absent)}", expected=f"one of {', '.join(side.columns)}"
            )
    if wanted:
        if len(wanted) > 1 and not (real.columns and synthetic.columns):
            bare = synthetic if real.columns else real
            raise RadloomError(f"{bare.name} has no columns, so it is one kind of image", expected="one --column")
        return list(wanted)
    if real.columns and synthetic.columns:
        shared = [column for column in real.columns if column in synthetic.columns]
        if not shared:
            raise RadloomError(
                f"{real.name} has {', '.join(real.columns)} and {synthetic.name} {', '.join(synthetic.columns)}",
                expected="a column in both",
            )
        return shared
    columns = real.columns or synthetic.columns
    if len(columns) > 1:
        raise RadloomError(
            f"one set has the columns {', '.join(columns)} and the other has none",
            expected="to know which column the other set is",
            do=f"name it: --column {columns[0]}",
        )
    return columns or [""]


def scaled_to_median(chosen: ImageSet) -> ImageSet:
    """The set with every image divided by the median of its voxels above 0, for MR in arbitrary units."""
    return replace(
        chosen,
        items={
            column: tuple(replace(item, load=_by_median(item)) for item in items)
            for column, items in chosen.items.items()
        },
    )


def _by_median(item: Item) -> Callable[[], Image]:
    def load() -> Image:
        image = item.load()
        above = image.voxels[image.voxels > 0]
        if not above.size:
            raise RadloomError(f"{item.place} has no voxel above 0", expected="a head or body above a background of 0")
        return image.with_voxels(image.voxels / float(np.median(above)))

    return load


def _cohort(path: Path, split: str) -> ImageSet:
    cohort = Cohort.read(path)
    chosen = cohort.where(split) if split else cohort
    columns = [column for column in cohort.image_columns if column.startswith("image.")]
    items = {}
    for column in columns:
        found = []
        for case in chosen.ids:
            place = chosen.path(case, column)
            if place is not None:
                found.append(Item(case, chosen.patient(case), str(place), _reader(place)))
        if found:
            items[column] = tuple(found)
    if not items:
        where = f' in split "{split}"' if split else ""
        raise RadloomError(f"{path} has no images{where}", expected="image columns with paths")
    return ImageSet(str(path), "cohort table", items, bool(cohort.about.get("simulated")))


def _folder(folder: Path) -> ImageSet:
    found = scan(folder)
    if not found:
        raise RadloomError(f"{folder} holds no image", expected="DICOM, NIfTI, NRRD, PNG, JPEG, TIFF or npz files")
    drawn = [(one, match) for one in found if (match := _SAMPLE.fullmatch(one.title))]
    if drawn and len(drawn) < len(found):
        other = next(one for one in found if not _SAMPLE.fullmatch(one.title))
        raise RadloomError(
            f"{folder} mixes samples of a run with other images, such as {other.name}",
            expected="only samples (CASE.draw0.image.flair.nii.gz) or none",
        )
    items: dict[str, list[Item]] = {}
    for one, match in drawn:
        items.setdefault(match["column"], []).append(_sample(one, match))
    if not drawn:
        items[""] = [_plain(one) for one in found]
    kind = "samples of a run" if drawn else "folder"
    return ImageSet(str(folder), kind, {column: tuple(members) for column, members in items.items()})


def _sample(one: Found, match: re.Match[str]) -> Item:
    sidecar = one.path.with_name(one.title + ".json")
    patient = read_json(sidecar).get("patient", match["case"]) if sidecar.is_file() else match["case"]
    return Item(match["case"], str(patient), one.name, _reader(one.path), int(match["draw"]))


def _plain(one: Found) -> Item:
    if not one.is_series:
        return Item(one.title, one.title, one.name, _reader(one.path))
    case = "/".join(one.parts) or one.title
    if one.files:
        return Item(case, one.dicom_patient or case, one.name, lambda: _series(one.files))
    return Item(case, one.dicom_patient or case, one.name, _reader(one.path))


def _series(files: Sequence[Path]) -> Image:
    from radloom.io.dicom import read_series

    return read_series(list(files), kind="intensity")


def _reader(path: Path) -> Callable[[], Image]:
    return lambda: io.read(path)


def _array_file(path: Path) -> ImageSet:
    import zipfile

    try:
        loaded = np.load(path, allow_pickle=False)
        arrays = {"images": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise RadloomError(f"cannot read {path}: {error}", expected="a .npy or .npz file of plain arrays") from error
    names = {name: arrays.pop(name) for name in ("cases", "patients") if name in arrays}
    if "images" not in arrays and len(arrays) != 1:
        raise RadloomError(
            f"{path} holds {', '.join(sorted(arrays)) or 'nothing'}",
            expected="an array images (n, ...), with cases (n,) and patients (n,) if wanted",
            do="a volume in a .npz of its own belongs into a folder",
        )
    images = arrays["images"] if "images" in arrays else next(iter(arrays.values()))
    return _array(str(path), images, names)


def _array(name: str, images: np.ndarray, names: Mapping[str, np.ndarray]) -> ImageSet:
    if images.ndim not in (3, 4) or 0 in images.shape or images.dtype.kind not in "fiub":
        raise RadloomError(
            f"{name} has shape {images.shape} of {images.dtype}",
            expected="real images (n, rows, columns) or volumes (n, x, y, z)",
        )
    for key, values in names.items():
        if values.shape != (len(images),):
            raise RadloomError(
                f"{name} has {len(images)} images and {key} of shape {values.shape}", expected="one each"
            )
    cases = [str(case) for case in names["cases"]] if "cases" in names else [str(i) for i in range(len(images))]
    patients = [str(who) for who in names["patients"]] if "patients" in names else cases
    items = tuple(
        Item(case, who, f"image {i} of {name}", _slot(images, i), named="cases" in names)
        for i, (case, who) in enumerate(zip(cases, patients, strict=True))
    )
    return ImageSet(name, "array", {"": items})


def _slot(images: np.ndarray, i: int) -> Callable[[], Image]:
    from radloom.io.raster import picture

    if images.ndim == 3:
        return lambda: picture(images[i], (1.0, 1.0))
    return lambda: Image(images[i], np.eye(4))


def _named(chosen: ImageSet, patient: str) -> ImageSet:
    """The set with patients found in the names, each image's name once. Raises RadloomError for a name twice."""
    for column, items in chosen.items.items():
        seen: dict[tuple[str, int], Item] = {}
        for item in items:
            first = seen.setdefault((item.case, item.draw), item)
            if first is not item:
                raise RadloomError(
                    f'two images of {chosen.name} are called "{item.case}"{f" ({column})" if column else ""}: '
                    f"{first.place} and {item.place}",
                    expected="each name once",
                    do="rename them, or make a cohort table with `radloom data build`",
                )
    if not patient:
        return chosen
    return replace(
        chosen,
        items={
            column: tuple(replace(item, patient=_found_in(patient, item)) for item in items)
            for column, items in chosen.items.items()
        },
    )


def _found_in(pattern: str, item: Item) -> str:
    try:
        found = re.search(pattern, item.case)
    except re.error as error:
        raise RadloomError(f"--patient {pattern} cannot be read: {error}", expected="a regular expression") from error
    if found is None or not found.re.groups or not found[1]:
        raise RadloomError(
            f'--patient {pattern} finds no patient in "{item.case}"',
            expected="a group in parentheses that matches every name, such as '^([0-9]+)_'",
        )
    return found[1]
