"""The embedded cohorts, one a file; the folder is the registry."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from radloom.errors import RadloomError
from radloom.phantom.simulation import Simulation


def names() -> list[str]:
    """Every cohort's name, such as "brain-ct" for brain_ct.py."""
    return sorted(path.stem.replace("_", "-") for path in Path(__file__).parent.glob("[!_]*.py"))


def load(name: str) -> Simulation:
    """The cohort of this name. Raises RadloomError when there is none."""
    if name not in names():
        raise RadloomError(f"no embedded cohort is called {name!r}", expected=f"one of {', '.join(names())}")
    return import_module(f"{__name__}.{name.replace('-', '_')}").SIMULATION
