"""Judging a run that draws from nothing: its images against held-out patients, beside what needs no model.

The measures are those of `radloom compare`. Distances are to real images of test patients, whom the model never saw;
copies are looked for among the training images, with the test images as the measure of chance.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from radloom.compare.arms import Arm, Sets, read_sets
from radloom.compare.likeness import Nearest, add_distances, add_nearest
from radloom.compare.measures import SYNTHETIC, Findings, Measure, Refused, table
from radloom.compare.planes import Described, describe
from radloom.compare.sets import add_appearance, add_diversity, varying
from radloom.compare.space import Space
from radloom.compare.spaces import add_core
from radloom.compare.trivial import AGAIN
from radloom.data.cohort import Cohort
from radloom.files import whole_file
from radloom.metrics import features
from radloom.metrics.features_extractor import Extractor
from radloom.runfolder import RunFolder
from radloom.system import Recipe

SLICES = 8  # axial slices of a volume
_RADIOMIC = 300  # planes of a set for radiomic features, which cost most


def judge(recipe: Recipe, folder: RunFolder, cohort: Cohort) -> list[Measure]:
    """Every measure of every target and arm; writes results.csv, nearest.csv and sheets/ of the run.

    Raises RadloomError when nothing was drawn, or fewer than 2 test images are left to judge by.
    """
    from radloom.compare.likelihood import add_bits
    from radloom.compare.pictures import write_sheets

    started = time.perf_counter()
    measures: list[Measure] = []
    refused: list[Refused] = []
    nearest: list[tuple[str, str, str, float, bool]] = []
    for key in recipe.system.task.target:
        sets = read_sets(recipe, folder, cohort, key)
        found, near = _judged(sets)
        add_bits(recipe, folder, sets, found)
        _add_seconds(folder, sets, found)
        write_sheets(folder.path / "sheets", sets, near)
        measures += found.measures
        refused += found.refused
        nearest += _rows(key, near)
    with whole_file(folder.results) as temporary:
        table(measures).to_csv(temporary, index=False)
    _write_nearest(folder, nearest)
    folder.update({"refused": [[one.target, one.metric, one.reason] for one in refused]})
    folder.add_stage("evaluate", time.perf_counter() - started)
    return measures


@dataclass(frozen=True, eq=False)
class _Reference:
    """The real sets, described once: test patients with all extractors, training patients with texture alone."""

    test: Described
    training: Described
    extractors: tuple[tuple[Extractor, int], ...]


def _judged(sets: Sets) -> tuple[Findings, Nearest | None]:
    window = (sets.scale.low, sets.scale.high)
    texture = features.multiscale_texture(2, window=window)
    extractors = ((texture, 10**9), (features.radiomic("frd_v0", 2, spacing_mm=sets.spacing_mm), _RADIOMIC))
    training = describe(sets.training, sets.scale, extractors[:1], SLICES)
    reference = _Reference(describe(sets.test, sets.scale, extractors, SLICES), training, extractors)
    total, near = Findings(), None
    for arm in sets.arms:
        found = Findings()
        nearest = _judged_arm(sets, arm, reference, found)
        near = nearest if arm.name == SYNTHETIC else near
        _take(total, found, arm)
    for arm in sets.conditions:
        found = Findings()
        _add_spaces(sets, describe(arm.items, sets.scale, extractors[:1], SLICES), _only(reference, arm), found)
        _take(total, found, arm)
    return total, near


def _judged_arm(sets: Sets, arm: Arm, real: _Reference, found: Findings) -> Nearest | None:
    drawn = describe(arm.items, sets.scale, real.extractors, SLICES)
    _add_spaces(sets, drawn, real.test, found)
    add_appearance(sets.key, real.test, drawn, sets.seed, found)
    add_diversity(sets.key, real.test, drawn, sets.scale, sets.seed, found)
    if arm.name not in (SYNTHETIC, AGAIN):
        return None
    name = next(iter(real.training.features))
    seen, new, held = (one.features[name] for one in (real.training, drawn, real.test))
    if not (seen.reason or new.reason or held.reason):
        space = Space(sets.key, name, seen.preprocessing, seen.values, new.values, real.training.patients[seen.rows],
                      drawn.patients[new.rows], sets.seed)  # fmt: skip
        add_distances(space, found, excluded=False, held_out=held.values,
                      patients_held_out=real.test.patients[held.rows])  # fmt: skip
    return add_nearest(sets.key, real.training, drawn, excluded=False, held_out=real.test, seed=sets.seed, found=found)


def _add_spaces(sets: Sets, drawn: Described, test: Described, found: Findings) -> None:
    for name, one in drawn.features.items():
        real = test.features[name]
        if real.reason or one.reason:
            found.refused.append(Refused(sets.key, f"everything in the features of {name}", real.reason or one.reason))
            continue
        x, y = real.values, one.values
        if name.startswith("radiomic"):
            kept = varying(x)
            mean, sd = x[:, kept].mean(axis=0), x[:, kept].std(axis=0)
            x, y = ((z[:, kept] - mean) / sd for z in (x, y))
            name = f"{name}, z-scored"
        add_core(Space(sets.key, name, real.preprocessing, x, y, test.patients[real.rows], drawn.patients[one.rows],
                       sets.seed), found)  # fmt: skip


def _only(reference: _Reference, arm: Arm) -> Described:
    """The test set of one condition."""
    rows = np.flatnonzero(np.isin(reference.test.patients, arm.patients))
    test = reference.test
    kept = {name: replace(one, values=one.values[np.isin(one.rows, rows)],
                          rows=np.searchsorted(rows, one.rows[np.isin(one.rows, rows)]))
            for name, one in test.features.items()}  # fmt: skip
    return replace(
        test, planes=tuple(test.planes[i] for i in rows), features=kept, thumbnails=test.thumbnails[rows],
        spectra=test.spectra[rows], histograms=test.histograms[rows], hashes=test.hashes[rows],
    )  # fmt: skip


def _take(total: Findings, found: Findings, arm: Arm) -> None:
    """Adds an arm's numbers under its name; what is said of real images alone is taken from the model's arm."""
    for one in found.measures:
        if one.arm == SYNTHETIC:
            total.measures.append(replace(one, arm=arm.name))
        elif arm.name == SYNTHETIC:
            total.measures.append(one)
    total.refused.extend(replace(one, metric=f"{one.metric} of {arm.name}") for one in found.refused)


def _add_seconds(folder: RunFolder, sets: Sets, found: Findings) -> None:
    seconds = folder.record()["drawn"]["cpu_seconds_per_image"]
    found.measures.append(Measure(sets.key, "cpu_seconds_per_image", SYNTHETIC, seconds, np.nan, np.nan, sets.drawn, 0,
                                  0, "", "", "s", "lower", "CPU seconds of drawing, all threads"))  # fmt: skip


def _rows(key: str, near: Nearest | None) -> Iterable[tuple[str, str, str, float, bool]]:
    for one in near.neighbours if near else ():
        yield key, one.synthetic.item.case, one.real.item.case, one.correlation, one.is_copy


def _write_nearest(folder: RunFolder, rows: list[tuple[str, str, str, float, bool]]) -> None:
    import pandas

    with whole_file(folder.path / "nearest.csv") as temporary:
        pandas.DataFrame(rows, columns=["target", "synthetic", "training", "correlation", "copy"]).to_csv(
            temporary, index=False
        )
