"""JSRT chest radiographs with and without a nodule, and the SCR outlines of lungs, heart and clavicles."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np

from radloom.data.boxes import Box, as_text, mask_of, of_picture, size_of_picture
from radloom.data.entries import Entry, Found, scan
from radloom.data.layout import Layout, fitted, place
from radloom.data.tables import cells, word
from radloom.errors import RadloomError
from radloom.types import Image, Kind

_SIZE, _PIXEL_MM, _WHITE = 2048, 0.175, 4095
_NAME = re.compile(r"(?P<case>JPC(?P<kind>[LN])N\d{3})", re.IGNORECASE)
_ORGANS = ("left lung", "right lung", "heart", "left clavicle", "right clavicle")
_CLINICAL = ("subtlety", "diameter_mm", "age", "sex", "x", "y", "malignancy", "location", "diagnosis")


def recognise(folder: Path) -> list[Entry] | None:
    """The entries of a JSRT folder, with SCR's masks if they lie in it; None when no film has such a name.

    Films are the raw .IMG or PNG. Masks of SCR have half the film's resolution: build with --like image.xray.
    """
    raw = [
        path for path in sorted(folder.rglob("*")) if path.suffix.lower() in (".img", ".gif") and path.name[0] != "."
    ]
    found = [Found(path.relative_to(folder).parts, path, path.stem) for path in raw] + scan(folder)
    clinical = _clinical(folder)
    return fitted(
        folder, lambda one: _entries(place(folder, one), one, clinical),
        "films JPCLN001.IMG and masks .../left lung/JPCLN001.gif", found,
    )  # fmt: skip


def _entries(path: str, found: Found, clinical: dict[str, dict[str, str]]) -> list[Entry] | None:
    match = _NAME.fullmatch(found.title)
    if match is None:
        return None
    case = match["case"].upper()
    organ = next((organ for organ in _ORGANS if f"/{organ}/" in path.replace("_", " ").lower()), None)
    if organ:
        mask = Found(found.parts, found.path, found.title, read=partial(read_mask, found.path))
        return [Entry(case, case, f"mask.{word(organ)}", mask)]
    if found.path.suffix.lower() == ".gif":
        return None
    film = Found(found.parts, found.path, found.title, read=partial(read_film, found.path))
    about = {"site": "JSRT", "label.nodule": str(int(match["kind"].upper() == "L")), **clinical.get(case, {})}
    return [Entry(case, case, "image.xray", film), *cells(case, case, about), *_boxed(case, found, about)]


def _boxed(case: str, found: Found, about: dict[str, str]) -> list[Entry]:
    """The square around the nodule of a film, from its centre and diameter."""
    told = [about.get(f"label.{name}", "") for name in ("nodule_x", "nodule_y", "diameter_mm")]
    if not all(told):
        return []
    columns, rows = (_SIZE, _SIZE) if found.path.suffix.lower() == ".img" else size_of_picture(found.path)
    x, y, width = (float(one) for one in (told[0], told[1], float(told[2]) / _PIXEL_MM))
    across, down = columns / _SIZE, rows / _SIZE
    box: Box = of_picture((x - width / 2) * across, (y - width / 2) * down, width * across, width * down,
                          shape=(columns, rows), z=0, name=f"the nodule of {case}")  # fmt: skip
    mask = Found(found.parts, found.path, found.title, read=lambda: mask_of([box], read_film(found.path)))
    return [Entry(case, case, "mask.box", mask), *cells(case, case, {"text.boxes": as_text({1: box})})]


def _clinical(folder: Path) -> dict[str, dict[str, str]]:
    """What CLNDAT_EN.txt says of the films with a nodule and CNNDAT_EN.txt of those without."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted(folder.rglob("*.[tT][xX][tT]")):
        if not re.match(r"C[LN]NDAT_EN", path.name, re.IGNORECASE):
            continue
        # Records are told by the name in front: line ends are missing in places.
        for record in re.split(r"(?=JPC[LN]N\d{3}\.IMG)", path.read_text(encoding="utf-8", errors="replace")):
            fields = [field.strip() for field in record.split("\t")]
            case = fields[0].removesuffix(".IMG")
            if case.startswith("JPCLN"):
                found[case] = _nodule(dict(zip(_CLINICAL, fields[1:], strict=False)))
            elif case.startswith("JPCNN"):
                found[case] = {"label.age": fields[1], "label.sex": fields[2][:1]} if len(fields) > 2 else {}
    return found


def _nodule(said: dict[str, str]) -> dict[str, str]:
    malignant = {"malignant": "1", "benign": "0"}.get(said.get("malignancy", "").lower(), "")
    labels = {f"label.{name}": said.get(name, "") for name in ("subtlety", "diameter_mm", "age")}
    labels |= {"label.nodule_x": said.get("x", ""), "label.nodule_y": said.get("y", ""), "label.malignant": malignant}
    return {**labels, "label.sex": said.get("sex", "")[:1], "text.location": said.get("location", ""),
            "text.diagnosis": said.get("diagnosis", "")}  # fmt: skip


def read_film(path: Path) -> Image:
    """A film, bigger values brighter: 2048 x 2048 pixels of 0.175 mm, 12 bits big-endian in .IMG, or a PNG of it."""
    if path.suffix.lower() != ".img":
        from radloom import io

        rows = io.read(path).voxels[::-1, ::-1, 0].T  # back from RAS+ to rows and columns
        return _placed(rows, "intensity")
    rows = np.fromfile(path, dtype=">u2")
    if rows.size != _SIZE**2 or rows.max(initial=0) > _WHITE:
        raise RadloomError(
            f"{path} holds {rows.size} values up to {rows.max(initial=0)}",
            expected=f"{_SIZE} x {_SIZE} big-endian values of 12 bits, as JSRT publishes them",
        )
    return _placed((_WHITE - rows.astype(np.int16)).reshape(_SIZE, _SIZE), "intensity")  # published with air white


def read_mask(path: Path) -> Image:
    """A mask of SCR as 0 and 1, over the same field as its film."""
    import PIL.Image

    from radloom.io.values import unreadable

    try:
        with PIL.Image.open(path) as file:
            rows = np.asarray(file.convert("L"))
    except (OSError, SyntaxError, ValueError) as error:
        raise unreadable(path, error, "a complete GIF picture") from error
    return _placed((rows > 127).astype(np.uint8), "label")


def _placed(rows: np.ndarray, kind: Kind) -> Image:
    """The picture over the film's field: column to the Left, row to the Posterior; edges, not centres, coincide."""
    from radloom.io.orient import LPS_TO_RAS, canonical

    spacing = np.array([_SIZE / rows.shape[1], _SIZE / rows.shape[0]]) * _PIXEL_MM
    affine = np.diag([*spacing, 1.0, 1.0])
    affine[:2, 3] = (spacing - _PIXEL_MM) / 2
    voxels = np.ascontiguousarray(rows.T[:, :, None])
    return canonical(Image(voxels, LPS_TO_RAS @ affine, kind=kind, unit="1" if kind == "label" else "grey"))


LAYOUT = Layout(
    title="JSRT chest radiographs with the SCR outlines",
    looks_like="JPCLN001.IMG, CLNDAT_EN.txt, SCR/masks/left lung/JPCLN001.gif",
    licence="registration at JSRT; SCR: research use",
    recognise=recognise,
    marks=r"(?i)/JPC[LN]N\d{3}\.(img|png)$",
    notes="films are turned so that bone is bright; SCR has half the resolution: build with --like image.xray; "
    "nodule_x and nodule_y are column and row of the 2048 film; mask.box is the square of the nodule's diameter there",
)
