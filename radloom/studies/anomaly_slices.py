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
from radloom.studies.disease import Disease
from radloom.synthesis import Synthesis


@dataclass(frozen=True, eq=False)
class Slices:
    """n slices in the order of cases and levels. x: from -1 to 1. region: head or body. truth: voxels of disease.

    case, z: whose slice it is and at which level; patient: of the case. ill: whether the slice shows disease; of a case
    whose label is all that is known, whether the case has it, and then truth is empty.
    """

    x: Float[np.ndarray, "n c h w"]
    region: Bool[np.ndarray, "n h w"]
    truth: Bool[np.ndarray, "n h w"]
    case: tuple[str, ...]
    z: Integer[np.ndarray, " n"]
    patient: tuple[str, ...]
    ill: Bool[np.ndarray, " n"]

    def of(self, chosen: Bool[np.ndarray, " n"]) -> Slices:
        """Some of the slices."""
        names = [(case, patient) for case, patient, one in zip(self.case, self.patient, chosen, strict=True) if one]
        case, patient = zip(*names, strict=True) if names else ((), ())
        return Slices(self.x[chosen], self.region[chosen], self.truth[chosen], case, self.z[chosen], patient,
                      self.ill[chosen])  # fmt: skip

    def given(self, part: slice) -> tuple[torch.Tensor, Given]:
        """(x, given) of some slices, as a model takes them."""
        return torch.from_numpy(self.x[part]), Given(mask=torch.from_numpy(self.region[part])[:, None])


@dataclass(frozen=True, eq=False)
class Cases:
    """The cases of some slices, in their order."""

    names: tuple[str, ...]
    patient: tuple[str, ...]
    ill: Bool[np.ndarray, " n"]

    @classmethod
    def of(cls, slices: Slices) -> Cases:
        """Each case once; ill when any of its slices is."""
        rows: dict[str, tuple[str, bool]] = {}
        for case, patient, ill in zip(slices.case, slices.patient, slices.ill, strict=True):
            rows[case] = (patient, bool(ill) or rows.get(case, ("", False))[1])
        patient, ill = zip(*rows.values(), strict=True)
        return cls(tuple(rows), tuple(patient), np.array(ill))


def read_slices(task: Synthesis, cohort: Cohort, cases: Sequence[str], disease: Disease) -> Slices:
    """Every slice of these cases that shows enough of a head or body. Raises RadloomError when none does."""
    x, region, truth, names, levels, patients, ill = [], [], [], [], [], [], []
    for case in cases:
        prepared = task.seen(cohort, case)
        shape = prepared.region.shape
        sick = np.zeros(shape, bool) if disease.of_cases else disease.mask(task, cohort, case)
        if sick.shape != shape:
            raise RadloomError(f"{disease.column} of case {case} has another grid than its images", expected="one grid",
                               do="bring them onto one: radloom data build --like image.NAME")  # fmt: skip
        for z in np.flatnonzero(prepared.region.mean(axis=(0, 1)) > task.least):
            x.append(prepared.stack(task.target)[..., z])
            region.append(prepared.region[..., z])
            truth.append(sick[..., z] & prepared.region[..., z])
            ill.append(disease.has(cohort, case) if disease.of_cases else bool(truth[-1].any()))
            names.append(case)
            patients.append(prepared.patient)
            levels.append(int(z))
    if not x:
        raise RadloomError("no slice shows enough of a head or body", do="run `radloom data audit`")
    return Slices(np.stack(x), np.stack(region), np.stack(truth), tuple(names), np.array(levels), tuple(patients),
                  np.array(ill))  # fmt: skip
