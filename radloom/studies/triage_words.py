"""What a triage simulation found, in sentences: the harms first, then the gain, then what it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from radloom.studies.triage import FEWEST_PERIODS, FIRST_COME

_HARMED = ("emergencies that the model missed", "everyone else, not flagged", "everyone else, flagged for nothing")


def sentences(found: Mapping[str, Any]) -> list[str]:
    """The findings in plain sentences, for each policy who waits longer before who waits less."""
    lines = []
    for policy in dict.fromkeys(row["policy"] for row in found["rows"]):
        if policy != FIRST_COME:
            lines += [f"{policy}, against first come first served:", *_policy(found["rows"], policy)]
    return [*lines, *_basis(found)]


def _policy(rows: Sequence[Mapping[str, Any]], policy: str) -> list[str]:
    now = {row["group"]: row for row in rows if row["policy"] == policy}
    before = {row["group"]: row for row in rows if row["policy"] == FIRST_COME}
    harms = [name for name in _HARMED if now[name]["n"] and now[name]["change"]["mean_s"] > 0]
    lines = [f"  who waits longer: {_line(now[name], before[name])}" for name in harms]
    if not harms:
        lines.append("  who waits longer: no group on average")
    lines += [f"  who waits less: {_line(now[name], before[name])}" for name in now
              if now[name]["n"] and name not in harms and not name.startswith("all")]  # fmt: skip
    together = now["all studies"]
    return [*lines, f"  all emergencies together: {_line(now['all emergencies'], before['all emergencies'])}",
            f"  all {together['n']} studies: mean wait {seconds(before['all studies']['wait_s']['mean'])} -> "
            f"{seconds(together['wait_s']['mean'])}"]  # fmt: skip


def _line(now: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    a, b, change = before["wait_s"], now["wait_s"], now["change"]
    text = (f"{now['n']} {now['group'].removeprefix('all ')}: median wait {seconds(a['median'])} -> "
            f"{seconds(b['median'])}, 95th percentile {seconds(a['p95'])} -> {seconds(b['p95'])}, mean "
            f"{'+' if change['mean_s'] >= 0 else '-'}{seconds(abs(change['mean_s']))}")  # fmt: skip
    if change["p"] is None:
        return f"{text} (no test: {change['periods']} busy periods)"
    low, high = change["low_s"], change["high_s"]
    p = f"{change['p_holm']:.3f}" if change["p_holm"] >= 0.001 else "< 0.001"
    return f"{text} (95 % interval {low:.0f} to {high:.0f} s, p {p} after Holm)"


def _basis(found: Mapping[str, Any]) -> list[str]:
    share = f"{100 * found['load']:.0f} %"
    lines = [f"rests on {found['studies']} studies with {found['emergencies']} emergencies, {found['readers']} "
             f"reader{'s' if found['readers'] > 1 else ''} busy {share} of the time, {found['busy_periods']} busy "
             f"periods; threshold {found['threshold']:.4g}: sensitivity {found['sensitivity']:.2f}, specificity "
             f"{found['specificity']:.2f}"]  # fmt: skip
    if found["load"] < 0.5:
        lines.append(f"with readers busy {share} of the time hardly anyone waits; --load 0.9 asks for a fuller list")
    if found["load"] >= 1:
        lines.append("more work arrives than the readers can do: waits grow with the length of the log")
    if found["busy_periods"] < FEWEST_PERIODS:
        lines.append("too few busy periods for a test: a longer log is needed")
    if found["fitted_reading_times"]:
        lines.append(
            f"{found['fitted_reading_times']} reading times were missing and drawn from the others' log-normal"
        )
    if found["logged_wait_s"]:
        rows = {row["group"]: row for row in found["rows"] if row["policy"] == FIRST_COME}
        lines.append(f"the log's own median wait is {seconds(found['logged_wait_s']['median'])}, the simulated first "
                     f"come's {seconds(rows['all studies']['wait_s']['median'])}: when they differ much, the log was "
                     "not read in order of arrival or by as many readers")  # fmt: skip
    return lines


def seconds(value: float) -> str:
    """A duration as one reads it.

    >>> seconds(42.4), seconds(421.0), seconds(9000.0)
    ('42 s', '7.0 min', '2.5 h')
    """
    if value < 120:
        return f"{value:.0f} s"
    return f"{value / 60:.1f} min" if value < 7200 else f"{value / 3600:.1f} h"
