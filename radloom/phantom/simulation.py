"""What an embedded cohort is: its name, what it can draw and how one subject is made; no files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from radloom.types import Case


@dataclass(frozen=True)
class Request:
    """What somebody asked for. Subject i depends on (seed, i, shape, variant, images) alone.

    shape: voxels along x, y, z. variant: which of the cohort's forms. images: keys without "image.", in order.
    """

    seed: int
    shape: tuple[int, int, int]
    variant: str
    images: tuple[str, ...]


MakeSubject = Callable[[int], Sequence[Case]]


@dataclass(frozen=True)
class Simulation:
    """An embedded cohort; a module in `phantom/cohorts/` ends in SIMULATION = Simulation(...).

    shows: one line for the command line. shape: voxels along x, y, z unless asked otherwise; small: as few as a test
    can do with.
    variants: forms of the cohort, the usual one first. images: every key that it can draw, without "image.".
    usual: the images that are drawn unless asked otherwise.
    begin: checks the request, loads what all subjects share and returns the function that makes subject i: its
    examinations, one Case each; the examinations of a subject carry one patient.
    labels: what the values of the label, time and event columns mean.
    """

    name: str
    shows: str
    shape: tuple[int, int, int]
    small: tuple[int, int, int]
    variants: tuple[str, ...]
    images: tuple[str, ...]
    usual: tuple[str, ...]
    begin: Callable[[Request], MakeSubject]
    labels: Mapping[str, str] = field(default_factory=dict)
