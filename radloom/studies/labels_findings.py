"""What the study of labels finds: Dice by number of labels with intervals, the gain, the labels saved, a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from radloom.studies.against_baselines import LEAST_PATIENTS
from radloom.studies.by_patient import Compared, as_json, compared, mean_text
from radloom.studies.labels_arms import SCRATCH, SEGMENTER

HOME, ELSEWHERE = "same hospital", "other hospital"
FEW = 6  # labels of the claim (issue of the paper's question: what few labels buy)


def findings(cases: pd.DataFrame, *, method: str, watched: int, orders: int) -> dict[str, Any]:
    """Answer, verdict and tables from the rows of study/cases.csv.

    passed: averaged over all numbers of labels up to 6, the method's Dice is above that of the U-Net from scratch, at
    the same hospital and at the other, each by the signed-rank test; both must hold, so no p is adjusted. None with
    fewer than six test patients at one of them.
    """
    numbers = sorted({int(n) for n in cases["labels"]})
    few = [n for n in numbers if n <= FEW] or numbers[:1]
    places = [place for place in (HOME, ELSEWHERE) if place in set(cases["where"])]
    main = {place: {other: compared(by_patient(cases, method, few, place), by_patient(cases, other, few, place),
                                    "labels", place, other) for other in (SCRATCH, SEGMENTER)}
            for place in places}  # fmt: skip
    saved = {place: labels_for(cases, SCRATCH, mean_of(cases, method, few[-1], place), place) for place in places}
    against = {place: main[place][SCRATCH] for place in places}
    enough = len(places) == 2 and min(one.n for one in against.values()) >= LEAST_PATIENTS
    passed = all(one.higher for one in against.values()) if enough else None
    tables = [_by_number(cases, numbers, place, watched, orders) for place in places]
    tables += [_gains(cases, numbers, places, method), _precision(cases, [few[-1], numbers[-1]], places)]
    if any(step >= 0 for step in cases["step"]):
        tables.append(_by_step(cases, [few[-1], numbers[-1]], places))
    return {
        "answer": _answer(main, saved, few, method, passed), "passed": passed, "method": method,
        "few": few, "tables": tables,
        "labels_saved": {place: {"with": few[-1], "scratch": n} for place, n in saved.items()},
        "gain": {place: {other: as_json(one) for other, one in found.items()} for place, found in main.items()},
    }  # fmt: skip


def by_patient(
    cases: pd.DataFrame, arm: str, numbers: list[int], place: str, *, metric: str = "dice", step: int = -1
) -> dict[str, float]:
    """By patient, the mean of the metric over these numbers of labels, over orders and over the patient's cases."""
    rows = cases[(cases["arm"] == arm) & cases["labels"].isin(numbers) & (cases["where"] == place)
                 & (cases["metric"] == metric) & (cases["step"] == step)]  # fmt: skip
    means: Any = rows.groupby("patient", sort=False)["value"].mean()
    return {str(patient): float(value) for patient, value in means.items()}


def mean_of(cases: pd.DataFrame, arm: str, number: int, place: str) -> float:
    """The mean Dice over patients after so many labels."""
    return float(np.nanmean(list(by_patient(cases, arm, [number], place).values())))


def labels_for(cases: pd.DataFrame, arm: str, wanted: float, place: str) -> int | None:
    """The fewest labels after which the arm's mean Dice reaches the wanted one; None when none of those tried does."""
    numbers = sorted({int(n) for n in cases["labels"]})
    return next((n for n in numbers if mean_of(cases, arm, n, place) >= wanted), None)


def _answer(
    main: Mapping[str, Mapping[str, Compared]], saved: Mapping[str, int | None], few: list[int], method: str,
    passed: bool | None,
) -> str:  # fmt: skip
    name, sentences = method.upper(), []
    many = f"{few[0]} to {few[-1]} labelled patients" if len(few) > 1 else f"{few[0]} labelled patients"
    for place, found in main.items():
        one, other = found[SCRATCH], found[SEGMENTER]
        reached = "no number that was tried" if saved[place] is None else f"{saved[place]}"
        sentences.append(
            f"{place.capitalize()} ({one.n} patients), with {many}: Dice {one.one:.3f} by {name}, {one.other:.3f} by "
            f"the U-Net from scratch, a difference of {one.text(3)}, and {other.other:.3f} by the U-Net with Dice loss "
            f"and jitter, a difference of {other.text(3)}. What {name} reaches with {few[-1]}, the U-Net from scratch "
            f"reaches with {reached}"
        )
    if HOME not in main or ELSEWHERE not in main:
        ending = "All test patients are of one hospital: nothing is said of another"
    else:
        ending = {None: "These patients are too few for a verdict",
                  True: f"{name} is above the U-Net from scratch at both",
                  False: f"That {name} is above the U-Net from scratch at both is not shown"}[passed]  # fmt: skip
    beaten = [place for place, found in main.items() if not found[SEGMENTER].higher]
    if passed and beaten:
        ending += f", but not shown to be above a U-Net trained with Dice loss and jitter ({' and '.join(beaten)})"
    return ". ".join([*sentences, ending]) + "."


def _by_number(cases: pd.DataFrame, numbers: list[int], place: str, watched: int, orders: int) -> dict[str, Any]:
    arms = list(dict.fromkeys(cases["arm"]))
    n = len(by_patient(cases, arms[0], numbers, place))
    return {
        "title": f"Dice by number of labelled patients, {place}",
        "columns": ["arm", *map(str, numbers)],
        "rows": [[_title(arm), *(mean_text(by_patient(cases, arm, [one], place), "labels", arm, str(one), digits=3)
                                 for one in numbers)] for arm in arms],
        "note": f"{n} test patients. Who is labelled: {orders} random nested order{'s' * (orders > 1)} of the "
        "training patients of one hospital; intervals resample test patients and do not know of other orders. "
        f"{watched} labelled validation patients beyond these choose when heads and U-Net from scratch stop.",
    }  # fmt: skip


def _gains(cases: pd.DataFrame, numbers: list[int], places: list[str], method: str) -> dict[str, Any]:
    rows = []
    for place in places:
        for n in numbers:
            one = by_patient(cases, method, [n], place)
            found = [compared(one, by_patient(cases, other, [n], place), "labels", place, str(n), other)
                     for other in (SCRATCH, SEGMENTER)]  # fmt: skip
            rows.append([place, str(n), *(other.text(3) for other in found)])
    return {
        "title": f"Dice of {method.upper()} above the U-Nets with the same labels",
        "columns": ["test patients", "labels", f"above {SCRATCH}", f"above {SEGMENTER}"], "rows": rows,
        "note": "Paired over patients; p: signed-rank test, not adjusted. The claim is about the mean of all numbers "
        f"of labels up to {FEW}.",
    }  # fmt: skip


def _precision(cases: pd.DataFrame, numbers: list[int], places: list[str]) -> dict[str, Any]:
    shown = [(place, n, metric) for place in places for n in dict.fromkeys(numbers)
             for metric in ("precision", "recall")]  # fmt: skip
    return {
        "title": "Precision and recall",
        "columns": ["arm", *(f"{metric}, {n} labels, {place}" for place, n, metric in shown)],
        "rows": [[_title(arm), *(f"{_mean(by_patient(cases, arm, [n], place, metric=metric)):.3f}"
                                 for place, n, metric in shown)] for arm in dict.fromkeys(cases["arm"])],
        "note": "Means over test patients, of those of whom the arm marks anything.",
    }  # fmt: skip


def _by_step(cases: pd.DataFrame, numbers: list[int], places: list[str]) -> dict[str, Any]:
    arm = next(str(arm) for arm, step in zip(cases["arm"], cases["step"], strict=True) if step >= 0)
    shown = [(place, n) for place in places for n in dict.fromkeys(numbers)]
    return {
        "title": f"Dice of {_title(arm)} read at one noise step alone",
        "columns": ["step of 1000", *(f"{n} labels, {place}" for place, n in shown)],
        "rows": [[str(step), *(mean_text(by_patient(cases, arm, [n], place, step=step), "labels", str(step), digits=3)
                               for place, n in shown)] for step in sorted({int(s) for s in cases["step"]} - {-1})],
        "note": "The shared head's answer before averaging.",
    }  # fmt: skip


def _mean(values: Mapping[str, float]) -> float:
    known = [value for value in values.values() if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _title(arm: str) -> str:
    return {"ledm": "LEDM", "ledme": "LEDMe", "tedm": "TEDM"}.get(arm, arm)
