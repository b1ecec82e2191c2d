"""What a generator is told about an image before it draws: a label as classes or as a value, or what a slice shows."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from radloom.data.cohort import Cohort
from radloom.errors import RadloomError

_CLASSES = 5  # whole numbers with at most so many different values are classes


@dataclass(frozen=True)
class Condition:
    """A column of labels ("label.idh"): its classes in order, or centre and scale of a value where there are none.

    Text, and whole numbers of at most 5 different values, are classes; other numbers are values. Of a mask
    ("mask.tumour") the classes are 0 and 1: whether a slice shows any of it.
    """

    column: str
    classes: tuple[str, ...] = ()
    centre: float = 0.0
    scale: float = 1.0

    @property
    def name(self) -> str:
        """The column without its "label."."""
        return self.column.partition(".")[2] or self.column

    @property
    def of_slices(self) -> bool:
        """Whether slices of one case may differ in it."""
        return self.column.startswith("mask.")

    def fitted(self, training: Cohort) -> Condition:
        """Classes, or mean and standard deviation, of the training cases.

        Raises RadloomError when the column is absent, a case has no label, or all labels are equal.
        """
        training.require([self.column])
        if self.of_slices:
            return replace(self, classes=("0", "1"))
        values = list(training.table[self.column])
        different = sorted(set(values))
        if len(different) < 2:
            raise RadloomError(f"all training cases have {self.column} {different[0]}", expected="two classes or more",
                               do="leave the condition out")  # fmt: skip
        if any(isinstance(value, str) for value in values):
            return replace(self, classes=tuple(different))
        if len(different) <= _CLASSES and all(float(value).is_integer() for value in different):
            return replace(self, classes=tuple(str(int(value)) for value in different))
        numbers = np.array(values, dtype=float)
        return replace(self, centre=float(numbers.mean()), scale=float(numbers.std()))

    def code(self, value: Any) -> float:
        """The number that networks are given: the class's place, or the value itself.

        Raises RadloomError for a class that no training case had, or what is no number.

        >>> Condition("label.idh", ("mutant", "wild type")).code("wild type")
        1.0
        """
        text = label_text(value)
        if self.classes:
            if text not in self.classes:
                raise RadloomError(f'{self.column} "{text}" is no class of the training cases',
                                   expected=f"one of {', '.join(self.classes)}")  # fmt: skip
            return float(self.classes.index(text))
        try:
            number = float(value)
        except (TypeError, ValueError) as error:
            raise RadloomError(f'{self.column} "{value}" is no number', expected=f"such as {self.centre:g}") from error
        if not math.isfinite(number):
            raise RadloomError(f"{self.column} {value} is not finite", expected=f"such as {self.centre:g}")
        return number

    def said(self, code: float) -> str:
        """The class, or the value, that a code stands for, such as "wild type" or "63.5"."""
        return self.classes[round(code)] if self.classes else f"{code:g}"

    def record(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Condition:
        """The condition that `record` described."""
        return cls(record["column"], tuple(record["classes"]), float(record["centre"]), float(record["scale"]))


def label_text(value: Any) -> str:
    """A label as a person writes it: "1" for 1 and 1.0, "normal" for itself.

    >>> label_text(1.0), label_text(1234567), label_text(0.5), label_text("normal")
    ('1', '1234567', '0.5', 'normal')
    """
    return str(int(value)) if isinstance(value, int | float) and float(value).is_integer() else str(value)
