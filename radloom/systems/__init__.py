"""The published systems: one file each; the folder is the registry."""

from __future__ import annotations

from importlib import import_module
from importlib.resources import files

from radloom.errors import RadloomError
from radloom.system import System


def names() -> list[str]:
    """The names of all systems, sorted."""
    found = (entry.name for entry in files(__name__).iterdir())
    return sorted(name.removesuffix(".py") for name in found if name.endswith(".py") and not name.startswith("_"))


def load(name: str) -> System:
    """The system of this name. Raises RadloomError when there is none, with the nearest names."""
    known = names()
    if name not in known:
        from difflib import get_close_matches

        near = get_close_matches(name, known, n=3, cutoff=0.4)
        raise RadloomError(f"no system is called {name}", expected=", ".join(near or known), do="see `radloom systems`")
    return import_module(f"{__name__}.{name}").SYSTEM
