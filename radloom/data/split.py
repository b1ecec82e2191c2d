"""Who trains and who is tested: cohorts split by patient, by chance or by name; images are not opened here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from radloom.data.cohort import Cohort
from radloom.data.faults import SPLITS
from radloom.errors import RadloomError
from radloom.random import numpy_stream


def split(
    cohort: Cohort,
    *,
    fractions: tuple[float, float, float] = (0.7, 0.1, 0.2),
    seed: int,
    stratify: str | None = None,
) -> Cohort:
    """The cohort with train, val and test given to whole patients in these fractions; a function of names and seed.

    Every split with a fraction above 0 gets a patient. `stratify` names a column ("site", "label.idh") whose values
    are spread evenly over the splits.
    """
    patients = sorted(cohort.patients)
    sizes = _sizes(len(patients), fractions)
    ordered = _spread(patients, _strata(cohort, stratify), numpy_stream(seed, "split"))
    names = np.repeat(SPLITS, sizes)
    return _with_splits(cohort, dict(zip(ordered, map(str, names), strict=True)))


def assign(cohort: Cohort, *, test: Sequence[str], val: Sequence[str] = ()) -> Cohort:
    """The cohort with these patients in test and val and all others in train."""
    known = set(cohort.patients)
    for patient in (*test, *val):
        if patient not in known:
            raise RadloomError(
                f'the cohort has no patient "{patient}"', expected=f"one of {', '.join(sorted(known)[:8])}"
            )
    both = sorted(set(test) & set(val))
    if both:
        raise RadloomError(f'patient "{both[0]}" was named for test and for val', expected="one split per patient")
    if not known - {*test, *val}:
        raise RadloomError("no patient is left for train", do="name fewer patients for test and val")
    chosen = dict.fromkeys(known, "train") | dict.fromkeys(val, "val") | dict.fromkeys(test, "test")
    return _with_splits(cohort, chosen)


def _sizes(n: int, fractions: tuple[float, float, float]) -> list[int]:
    """Patients per split: largest remainders, with at least one where the fraction is above 0."""
    if min(fractions) < 0 or fractions[0] == 0 or not math.isclose(sum(fractions), 1, abs_tol=1e-6):
        raise RadloomError(
            f"the fractions of train, val and test are {fractions}", expected="numbers from 0 to 1 that add up to 1"
        )
    if n < sum(fraction > 0 for fraction in fractions):
        raise RadloomError(
            f"{n} patients cannot fill {sum(fraction > 0 for fraction in fractions)} splits",
            expected="at least one patient per split",
            do="use fewer splits (a fraction of 0), or name patients with `radloom data split --test PATIENT`",
        )
    exact = np.array(fractions) * n
    sizes = np.floor(exact + 1e-9).astype(int)
    for place in np.argsort(-(exact - sizes), kind="stable")[: n - sizes.sum()]:
        sizes[place] += 1
    for place in range(3):
        if fractions[place] > 0 and sizes[place] == 0:
            sizes[np.argmax(sizes)] -= 1
            sizes[place] = 1
    return [int(size) for size in sizes]


def _strata(cohort: Cohort, column: str | None) -> dict[str, str]:
    """Each patient's value of the column; several values of one patient are a stratum of their own."""
    if column is None:
        return dict.fromkeys(cohort.patients, "")
    if column not in cohort.table.columns:
        raise RadloomError(
            f'the cohort has no column "{column}" to stratify by', expected=f"one of {', '.join(cohort.table.columns)}"
        )
    values = cohort.table.groupby("patient")[column]
    strata = {str(patient): "+".join(sorted(set(map(str, column_values)))) for patient, column_values in values}
    if len(strata) > 2 and len(set(strata.values())) == len(strata):
        raise RadloomError(
            f'every patient has another value of "{column}"', expected="groups of patients with the same value"
        )
    return strata


def _spread(patients: list[str], strata: Mapping[str, str], rng: np.random.Generator) -> list[str]:
    """The patients in an order in which every stretch holds each stratum in its share, by chance otherwise."""
    shuffled: list[str] = [patients[int(i)] for i in rng.permutation(len(patients))]
    groups: dict[str, list[str]] = {}
    for patient in shuffled:
        groups.setdefault(strata[patient], []).append(patient)
    place = {}
    for members in groups.values():
        start = rng.random()  # the first of a small stratum may come early or late, so that no split misses it always
        place |= {patient: (rank + start) / len(members) for rank, patient in enumerate(members)}
    return sorted(shuffled, key=lambda patient: place[patient])


def _with_splits(cohort: Cohort, splits: Mapping[str, str]) -> Cohort:
    return replace(cohort, table=cohort.table.assign(split=[splits[patient] for patient in cohort.table["patient"]]))
