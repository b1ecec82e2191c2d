"""Every model in 2D and 3D by one list of contracts; a new model joins by a line in model_list.MODELS."""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import torch
from model_list import (
    CASES,
    CONTESTED,
    CUT_OFF,
    DIMS,
    MODELS,
    NO_SAY,
    ONE_ANSWER,
    TARGETS,
    UNTRAINED,
    begun,
    drawn,
    example,
    gan,
    shape_of,
)
from torch import Tensor

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.closed_form import TrainingMean
from radloom.models.model import Batch, Model
from radloom.random import torch_stream
from radloom.weights import load_tensors, save_weights

Case = tuple[str, int]
Losses = list[tuple[str, dict[str, float]]]

name_of = "{0[0]} {0[1]}D".format
every = pytest.mark.parametrize("case", CASES, ids=name_of)
trained = pytest.mark.parametrize("case", [case for case in CASES if case[0] not in UNTRAINED], ids=name_of)


@dataclass(frozen=True)
class Course:
    """A model before and after ten steps at fixed data and noise.

    moved: entries of the state that changed while a turn of the first step ran.
    """

    before: Model
    after: Model
    losses: Losses
    moved: dict[str, set[str]]


@cache
def first_draws(case: Case) -> Tensor:
    """What a model draws for the two examples before training; several contracts compare with it."""
    size = shape_of(*case)
    return drawn(begun(*case), example(size).given, 2, size)


@cache
def course(case: Case) -> Course:
    model, batch = begun(*case).train(), example(shape_of(*case))
    before, losses, moved = copy.deepcopy(model), [], {}
    last = state(model)
    for turn, loss in steps(model, batch, 10):
        losses.append((turn, loss))
        if turn not in moved:
            moved[turn] = changed(last, state(model))
            last = state(model)
    return Course(before, model, losses, moved)


def steps(model: Model, batch: Batch, count: int) -> Iterator[tuple[str, dict[str, float]]]:
    """The losses of each turn, told between its step and the next turn."""
    optimisers = {turn: torch.optim.Adam(model.trainable(turn), 3e-3) for turn in model.turns}
    for _ in range(count):
        torch.manual_seed(0)  # dropout draws from the global stream
        for turn in model.turns:
            model.zero_grad()
            losses = model.loss(batch.x, batch.given, turn=turn, rng=torch_stream(0))
            losses["total"].backward()
            optimisers[turn].step()
            yield turn, {name: value.item() for name, value in losses.items()}
        model.after_step()


def state(model: Model) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name, value in after.items() if not torch.equal(value, before[name])}


@every
def test_model_draws_the_asked_shape_the_same_for_the_same_seed(case: Case) -> None:
    size = shape_of(*case)
    first, batch = first_draws(case), example(size)
    assert first.shape == batch.x.shape
    assert first.dtype == torch.float32
    assert torch.isfinite(first).all()
    assert torch.equal(first, drawn(begun(*case), batch.given, 2, size))


@pytest.mark.parametrize("case", [case for case in CASES if case[0] in CUT_OFF], ids=name_of)
def test_a_model_that_knows_the_region_draws_zero_outside_alone(case: Case) -> None:
    region = example(shape_of(*case)).region.expand_as(first_draws(case))
    assert not first_draws(case)[~region].any()
    assert first_draws(case)[region].any()


@every
def test_a_batch_of_two_draws_what_two_singles_draw(case: Case) -> None:
    size, rng = shape_of(*case), torch_stream(0, "draw")
    model, given = begun(*case).eval(), example(size).given
    for i in range(2):  # from one stream: the second single goes on where the first one stopped
        with torch.no_grad():
            single = model.sample(given[i : i + 1], (1, TARGETS, *size), rng=rng)
        torch.testing.assert_close(first_draws(case)[i : i + 1], single, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in MODELS if name not in ONE_ANSWER])
def test_a_generative_model_draws_another_image_for_another_seed_and_for_its_neighbour(name: str) -> None:
    dims = DIMS.get(name, (2, 3))[0]
    size = shape_of(name, dims)
    model, batch = begun(name, dims), example(size)
    assert batch.given.image is not None
    twice = (2, *(-1,) * (dims + 1))
    image, region = batch.given.image[:1].expand(twice), batch.region[:1].expand(twice)
    same = Given(image=image, mask=region)
    first, other = drawn(model, same, 2, size), drawn(model, same, 2, size, seed=1)
    inside = region.expand_as(first)
    assert (first - other)[inside].abs().mean() > 1e-3
    assert (first[0] - first[1])[inside[0]].abs().mean() > 1e-3


@every
def test_weights_take_the_place_of_what_another_start_and_other_data_set(case: Case, tmp_path: Path) -> None:
    size = shape_of(*case)
    given = example(size).given
    save_weights(tmp_path / "w.safetensors", begun(*case))
    torch.manual_seed(1)
    other = MODELS[case[0]](case[1])
    blank = Batch(torch.ones(2, TARGETS, *size), given, torch.ones(2, 1, *size, dtype=torch.bool))
    other.begin(lambda: [blank])
    if case[0] != "constant":
        assert not torch.equal(first_draws(case), drawn(other, given, 2, size))
    load_tensors(other, tmp_path / "w.safetensors")
    assert torch.equal(first_draws(case), drawn(other, given, 2, size))


@every
def test_weights_come_back_into_a_model_that_never_saw_data_and_that_trains_on(case: Case, tmp_path: Path) -> None:
    name, dims = case
    size = shape_of(*case)
    model = begun(*case) if name in UNTRAINED else copy.deepcopy(course(case).after)
    save_weights(tmp_path / "w.safetensors", model)
    other = MODELS[name](dims)
    load_tensors(other, tmp_path / "w.safetensors")
    batch = example(size)
    assert torch.equal(drawn(model, batch.given, 2, size), drawn(other, batch.given, 2, size))
    if name not in UNTRAINED:  # what a step leaves for the next one lies in the weights too
        assert list(steps(other.train(), batch, 2)) == list(steps(model.train(), batch, 2))


@trained
def test_a_copy_of_a_model_does_not_follow_its_training(case: Case) -> None:
    size = shape_of(*case)
    assert torch.equal(first_draws(case), drawn(course(case).before, example(size).given, 2, size))


@trained
def test_the_generators_loss_falls_at_fixed_data_and_noise(case: Case) -> None:
    if case[0] in CONTESTED:  # the other player would answer: here it stands still
        values = generator_alone(begun(*case).train(), example(shape_of(*case)), 10)
    else:
        values = [loss["total"] for turn, loss in course(case).losses if turn in ("generator", "all")]
    assert max(values[-3:]) < min(values[:3])  # no ratio: a density's logarithm has no zero


def generator_alone(model: Model, batch: Batch, count: int) -> list[float]:
    """The generator's losses while nothing but the generator moves."""
    optimiser, values = torch.optim.Adam(model.trainable("generator"), 3e-3), []
    for _ in range(count):
        model.zero_grad()
        total = model.loss(batch.x, batch.given, turn="generator", rng=torch_stream(0))["total"]
        total.backward()
        optimiser.step()
        values.append(total.item())
    return values


@trained
def test_every_parameter_that_learns_has_one_player_and_moves(case: Case) -> None:
    model = course(case).after
    players = [p for turn in model.turns for p in model.trainable(turn)]
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert sorted(map(id, players)) == sorted(map(id, learning.values()))
    moved = changed(state(course(case).before), state(model))
    assert set(learning) - moved == NO_SAY.get(case[0], set())


@trained
def test_a_turn_moves_its_own_player_alone_and_nothing_that_is_fitted(case: Case) -> None:
    before, losses = course(case).before, course(case).losses
    names = {id(p): name for name, p in before.named_parameters()}
    for turn in before.turns:
        own = {names[id(p)] for p in before.trainable(turn)}
        assert course(case).moved[turn]
        assert course(case).moved[turn] <= own
    assert all(math.isfinite(value) for _, loss in losses for value in loss.values())


def test_a_training_mean_of_other_channels_is_refused(tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", begun("training mean", 2))
    with pytest.raises(RadloomError, match="another model"):
        load_tensors(TrainingMean(TARGETS + 1), tmp_path / "w.safetensors")


def test_weights_of_another_model_or_a_broken_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, gan(2))
    with pytest.raises(RadloomError, match="another model"):
        load_tensors(gan(2, base=True), path)
    path.write_bytes(path.read_bytes()[:100])
    for place in (path, tmp_path / "absent.safetensors"):
        with pytest.raises(RadloomError, match="cannot read weights"):
            load_tensors(gan(2), place)
