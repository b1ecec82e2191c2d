"""The embedded cohorts: simulated patients that prove software and method, never a clinical claim."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from radloom.errors import RadloomError
from radloom.phantom.cohort import write_brain

COHORTS = {"brain": write_brain}


def write_cohort(
    name: str,
    out: Path | str,
    *,
    subjects: int = 64,
    seed: int = 0,
    shape: tuple[int, int, int] = (96, 96, 24),
    contrasts: tuple[str, ...] = ("t1", "t1c", "t2", "flair"),
    disease: Literal["tumour", "ms", "none"] = "tumour",
    splits: tuple[float, float, float] = (0.6, 0.15, 0.25),
) -> Path:
    """The folder `out`, now holding the simulated cohort `name`: images/, cohort.csv and cohort.json.

    Subject i depends on (seed, i) alone. `shape` is (x, y, z); one slice makes 2D pictures through the tumour.
    """
    if name not in COHORTS:
        raise RadloomError(f"no embedded cohort is called {name!r}", expected=f"one of {', '.join(COHORTS)}")
    return COHORTS[name](
        out, subjects=subjects, seed=seed, shape=shape, contrasts=contrasts, disease=disease, splits=splits
    )
