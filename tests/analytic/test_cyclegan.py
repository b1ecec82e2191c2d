"""CycleGAN on a planted invertible map, its pool, and what its losses are made of."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.cyclegan import CycleGAN, ImagePool
from radloom.networks.pix2pix import PatchDiscriminator, ResNetGenerator
from radloom.random import torch_stream
from radloom.weights import load_tensors, save_weights


def sources(count: int, seed: int) -> Tensor:
    """Two channels of independent skewed numbers (b, 2, 8, 8), so that a linear map to another pair is the only one."""
    u = torch.rand((count, 2, 8, 8), generator=torch_stream(seed, "sources"))
    return torch.stack([u[:, 0] ** 3, -(u[:, 1] ** 2)], dim=1)


PLANTED, SHIFT = torch.tensor([[0.6, 0.5], [-0.3, 0.9]]), torch.tensor([0.4, -0.2])


def translated(image: Tensor) -> Tensor:
    return torch.einsum("ij,bjxy->bixy", PLANTED, image) + SHIFT.view(1, 2, 1, 1)


def voxelwise_judge() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 32, 1), nn.LeakyReLU(0.2), nn.Conv2d(32, 32, 1), nn.LeakyReLU(0.2),
                         nn.Conv2d(32, 1, 1))  # fmt: skip


def test_it_recovers_a_planted_map_and_its_inverse_from_images_that_do_not_belong_together() -> None:
    torch.manual_seed(0)
    shape = (2, 8, 8)
    model = CycleGAN(nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1), voxelwise_judge(), voxelwise_judge(),
                     shapes=(shape, shape), identity=0.0, cycle=1.0)  # fmt: skip
    for generator in (model.to_x, model.to_image):
        with torch.no_grad():
            generator.weight.copy_(torch.eye(2)[..., None, None])
            generator.bias.zero_()
    optimisers = {turn: torch.optim.Adam(model.trainable(turn), 0.01, (0.5, 0.99)) for turn in model.turns}
    steps = 500
    for step in range(steps):
        x, image = translated(sources(8, 2 * step)), sources(8, 2 * step + 1)
        for turn in model.turns:
            for group in optimisers[turn].param_groups:
                group["lr"] = 0.01 * (1 - step / steps)
            model.zero_grad()
            model.loss(x, Given(image=image), turn=turn, rng=torch_stream(step, turn))["total"].backward()
            optimisers[turn].step()
        model.after_step()
    image = sources(50, -1)
    x = translated(image)
    with torch.no_grad():
        drawn = model.sample(Given(image=image), tuple(x.shape), rng=torch_stream(0))
        back = model.to_image(x)
    for found, true, start in ((drawn, x, image), (back, image, x)):
        error, before = (found - true).square().mean().sqrt(), (start - true).square().mean().sqrt()
        assert float(error) < 0.1 * float(before)


def test_the_pool_keeps_what_came_and_then_exchanges_half() -> None:
    pool = ImagePool((1, 2, 2), 4)
    fakes = lambda first, n: torch.arange(first, first + n).float().view(n, 1, 1, 1).expand(n, 1, 2, 2)  # noqa: E731
    first = pool.mixed(fakes(0, 3), torch_stream(0))
    assert torch.equal(first, fakes(0, 3))
    assert int(pool.filled) == 0
    pool.after_step()
    assert int(pool.filled) == 3
    pool.mixed(fakes(3, 1), torch_stream(1))
    pool.after_step()
    assert pool.images[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    old, kept = 0, 0
    for step in range(300):
        before = set(pool.images[:, 0, 0, 0].tolist())
        seen = pool.mixed(fakes(100 + step, 1), torch_stream(step))
        pool.after_step()
        after = set(pool.images[:, 0, 0, 0].tolist())
        value = float(seen[0, 0, 0, 0])
        old += value in before
        kept += 100 + step in after
        assert (value in before) == (100 + step in after)  # an old one goes out exactly when the new one comes in
    assert old == kept
    assert old / 300 == pytest.approx(0.5, abs=0.08)


def test_a_pool_of_none_passes_everything() -> None:
    pool = ImagePool((1, 2), 0)
    assert torch.equal(pool.mixed(torch.ones(3, 1, 2), torch_stream(0)), torch.ones(3, 1, 2))
    pool.after_step()


def test_generators_that_are_true_inverses_have_no_cycle_loss_and_the_identity_is_weighed_in_cycles() -> None:
    class Times(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = nn.Parameter(torch.tensor(factor))

        def forward(self, x: Tensor) -> Tensor:
            return self.factor * x

    judge = nn.Sequential(nn.Flatten(), nn.Linear(4, 1))
    shape = (1, 2, 2)
    model = CycleGAN(Times(2.0), Times(0.5), judge, judge, shapes=(shape, shape), cycle=10.0, identity=0.5)
    x, image = torch.full((3, *shape), 3.0), torch.full((3, *shape), 1.0)
    found = model.loss(x, Given(image=image), turn="generator", rng=torch_stream(0))
    assert float(found["cycle"]) == pytest.approx(0, abs=1e-6)
    assert float(found["identity"]) == pytest.approx(0.5 * 10 * (3.0 + 0.5))  # |2 * 3 - 3| + |0.5 - 1|
    wrong = CycleGAN(Times(2.0), Times(1.0), judge, judge, shapes=(shape, shape), cycle=10.0, identity=0.0)
    found = wrong.loss(x, Given(image=image), turn="generator", rng=torch_stream(0))
    assert float(found["cycle"]) == pytest.approx(10 * (1.0 + 3.0))
    assert "identity" not in found


def test_images_of_two_patients_keep_their_own_outlines() -> None:
    """The image's head lies left and x's right: a cycle of true inverses loses nothing."""
    left, right = torch.zeros(1, 1, 4, 6), torch.zeros(1, 1, 4, 6)
    left[..., :3], right[..., 3:] = 2.0, 5.0
    double, half = (nn.Conv2d(1, 1, 1, bias=False) for _ in range(2))
    nn.init.constant_(double.weight, 2.0)
    nn.init.constant_(half.weight, 0.5)
    judge = nn.Sequential(nn.Flatten(), nn.Linear(24, 1))
    shape = (1, 4, 6)
    model = CycleGAN(half, double, judge, judge, shapes=(shape, shape), identity=0.0)
    found = model.loss(right, Given(image=left, mask=left > 0), turn="generator", rng=torch_stream(0))
    assert float(found["cycle"]) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("dims", [2, 3])
def test_training_goes_on_from_the_saved_pool(dims: int, tmp_path: Path) -> None:
    size = (8,) * dims

    def make() -> CycleGAN:
        torch.manual_seed(0)
        parts = [ResNetGenerator(dims, 1, 1, width=2, blocks=1) for _ in range(2)]
        judges = [PatchDiscriminator(dims, 1, width=2, halvings=1) for _ in range(2)]
        return CycleGAN(*parts, *judges, shapes=((1, *size), (1, *size)), pool=3)

    def run(model: CycleGAN, first: int, last: int) -> list[float]:
        optimisers = {turn: torch.optim.SGD(model.trainable(turn), 0.01) for turn in model.turns}
        found = []
        for step in range(first, last):
            x, image = torch.randn(2, 2, 1, *size, generator=torch_stream(step)).unbind(0)
            for turn in model.turns:
                model.zero_grad()
                total = model.loss(x, Given(image=image), turn=turn, rng=torch_stream(step, turn))["total"]
                total.backward()
                optimisers[turn].step()
                found.append(float(total.detach()))
            model.after_step()
        return found

    expected = run(make(), 0, 6)
    half = make()
    begun = run(half, 0, 3)
    save_weights(tmp_path / "w.safetensors", half)
    other = make()
    load_tensors(other, tmp_path / "w.safetensors")
    assert int(other.pool_x.filled) == 3
    assert begun + run(other, 3, 6) == expected


def test_what_makes_no_cycle_is_refused() -> None:
    judge, shape = nn.Identity(), (1, 4, 4)
    model = CycleGAN(nn.Identity(), nn.Identity(), judge, judge, shapes=(shape, shape))
    for make in (
        lambda: CycleGAN(judge, judge, judge, judge, shapes=(shape, (2, 4, 4))),
        lambda: CycleGAN(judge, judge, judge, judge, shapes=(shape, shape), cycle=-1.0),
        lambda: ImagePool(shape, -1),
        lambda: ImagePool(shape, 2).mixed(torch.zeros(1, 1, 4, 5), torch_stream(0)),
        lambda: model.sample(Given(), (1, 1, 4, 4), rng=torch_stream(0)),
    ):
        with pytest.raises(RadloomError, match="expected"):
            make()
