"""LUNA16: 888 chest CTs of LIDC-IDRI as MetaImage, with lung masks and a table of nodules."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from radloom.data.entries import Entry, Found
from radloom.data.labels import LabelMap
from radloom.data.layout import Layout, fitted, place
from radloom.data.tables import cells, find_file, read_rows
from radloom.errors import RadloomError
from radloom.types import Image

_PATH = re.compile(
    r"/(?P<place>subset\d|seg-lungs-LUNA16)/(?P<uid>1\.3\.6\.1\.4\.1\.14519\.5\.2\.1\.6279\.6001\.\d+)\.mhd$"
)
_LUNGS = LabelMap(((3, 1), (4, 2)))  # 5, the trachea, becomes 0

Nodule = tuple[float, float, float, float]  # centre to Left, Posterior, Superior and diameter, mm


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of a LUNA16 folder; None when it has no scan in subset0 to subset9.

    With annotations.csv each case has mask.nodule: numbered balls at the given centres, empty where there is no nodule.
    """
    nodules = _nodules(folder)
    patients = _patients(folder)

    def entries_of(found: Found) -> list[Entry] | None:
        match = _PATH.search(place(folder, found))
        if match is None:
            return None
        return _entries(match["place"], match["uid"], found, nodules, patients.get(match["uid"], match["uid"]))

    entries = fitted(folder, entries_of, "scans subset0/<uid>.mhd and lungs seg-lungs-LUNA16/<uid>.mhd")
    if not entries:
        return None
    scans = {entry.case for entry in entries if entry.column == "image.ct"}
    return [entry for entry in entries if entry.case in scans] or None  # lungs of subsets that are not there


def _entries(where: str, uid: str, found: Found, nodules: dict[str, list[Nodule]] | None, patient: str) -> list[Entry]:
    if where.startswith("seg"):
        return [Entry(uid, patient, "mask.lungs", found, labels=_LUNGS)]
    entries = [Entry(uid, patient, "image.ct", found), *cells(uid, patient, {"label.part": where})]
    if nodules is None:
        return entries
    own = nodules.get(uid, [])
    largest = f"{max(diameter for *_, diameter in own):.4g}" if own else ""
    mask = Found(found.parts, found.path, found.title, read=partial(read_balls, found.path, own))
    entries.append(Entry(uid, patient, "mask.nodule", mask))
    return entries + cells(uid, patient, {"label.nodules": str(len(own)), "label.largest_mm": largest})


def _nodules(folder: Path) -> dict[str, list[Nodule]] | None:
    table = find_file(folder, "annotations.csv")
    if table is None:
        return None
    found: dict[str, list[Nodule]] = {}
    for row in read_rows(table, ["seriesuid", "coordX", "coordY", "coordZ", "diameter_mm"]):
        x, y, z, diameter = (float(row[key]) for key in ("coordX", "coordY", "coordZ", "diameter_mm"))
        found.setdefault(row["seriesuid"], []).append((x, y, z, diameter))
    return found


def _patients(folder: Path) -> dict[str, str]:
    """The patient of each series, from the metadata.csv that comes with a download of LIDC-IDRI."""
    table = find_file(folder, "metadata.csv")
    return (
        {row["Series UID"]: row["Subject ID"] for row in read_rows(table, ["Series UID", "Subject ID"])}
        if table
        else {}
    )


def read_balls(path: Path, nodules: Sequence[Nodule]) -> Image:
    """The mask on the grid of a scan: a nodule's number within half its diameter of its centre, or the nearest voxel.

    Nodules are numbered in the table's order; where two overlap the later one shows.
    """
    from radloom import io

    ct = io.read(path)
    mask = np.zeros(ct.shape, np.uint8)
    inverse = np.linalg.inv(ct.affine)
    for number, (x, y, z, diameter) in enumerate(nodules, 1):
        centre = np.array([-x, -y, z])
        nearest = inverse[:3, :3] @ centre + inverse[:3, 3]
        reach = np.ceil(diameter / 2 / np.array(ct.spacing_mm)) + 1
        low = np.maximum(np.floor(nearest - reach), 0).astype(int)
        high = np.minimum(np.ceil(nearest + reach) + 1, ct.shape).astype(int)
        voxel = np.rint(nearest).astype(int)
        if (voxel < 0).any() or (voxel >= ct.shape).any():
            raise RadloomError(
                f"a nodule at {x:g}, {y:g}, {z:g} mm lies outside of {path}", expected="the scan that it is of"
            )
        index = np.stack(np.meshgrid(*map(np.arange, low, high), indexing="ij"), axis=-1)
        place_mm = index @ ct.affine[:3, :3].T + ct.affine[:3, 3]
        ball = np.linalg.norm(place_mm - centre, axis=-1) <= diameter / 2
        mask[tuple(map(slice, low, high))][ball] = number
        mask[tuple(voxel)] = number
    return Image(mask, ct.affine, kind="label")


LAYOUT = Layout(
    title="LUNA16: chest CT with nodules and lung masks",
    looks_like="subset0/<uid>.mhd, seg-lungs-LUNA16/<uid>.mhd, annotations.csv",
    licence="CC BY 4.0 (the scans of LIDC-IDRI: CC BY 3.0)",
    recognise=recognise,
    marks=r"/subset\d/1\.3\.6\.1\.4\.1\.14519\.5\.2\.1\.6279\.6001\.\d+\.mhd$",
    notes="mask.lungs: 1 left, 2 right (trachea 0); mask.nodule: numbered balls; a series is taken for a patient "
    "unless the metadata.csv of LIDC-IDRI lies in the folder, since LUNA16 does not name patients; candidates are "
    "left out",
)
