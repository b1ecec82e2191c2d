"""The prepared cases of a run: made once, kept in the run's cache, made again when the cache was deleted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence

import numpy as np

from radloom.data.cohort import Cohort
from radloom.data.views import Store
from radloom.models.model import Batch
from radloom.runfolder import RunFolder
from radloom.synthesis import Synthesis
from radloom.system import Task


def stored(
    task: Task | Synthesis, folder: RunFolder, cohort: Cohort, splits: Sequence[str], rank: int = 0, processes: int = 1
) -> Store:
    """The store of these splits' cases; process `rank` of `processes` prepares its share of what is missing."""
    store = Store(folder.cache, task.keys)
    cases = [case for split in splits for case in cohort.where(split).ids]
    for split in splits:
        cohort.where(split).require(task.keys)
    for case in cases[rank::processes]:
        if not store.path(case).is_file():
            store.add(task.read(cohort, case))
    return store


def whole_volumes(task: Task, store: Store, cases: Sequence[str]) -> Iterator[Batch]:
    """The stored cases one by one, each a batch of one volume (1, c, x, y, z)."""
    for case in cases:
        volume = np.ascontiguousarray(store.volume(case).transpose(1, 2, 3, 0))[None]
        x, given = task.examples(volume)
        assert given.mask is not None
        yield Batch(x, given, given.mask)


def forget(folder: RunFolder) -> None:
    """Deletes the prepared cases."""
    shutil.rmtree(folder.cache, ignore_errors=True)
