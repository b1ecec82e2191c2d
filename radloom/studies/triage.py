"""Triage: how long each study waits when a model's score reorders the worklist, and first of all who waits longer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Integer

from radloom.errors import RadloomError
from radloom.random import numpy_stream
from radloom.stats.intervals import bootstrap_ci
from radloom.stats.multiplicity import holm
from radloom.stats.tests import wilcoxon
from radloom.studies.triage_queue import busy_periods, load, serve
from radloom.studies.triage_table import Worklist

FIRST_COME = "first come"
FEWEST_PERIODS = 10  # busy periods that a test rests on
_MOST_PERIODS = 400  # longer logs join neighbours, which stay independent of the rest


@dataclass(frozen=True)
class Policy:
    """An order of reading. urgency: of each study of a worklist. delay_s: from arrival until it can be read."""

    name: str
    urgency: Callable[[Worklist], Float[np.ndarray, " n"]]
    delay_s: float = 0.0
    patience_s: float = math.inf


def first_come() -> Policy:
    """Studies in the order in which they arrived."""
    return Policy(FIRST_COME, lambda w: np.zeros(len(w.study)))


def by_threshold(threshold: float, *, delay_s: float = 0.0, patience_s: float = math.inf) -> Policy:
    """Studies whose score reaches the threshold before all others, first come first served among each."""
    name = "flagged first" + _ageing(patience_s)
    return Policy(name, lambda w: (w.score >= threshold).astype(float), delay_s, patience_s)


def by_score(*, delay_s: float = 0.0, patience_s: float = math.inf) -> Policy:
    """The highest score first; urgency is the score's rank among the worklist's scores, from 0 to 1."""

    def urgency(w: Worklist) -> Float[np.ndarray, " n"]:
        return np.searchsorted(np.sort(w.score), w.score) / max(len(w.score) - 1, 1)

    return Policy("highest score first" + _ageing(patience_s), urgency, delay_s, patience_s)


def by_truth() -> Policy:
    """Emergencies first as if they were known on arrival: what no model can exceed."""
    return Policy("emergencies first (a model that is never wrong)", lambda w: w.emergency.astype(float))


def threshold_at(score: Float[np.ndarray, " n"], emergency: Bool[np.ndarray, " n"], sensitivity: float) -> float:
    """The highest threshold that at least this share of the emergencies reach. Raises RadloomError without one.

    >>> threshold_at(np.array([0.1, 0.4, 0.6, 0.9]), np.array([False, True, True, True]), 0.66)
    0.6
    """
    if not 0 < sensitivity <= 1 or not emergency.any():
        raise RadloomError(f"a threshold at sensitivity {sensitivity} from {int(emergency.sum())} emergencies",
                           expected="a share above 0 up to 1, and an emergency")  # fmt: skip
    scores = np.sort(score[emergency])[::-1]
    return float(scores[math.ceil(sensitivity * len(scores) - 1e-9) - 1])


@dataclass(frozen=True)
class Simulated:
    """One policy on one worklist: when each reading starts, in seconds after the first arrival."""

    policy: Policy
    start: Float[np.ndarray, " n"]


def simulate(worklist: Worklist, policy: Policy, *, readers: int) -> Simulated:
    """The worklist as read under the policy."""
    start = serve(worklist.arrival + policy.delay_s, worklist.reading, policy.urgency(worklist),
                  readers=readers, patience_s=policy.patience_s)  # fmt: skip
    return Simulated(policy, start)


def groups(worklist: Worklist, threshold: float) -> dict[str, Bool[np.ndarray, " n"]]:
    """Whom the report speaks of: those who may be harmed first."""
    flagged, ill = worklist.score >= threshold, worklist.emergency
    return {"emergencies that the model missed": ill & ~flagged, "everyone else, not flagged": ~ill & ~flagged,
            "everyone else, flagged for nothing": ~ill & flagged, "emergencies that the model found": ill & flagged,
            "all emergencies": ill, "all who are no emergency": ~ill, "all studies": np.ones(len(ill), bool),
            }  # fmt: skip


def triage(
    worklist: Worklist, policies: Sequence[Policy], *, threshold: float, readers: int = 1
) -> tuple[dict[str, Any], list[Simulated]]:  # fmt: skip
    """What each policy does to whom, against first come first served: JSON-ready findings, and the simulations.

    Per policy and group: wait (arrival to start), turnaround (arrival to end) and reading time in seconds, as mean,
    median, quartiles and 95th percentile; the change of the mean wait against first come with its bootstrap interval
    and Wilcoxon's signed-rank p over busy periods, adjusted by Holm over all of them. Waits of one queue depend on each
    other, so studies are no units of a test (with them, any p is tiny); busy periods are. None where there are fewer
    than FEWEST_PERIODS. Reading times stay as they are: a faster reader is a question for a reader study.
    Blind to: what waiting costs a patient; a reader who reads differently because of the score.
    """
    reference = simulate(worklist, first_come(), readers=readers)
    runs = [reference, *(simulate(worklist, policy, readers=readers) for policy in policies)]
    periods = _joined(busy_periods(worklist.arrival, reference.start, worklist.reading))
    whom = groups(worklist, threshold)
    rows = [_row(worklist, run, reference, name, inside, periods) for run in runs for name, inside in whom.items()]
    _adjust(rows)
    busy = load(worklist.arrival, worklist.reading, readers)
    found = {
        "name": "triage", "studies": len(worklist.study), "emergencies": int(worklist.emergency.sum()),
        "threshold": threshold, "sensitivity": float((worklist.score >= threshold)[worklist.emergency].mean()),
        "specificity": float((worklist.score < threshold)[~worklist.emergency].mean()), "readers": readers,
        "load": busy, "busy_periods": int(periods.max()) + 1, "fitted_reading_times": worklist.fitted,
        "logged_wait_s": _logged(worklist), "rows": rows,
    }  # fmt: skip
    return found, runs


def table(worklist: Worklist, runs: Sequence[Simulated], threshold: float) -> pd.DataFrame:
    """One row for each study and policy."""
    return pd.concat([pd.DataFrame({
        "study": worklist.study, "policy": run.policy.name, "emergency": worklist.emergency.astype(int),
        "score": worklist.score, "flagged": (worklist.score >= threshold).astype(int), "arrival_s": worklist.arrival,
        "start_s": run.start, "wait_s": run.start - worklist.arrival, "reading_s": worklist.reading,
        "turnaround_s": run.start + worklist.reading - worklist.arrival}) for run in runs],
        ignore_index=True)  # fmt: skip


def _ageing(patience_s: float) -> str:
    return "" if math.isinf(patience_s) else f", ageing over {patience_s:g} s"


def _joined(periods: Integer[np.ndarray, " n"]) -> Integer[np.ndarray, " n"]:
    """Neighbouring busy periods joined until there are at most _MOST_PERIODS."""
    return periods // math.ceil((int(periods.max()) + 1) / _MOST_PERIODS)


def _row(
    worklist: Worklist, run: Simulated, reference: Simulated, group: str, inside: Bool[np.ndarray, " n"],
    periods: Integer[np.ndarray, " n"],
) -> dict[str, Any]:  # fmt: skip
    wait, before = run.start - worklist.arrival, reference.start - worklist.arrival
    row: dict[str, Any] = {
        "policy": run.policy.name, "group": group, "n": int(inside.sum()), "wait_s": _spread(wait[inside]),
        "turnaround_s": _spread((wait + worklist.reading)[inside]), "reading_s": _spread(worklist.reading[inside]),
        "longer": int((wait > before + 1e-9)[inside].sum()),
    }  # fmt: skip
    if run is not reference and inside.any():
        row["change"] = _change(wait[inside], before[inside], periods[inside], (run.policy.name, group))
    return row


def _spread(values: Float[np.ndarray, " n"]) -> dict[str, float | None]:
    if not len(values):
        return dict.fromkeys(("mean", "median", "q1", "q3", "p95"))
    q1, median, q3, p95 = (float(v) for v in np.percentile(values, [25, 50, 75, 95]))
    return {"mean": float(values.mean()), "median": median, "q1": q1, "q3": q3, "p95": p95}


def _change(
    wait: Float[np.ndarray, " n"], before: Float[np.ndarray, " n"], periods: Integer[np.ndarray, " n"],
    names: tuple[str, str],
) -> dict[str, float | int | None]:  # fmt: skip
    """The change of the mean wait, with interval and p over the busy periods that hold one of the group."""
    units, which = np.unique(periods, return_inverse=True)
    counts = np.bincount(which)
    after, earlier = (np.bincount(which, weights=values) / counts for values in (wait, before))
    known = len(units) >= FEWEST_PERIODS
    interval = bootstrap_ci(wait - before, patients=periods, rng=numpy_stream(0, "triage", *names))
    return {"mean_s": interval.estimate, "low_s": interval.low if known else None,
            "high_s": interval.high if known else None, "p": wilcoxon(after, earlier).p if known else None,
            "periods": len(units)}  # fmt: skip


def _adjust(rows: list[dict[str, Any]]) -> None:
    """Adds Holm's p to every change that was tested."""
    tested = [row["change"] for row in rows if row.get("change") and row["change"]["p"] is not None]
    for change, p in zip(tested, holm([change["p"] for change in tested]) if tested else [], strict=True):
        change["p_holm"] = float(p)


def _logged(worklist: Worklist) -> Mapping[str, float | None] | None:
    """The waits that the log itself shows, to hold beside the simulated first come."""
    known = np.isfinite(worklist.logged_start)
    return _spread((worklist.logged_start - worklist.arrival)[known]) if known.any() else None
