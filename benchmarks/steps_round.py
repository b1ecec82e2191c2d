"""The work of steps.py that takes time: the network, the held-out slices, and one set of draws after the other."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from families_round import trained_for
from steps_field import ODE, Contender
from torch import Tensor

from radloom.drawing import synthesis
from radloom.errors import RadloomError
from radloom.files import read_json, whole_file, write_json
from radloom.given import Given
from radloom.metrics.features import multiscale_texture
from radloom.models.diffusion import Diffusion
from radloom.networks.precision import channels_last, in_channels_last
from radloom.phantom import write_cohort
from radloom.random import torch_stream
from radloom.samplers.denoiser import Denoiser, streams
from radloom.sampling import loaded_model
from radloom.starting import Order, opened, started
from radloom.stored import stored

SYSTEM = "karras2022_edm"
CHANGES = {"channels": "[24, 48, 64]", "attention": "true", "batch": "32", "learning_rate": "0.002",
           "betas": "[0.9, 0.99]", "warmup": "0.02", "ema": "0.998"}  # fmt: skip
SHOWN, CHUNK = 8, 64  # images that are kept of every set; images that share a random stream and a batch
EXTRACTOR = multiscale_texture(2, window=(-1, 1))


@dataclass(frozen=True)
class Job:
    """What is trained and drawn.

    subjects: simulated. seconds: CPU time of training. count: images of a set. longest: evaluations of the longest
    walk.
    """

    subjects: int
    seconds: float
    count: int
    longest: int
    seed: int


@dataclass(frozen=True, eq=False)
class Draws:
    """A set of draws: features (n, d), CPU seconds an image, evaluations counted, and the first images.

    apart: of each image, its root mean square difference from the end point of the same noise; NaN without one.
    """

    features: np.ndarray
    seconds: float
    evaluations: int
    apart: np.ndarray
    shown: np.ndarray


def agreed(job: Job, work: Path) -> None:
    """Writes the job into an empty folder. Raises RadloomError where another job's work lies."""
    place = work / "job.json"
    if not place.is_file():
        write_json(place, asdict(job))
    if read_json(place) != asdict(job):
        raise RadloomError(f"{work} holds the work of other settings", expected=str(asdict(job)),
                           do="name another folder with --work")  # fmt: skip


def network(job: Job, work: Path) -> tuple[Diffusion, dict[str, Any]]:
    """The trained diffusion, and what is told of its training; trains it where it has not been."""
    cohort, run = work / "cohort", work / "run"
    if not cohort.exists():
        write_cohort("brain", cohort, subjects=job.subjects, seed=job.seed, shape=(32, 32, 24), images=("flair",),
                     splits=(0.6, 0.0, 0.4), workers=1)  # fmt: skip
    order = Order(SYSTEM, cohort, run, "tiny", 2, job.seed, CHANGES, resume=True, splits=("train", "test"))
    folder, recipe = started(order)
    told = work / "trained.json"
    if not told.is_file():
        write_json(told, trained_for(recipe, folder, job.seconds, job.seed))
    model = in_channels_last(loaded_model(recipe, folder))
    assert isinstance(model, Diffusion)
    return model, read_json(told)


def held_out(work: Path) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, d) of the test patients' slices as the network would have seen them, and each one's patient."""
    place = work / "real.npz"
    if not place.is_file():
        folder, recipe = opened(work / "run")
        task, cohort = synthesis(recipe), folder.cohort()
        cases = cohort.where("test").ids
        store = stored(task, folder, cohort, ("test",))
        positions = recipe.view().positions(store, cases)
        found = EXTRACTOR([np.array(store.volume(case)[z, 0]) for case, z in positions])
        with whole_file(place) as temporary, temporary.open("wb") as file:
            np.savez(file, features=found.values, patients=[cohort.patient(case) for case, _ in positions])
    with np.load(place) as kept:
        return kept["features"], kept["patients"]


def drawn(model: Diffusion, one: Contender, evaluations: int, job: Job, work: Path) -> Draws:
    """The contender's draws with at most so many evaluations, from the work folder where they are there."""
    place = work / "draws" / f"{one.name}-{evaluations}.npz"
    if not place.is_file():
        images, seconds, asked = images_of(model, one, evaluations, job.count, job.seed)
        if (one.name, evaluations) == (ODE, job.longest):
            _save(work / "reference.npz", images=images)
        ends = reference(work)
        found = EXTRACTOR(np.clip(image, -1, 1) for image in images)
        _save(place, features=found.values, seconds=seconds, evaluations=asked, apart=apart(images, ends),
              shown=images[:SHOWN])  # fmt: skip
    with np.load(place) as kept:
        return Draws(kept["features"], float(kept["seconds"]), int(kept["evaluations"]), kept["apart"], kept["shown"])


def reference(work: Path) -> np.ndarray:
    """The end points (n, x, y) of Heun's longest walk, which is drawn before all others."""
    with np.load(work / "reference.npz") as kept:
        return kept["images"]


def apart(images: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Each image's root mean square difference from its end point, as a share of the end points' spread (n,).

    The spread is the root of the variance between end points, averaged over pixels: two images that have nothing to do
    with each other are 1.41 apart.
    """
    spread = np.sqrt(ends.var(axis=0, ddof=1).mean())
    return np.sqrt(np.square(images - ends[: len(images)]).mean(axis=(1, 2))) / spread


def images_of(
    model: Diffusion, one: Contender, evaluations: int, count: int, seed: int
) -> tuple[np.ndarray, float, int]:
    """Images (n, x, y) not yet cut at the window, CPU seconds an image, and network evaluations an image.

    Image i begins at the same noise whoever draws it and however many are drawn.
    """
    sigmas, images, spent, asked = one.sigmas(evaluations), [], 0.0, 0
    for first in range(0, count, CHUNK):
        own = streams(torch_stream(seed, "draw", first // CHUNK), min(CHUNK, count - first))
        denoise = Counted(model.guided())
        shape = (len(own.generators), 1, 32, 32)
        start = channels_last(float(sigmas[0]) * own.normal(torch.empty(shape)))
        began = time.process_time()
        with torch.no_grad():
            images.append(one.solver(denoise, start, sigmas, Given(), own)[:, 0].numpy())
        spent += time.process_time() - began
        asked = denoise.calls
    found = np.concatenate(images)
    if not np.isfinite(found).all():
        raise RadloomError(f"{one.title} drew NaN with {evaluations} evaluations")
    return found, spent / count, asked


class Counted:
    """A denoiser that counts its calls."""

    def __init__(self, denoise: Denoiser) -> None:
        self.denoise, self.calls = denoise, 0

    def __call__(self, x: Tensor, sigma: Tensor, given: Given) -> Tensor:
        """The clean image."""
        self.calls += 1
        return self.denoise(x, sigma, given)


def _save(place: Path, **arrays: Any) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(place) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)
