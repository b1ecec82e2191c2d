"""LIDC-IDRI: chest CT with the nodule outlines of up to four readers, in one XML file for each series."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from xml.etree import ElementTree

import numpy as np

from radloom.data.entries import Entry, Found, scan
from radloom.data.layout import Layout, fitted, place
from radloom.data.slices import Slice, first_modality, read_slices
from radloom.data.tables import cells
from radloom.errors import RadloomError
from radloom.types import Image

_PATIENT = re.compile(r"/(LIDC-IDRI-\d{4})(/|$)")


@dataclass(frozen=True)
class Outline:
    """A reader's closed curve around a nodule in one slice: pixels (column, row) just outside of it.

    inside: whether the curve holds nodule, or a hole in one.
    """

    uid: str
    inside: bool
    pixels: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Reading:
    """What one reader said of a series: the curves of all nodules of 3 mm or more, and a rating 1-5 for each nodule."""

    outlines: tuple[Outline, ...]
    malignancy: tuple[int, ...]


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of a LIDC-IDRI folder; None when no CT series lies below a folder LIDC-IDRI-0001.

    mask.nodule is what at least half of the readers outlined. Radiographs are left out. A patient with two CT series
    has two cases.
    """
    found = [one for one in scan(folder) if one.is_series and _PATIENT.search(place(folder, one))]
    series = [one for one in found if first_modality(one.all_files) == "CT"]
    if not series:
        return None
    notes = _notes(folder)
    counts: dict[str, int] = {}

    def entries_of(one: Found) -> list[Entry] | None:
        match = _PATIENT.search(place(folder, one))
        if match is None:
            return None
        patient = match[1]
        counts[patient] = counts.get(patient, 0) + 1
        case = patient if counts[patient] == 1 else f"{patient}_{counts[patient]}"
        return _entries(case, patient, one, notes.get(one.uid))

    return fitted(folder, entries_of, "CT series below folders such as LIDC-IDRI-0001", series)


def _entries(case: str, patient: str, one: Found, notes: Path | None) -> list[Entry]:
    image = Entry(case, patient, "image.ct", one)
    if notes is None:
        return [image]
    readings = read_readings(notes)
    marks = [rating for reading in readings for rating in reading.malignancy]
    labels = {"label.marks": str(len(marks)), "label.malignancy_median": f"{median(marks):g}" if marks else ""}
    mask = Found(one.parts, notes, notes.name, read=partial(read_nodules, one.all_files, notes))
    return [image, Entry(case, patient, "mask.nodule", mask), *cells(case, patient, labels)]


def _notes(folder: Path) -> dict[str, Path]:
    """The XML files with readings of a CT, by the series that they are about."""
    found = {}
    for path in sorted(folder.rglob("*.xml")):
        root = _parse(path)
        uid = next(
            (e.text or "" for e in root.iter() if _tag(e).lower() in ("seriesinstanceuid", "ctseriesinstanceuid")), ""
        )
        if _tag(root) == "LidcReadMessage" and uid.strip():
            found[uid.strip()] = path
    return found


def read_readings(path: Path) -> list[Reading]:
    """The readings in a series' XML file; points without an outline (below 3 mm, no nodule) are left out."""
    sessions = [element for element in _parse(path).iter() if _tag(element) == "readingSession"]
    if not sessions:
        raise RadloomError(f"{path} holds no reading session", expected="a file LidcReadMessage of LIDC-IDRI")
    return [_reading(session) for session in sessions]


def _reading(session: ElementTree.Element) -> Reading:
    outlines: list[Outline] = []
    ratings: list[int] = []
    for nodule in (element for element in session if _tag(element) == "unblindedReadNodule"):
        rating = next((e.text for e in nodule.iter() if _tag(e) == "malignancy"), None)
        if rating is None:
            continue  # smaller than 3 mm: a point, and nothing is said about it
        ratings.append(int(rating))
        outlines += [_outline(roi) for roi in nodule if _tag(roi) == "roi"]
    return Reading(tuple(outlines), tuple(ratings))


def _outline(roi: ElementTree.Element) -> Outline:
    texts = {_tag(element): (element.text or "").strip() for element in roi}
    edges = [{_tag(e): int(e.text or 0) for e in edge} for edge in roi if _tag(edge) == "edgeMap"]
    pixels = tuple((edge["xCoord"], edge["yCoord"]) for edge in edges)
    return Outline(texts.get("imageSOP_UID", ""), texts.get("inclusion", "TRUE").upper() == "TRUE", pixels)


def read_nodules(files: Sequence[Path], notes: Path) -> Image:
    """The mask on the grid of the CT: 1 where at least half of the readers outlined a nodule."""
    from radloom.io.dicom import read_series

    ct = read_series(list(files))
    slices = {one.uid: one for one in read_slices(files)}
    readings = read_readings(notes)
    votes = np.zeros(ct.shape, np.uint8)
    for reading in readings:
        votes += _filled(reading, ct, slices, notes)
    return Image((2 * votes >= max(len(readings), 1)).astype(np.uint8), ct.affine, kind="label")


def _filled(reading: Reading, ct: Image, slices: dict[str, Slice], notes: Path) -> np.ndarray:
    """What lies within a reader's curves, the curves themselves excluded, True or False on the grid of the CT."""
    from PIL import Image as Canvas
    from PIL import ImageDraw

    from radloom.io.orient import LPS_TO_RAS

    mask = np.zeros(ct.shape, bool)
    to_voxel = np.linalg.inv(ct.affine) @ LPS_TO_RAS
    for outline in sorted(reading.outlines, key=lambda one: not one.inside):  # holes are cut last
        if outline.uid not in slices:
            raise RadloomError(f"{notes} outlines the slice {outline.uid}, which the series lacks",
                               expected="every slice of the series", do="download the series again")  # fmt: skip
        if len(outline.pixels) < 3:
            continue
        columns_rows = np.array([(x, y, 0, 1) for x, y in outline.pixels], dtype=float)
        voxels = np.rint(columns_rows @ (to_voxel @ slices[outline.uid].affine).T).astype(int)
        points = [(int(i), int(j)) for i, j in voxels[:, :2]]
        canvas = Canvas.new("1", ct.shape[:2])
        draw = ImageDraw.Draw(canvas)
        draw.polygon(points, fill=1, outline=1)
        draw.point(points, fill=0)
        inside = np.asarray(canvas).T
        k = int(voxels[0, 2])
        mask[:, :, k] = mask[:, :, k] | inside if outline.inside else mask[:, :, k] & ~inside
    return mask


def _parse(path: Path) -> ElementTree.Element:
    try:
        return ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise RadloomError(f"cannot read {path}: {error}", expected="a complete XML file") from error


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rsplit("}", 1)[-1]


LAYOUT = Layout(
    title="LIDC-IDRI: chest CT with nodules outlined by four readers",
    looks_like="LIDC-IDRI-0001/<study>/<series>/1-001.dcm and an XML file",
    licence="CC BY 3.0",
    recognise=recognise,
    marks=r"/LIDC-IDRI-\d{4}/",
    notes="mask.nodule: outlined by at least half of the readers, nodules of 3 mm or more; label.malignancy_median "
    "over all readers and nodules; radiographs are left out; LUNA16 holds the same patients",
)
