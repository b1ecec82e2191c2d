"""What studies share: arms compared by patient, numbers with intervals in words, study.json; no protocol."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from radloom.data.views import Prepared
from radloom.files import whole_file, write_json
from radloom.given import Given
from radloom.models.model import Model
from radloom.random import numpy_stream, torch_stream
from radloom.runfolder import RunFolder
from radloom.stats.intervals import bootstrap_ci
from radloom.stats.tests import wilcoxon
from radloom.studies.against_baselines import LEAST_PATIENTS
from radloom.system import Task


@dataclass(frozen=True)
class Compared:
    """One arm against another over the n patients that have both: mean difference, 95 % interval, signed-rank p."""

    n: int
    one: float
    other: float
    difference: float
    low: float
    high: float
    p: float

    @property
    def higher(self) -> bool:
        """Whether the first arm is shown to be higher."""
        return self.n >= LEAST_PATIENTS and self.difference > 0 and self.p < 0.05

    def text(self, digits: int = 2) -> str:
        """ "+0.21 (95 % 0.10 to 0.33; p = 0.004)"."""
        if not np.isfinite(self.low):
            return f"{self.difference:+.{digits}f}"
        p = "" if not np.isfinite(self.p) else f"; p {'< 0.001' if self.p < 0.001 else f'= {self.p:.3f}'}"
        return f"{self.difference:+.{digits}f} (95 % {self.low:+.{digits}f} to {self.high:+.{digits}f}{p})"


def compared(one: Mapping[str, float], other: Mapping[str, float], *names: str) -> Compared:
    """The difference one - other over patients; values that are NaN or missing in an arm are left out in both.

    names: of the comparison, from which the bootstrap's stream is derived.
    """
    both = [p for p in one if p in other and np.isfinite(one[p]) and np.isfinite(other[p])]
    a, b = np.array([one[p] for p in both], dtype=float), np.array([other[p] for p in both], dtype=float)
    if not both:
        return Compared(0, *(float("nan"),) * 6)
    interval = bootstrap_ci(a - b, patients=np.arange(len(both)), rng=numpy_stream(0, "study", *names))
    p = float(wilcoxon(a, b).p) if len(both) > 1 and np.any(a != b) else float("nan")
    return Compared(len(both), float(a.mean()), float(b.mean()), interval.estimate, interval.low, interval.high, p)


def mean_text(values: Mapping[str, float], *names: str, digits: int = 2) -> str:
    """The mean over patients with its 95 % interval: "0.71 (0.60 to 0.80)"; a dash without a value."""
    known = [float(v) for v in values.values() if np.isfinite(v)]
    if not known:
        return "–"
    interval = bootstrap_ci(known, patients=np.arange(len(known)), rng=numpy_stream(0, "study", *names))
    if not np.isfinite(interval.low):
        return f"{interval.estimate:.{digits}f}"
    return f"{interval.estimate:.{digits}f} ({interval.low:.{digits}f} to {interval.high:.{digits}f})"


def sampled(
    model: Model, task: Task, prepared: Prepared, given: Given, *, seed: int
) -> Float[np.ndarray, "c x y z"]:  # fmt: skip
    """A whole case's targets drawn by a model of volumes, 0 outside the region; depends on (seed, case) alone."""
    shape = (1, len(task.target), *prepared.region.shape)
    with torch.no_grad():
        x = model.sample(given, shape, rng=torch_stream(seed, "draw", prepared.case, 0))[0].float().numpy()
    return x * prepared.region


def told(folder: RunFolder, study: Mapping[str, Any], cases: pd.DataFrame, started: float) -> dict[str, Any]:
    """Writes RUN/study.json and the rows behind it, RUN/study/cases.csv; records the stage and returns the study."""
    path = folder.path / "study" / "cases.csv"
    path.parent.mkdir(exist_ok=True)
    with whole_file(path) as temporary:
        cases.to_csv(temporary, index=False)
    write_json(folder.path / "study.json", study)
    folder.add_stage("study", time.perf_counter() - started)
    return dict(study)


def figure_path(folder: RunFolder, name: str) -> tuple[Path, str]:
    """Where a study's picture lies, and how study.json names it."""
    (folder.path / "study").mkdir(exist_ok=True)
    return folder.path / "study" / name, f"study/{name}"


def as_json(found: Compared) -> dict[str, Any]:
    """The comparison without NaN, which JSON has not."""
    return {name: None if isinstance(v, float) and not np.isfinite(v) else v for name, v in asdict(found).items()}
