"""Protocols that answer a clinical question with a system's images; the folder is the registry.

A study is a module with two functions. needs(recipe, cohort): why it cannot run on this cohort, or None.
run(recipe, folder, cohort): the findings, which it also writes to RUN/study.json: "name", "answer" (one sentence),
and for the report "question", "tables" of title, columns, rows and note, and "figures" of title, file (a PNG, relative
to the run folder) and note. Rows about single cases go to results.csv.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from radloom.errors import RadloomError

if TYPE_CHECKING:
    from radloom.data.cohort import Cohort
    from radloom.runfolder import RunFolder
    from radloom.system import Recipe


@runtime_checkable
class StudyModule(Protocol):
    """What a study's module offers."""

    def needs(self, recipe: Recipe, cohort: Cohort) -> str | None:
        """Why the study cannot run; None when it can."""
        ...

    def run(self, recipe: Recipe, folder: RunFolder, cohort: Cohort) -> dict[str, Any]:
        """The findings."""
        ...


@runtime_checkable
class Travels(Protocol):
    """A study that also looks at another cohort: another site, another disease."""

    def elsewhere(
        self, recipe: Recipe, folder: RunFolder, cohort: Cohort, other: Cohort, *, table: Path, place: Path
    ) -> dict[str, Any]:  # fmt: skip
        """The findings on all cases of `other`, whose file is `table`; PLACE/study.json has them and names it."""
        ...


def load(name: str) -> StudyModule:
    """The study of this name. Raises RadloomError when there is none."""
    modules = {module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])}
    found = importlib.import_module(f"radloom.studies.{name}") if name in modules else None
    if found is None or not hasattr(found, "needs"):
        raise RadloomError(f"there is no study {name}", expected="the study that `radloom show SYSTEM` names")
    return cast(StudyModule, found)
