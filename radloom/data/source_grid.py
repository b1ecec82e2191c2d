"""The way back: an image on the grid of a built cohort returns to the grid of the file that was resampled for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from radloom.data.cohort import Cohort
from radloom.data.transforms import PadOrCrop, Resample, Rescale
from radloom.errors import RadloomError
from radloom.io.orient import Reorient
from radloom.types import Image, Transform


def on_source_grid(image: Image, cohort: Cohort, case: str, key: str) -> Image:
    """The image on the grid of the file from which `key` of this case was built; unchanged where none was resampled."""
    steps = cohort.about.get("resampled", {}).get("entries", {}).get(case, {}).get(key, {}).get("steps", [])
    return replace(image, history=tuple(from_record(step) for step in steps)).on_source_grid()


def from_record(record: Mapping[str, Any]) -> Transform:
    """The step that `Transform.record` described. Raises RadloomError on a name that no step has."""
    parts = {name: _value(value) for name, value in record.items() if name != "name"}
    kinds = {"reorient": Reorient, "resample": Resample, "pad_or_crop": PadOrCrop, "rescale": Rescale}
    if record.get("name") not in kinds:
        raise RadloomError(f"no transform is called {record.get('name')}", expected=", ".join(kinds))
    return kinds[record["name"]](**parts)


def _value(value: Any) -> Any:
    """JSON's nested lists as the matrices, and its flat lists as the tuples, that they were."""
    if isinstance(value, list):
        return np.array(value, dtype=float) if value and isinstance(value[0], list) else tuple(value)
    return value
