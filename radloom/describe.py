"""A system in words: what `radloom show` prints."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from radloom.system import System


def description(system: System) -> dict[str, Any]:
    """The system as JSON-ready data."""
    sizes = {
        f"{name} {dims}D": {"build": size.build.__name__, **size.settings, **asdict(size.training)}
        for (name, dims), size in system.sizes.items()
    }
    return {
        "name": system.name, "title": system.title, "cite": asdict(system.cite), "claim": system.claim,
        "family": system.family, "target": system.task.target, "inputs": system.task.inputs, "study": system.study,
        "sizes": sizes,
        "paper": [asdict(figure) for figure in system.paper], "deviations": system.deviations,
    }  # fmt: skip


def described(system: System) -> str:
    """The system as text for a terminal."""
    cite, task = system.cite, system.task
    lines = [
        system.title, "",
        f"  publication  {cite.authors} {cite.venue}, {cite.year}",
        f"  draws        {', '.join(task.target)}",
        f"  from         {', '.join(task.inputs) or 'noise, and labels with --set condition=label.NAME'}",
        f"  family       {system.family}",
        f"  claim        {system.claim}",
        f"  study        {system.study or 'none'}",
        "", "sizes",
    ]  # fmt: skip
    for (name, dims), size in system.sizes.items():
        training = size.training
        patch = "x".join(map(str, training.patch))
        steps = f"{training.steps:,} steps of {training.batch}"
        lines.append(f"  --size {name} --dims {dims}: {size.build.__name__}, {steps}, patch {patch}")
        lines.append("    " + ", ".join(f"{key}={value}" for key, value in size.settings.items()))
    lines += ["", "reported (other data; not comparable with ours)"]
    lines += [f"  {figure.quantity}: {figure.value} [{figure.source}]" for figure in system.paper]
    lines += ["", "how ours deviates"] + [f"  - {text}" for text in system.deviations]
    return "\n".join(lines)
