"""The answer of the vessel study from its rows: lumen, diseased carotids and filled clots by arm, and a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from radloom.metrics.classification import sensitivity, specificity
from radloom.results import Results
from radloom.stats.intervals import Interval
from radloom.studies.against_baselines import Gain, average, averages, gained, gains, number, verdict, with_interval

SIDES = ("right carotid", "left carotid")
QUESTION = "What does a segmenter that learned from real angiograms find in drawn ones: lumen, and diseased carotids?"


def findings(results: Results) -> dict[str, Any]:
    """Question, answer, verdict and tables. A carotid is diseased where it is narrowed at all; one row per carotid.

    The threshold on the read plaque volume is set on the real angiograms of training and validation patients, by
    Youden's index; the test patients' drawn angiograms are read with it.
    """
    carotids = _carotids(results)
    known = carotids.loc[(carotids["split"] != "test") & (carotids["arm"] == "real")]
    threshold = youden(np.asarray(known["plaque"]), np.asarray(known["diseased"]))
    test = carotids.loc[carotids["split"] == "test"]
    lumen = results.values(metric="dice", region="artery lumen", split="test")
    leads = gains(lumen, sign=1)
    dices = averages(lumen, "lumen")
    calls = {arm: _called(test.loc[test["arm"] == arm], threshold) for arm in dices}
    answer, passed = _answer(dices, calls, leads, len(lumen))
    tables = [_lumen_table(dices, leads), _disease_table(calls, threshold)]
    clots = results.values(metric="read as open", region="occluded artery", split="test")
    if len(clots):
        tables.append(_clot_table(clots))
    return {
        "question": QUESTION,
        "answer": answer,
        "passed": passed,
        "threshold_mm3": threshold if math.isfinite(threshold) else None,
        "tables": tables,
    }


def youden(scores: np.ndarray, diseased: np.ndarray) -> float:
    """The threshold that gains most sensitivity + specificity, half-way between two scores; NaN with one class only.

    >>> youden(np.array([0.0, 1.0, 5.0, 9.0]), np.array([False, False, True, True]))
    3.0
    """
    if diseased.all() or not diseased.any():
        return math.nan
    levels = np.unique(scores)
    if len(levels) == 1:
        return math.nan
    middles = (levels[1:] + levels[:-1]) / 2
    gained = [(scores[diseased] > t).mean() + (scores[~diseased] <= t).mean() for t in middles]
    return float(middles[int(np.argmax(gained))])


def _carotids(results: Results) -> pd.DataFrame:
    """One row per case, arm and carotid: plaque read, mm3, and whether it is diseased."""
    rows = results.table.loc[results.table["region"].isin(SIDES)]
    keys = ["split", "arm", "patient", "case", "region"]
    wide = rows.pivot_table(index=keys, columns="metric", values="value", sort=False).reset_index()
    return wide.assign(diseased=wide["stenosis"] > 0)


def _called(part: pd.DataFrame, threshold: float) -> dict[str, Any]:
    """Accuracy with its interval over patients, sensitivity and specificity of one arm."""
    called, truth = np.asarray(part["plaque"]) > threshold, np.asarray(part["diseased"])
    if not math.isfinite(threshold):  # nobody among the known patients, or everybody, is diseased
        none = Interval(math.nan, math.nan, math.nan, 0.95, 0)
        return {"accuracy": none, "sensitivity": math.nan, "specificity": math.nan, "diseased": int(truth.sum()),
                "n": len(truth)}  # fmt: skip
    found = average((called == truth).astype(float), np.asarray(part["patient"]), "calls")
    return {"accuracy": found, "sensitivity": sensitivity(called, truth), "specificity": specificity(called, truth),
            "diseased": int(truth.sum()), "n": len(truth)}  # fmt: skip


def _answer(
    dices: Mapping[str, Interval], calls: Mapping[str, Mapping[str, Any]], leads: Mapping[str, Gain], cases: int
) -> tuple[str, bool | None]:
    best = max(leads, key=lambda arm: np.nan_to_num(dices[arm].estimate))
    sentence = (
        f"The segmenter finds the arteries' lumen in drawn angiograms with a Dice of {with_interval(dices['model'])}, "
        f"in real ones with {with_interval(dices['real'])} and in the best map without a generator ({best}) with "
        f"{with_interval(dices[best])} ({cases} cases); it calls {_share(calls['model'])} of carotids rightly from "
        f"drawn and {_share(calls['real'])} from real ones"
    )
    return verdict(sentence, leads, "this Dice")


def _lumen_table(dices: Mapping[str, Interval], leads: Mapping[str, Gain]) -> dict[str, Any]:
    rows = [[arm, with_interval(found), *gained(leads, str(arm), 3)] for arm, found in dices.items()]
    note = "Mean over cases with a 95 % bootstrap interval over patients; signed-rank tests."
    columns = ["read from", "Dice", "gain of the model", "p (Holm)"]
    return {"title": "Lumen of the arteries", "columns": columns, "rows": rows, "note": note}


def _disease_table(calls: Mapping[str, Mapping[str, Any]], threshold: float) -> dict[str, Any]:
    rows = [[arm, with_interval(c["accuracy"]), number(c["sensitivity"]), number(c["specificity"]),
             f"{c['diseased']} of {c['n']}"] for arm, c in calls.items()]  # fmt: skip
    columns = ["read from", "accuracy", "sensitivity", "specificity", "diseased"]
    note = (
        f"Called diseased where more than {number(threshold, 0)} mm3 of plaque or clot are read in the wall of a "
        "carotid whose course is known; the threshold comes from other patients' real angiograms."
    )
    return {"title": "Diseased carotids", "columns": columns, "rows": rows, "note": note}


def _clot_table(clots: pd.DataFrame) -> dict[str, Any]:
    found = {str(arm): np.asarray(clots[arm], dtype=float) for arm in clots.columns}
    rows = [[arm, number(float(np.nanmean(values)), 2), str(int(np.isfinite(values).sum()))]
            for arm, values in found.items()]  # fmt: skip
    note = "CT without contrast agent does not show whether blood flows: what a drawn angiogram fills here is invented."
    columns = ["read from", "share of the clot", "cases"]
    return {"title": "Occluded arteries read as open", "columns": columns, "rows": rows, "note": note}


def _share(call: Mapping[str, Any]) -> str:
    value = call["accuracy"].estimate
    return f"{100 * value:.0f} %" if math.isfinite(value) else "none"
