"""What a published system is: its task, its sizes and its claim. Nothing is trained or read here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np
import torch

from radloom.data.cohort import Cohort
from radloom.data.views import AxialSlices, Cubes, Prepared, View, prepare
from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.model import Model
from radloom.synthesis import Synthesis, named_columns

Pairing = Literal["paired", "unpaired"]


@dataclass(frozen=True)
class Citation:
    """A publication; `key` stands in docs/references.bib too."""

    key: str
    authors: str
    title: str
    venue: str
    year: int
    doi: str = ""

    def bibtex(self) -> str:
        """The entry as BibTeX."""
        lines = {
            "author": _bibtex_names(self.authors),
            "title": self.title,
            "journal": self.venue,
            "year": str(self.year),
            "doi": self.doi,
        }
        body = ",\n".join(f"  {name} = {{{value}}}" for name, value in lines.items() if value)
        return f"@article{{{self.key},\n{body}\n}}"


def _bibtex_names(authors: str) -> str:
    """ "Conte GM, Weston AD, et al." as BibTeX wants it: "Conte, GM and Weston, AD and others"."""
    names = [", ".join(name.rsplit(" ", 1)) for name in authors.removesuffix(", et al.").split(", ")]
    return " and ".join([*names, "others"] if authors.endswith(", et al.") else names)


@dataclass(frozen=True)
class Task:
    """Which entries are drawn from which: target and inputs are columns of the cohort table ("image.flair").

    pairing: "unpaired" shows a training step targets and inputs of different patients. anatomy: what lies inside the
    region that counts, for reports. context: slices above and as many below that the network of a slice sees beside it.
    optional: inputs that a case to draw may lack, as long as it has one; its channel then holds NaN.
    """

    target: tuple[str, ...]
    inputs: tuple[str, ...]
    pairing: Pairing = "paired"
    anatomy: str = "brain"
    context: int = 0
    optional: tuple[str, ...] = ()

    @property
    def least(self) -> float:
        """The share of a slice that must lie inside the head for training to see it."""
        return 0.01

    def read(self, cohort: Cohort, case: str) -> Prepared:
        """A case of the cohort as the networks see it."""

        def has(key: str) -> bool:
            return key in cohort.image_columns and cohort.path(case, key) is not None

        present = [key for key in self.target if has(key)]
        inputs = [key for key in self.inputs if key not in self.optional or has(key)]
        return prepare(cohort.case(case, [*inputs, *present]), inputs, present, absent=set(self.inputs) - set(inputs))

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that every case to draw must have."""
        return tuple(key for key in self.inputs if key not in self.optional)

    def given(self, prepared: Prepared) -> Given:
        """What is known of a whole prepared case, as a batch of one volume."""
        image = torch.from_numpy(prepared.stack(self.inputs))[None]
        return Given(image=image, mask=torch.from_numpy(prepared.region)[None, None])

    def x(self, prepared: Prepared) -> torch.Tensor:
        """The targets of a whole prepared case (1, c, x, y, z)."""
        return torch.from_numpy(prepared.stack(self.target))[None]

    def examples(self, cut: np.ndarray | torch.Tensor) -> tuple[torch.Tensor, Given]:
        """(x, given) from a batch of cuts (b, inputs + targets + region, *s), the inputs with or without context."""
        cut = torch.as_tensor(cut)
        inputs = cut.shape[1] - len(self.target) - 1
        image, x, region = cut.split([inputs, len(self.target), 1], dim=1)
        return x, Given(image=image, mask=region > 0.5)

    def made_up(self, shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
        """Cuts (b, inputs + targets + region, *s) for a rehearsal; shape: (b, *s)."""
        channels = self.seen(len(shape) - 1) + len(self.target) + 1
        return torch.rand((shape[0], channels, *shape[1:]), generator=rng)

    def seen(self, dims: int) -> int:
        """The channels of given.image that a network of slices (dims 2) or cubes sees."""
        return len(self.inputs) * (1 + 2 * self.context * (dims == 2))

    @property
    def keys(self) -> tuple[str, ...]:
        """Inputs, then targets: the channels of a stored case."""
        return (*self.inputs, *self.target)

    def changed(self, changes: Mapping[str, Any]) -> tuple[Task, dict[str, Any]]:
        """The task with target and inputs as named in the changes, and the changes that are left."""
        rest = dict(changes)
        target = named_columns(rest.pop("target", self.target), "image.")
        inputs = named_columns(rest.pop("inputs", self.inputs), "image.")
        if set(target) & set(inputs):
            raise RadloomError(f"--set target={','.join(target)} --set inputs={','.join(inputs)}: nothing to translate",
                               expected="targets that are not among the inputs")  # fmt: skip
        return replace(self, target=target, inputs=inputs, optional=inputs if self.optional else ()), rest

    def choices(self) -> dict[str, str]:
        """What `changed` takes, as it stands."""
        return {"target": ",".join(self.target), "inputs": ",".join(self.inputs)}

    def on_grid(self, patch: tuple[int, ...]) -> Task:
        """The task itself: examples are cut from the images' own grid."""
        return self

    def fitted(self, cohort: Cohort) -> Task:
        """The task itself, which learns nothing from the cohort."""
        return self

    def parts(self) -> dict[str, Any]:
        """What a model is built for, beyond its settings."""
        return {"task": self}

    def record(self) -> dict[str, Any]:
        """JSON-ready; beside target and inputs in run.json."""
        return {"pairing": self.pairing, "anatomy": self.anatomy}

    def restored(self, record: Mapping[str, Any]) -> Task:
        """The task that run.json describes."""
        return replace(self, target=tuple(record["target"]), inputs=tuple(record["inputs"]))


@dataclass(frozen=True)
class Training:
    """How a system is trained. steps: of all turns together; batch: examples per process and step."""

    steps: int
    batch: int
    patch: tuple[int, ...]
    learning_rate: float
    betas: tuple[float, float] = (0.5, 0.999)
    warmup: float = 0.0  # share of the steps over which the learning rate rises from 0
    decay_from: float = 0.5  # share of the steps after which it falls linearly to 0
    ema: float = 0.999
    clip: float = 1.0  # largest norm of a turn's gradient
    flip: float = 0.0  # share of the examples that are mirrored left to right
    jitter: float = 0.0  # spread of the random contrast, see data/augment.py

    def __post_init__(self) -> None:
        sizes = {"steps": self.steps, "batch": self.batch, "patch": min(self.patch)}
        for name, value in {**sizes, "learning_rate": self.learning_rate, "clip": self.clip}.items():
            if not value > 0:
                raise RadloomError(f"--set {name} is {value}", expected="a number above 0")
        for name in ("warmup", "decay_from", "ema"):
            if not 0 <= getattr(self, name) <= 1:
                raise RadloomError(
                    f"--set {name}={getattr(self, name)} is out of range", expected="a share from 0 to 1"
                )


@dataclass(frozen=True)
class Size:
    """One size of a system: the function that builds the model, its settings, and the training."""

    build: Callable[..., Model]
    settings: Mapping[str, Any]
    training: Training
    study: Mapping[str, Any] = field(default_factory=dict)  # settings of the system's study at this size


@dataclass(frozen=True)
class Figure:
    """A number that the paper or the review reports, and where we read it."""

    quantity: str
    value: str
    source: str  # "abstract", "review", "code"


@dataclass(frozen=True)
class System:
    """A published system: what it draws from what, how it is built, what it claims, how ours deviates.

    sizes: by (name, dims): "tiny" for tests, "cpu" for the claim on two cores, "paper" as published.
    study: the protocol that answers its clinical question, or None. family: of models, as `radloom systems` groups
    them. bits: of a synthesis system whose model has a likelihood: (model, x, given, rng) -> bits per voxel (b,) of
    images of 256 levels from -1 to 1, or an upper bound on them.
    """

    name: str
    title: str
    cite: Citation
    task: Task | Synthesis
    sizes: Mapping[tuple[str, int], Size]
    claim: str
    paper: tuple[Figure, ...] = ()
    deviations: tuple[str, ...] = ()
    study: str | None = None
    metrics: tuple[str, ...] = ("psnr", "ssim_slices", "mae", "mse")
    pitfalls: tuple[str, ...] = field(default=())
    family: str = "image to image"
    bits: Callable[[Any, torch.Tensor, Given, torch.Generator], torch.Tensor] | None = None

    def resolve(self, size: str, dims: int, changes: Mapping[str, Any]) -> Recipe:
        """The recipe at a size with changed settings. Raises RadloomError on an unknown size, dims or setting."""
        if (size, dims) not in self.sizes:
            known = ", ".join(f"--size {name} --dims {d}" for name, d in self.sizes)
            raise RadloomError(f"{self.name} has no size {size} in {dims}D", expected=known)
        chosen = self.sizes[size, dims]
        settings, training = dict(chosen.settings), chosen.training
        task, changes = self.task.changed(changes)
        for name, value in changes.items():
            if name in settings:
                settings[name] = _like(settings[name], value, name)
            elif name in {f.name for f in fields(Training)}:
                training = replace(training, **{name: _like(getattr(training, name), value, name)})
            else:
                known = ", ".join(sorted([*settings, *task.choices(), *(f.name for f in fields(Training))]))
                raise RadloomError(f"{self.name} has no setting {name}", expected=f"one of {known}")
        if len(training.patch) != dims:
            raise RadloomError(f"patch {training.patch} has {len(training.patch)} axes",
                               expected=f"{dims} for --dims {dims}")  # fmt: skip
        if isinstance(task, Synthesis) and training.jitter:
            raise RadloomError("--set jitter changes contrast, which a generator of whole images must learn",
                               expected="jitter=0")  # fmt: skip
        return Recipe(replace(self, task=task.on_grid(training.patch)), size, dims, settings, training)

    def about_task(self, record: Mapping[str, Any]) -> System:
        """The system with the task that run.json describes."""
        return replace(self, task=self.task.restored(record))


def _like(old: Any, new: Any, name: str) -> Any:
    """`new` (a text or JSON value) as the type of `old`; a count stays whole, a list is not empty."""
    import json

    try:
        value = json.loads(new) if isinstance(new, str) and not isinstance(old, str) else new
        if not isinstance(old, tuple):
            return _typed(type(old), value)
        if not value:
            raise ValueError("an empty list")
        return tuple(_typed(type(old[0]), item) for item in value)
    except (ValueError, TypeError) as error:
        raise RadloomError(f"--set {name}={new} cannot be read", expected=f"a value like {old!r}") from error


def _typed(kind: type, value: Any) -> Any:
    if isinstance(value, kind) and isinstance(value, bool) == (kind is bool):
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    raise TypeError(f"{value!r} is not {kind.__name__}")


@dataclass(frozen=True)
class Recipe:
    """A system at one size with every setting resolved: what run.json records."""

    system: System
    size: str
    dims: int
    settings: Mapping[str, Any]
    training: Training

    def build(self) -> Model:
        """The untrained model."""
        parts = self.system.task.parts()
        return self.system.sizes[self.size, self.dims].build(dims=self.dims, **parts, **self.settings)

    def fitted(self, cohort: Cohort) -> Recipe:
        """The recipe whose task has learned what it must from the training cases."""
        return replace(self, system=replace(self.system, task=self.system.task.fitted(cohort)))

    def view(self) -> View:
        """How training examples are cut."""
        patch = self.training.patch
        if self.dims == 3:
            return Cubes((patch[0], patch[1], patch[2]))
        task = self.system.task
        context = task.context if isinstance(task, Task) else 0
        return AxialSlices((patch[0], patch[1]), least=task.least, context=context, inputs=len(task.inputs))


def translation(recipe: Recipe) -> Task:
    """The recipe's task, which draws images from images. Raises RadloomError for one that draws from nothing."""
    task = recipe.system.task
    if isinstance(task, Synthesis):
        raise RadloomError(f"{recipe.system.name} draws images from nothing, not from a case's images",
                           expected="a system that translates images")  # fmt: skip
    return task
