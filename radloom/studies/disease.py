"""Which column of a cohort says where disease is, or which cases have it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radloom.data.cohort import Cohort
from radloom.data.condition import label_text
from radloom.synthesis import Synthesis
from radloom.system import Recipe

MASKS = ("mask.tumour", "mask.lesion", "mask.haemorrhage", "mask.effusion")


@dataclass(frozen=True)
class Disease:
    """column: a mask, or a label of the case and then the value that is `ill`, or the only one that is `healthy`."""

    column: str
    ill: str = ""
    healthy: str = ""

    @property
    def of_cases(self) -> bool:
        """Whether cases are told apart, not voxels."""
        return self.column.startswith("label.")

    def has(self, cohort: Cohort, case: str) -> bool:
        """Whether the case's label says that it is ill."""
        value = label_text(cohort.case(case, []).labels[self.column])
        return value == self.ill if self.ill else value != self.healthy

    def mask(self, task: Synthesis, cohort: Cohort, case: str) -> np.ndarray:
        """Where disease is on the task's grid (x, y, z)."""
        return task.mask(cohort, case, self.column)

    def missing(self, cohort: Cohort) -> bool:
        """Whether a case does not have the column."""
        return self.column not in cohort.table.columns or bool(
            cohort.table[self.column].astype(str).isin(["", "nan"]).any()
        )


def disease_of(recipe: Recipe, cohort: Cohort) -> Disease:
    """What the task leaves out in training or is told; a cohort without that mask: the first of MASKS that it has."""
    task = recipe.system.task
    if isinstance(task, Synthesis):
        if task.without:
            column, _, ill = task.without.partition("=")
            if ill or column in cohort.image_columns:
                return Disease(column, ill=ill)
        for one in task.condition:
            if not one.of_slices and "healthy" in recipe.settings:  # a system that is told which class is no disease
                return Disease(one.column, healthy=recipe.settings["healthy"])
            if one.of_slices and one.column in cohort.image_columns:
                return Disease(one.column)
    return Disease(next((column for column in MASKS if column in cohort.image_columns), MASKS[0]))
