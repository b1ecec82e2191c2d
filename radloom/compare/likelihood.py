"""Bits per voxel of real test images under a run's model, where it has a likelihood."""

from __future__ import annotations

import numpy as np
import torch

from radloom.compare.arms import Sets
from radloom.compare.measures import SYNTHETIC, Findings, Measure, Refused
from radloom.drawing import synthesis
from radloom.random import numpy_stream, torch_stream
from radloom.runfolder import RunFolder
from radloom.sampling import loaded_model
from radloom.stats.intervals import bootstrap_ci
from radloom.system import Recipe

_IMAGES = 64
_BATCH = 16


def add_bits(recipe: Recipe, folder: RunFolder, sets: Sets, found: Findings) -> None:
    """Adds bits_per_dimension over at most 64 test images, with the bootstrap's interval over patients."""
    if recipe.system.bits is None:
        found.refused.append(
            Refused(sets.key, "bits_per_dimension", "the model has no likelihood that can be computed")
        )
        return
    task, model = synthesis(recipe), loaded_model(recipe, folder)
    chosen = np.unique(np.linspace(0, len(sets.x_test) - 1, min(_IMAGES, len(sets.x_test))).astype(int))
    rng, values = torch_stream(sets.seed, "bits"), []
    for part in np.array_split(chosen, -(-len(chosen) // _BATCH)):
        x = torch.from_numpy(sets.x_test[part].astype(np.float32))
        with torch.no_grad():
            bits = recipe.system.bits(model, x, task.told([sets.codes_test[i] for i in part]), rng)
        values += bits.double().tolist()
    one = bootstrap_ci(np.array(values), patients=sets.patients_test[chosen], rng=numpy_stream(sets.seed, "bits"))
    note = ("-log2 p per voxel of real test images of 256 levels, or an upper bound; 8: one that knows nothing; 95 % "
            "interval: bootstrap over patients")  # fmt: skip
    found.measures.append(Measure(sets.key, "bits_per_dimension", SYNTHETIC, one.estimate, one.low, one.high,
                                  len(chosen), len(chosen), 0, "", "", "bit", "lower", note))  # fmt: skip
