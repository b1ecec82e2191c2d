"""The answer of the replacement study from its rows: losses against all-real, gains over the baselines, a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from radloom.random import numpy_stream
from radloom.results import Results
from radloom.stats.arms import friedman
from radloom.stats.intervals import bootstrap_ci
from radloom.stats.multiplicity import holm
from radloom.stats.tests import wilcoxon

QUESTION = "How much Dice does a segmenter that learned from real sequences lose when some sequences are synthetic?"
METRICS = ("dice", "dice_to_real")
LEAST_PATIENTS = 9  # with fewer, even the smallest p of a signed-rank test stays above 0.05 after Holm over 9


def findings(results: Results, target: Sequence[str]) -> dict[str, Any]:
    """Question, answer, verdict, comparisons and Friedman tests; all by patient, p by Holm within a family."""
    comparisons = [row for metric in METRICS for row in _comparisons(results, metric)]
    everything = "+".join(target)
    answer, passed = _answer(comparisons, everything)
    return {
        "question": QUESTION,
        "answer": answer,
        "passed": passed,
        "comparisons": comparisons,
        "friedman": _friedman(results),
        "absent": _absent(results),
    }


def _by_case(results: Results, metric: str, region: str) -> pd.DataFrame:
    """One row per (patient, case), a column per (arm, replaced)."""
    return results.values(by=("arm", "replaced"), metric=metric, region=region)


def comparable(cases: pd.DataFrame, columns: Sequence[Any]) -> pd.DataFrame:
    """Dice of these columns by case, over the cases in which every column has a number: a comparison stays paired.

    cases: every arm's Dice (n, arms); NaN where reference and reading are both empty, 0 where one of them is. A case
    whose reference lacks the structure has no number but 0 and NaN. There a reading that found nothing was right: it
    counts as 1 beside one that found something, so that an invented structure costs its arm what it should. Where no
    reading of these columns invents it the case says nothing about their difference and is left out.
    """
    absent, chosen = _reference_empty(cases), pd.DataFrame(cases[list(columns)])
    told = absent & (chosen == 0).any(axis=1)
    return chosen.mask(chosen.isna() & np.asarray(told)[:, None], 1.0).dropna()


def _reference_empty(cases: pd.DataFrame) -> pd.Series:
    """Whether a case's reference lacks the structure: a reading scored NaN, and none scored above 0."""
    return cases.isna().any(axis=1) & ~(cases > 0).any(axis=1)


def _by_patient(cases: pd.DataFrame) -> np.ndarray:
    """The mean of each patient's cases."""
    return np.asarray(cases.groupby(level="patient", sort=False).mean())


def _absent(results: Results) -> list[dict[str, Any]]:
    """By metric and region with such cases: how many references lack the structure, and how often each arm invents it.

    invented: {"real": 0, "model image.t1": 2, ...}.
    """
    rows = []
    for metric in METRICS:
        for region in _regions(results, metric):
            wide = _by_case(results, metric, region)
            found = wide[_reference_empty(wide)]
            if len(found):
                counts = {
                    " ".join(filter(None, column)): int(np.count_nonzero(found[column] == 0)) for column in wide.columns
                }
                rows.append({"metric": metric, "region": region, "cases": len(found), "invented": counts})
    return rows


def _regions(results: Results, metric: str) -> list[str]:
    return list(dict.fromkeys(results.table.loc[results.table["metric"] == metric, "region"]))


def _comparisons(results: Results, metric: str) -> list[dict[str, Any]]:
    """Every arm against all-real (metric "dice"), and the model against every baseline on the same replaced set."""
    rows: list[dict[str, Any]] = []
    for region in _regions(results, metric):
        wide = _by_case(results, metric, region)
        for arm, replaced in wide.columns:
            if arm == "real":
                continue
            if metric == "dice":
                rows.append(_compared(wide, metric, region, (arm, replaced), ("real", "")))
            if arm != "model":
                rows.append(_compared(wide, metric, region, ("model", replaced), (arm, replaced)))
    families = {_family(row) for row in rows}
    return [row for family in sorted(families) for row in _adjusted([r for r in rows if _family(r) == family])]


def _family(row: dict[str, Any]) -> tuple[str, str]:
    """Comparisons that answer one question are adjusted together: one region, one set of replaced entries."""
    return row["region"], row["replaced"]


def _adjusted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    tested = [row for row in rows if np.isfinite(row["p"])]
    adjusted = holm(np.array([row["p"] for row in tested])) if tested else []
    by_row = {id(row): float(p) for row, p in zip(tested, adjusted, strict=True)}
    return [{**row, "p": _number(row["p"]), "p_holm": by_row.get(id(row))} for row in rows]


def _compared(
    wide: pd.DataFrame, metric: str, region: str, one: tuple[str, str], other: tuple[str, str]
) -> dict[str, Any]:
    """The mean difference one - other over patients who have both, with its bootstrap interval and signed-rank p."""
    pairs = _by_patient(comparable(wide, [one, other]))
    difference = pairs[:, 0] - pairs[:, 1]
    n = len(difference)
    names = {"replaced": one[1], "arm": one[0], "against": other[0], "region": region, "metric": metric, "n": n}
    if n == 0:
        return {**names, "difference": None, "low": None, "high": None, "p": float("nan")}
    rng = numpy_stream(0, "replace", metric, region, *one, *other)
    interval = bootstrap_ci(difference, patients=np.arange(n), rng=rng)
    p = wilcoxon(pairs[:, 0], pairs[:, 1]).p if n > 1 and np.any(difference != 0) else float("nan")
    values = {"difference": interval.estimate, "low": interval.low, "high": interval.high}
    return {**names, **{name: _number(value) for name, value in values.items()}, "p": p}


def _friedman(results: Results) -> list[dict[str, Any]]:
    """Friedman's test over real and the model's replaced sets, as the paper did, by region."""
    rows = []
    for region in _regions(results, "dice"):
        wide = _by_case(results, "dice", region)
        arms = _by_patient(comparable(wide, [c for c in wide.columns if c[0] in ("real", "model")]))
        if len(arms) >= LEAST_PATIENTS and arms.shape[1] >= 3:
            test = friedman(arms)
            rows.append({"region": region, "n": len(arms), "arms": arms.shape[1], "p": _number(test.p)})
    return rows


def _answer(comparisons: list[dict[str, Any]], everything: str) -> tuple[str, bool | None]:
    """One plain sentence, and whether the model beats every baseline when everything is replaced."""
    chosen = [
        c
        for c in comparisons
        if c["metric"] == "dice" and c["replaced"] == everything and c["region"] == "whole tumour"
    ]
    losses = {c["arm"]: c for c in chosen if c["against"] == "real"}
    gains = {c["against"]: c for c in chosen if c["arm"] == "model" and c["against"] != "real"}
    if losses["model"]["difference"] is None:
        return "No test patient has a tumour that both readings could be compared on.", None
    n = losses["model"]["n"]
    best = max(
        (a for a in losses if a != "model" and losses[a]["difference"] is not None),
        key=lambda a: losses[a]["difference"],
    )
    names = " and ".join(key.removeprefix("image.").upper() for key in everything.split("+"))
    sentence = (
        f"With {names} replaced by synthetic images the segmenter's whole-tumour Dice changes by "
        f"{_with_interval(losses['model'])} against all-real images ({n} patients); with the best baseline without a "
        f"generator ({best}) it changes by {_with_interval(losses[best])}, with zero-filled channels by "
        f"{_with_interval(losses['zero'])}"
    )
    if n < LEAST_PATIENTS:
        return f"{sentence}. {n} patients are too few for a verdict.", None
    beaten = [a for a, c in gains.items() if c["p_holm"] is not None and c["p_holm"] < 0.05 and c["difference"] > 0]
    if len(beaten) == len(gains):
        return f"{sentence}. By this Dice the generator beats every baseline.", True
    rest = ", ".join(a for a in gains if a not in beaten)
    return f"{sentence}. By this Dice the generator is not shown to beat: {rest}.", False


def _with_interval(row: dict[str, Any]) -> str:
    if row["low"] is None:
        return f"{row['difference']:+.3f}"
    return f"{row['difference']:+.3f} (95 % {row['low']:+.3f} to {row['high']:+.3f})"


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return None if value is None or not np.isfinite(value) else float(value)
