"""Which DICOM files belong to one volume, from their headers alone. No pixels, no grid."""

from __future__ import annotations

import itertools
import struct
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from radloom.io.values import unreadable

if TYPE_CHECKING:
    import pydicom

READ_ERRORS = (OSError, EOFError, ValueError, KeyError, AttributeError, NotImplementedError, struct.error)

# Never different within one volume: a difference always separates.
_ALWAYS = ("EchoTime", "DiffusionBValue", "DiffusionGradientOrientation", "TemporalPositionIdentifier")
# May differ from slice to slice of one volume: they separate only where positions repeat, and only when they
# make exactly as many volumes as a position has files.
_WHERE_REPEATED = ("ImageType", "AcquisitionNumber", "TriggerTime", "InversionTime", "FlipAngle", "ImageComments",
                   "AcquisitionTime", "ContentTime", "InstanceNumber")  # fmt: skip
_ABOUT = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "PatientID", "SeriesDescription",
          "Modality", "Manufacturer", "ManufacturerModelName", "StudyDate", "SeriesDate", "Rows", "Columns",
          "NumberOfFrames", "ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID", "PatientName",
          "SliceLocation")  # fmt: skip


@dataclass(frozen=True)
class Header:
    """A file and those of its elements that say where it belongs."""

    path: Path
    tags: pydicom.Dataset


def dicom_file(path: Path, tags: tuple[str, ...] = ()) -> pydicom.FileDataset | None:
    """The file's dataset, or only `tags` of it without pixels; None when it is no DICOM file.

    A .dcm or .ima file without DICOM's magic word (older than the standard's part 10) is accepted when it parses.
    """
    import pydicom
    from pydicom.errors import InvalidDicomError
    from pydicom.uid import ImplicitVRLittleEndian

    without_pixels = bool(tags)
    try:
        return pydicom.dcmread(path, stop_before_pixels=without_pixels, specific_tags=list(tags) or None)
    except InvalidDicomError:
        if path.suffix.lower() not in (".dcm", ".dicom", ".ima"):
            return None
    dataset = pydicom.dcmread(path, stop_before_pixels=without_pixels, specific_tags=list(tags) or None, force=True)
    if "SOPClassUID" not in dataset:
        raise ValueError("no DICOM header")
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian  # the standard's default
    return dataset


def headers_in(folder: Path) -> list[Header]:
    """The headers of all DICOM image files in a folder and below; hidden files are passed over."""
    found = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name.startswith("."):
            continue
        try:
            tags = dicom_file(path, _ABOUT + _ALWAYS + _WHERE_REPEATED)
        except READ_ERRORS as error:
            raise unreadable(path, error, "a complete DICOM file") from error
        if tags is not None and "Rows" in tags and "Columns" in tags:
            found.append(Header(path, tags))
    return found


def volumes(headers: Iterable[Header]) -> list[tuple[str, list[Header]]]:
    """(what sets it apart from the others of its series, its files) for every volume."""
    result = []
    for of_one_series in _grouped(headers, lambda h: str(h.tags.get("SeriesInstanceUID"))):
        parts: list[tuple[dict[str, Hashable], list[Header]]] = []
        for alike in _grouped(of_one_series, _fixed):
            for member in _by_orientation(alike):
                parts += [(_description(files), files) for files in _unrepeated(member)]
        result += _named(parts)
    return result


def _grouped(headers: Iterable[Header], key: Callable[[Header], Hashable]) -> list[list[Header]]:
    groups = defaultdict(list)
    for header in headers:
        groups[key(header)].append(header)
    return list(groups.values())


def _fixed(header: Header) -> Hashable:
    """What must agree between all files of a volume, orientation apart; a picture without a position stands alone."""
    tags = header.tags
    alone = str(header.path) if "ImagePositionPatient" not in tags else ""
    return (tags.Rows, tags.Columns, tags.get("NumberOfFrames"), alone, *(_value(tags, name) for name in _ALWAYS))


def _value(tags: pydicom.Dataset, name: str) -> Hashable:
    """The element's value, numbers rounded to 1e-3 so that 30 and 30.0000001 ms are one echo."""
    from pydicom.multival import MultiValue

    value = tags.get(name)
    values = value if isinstance(value, (MultiValue, list, tuple)) else [value]
    return tuple(
        round(float(v), 3) if isinstance(v, (int, float)) or hasattr(v, "as_tuple") else str(v) for v in values
    )


def _by_orientation(headers: list[Header]) -> list[list[Header]]:
    """The files grouped by ImageOrientationPatient within 1e-3: a localiser has three in one series."""
    groups: list[tuple[list[float], list[Header]]] = []
    for header in headers:
        direction = [float(v) for v in header.tags.get("ImageOrientationPatient") or ()]
        for known, members in groups:
            if len(known) == len(direction) and all(abs(a - b) < 1e-3 for a, b in zip(known, direction, strict=True)):
                members.append(header)
                break
        else:
            groups.append((direction, [header]))
    return [members for _, members in groups]


def _position(header: Header) -> Hashable:
    return _value(header.tags, "ImagePositionPatient")


def _unrepeated(headers: list[Header]) -> list[list[Header]]:
    """The files as volumes in which no position repeats; as one group when no element explains the repetition."""
    repeats = max(Counter(map(_position, headers)).values())
    if repeats == 1:
        return [headers]
    names = [(name,) for name in _WHERE_REPEATED] + list(itertools.combinations(_WHERE_REPEATED[:5], 2))
    for chosen in names:
        groups = _grouped(headers, lambda h, chosen=chosen: tuple(_value(h.tags, name) for name in chosen))
        if len(groups) == repeats and all(max(Counter(map(_position, g)).values()) == 1 for g in groups):
            return groups
    return [headers]


def _description(files: list[Header]) -> dict[str, Hashable]:
    """The elements that could set these files apart, where all files agree on them."""
    result: dict[str, Hashable] = {}
    for name in ("ImageOrientationPatient", "Rows", "Columns", *_ALWAYS, *_WHERE_REPEATED, "SOPInstanceUID"):
        values = {_value(header.tags, name) for header in files}
        if len(values) == 1:
            result[name] = values.pop()
    return result


def _named(parts: list[tuple[dict[str, Hashable], list[Header]]]) -> list[tuple[str, list[Header]]]:
    """The parts of one series, each with the first element that differs between them all, or with several."""
    if len(parts) == 1:
        return [("", parts[0][1])]
    names = [name for name in parts[0][0] if len({repr(about.get(name)) for about, _ in parts}) > 1]
    every = [name for name in names if len({repr(about.get(name)) for about, _ in parts}) == len(parts)]
    shown = every[:1] or names[:3]
    return [(", ".join(f"{name} {_shown(about.get(name))}" for name in shown), files) for about, files in parts]


def _shown(value: Hashable) -> str:
    return "\\".join(map(str, value)) if isinstance(value, tuple) else str(value)
