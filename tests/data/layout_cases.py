"""What the tests of layouts share: a folder becomes a cohort by its layout alone, and what a case then holds."""

import numpy as np

from radloom.data import layouts
from radloom.data.build import build
from radloom.data.layout import matching

LAYOUTS = {name: layouts.load(name) for name in layouts.names()}


def made(folder, name, **options):
    """The cohort of a folder that only this layout's marks fit, read by name and recognised alike."""
    assert matching(folder, LAYOUTS) == [name]
    cohort = build([folder], folder.parent / f"{folder.name}_cohort", **options)
    assert set(cohort.about["built_from"].values()) == {name}
    assert cohort.about["licences"] == {name: LAYOUTS[name].licence}
    named = build([folder], folder.parent / f"{folder.name}_named", layout=name, **options)
    assert named.table.drop(columns=named.image_columns).equals(cohort.table.drop(columns=cohort.image_columns))
    return cohort


def labels(cohort, case):
    """The labels, texts and times of a case."""
    one = cohort.case(case, [])
    return {**one.labels, **one.text}


def masks(cohort, case, column):
    return set(np.unique(cohort.image(case, column).voxels).tolist())
