"""What a layout is: how the folders of one public data set are told, read and may be used. The sets are in layouts/."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from radloom.data.entries import Entry, Found, refuse_images, scan


@dataclass(frozen=True)
class Layout:
    """A data set's folder layout.

    title: the set's name. looks_like: a path as an example. licence: what its publisher allows, to be checked there.
    marks: a regular expression that is found in the path of at least one file of such a folder ("/" in front, the
    folder's own name first), and in no other set's; empty for a layout that nothing but `recognise` can tell.
    recognise: the entries of a folder, None when it is not such a folder; RadloomError when something in it does not
    fit. notes: what is left out, and what the set itself leaves open.
    """

    title: str
    looks_like: str
    licence: str
    recognise: Callable[[Path], list[Entry] | None]
    marks: str = ""
    notes: str = ""


def matching(folder: Path, layouts: Mapping[str, Layout]) -> list[str]:
    """The names of the layouts whose marks some file below the folder carries; no file is opened."""
    waiting = {name: re.compile(layout.marks) for name, layout in layouts.items() if layout.marks}
    found = []
    for path in _paths(folder):
        for name in [name for name, marks in waiting.items() if marks.search(path)]:
            found.append(name)
            del waiting[name]
    return sorted(found)


def fitted(
    folder: Path, entries_of: Callable[[Found], list[Entry] | None], expected: str, found: list[Found] | None = None
) -> list[Entry] | None:
    """The entries of all images in the folder; None when it has none that fits, RadloomError when some do not fit.

    entries_of: the entries of one image; [] for one that is known and left out, None for one that is not known.
    found: the images, where they are not those that `scan` finds.
    """
    pairs = [(one, entries_of(one)) for one in (scan(folder) if found is None else found)]
    entries = [entry for _, made in pairs for entry in made or []]
    if not entries:
        return None
    strangers = [one for one, made in pairs if made is None]
    if strangers:
        raise refuse_images(folder, strangers, expected)
    return entries


def place(folder: Path, found: Found) -> str:
    """The path of an image from its folder, that folder's own name in front: "/IXI-T1/IXI002-Guys-0828-T1.nii.gz"."""
    return "/" + "/".join((folder.resolve().name, *found.parts))


def _paths(folder: Path) -> Iterator[str]:
    top = folder.resolve().name
    for root, _, names in os.walk(folder, followlinks=True):
        parts = ("", top, *Path(root).relative_to(folder).parts)
        for name in sorted(names):
            if not name.startswith("."):
                yield "/".join((*parts, name))
