"""The worklist as a queue: studies arrive, readers take the most urgent one that waits; no scores, no statistics."""

from __future__ import annotations

import math
from heapq import heappop, heappush

import numpy as np
from jaxtyping import Float, Integer

from radloom.errors import RadloomError


def serve(
    available_s: Float[np.ndarray, " n"],
    reading_s: Float[np.ndarray, " n"],
    urgency: Float[np.ndarray, " n"],
    *,
    readers: int = 1,
    patience_s: float = math.inf,
) -> Float[np.ndarray, " n"]:
    """When the reading of each study starts, in seconds on the clock of `available_s`.

    A reader who becomes free takes, of the studies that wait, the one with the largest urgency + waited / patience_s;
    of equals the one that came first. Nobody interrupts a reading, nobody idles while a study waits. patience_s: after
    so many seconds of waiting a study counts as one more unit of urgency, so that nobody waits without end; infinite
    for no ageing. With equal reading times the order changes who waits, never how long all wait together.
    Blind to: breaks, subspecialties, interruptions, and readers who look ahead.

    >>> serve(np.array([0.0, 1.0, 2.0]), np.array([10.0, 10.0, 10.0]), np.array([0.0, 0.0, 1.0])).tolist()
    [0.0, 20.0, 10.0]
    """
    if readers < 1 or not patience_s > 0:
        raise RadloomError(f"{readers} readers with a patience of {patience_s} s", expected="1 or more, above 0")
    order = np.argsort(available_s, kind="stable")
    # All age alike, so that the order of two who wait never changes and a fixed key serves: urgency - available / p.
    key = available_s / patience_s - urgency
    free, waiting = [-math.inf] * readers, []
    start, coming, now = np.empty(len(order)), 0, -math.inf
    for _ in order:
        now = max(now, heappop(free))  # a reader who was free before the last reading began was idle until then
        if not waiting:
            now = max(now, float(available_s[order[coming]]))
        while coming < len(order) and available_s[order[coming]] <= now:
            study = int(order[coming])
            heappush(waiting, (float(key[study]), coming, study))
            coming += 1
        study = heappop(waiting)[-1]
        start[study] = now
        heappush(free, now + float(reading_s[study]))
    return start


def busy_periods(
    available_s: Float[np.ndarray, " n"], start_s: Float[np.ndarray, " n"], reading_s: Float[np.ndarray, " n"]
) -> Integer[np.ndarray, " n"]:
    """The number of the busy period in which each study came: a new one begins when a study finds nobody reading.

    Busy periods of a queue are independent of each other, which the waits within one are not (the regenerative method:
    Crane MA, Iglehart DL. J ACM 1974;21:103-113).

    >>> busy_periods(np.array([0.0, 1.0, 50.0]), np.array([0.0, 10.0, 50.0]), np.array([10.0, 10.0, 10.0])).tolist()
    [0, 0, 1]
    """
    order = np.argsort(available_s, kind="stable")
    finished = np.maximum.accumulate((start_s + reading_s)[order])
    begins = np.concatenate([[False], available_s[order][1:] >= finished[:-1]])[: len(order)]
    period = np.empty(len(order), dtype=np.int64)
    period[order] = np.cumsum(begins)
    return period


def load(available_s: Float[np.ndarray, " n"], reading_s: Float[np.ndarray, " n"], readers: int) -> float:
    """The share of the readers' time that the studies take: reading time that arrives per second and reader.

    Raises RadloomError when all studies arrive at once.
    """
    span = float(np.ptp(available_s)) if len(available_s) else 0.0
    if not span > 0:
        raise RadloomError("all studies arrive at the same time", expected="two or more times of arrival")
    return float(reading_s.mean() * (len(reading_s) - 1) / span / readers)
