"""Which entries of a cohort a generator drew, and whether its training patients leak into validation or test."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radloom import io
from radloom.data.cohort import Cohort
from radloom.data.faults import SPLITS
from radloom.errors import RadloomError
from radloom.files import read_json, write_json


@dataclass(frozen=True)
class Origin:
    """Where a synthetic image comes from. split_hash: of the generator's training split; "" when nobody says.

    tables: cohort tables that may be the one that the generator was trained on.
    """

    split_hash: str
    tables: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Synthetic:
    """A synthetic entry of a cohort. leaked: patients of val and test on whom its generator was trained."""

    case: str
    column: str
    split_hash: str
    leaked: tuple[str, ...]

    @property
    def what(self) -> str:
        """The finding in words."""
        text = f"is synthetic; its generator was trained on the split {self.split_hash[:12] or 'that nobody noted'}"
        if not self.leaked:
            return text
        names = ", ".join(self.leaked[:4]) + (f" and {len(self.leaked) - 4} more" if self.leaked[4:] else "")
        return f"{text}, which holds {names} of val and test here"


def sidecar(image: Path) -> Path:
    """Where the notes about an image file stand: the same name with .json."""
    return image.with_name(image.name[: -len(io.extension(image)) or None] + ".json")


def origin(image: Path) -> Origin | None:
    """What made the image file or DICOM series; None when nothing says that it is synthetic."""
    if image.is_dir() or io.extension(image) in io.DICOM:
        return _dicom_origin(image)
    notes = _notes(sidecar(image))
    if not notes.get("synthetic"):
        return None
    run = _notes(image.resolve().parent.parent / "run.json")  # the image still lies in RUN/samples
    tables = [Path(str(text)) for text in (run.get("cohort"), notes.get("trained_on"), notes.get("source")) if text]
    return Origin(str(notes.get("split_hash", "")), tuple(tables))


def carry_mark(source: Path | None, copy: Path) -> None:
    """A copy of a synthetic image says so too; a copy of a real one needs no sidecar."""
    made = origin(source) if source is not None else None
    if made is not None:
        trained_on = str(next(iter(made.tables), ""))
        notes = {"synthetic": True, "split_hash": made.split_hash, "trained_on": trained_on, "source": str(source)}
        write_json(sidecar(copy), notes)


def synthetic_entries(cohort: Cohort) -> Iterator[Synthetic]:
    """The synthetic entries of the cohort, each with the patients that leak through it as far as that can be known."""
    held = [p for split in ("val", "test") for p in cohort.where(split).patients]
    for case in dict.fromkeys(cohort.ids):
        for column in cohort.image_columns:
            path = cohort.path(case, column)
            made = origin(path) if path is not None and path.exists() else None
            if made is not None:
                seen = _training_patients(made, cohort) if held else set()
                yield Synthetic(case, column, made.split_hash, tuple(sorted(seen & set(held))))


def leak(cohort: Cohort) -> RadloomError | None:
    """The error that forbids training on this cohort; None when no known leak goes through a synthetic entry."""
    first = next((entry for entry in synthetic_entries(cohort) if entry.leaked), None)
    if first is None:
        return None
    return RadloomError(f"{first.case} {first.column} {first.what}", expected="a generator that never saw them",
                        do="take these patients out of val and test, or draw with a run whose training split "
                        "has none of them")  # fmt: skip


def refuse_other_source(samples: Path, cases: Sequence[str], table: Path) -> None:
    """Raises RadloomError when images of these cases were drawn from another table: they would be overwritten."""
    for path in _sidecars(samples, cases):
        notes = _notes(path)
        if notes.get("source") not in (None, str(table), str(table.parent)):
            raise RadloomError(f'images of case "{notes.get("case")}" were drawn from {notes["source"]} before',
                               expected="another name for another patient",
                               do=f"rename the case in {table}, or delete its files in {samples}")  # fmt: skip


def _sidecars(samples: Path, cases: Sequence[str]) -> list[Path]:
    return [
        path for path in sorted(samples.glob("*.json")) if re.sub(r"\.draw\d+\.image\..*$", "", path.name) in set(cases)
    ]


def _training_patients(made: Origin, cohort: Cohort) -> set[str]:
    """The patients of the split with the origin's hash, where this table or one of the origin's has such a split."""
    for split in SPLITS:
        part = cohort.where(split)
        if len(part) and part.split_hash(split) == made.split_hash:
            return set(part.patients)
    for table in made.tables:
        try:
            part = Cohort.read_unchecked(table).where("train")
        except RadloomError:
            continue  # the generator's cohort is not at hand: nothing is known
        if len(part) and part.split_hash("train") == made.split_hash:
            return set(part.patients)
    return set()


def _notes(path: Path) -> dict[str, Any]:
    """The JSON object in a file; {} where there is none, for other programs write sidecars too."""
    try:
        found = read_json(path)
    except RadloomError:
        return {}
    return found if isinstance(found, dict) else {}


def _dicom_origin(place: Path) -> Origin | None:
    from radloom.io.dicom_group import READ_ERRORS, dicom_file

    files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
    for path in files:
        try:
            header = dicom_file(path, ("SyntheticData", "DerivationDescription"))
        except READ_ERRORS:
            continue  # reading the pixels says what is wrong with it
        if header is not None:
            found = re.search(r"training split ([0-9a-f]{64})", str(header.get("DerivationDescription", "")))
            return Origin(found.group(1) if found else "") if header.get("SyntheticData") == "YES" else None
    return None
