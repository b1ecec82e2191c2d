"""Anomalies where only a label of the case is known: which cases are ill by the model's map, beside baselines."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from radloom.downstream.classify import ClassifierSettings, train_classifier
from radloom.stats.auc import auc, bootstrap_auc
from radloom.studies.anomaly_scores import case_scores, slice_scores
from radloom.studies.anomaly_slices import Cases, Slices

WITH_LABELS = "classifier with labels"
FEWEST = 10  # patients of each kind for a verdict
SPECIFICITY = 0.9
_DRAWS = 1000


@dataclass(frozen=True, eq=False)
class CaseArm:
    """One way to score cases. val, test: a score of each case in `Cases` order; how: what of the map the score is."""

    name: str
    how: str
    val: Float[np.ndarray, " m"]
    test: Float[np.ndarray, " n"]
    seconds: float


def scored(
    name: str, on_val: Float[np.ndarray, "m h w"], on_test: Float[np.ndarray, "n h w"], val: Slices, test: Slices,
    seconds: float,
) -> CaseArm:  # fmt: skip
    """The arm of a map: its peak or its mean over a slice, whichever tells validation cases apart better."""
    truth = Cases.of(val).ill
    best = max(_SCORES, key=lambda how: auc(_by_case(_SCORES[how], on_val, val), truth))
    of = _SCORES[best]
    return CaseArm(name, best, _by_case(of, on_val, val), _by_case(of, on_test, test), seconds)


def classifier_arm(train: Slices, val: Slices, test: Slices, steps: int, seed: int) -> CaseArm:
    """What labels buy: a classifier of slices, trained on the labels of their cases."""
    settings = ClassifierSettings(steps=steps, batch=8, width=8, learning_rate=3e-3)
    reader = train_classifier([x[..., None] for x in train.x], train.ill.astype(int).tolist(), settings=settings,
                              seed=seed)  # fmt: skip

    def read(part: Slices) -> Float[np.ndarray, " n"]:
        scores = np.array([reader.read(x[..., None]) for x in part.x])
        return np.array(list(case_scores(scores, part.case).values()))

    on_val, clock = read(val), time.process_time()
    return CaseArm(WITH_LABELS, "log odds", on_val, read(test), (time.process_time() - clock) / len(test.x))


def case_tables(arms: Sequence[CaseArm], val: Cases, test: Cases, rng: np.random.Generator) -> dict[str, Any]:
    """answer, passed, numbers and the table; intervals by drawing patients. The model is the first arm."""
    areas = [bootstrap_auc(arm.test, test.ill, patients=np.asarray(test.patient), draws=_DRAWS, rng=rng)
             for arm in arms]  # fmt: skip
    gaps = _gaps(arms, test, rng)
    rows = []
    for arm, area in zip(arms, areas, strict=True):
        threshold = float(np.quantile(arm.val[~val.ill], SPECIFICITY, method="higher"))
        sensitivity, specificity = (arm.test[test.ill] > threshold).mean(), (arm.test[~test.ill] <= threshold).mean()
        gap = _cell(gaps[arm.name]) if arm.name in gaps else "–"
        rows.append([arm.name, arm.how, _cell((area.estimate, area.low, area.high)), gap,
                     f"{100 * sensitivity:.0f} % / {100 * specificity:.0f} %", f"{arm.seconds:.3g}"])  # fmt: skip
    answer, passed = _answer(arms, areas, gaps, test)
    numbers = [{"arm": arm.name, "how": arm.how, "auc": [area.estimate, area.low, area.high]}
               for arm, area in zip(arms, areas, strict=True)]  # fmt: skip
    return {
        "answer": answer, "passed": passed, "cases": numbers, "gaps": gaps,
        "tables": [{
            "title": "Cases", "rows": rows,
            "columns": ["arm", "score", "AUC", "model minus this arm", "sensitivity / specificity", "CPU s a slice"],
            "note": f"{test.ill.sum()} ill and {(~test.ill).sum()} healthy test cases of {len(set(test.patient))} "
            "patients. Score: the highest hundredth of the map, or its mean, of the three highest slices, chosen on "
            f"validation. Threshold: {100 * SPECIFICITY:.0f} % specificity on validation. Intervals of 95 % by drawing "
            f"patients. {WITH_LABELS} has seen which training cases are ill, the others none of them.",
        }],
    }  # fmt: skip


def _peak(maps: Float[np.ndarray, "n h w"], region: Bool[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    return slice_scores(maps, region)


def _mean(maps: Float[np.ndarray, "n h w"], region: Bool[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    return np.array([one[inside].mean() if inside.any() else 0.0 for one, inside in zip(maps, region, strict=True)])


_SCORES: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {"peak": _peak, "mean": _mean}


def _by_case(score: Callable[[np.ndarray, np.ndarray], np.ndarray], maps: np.ndarray, slices: Slices) -> np.ndarray:
    return np.array(list(case_scores(score(maps, slices.region), slices.case).values()))


def _gaps(
    arms: Sequence[CaseArm], test: Cases, rng: np.random.Generator
) -> dict[str, tuple[float, float, float]]:  # fmt: skip
    """The model's AUC minus each other arm's, with its interval; the same draws of patients for both."""
    _, patient = np.unique(np.asarray(test.patient), return_inverse=True)
    members = [np.flatnonzero(patient == one) for one in range(int(patient.max()) + 1)]
    drawn: list[list[float]] = []
    for _ in range(_DRAWS):
        rows = np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
        if 0 < test.ill[rows].sum() < len(rows):
            drawn.append([auc(arm.test[rows], test.ill[rows]) for arm in arms])
    areas, whole = np.array(drawn), [auc(arm.test, test.ill) for arm in arms]
    found = {}
    for column, arm in enumerate(arms[1:], start=1):
        low, high = np.quantile(areas[:, 0] - areas[:, column], (0.025, 0.975)) if len(areas) else (np.nan, np.nan)
        found[arm.name] = (whole[0] - whole[column], float(low), float(high))
    return found


def _answer(
    arms: Sequence[CaseArm], areas: Sequence[Any], gaps: Mapping[str, tuple[float, float, float]], test: Cases
) -> tuple[str, bool | None]:
    """One sentence, and whether the model is above every baseline without labels, its interval above 0."""
    others = [i for i, arm in enumerate(arms) if i and arm.name != WITH_LABELS]
    best = max(others, key=lambda i: areas[i].estimate)
    own, other = ((areas[i].estimate, areas[i].low, areas[i].high) for i in (0, best))
    sentence = (f"Without labels, the model's map tells ill cases from healthy ones with an AUC of {_cell(own)}; the "
                f"best of {len(others)} baselines without labels ({arms[best].name}) has {_cell(other)}, a difference "
                f"of {_cell(gaps[arms[best].name])}")  # fmt: skip
    with_labels = next((area for arm, area in zip(arms, areas, strict=True) if arm.name == WITH_LABELS), None)
    if with_labels:
        sentence += f"; a classifier that learned from labels has {with_labels.estimate:.3f}"
    patients = np.asarray(test.patient)
    fewest = min(len(set(patients[test.ill])), len(set(patients[~test.ill])))
    if fewest < FEWEST:
        return f"{sentence}. Too few for a verdict: {FEWEST} patients of each kind are needed.", None
    return f"{sentence}.", all(gaps[arms[i].name][1] > 0 for i in others)


def _cell(value: tuple[float, float, float]) -> str:
    return f"{value[0]:.3f} ({value[1]:.3f} to {value[2]:.3f})" if np.isfinite(value[1]) else f"{value[0]:.3f}"
