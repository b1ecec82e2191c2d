"""What every benchmark shares: the lines that say where a page comes from, and CPU seconds of a call."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from radloom.runfolder import commit, machine, versions


def origin(command: str, packages: Sequence[str] = ()) -> list[str]:
    """Machine, date, commit, versions (of these packages, else of all) and command, as lines of a Markdown list."""
    host, found = machine(), versions()
    told = ", ".join(f"{name} {found[name]}" for name in packages or found)
    return [
        f"- machine: {host['processor']}, {host['cores']} cores, {host['memory_gib']} GiB, {host['system']}",
        f"- date: {datetime.now(UTC).isoformat(timespec='minutes')}",
        f"- commit: {commit() or 'not a checkout'}",
        f"- versions: {told}",
        f"- command: `{command}`",
    ]


def command_of(script: str) -> str:
    """The command as it was given, whichever Python ran it."""
    return " ".join(["python", f"benchmarks/{script}", *sys.argv[1:]])


def cpu_seconds(call: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """CPU seconds of the fastest of `repeats` calls, and what the last one returned."""
    best, result = float("inf"), None
    for _ in range(repeats):
        began = time.process_time()
        result = call()
        best = min(best, time.process_time() - began)
    return best, result
