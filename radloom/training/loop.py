"""The training loop: deterministic order, turns, moving average, exact resume, NaN guard; no task knows it."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from radloom.data.augment import flipped, with_other_contrast
from radloom.data.views import Store, View
from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.model import Batch, Model
from radloom.networks.precision import channels_last, in_channels_last
from radloom.random import derived_seed, numpy_stream, torch_stream
from radloom.synthesis import Synthesis
from radloom.system import Recipe, Task, Training
from radloom.training import hardware
from radloom.training.state import Counters, load_state, save_state

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_CHECK_EVERY = 10  # steps between looks at whether the gradients stayed finite
_ROLLBACKS = 3


@dataclass(frozen=True)
class Examples:
    """Training examples in an endless order that is a pure function of (seed, rollbacks): resuming needs no state."""

    task: Task | Synthesis
    view: View
    store: Store
    positions: list[tuple[str, int]]
    training: Training
    seed: int

    def batch(self, first: int, count: int, *, attempt: int) -> tuple[Tensor, Given]:
        """Examples `first` ... `first + count - 1` of the order."""
        cuts = []
        for index in range(first, first + count):
            epoch, place = divmod(index, len(self.positions))
            chosen = self.positions[self._order(epoch, attempt)[place]]
            rng = numpy_stream(self.seed, "cut", attempt, index)
            cut = flipped(self.view.cut(self.store, chosen, rng), self.training.flip, rng)
            if isinstance(self.task, Task) and self.task.pairing == "unpaired":
                cut = self._with_other_targets(cut, chosen[0], rng)
            if self.training.jitter:
                cut = with_other_contrast(cut, self._in_hu, len(self.task.target), self.training.jitter, rng)
            cuts.append(cut)
        return self.task.examples(np.stack(cuts))

    @cached_property
    def _in_hu(self) -> tuple[bool, ...]:
        """Of each input, then of each target, whether it is in HU."""
        scales = self.store.scales(self.positions[0][0])
        return tuple(key in scales and scales[key]["unit"] == "HU" for key in self.task.keys)

    def _with_other_targets(self, cut: np.ndarray, case: str, rng: np.random.Generator) -> np.ndarray:
        """The cut with the targets of a slice or cube of another case, where there is one."""
        others = [position for position in self.positions if position[0] != case] or self.positions
        other = self.view.cut(self.store, others[int(rng.integers(len(others)))], rng)
        inputs = len(cut) - len(self.task.target) - 1
        targets = flipped(other, self.training.flip, rng)[inputs:-1]
        return np.concatenate([cut[:inputs], targets, cut[-1:]])

    def one_pass(self) -> Iterator[Batch]:
        """Every example once, 16 at a time, each with the region that counts."""
        for first in range(0, len(self.positions), 16):
            x, given = self.batch(first, min(16, len(self.positions) - first), attempt=0)
            assert given.mask is not None, "a stored case has its region"
            yield Batch(x, given, given.mask)

    def _order(self, epoch: int, attempt: int) -> np.ndarray:
        return numpy_stream(self.seed, "order", attempt, epoch).permutation(len(self.positions))


@dataclass
class Trainer:
    """A model in training: its moving average, its optimisers, and where it is."""

    model: Model
    average: Model
    training: Training
    fabric: Fabric
    seed: int

    def __post_init__(self) -> None:
        rate, betas = self.training.learning_rate, self.training.betas
        self.parameters = {turn: list(self.model.trainable(turn)) for turn in self.model.turns}
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            turn: torch.optim.Adam(parameters, rate, betas, fused=True) for turn, parameters in self.parameters.items()
        }
        self.counters = Counters()
        self.broken = torch.zeros((), device=self.fabric.device)

    def step(self, x: Tensor, given: Given) -> dict[str, Tensor]:
        """One step of every turn; returns the losses by "turn.name"."""
        x, given = self._placed(x, given)
        losses: dict[str, Tensor] = {}
        names = (self.seed, "step", self.counters.step, self.counters.rollbacks, self.fabric.global_rank)
        torch.manual_seed(derived_seed(*names))  # dropout draws from the global stream
        self._set_rates()
        for turn in self.model.turns:
            rng = torch_stream(*names, turn, device=self.fabric.device)
            losses |= {f"{turn}.{name}": value for name, value in self._turn(turn, x, given, rng).items()}
        self.model.after_step()
        self.counters.step += 1
        self._update_average()
        return losses

    def _turn(self, turn: str, x: Tensor, given: Given, rng: torch.Generator) -> dict[str, Tensor]:
        parameters, optimiser = self.parameters[turn], self.optimisers[turn]
        optimiser.zero_grad(set_to_none=True)
        for other, theirs in self.parameters.items():  # the other players only pass gradients on
            for parameter in theirs:
                parameter.requires_grad_(other == turn)
        with self.fabric.autocast():
            losses = self.model.loss(x, given, turn=turn, rng=rng)
        losses["total"].backward()
        hardware.reduce_gradients(self.fabric, parameters)
        norm = torch.nn.utils.clip_grad_norm_(parameters, self.training.clip)
        self.broken += ~torch.isfinite(norm)
        optimiser.step()
        return {name: value.detach() for name, value in losses.items()}

    def _placed(self, x: Tensor, given: Given) -> tuple[Tensor, Given]:
        image = given.image if given.image is None else channels_last(given.image)
        device = self.fabric.device
        return channels_last(x).to(device), replace(given, image=image).to(device)

    def _set_rates(self) -> None:
        rate = learning_rate(self.training, self.counters.step) * 0.5**self.counters.rollbacks
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = rate

    def _update_average(self) -> None:
        step = self.counters.step
        keep = min(self.training.ema, (1 + step) / (10 + step))  # a long memory of the first steps would mislead
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - keep)
            for ours, theirs in zip(self.average.buffers(), self.model.buffers(), strict=True):
                ours.copy_(theirs)


def learning_rate(training: Training, step: int) -> float:
    """The learning rate at a step: a linear rise, a plateau, a linear fall to 0."""
    done = step / training.steps
    rise = (step + 1) / (training.warmup * training.steps) if done < training.warmup else 1.0
    fall = (1 - done) / (1 - training.decay_from) if done > training.decay_from else 1.0
    return training.learning_rate * min(1.0, rise) * fall


def new_trainer(recipe: Recipe, fabric: Fabric, seed: int, begin: Callable[[], Iterable[Batch]] | None) -> Trainer:
    """A trainer before its first step: weights from the seed, closed-form parts from the data."""
    torch.manual_seed(derived_seed(seed, "weights"))
    model = recipe.build()
    if begin is not None:
        model.begin(begin)
    model = in_channels_last(model.to(fabric.device))
    average = copy.deepcopy(model).eval().requires_grad_(False)
    return Trainer(model.train(), average, recipe.training, fabric, seed)


@dataclass(frozen=True)
class Watch:
    """What looks on during training: `log` gets the losses of a step, `preview` the moving average now and then."""

    log: Callable[[int, float, dict[str, float]], None]
    preview: Callable[[int, Model], None]
    saving: Callable[[int], None]
    stop: Callable[[], bool]
    log_every: int
    preview_every: int
    save_every: int


def run_steps(trainer: Trainer, examples: Examples, state: Path, watch: Watch) -> None:
    """Trains until the recipe's last step, from the saved state when there is one.

    Raises RadloomError when the gradients stop being finite again and again, or when `watch.stop` says so.
    """
    resumed = (state / "counters.json").is_file()
    trainer.fabric.barrier()  # every process has looked before the first one writes
    if resumed:
        trainer.counters = load_state(state, trainer.model, trainer.average, trainer.optimisers)
    else:
        _save(trainer, state)
    watch.saving(trainer.counters.step)
    counters, steps = trainer.counters, trainer.training.steps
    batch, world, rank = trainer.training.batch, trainer.fabric.world_size, trainer.fabric.global_rank
    started = time.perf_counter() - counters.seconds
    while counters.step < steps:
        first = (counters.step * world + rank) * batch
        losses = trainer.step(*examples.batch(first, batch, attempt=counters.rollbacks))
        done = counters.step
        counters.seconds = time.perf_counter() - started
        asked = done < steps and watch.stop()
        due = done % watch.save_every == 0 or done == steps or asked
        if (done % _CHECK_EVERY == 0 or due) and bool(trainer.broken):
            _roll_back(trainer, state)
            counters = trainer.counters
            continue
        if done % watch.log_every == 0 or done == steps:
            watch.log(done, counters.seconds, _means(trainer.fabric, losses))
        if done % watch.preview_every == 0 or done == steps:
            watch.preview(done, trainer.average)
        if due:  # the table first: what it has beyond the state is dropped on resume, what it lacks would stay lost
            watch.saving(done)
            _save(trainer, state)
        if asked:
            raise RadloomError(f"stopped after step {done} of {steps}; nothing is lost", do="continue with --resume")


def _means(fabric: Fabric, losses: dict[str, Tensor]) -> dict[str, float]:
    values = torch.stack(list(losses.values())).float()
    if fabric.world_size > 1:
        torch.distributed.all_reduce(values)
        values = values / fabric.world_size
    return dict(zip(losses, values.tolist(), strict=True))


def _save(trainer: Trainer, state: Path) -> None:
    if trainer.fabric.is_global_zero:
        save_state(state, trainer.model, trainer.average, trainer.optimisers, trainer.counters)
    trainer.fabric.barrier()


def _roll_back(trainer: Trainer, state: Path) -> None:
    """Goes back to the last saved state with half the learning rate and another order of examples."""
    step, tries = trainer.counters.step, trainer.counters.rollbacks + 1
    if tries > _ROLLBACKS:
        raise RadloomError(f"the gradients stopped being finite {tries} times, last before step {step}",
                           do="lower --set learning_rate=..., or look for NaN with `radloom data audit`")  # fmt: skip
    trainer.counters = load_state(state, trainer.model, trainer.average, trainer.optimisers)
    trainer.counters.rollbacks = tries
    trainer.broken.zero_()


def log_interval(steps: int) -> int:
    """Steps between two rows of the loss table, so that it has at most a few hundred."""
    return max(1, math.ceil(steps / 300))
