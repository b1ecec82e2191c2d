"""What every interval and test does first: numbers to float64, or one clear line why it cannot; no statistics here."""

from __future__ import annotations

from typing import Any

import numpy as np

from radloom.errors import RadloomError

Numbers = Any  # an array, a list or a pandas column of one number per patient; no type names all three


def plain(values: Any) -> np.ndarray:
    """The values as a numpy array, also of a list, a pandas column or a torch tensor on a GPU; torch is not imported.

    >>> plain([1, 2])
    array([1, 2])
    """
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def finite(values: Numbers, name: str) -> np.ndarray:
    """The values (n,) in float64. Raises RadloomError when there is none, or one is NaN or infinite."""
    numbers = np.asarray(plain(values), dtype=np.float64)
    if numbers.ndim != 1 or len(numbers) == 0:
        raise RadloomError(f"{name} has shape {numbers.shape}", expected="one number per patient, at least one")
    wrong = len(numbers) - np.count_nonzero(np.isfinite(numbers))
    if wrong:
        raise RadloomError(
            f"{name} has {wrong} NaN or infinite values of {len(numbers)}",
            expected="finite numbers",
            do="leave those out and state how many, or give a missed structure a finite penalty",
        )
    return numbers


def same_length(a: np.ndarray, b: np.ndarray) -> None:
    """Raises RadloomError unless both have a number for each patient."""
    if len(a) != len(b):
        raise RadloomError(f"paired samples have {len(a)} and {len(b)} values", expected="the same patients in both")


def share(level: float) -> float:
    """The confidence level. Raises RadloomError unless it lies between 0 and 1."""
    if not 0 < level < 1:
        raise RadloomError(f"level is {level}", expected="a share between 0 and 1, for instance 0.95")
    return float(level)
