"""The folder layouts of public data sets: one file each; the folder is the registry."""

from __future__ import annotations

from importlib import import_module
from importlib.resources import files

from radloom.data.layout import Layout
from radloom.errors import RadloomError


def names() -> list[str]:
    """The names of all layouts, sorted."""
    found = (entry.name for entry in files(__name__).iterdir())
    return sorted(name.removesuffix(".py") for name in found if name.endswith(".py") and not name.startswith("_"))


def load(name: str) -> Layout:
    """The layout of this name. Raises RadloomError when there is none, with the nearest names."""
    known = names()
    if name not in known:
        from difflib import get_close_matches

        near = get_close_matches(name.lower(), known, n=3, cutoff=0.4)
        raise RadloomError(
            f"no layout is called {name}", expected=", ".join(near or known), do="see `radloom data layouts`"
        )
    return import_module(f"{__name__}.{name}").LAYOUT
