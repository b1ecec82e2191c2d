"""The schedule, the order of examples, the mean of gradients and the plan: what training is before it runs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from radloom.data.views import AxialSlices, Store
from radloom.system import Task, Training
from radloom.systems import load
from radloom.training import hardware
from radloom.training.loop import Examples, learning_rate, log_interval
from radloom.training.plan import Plan, plan

TASK = Task(target=("image.t1",), inputs=("image.t2",))
TRAINING = Training(10, batch=2, patch=(8, 8), learning_rate=1e-3)


def examples(folder: Path, *, seed: int = 0) -> Examples:
    """Five slices, each filled with its own number."""
    store = Store(folder, TASK.keys)
    folder.mkdir(parents=True, exist_ok=True)
    image = np.arange(5, dtype=np.float32)[:, None, None, None] * np.ones((5, 1, 8, 8), np.float32)
    np.save(store.path("a"), np.concatenate([image, image, np.ones_like(image)], axis=1))
    view = AxialSlices((8, 8))
    return Examples(
        task=TASK, view=view, store=store, positions=view.positions(store, ["a"]), training=TRAINING, seed=seed
    )


def order(one: Examples, first: int, count: int, *, attempt: int = 0) -> list[int]:
    x, given = one.batch(first, count, attempt=attempt)
    assert x.shape == (count, 1, 8, 8)
    assert given.mask is not None
    assert given.mask.all()
    return [int(item.max()) for item in x]


def test_every_position_comes_once_an_epoch_in_another_order_each_time(tmp_path: Path) -> None:
    one = examples(tmp_path)
    epochs = [order(one, 5 * epoch, 5) for epoch in range(8)]
    assert all(sorted(epoch) == [0, 1, 2, 3, 4] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 4


def test_order_depends_on_neither_batch_size_nor_history_but_on_seed_and_attempt(tmp_path: Path) -> None:
    one = examples(tmp_path)
    expected = order(one, 0, 24)
    for count in (1, 2, 3, 8):
        assert [n for first in range(0, 24, count) for n in order(one, first, count)] == expected
    assert order(examples(tmp_path), 12, 12) == expected[12:]
    assert order(one, 0, 24, attempt=1) != expected
    assert order(examples(tmp_path, seed=1), 0, 24) != expected


def test_two_processes_share_what_one_would_see(tmp_path: Path) -> None:
    one = examples(tmp_path)
    for step in range(3):  # as in run_steps: first = (step * processes + rank) * batch
        assert order(one, (step * 2 + 0) * 2, 2) + order(one, (step * 2 + 1) * 2, 2) == order(one, step * 4, 4)


def test_learning_rate_rises_stays_and_falls_by_hand() -> None:
    training = Training(100, 1, (8, 8), learning_rate=0.4, warmup=0.1, decay_from=0.5)
    rates = [learning_rate(training, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.04)
    assert rates[4] == pytest.approx(0.2)
    assert rates[9:51] == pytest.approx([0.4] * 42)
    assert rates[75] == pytest.approx(0.2)
    assert rates[99] == pytest.approx(0.4 * 0.01 / 0.5)
    flat = Training(100, 1, (8, 8), learning_rate=0.4, warmup=0.0, decay_from=1.0)
    assert {learning_rate(flat, step) for step in range(100)} == {0.4}


def test_loss_table_stays_short() -> None:
    assert [log_interval(steps) for steps in (1, 12, 300, 301, 3_500_000)] == [1, 1, 1, 2, 11667]


def test_mean_gradient_lies_in_the_parameters_own_memory_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fused Adam walks through memory: a gradient of another order would be given to other weights."""

    class TwoProcesses:
        world_size = 2

    monkeypatch.setattr(torch.distributed, "all_reduce", lambda flat: flat.mul_(4))  # the other rank had 3 times ours
    weight = torch.nn.Parameter(torch.randn(4, 3, 3, 3).contiguous(memory_format=torch.channels_last))
    unused = torch.nn.Parameter(torch.randn(5))
    gradient = torch.randn(4, 3, 3, 3)
    weight.grad = gradient.clone()
    hardware.reduce_gradients.__wrapped__(TwoProcesses(), [weight, unused])  # type: ignore[attr-defined]
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad, 2 * gradient)
    assert weight.grad.stride() == weight.stride()
    assert unused.grad is None  # no process has one: the optimiser leaves the part alone
    before = weight.detach().clone()
    torch.optim.Adam([weight], 0.1, fused=True).step()
    torch.testing.assert_close(weight.detach() - before, -0.1 * gradient.sign(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dims", [2, 3])
def test_plan_gives_plausible_numbers(dims: int) -> None:
    recipe = load("conte2021_missing_sequence").resolve("tiny", dims, {})
    found = plan(recipe, Fabric(accelerator="cpu", devices=1), rehearsals=2)
    assert found.steps == recipe.training.steps
    assert 0 < found.step_seconds < 60
    assert found.seconds == pytest.approx(1.1 * found.step_seconds * found.steps, rel=0.2, abs=0.1)
    assert 50 < found.peak_mb < 20_000
    assert found.available_mb > 100
    assert found.parameters == sum(p.numel() for p in recipe.build().parameters())
    assert found.device == "cpu"
    assert found.record()["precision"] == "32-true"


def test_plan_says_what_to_change_when_it_does_not_fit() -> None:
    found = Plan(1, 1.0, 1.0, peak_mb=4000.0, available_mb=1000.0, parameters=1, device="cpu", precision="x", threads=1)
    assert found.advice(8) == "it does not fit: try --set batch=2"
    assert found.advice(1) == "it does not fit: take a smaller patch"
    assert Plan(1, 1.0, 1.0, 900.0, 1000.0, 1, "cpu", "x", 1).advice(8) == "it fits"


def test_unpaired_examples_join_slices_of_different_cases(tmp_path: Path) -> None:
    task = Task(target=("image.t1",), inputs=("image.t2",), pairing="unpaired")
    store = Store(tmp_path, task.keys)
    for number, case in enumerate(("a", "b", "c")):
        image = np.full((4, 1, 8, 8), number + 1, np.float32)
        np.save(store.path(case), np.concatenate([image, 10 * image, np.ones_like(image)], axis=1))
    view = AxialSlices((8, 8))
    positions = view.positions(store, ["a", "b", "c"])
    one = Examples(task=task, view=view, store=store, positions=positions, training=TRAINING, seed=0)
    x, given = one.batch(0, 48, attempt=0)
    assert given.image is not None
    pairs = {(int(i.max()), int(t.max())) for i, t in zip(given.image, x, strict=True)}
    assert pairs == {(i, 10 * j) for i in (1, 2, 3) for j in (1, 2, 3) if i != j}
    again, _ = one.batch(12, 4, attempt=0)
    assert torch.equal(again, x[12:16])
