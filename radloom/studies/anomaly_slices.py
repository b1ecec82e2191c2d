"""The slices that a study of anomalies looks at: images, head or body, disease, and whose they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Integer

from radloom.data.cohort import Cohort
from radloom.errors import RadloomError
from radloom.given import Given
from radloom.synthesis import Synthesis


@dataclass(frozen=True, eq=False)
class Slices:
    """n slices in the order of cases and levels. x: from -1 to 1. region: head or body. truth: disease.

    case, z: whose slice it is and at which level; patient: of the case.
    """

    x: Float[np.ndarray, "n c h w"]
    region: Bool[np.ndarray, "n h w"]
    truth: Bool[np.ndarray, "n h w"]
    case: tuple[str, ...]
    z: Integer[np.ndarray, " n"]
    patient: tuple[str, ...]

    @property
    def ill(self) -> Bool[np.ndarray, " n"]:
        """Whether each slice shows disease."""
        return np.asarray(self.truth.any(axis=(1, 2)))

    def of(self, chosen: Bool[np.ndarray, " n"]) -> Slices:
        """Some of the slices."""
        names = [(case, patient) for case, patient, one in zip(self.case, self.patient, chosen, strict=True) if one]
        case, patient = zip(*names, strict=True) if names else ((), ())
        return Slices(self.x[chosen], self.region[chosen], self.truth[chosen], case, self.z[chosen], patient)

    def given(self, part: slice) -> tuple[torch.Tensor, Given]:
        """(x, given) of some slices, as a model takes them."""
        return torch.from_numpy(self.x[part]), Given(mask=torch.from_numpy(self.region[part])[:, None])


def read_slices(task: Synthesis, cohort: Cohort, cases: Sequence[str], mask: str) -> Slices:
    """Every slice of these cases that shows enough of a head or body. Raises RadloomError when none does."""
    x, region, truth, names, levels, patients = [], [], [], [], [], []
    for case in cases:
        prepared = task.seen(cohort, case)
        ill = task.mask(cohort, case, mask)
        if ill.shape != prepared.region.shape:
            raise RadloomError(f"{mask} of case {case} has another grid than its images", expected="one grid",
                               do="bring them onto one: radloom data build --like image.NAME")  # fmt: skip
        for z in np.flatnonzero(prepared.region.mean(axis=(0, 1)) > task.least):
            x.append(prepared.stack(task.target)[..., z])
            region.append(prepared.region[..., z])
            truth.append(ill[..., z] & prepared.region[..., z])
            names.append(case)
            patients.append(prepared.patient)
            levels.append(int(z))
    if not x:
        raise RadloomError("no slice shows enough of a head or body", do="run `radloom data audit`")
    return Slices(np.stack(x), np.stack(region), np.stack(truth), tuple(names), np.array(levels), tuple(patients))
