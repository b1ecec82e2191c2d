"""What lies between images and a discriminator, augmentation and diffusion, and the feedback that sets how much."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from radloom.given import Given
from radloom.models import augmentation, losses
from radloom.models.augmentation import Augmentation, Change
from radloom.models.diffusion_gan import Diffused
from radloom.models.feedback import Feedback
from radloom.models.noise_gan import GAN
from radloom.random import torch_stream

NOTHING = Given()


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch_stream(seed))


def chance_of(feedback: Feedback, shares: list[float], batch: int = 10) -> list[float]:
    found = []
    for share in shares:
        known = round(share * batch)
        feedback.note(torch.tensor([[1.0]] * known + [[-1.0]] * (batch - known)))
        feedback.after_step()
        found.append(round(float(feedback.p), 6))
    return found


def test_feedback_moves_by_the_images_seen_towards_its_target_and_stays_in_bounds() -> None:
    feedback = Feedback(target=0.6, images=200, every=2)
    # r of a share s is 2 s - 1: above 0.6 from s = 0.8 on
    assert chance_of(feedback, [0.9, 0.9, 0.9, 0.5]) == [0, 0.1, 0.1, 0.0]
    assert chance_of(Feedback(target=0.6, images=30, every=1), [1.0] * 4) == pytest.approx(
        [1 / 3, 2 / 3, 1, 1], abs=1e-5
    )
    assert chance_of(Feedback(target=None, start=0.3), [1.0] * 8) == [0.3] * 8


class Echo(nn.Module):
    """Images that are their z: already from the distribution of the data, so that only memory can tell them apart."""

    latent, shape = 16, (1, 4, 4)

    def forward(self, z: Tensor, given: Given, noise: Callable[[Tensor], Tensor]) -> Tensor:
        return z.view(-1, *self.shape)


class Judge(nn.Module):
    """Scores by layers that hear of nothing else."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor, given: Given, time: Tensor | None) -> Tensor:
        return self.layers(x)


def overfitting(images: int, feedback: Feedback, steps: int) -> float:
    """The p after a discriminator has trained on so many images."""
    torch.manual_seed(0)
    hidden = (nn.Linear(16, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU())
    judge = Judge(nn.Sequential(nn.Flatten(), *hidden, nn.Linear(128, 1)))
    model = GAN(Echo(), judge, game=losses.non_saturating,
                disguise=Augmentation((augmentation.intensity(), augmentation.grain()), feedback))  # fmt: skip
    data = normal(images, 1, 4, 4, seed=9)
    optimiser = torch.optim.Adam(model.trainable("discriminator"), 2e-3, (0.0, 0.99))
    for step in range(steps):
        rng = torch_stream(step)
        chosen = torch.randint(images, (32,), generator=rng)
        model.zero_grad()
        model.loss(data[chosen], NOTHING, turn="discriminator", rng=rng)["total"].backward()
        optimiser.step()
        model.after_step()
    return float(feedback.p)


def test_p_rises_on_fifty_images_that_a_discriminator_learns_by_heart_and_not_on_many() -> None:
    few = overfitting(50, Feedback(target=0.6, images=8000), 400)
    many = overfitting(20_000, Feedback(target=0.6, images=8000), 400)
    assert few > 0.2
    assert many < 0.05


@pytest.mark.parametrize("edge", [(6, 5), (4, 5, 6)])
@pytest.mark.parametrize("name", ["placement", "intensity", "grain", "cutout"])
def test_a_change_touches_its_share_of_items_and_passes_gradients(name: str, edge: tuple[int, ...]) -> None:
    change: Change = getattr(augmentation, name)()
    x = (1 + normal(400, 1, *edge)).requires_grad_()
    y = change(x, 0.2, torch_stream(1))
    touched = ((y - x).abs().flatten(1).amax(1) > 1e-4).double().mean()
    parts = {"placement": 4, "intensity": 2, "grain": 1, "cutout": 1}[name]
    assert float(touched) == pytest.approx(1 - 0.8**parts, abs=0.07)
    y.sum().backward()
    assert x.grad is not None
    assert float(x.grad.abs().amax()) > 0
    torch.testing.assert_close(change(x, 0.0, torch_stream(1)), x)
    assert torch.equal(change(x, 0.7, torch_stream(2)), change(x, 0.7, torch_stream(2)))


def test_no_change_mirrors_an_image_unless_asked() -> None:
    x = torch.zeros(300, 1, 16, 16)
    x[:, :, 2, 7:9] = 1.0  # a mark on the low side of the first axis
    still = {"shift": 0.0, "turn": 0.0, "scale": 0.0, "stretch": 0.0}
    torch.testing.assert_close(augmentation.placement(**still)(x, 1.0, torch_stream(0)), x)
    turned = augmentation.placement()(x, 1.0, torch_stream(0))
    assert float(turned[:, :, 11:].abs().amax()) < 1e-3
    for axis in (0, 1):
        mirrored = augmentation.placement(**still, flips=(axis,))(x, 1.0, torch_stream(0))
        low = (mirrored[:, 0, 2, 7] > 0.999).double().mean()
        high = (mirrored[:, 0, 13, 7] > 0.999).double().mean()
        assert float(low + high) == 1
        assert float(high) == pytest.approx(0.5 if axis == 0 else 0.0, abs=0.1)


def test_a_shift_moves_by_up_to_its_share_of_the_axis_and_a_turn_keeps_shapes_on_an_oblong_grid() -> None:
    x = torch.zeros(400, 1, 40, 20)
    x[:, :, 18:22, 8:12] = 1.0  # a square in the middle
    centre = lambda y, axis: (y.sum(3 - axis) * torch.arange(y.shape[2 + axis])).sum(-1) / y.sum((2, 3))  # noqa: E731
    moved = augmentation.placement(turn=0.0, scale=0.0, stretch=0.0)(x, 1.0, torch_stream(0))
    for axis, (length, middle) in enumerate(((40, 19.5), (20, 9.5))):
        away = (centre(moved, axis)[:, 0] - middle).abs()
        assert float(away.max()) == pytest.approx(0.125 * length, rel=0.05)
        assert float(away.max()) <= 0.125 * length + 1e-3
    turned = augmentation.placement(shift=0.0, turn=45.0, scale=0.0, stretch=0.0)(x, 1.0, torch_stream(0))
    mass = turned.sum((1, 2, 3))
    assert float((mass - 16).abs().max()) < 1.2  # sheared or stretched it would have another area


def test_a_turn_in_space_keeps_the_distance_from_the_centre() -> None:
    x = torch.zeros(60, 1, 21, 15, 17)
    x[:, 0, 10, 7, 13] = 1.0  # 5 voxels from the centre along the last axis
    y = augmentation.placement(shift=0.0, turn=60.0, scale=0.0, stretch=0.0)(x, 1.0, torch_stream(0))[:, 0]
    grid = torch.stack(torch.meshgrid(*(torch.arange(n) - (n - 1) / 2 for n in (21, 15, 17)), indexing="ij"))
    y = y * (grid.norm(dim=0) < 7)  # farther out the reflected image comes in
    places = (y[:, None] * grid).flatten(2).sum(2) / y.flatten(1).sum(1, keepdim=True)
    assert float((places.norm(dim=1) - 5.0).abs().max()) < 0.35
    assert (places.std(0) > 0.5).all()


def test_the_intensity_keeps_zero_and_the_relation_of_channels() -> None:
    x = torch.stack([torch.zeros(300, 4, 4), torch.ones(300, 4, 4), 2 * torch.ones(300, 4, 4)], dim=1)
    contrast = augmentation.intensity(brightness=0.0)(x, 1.0, torch_stream(0))
    assert not contrast[:, 0].any()
    torch.testing.assert_close(contrast[:, 2], 2 * contrast[:, 1])
    assert float(contrast[:, 1, 0, 0].log2().std()) == pytest.approx(0.5, rel=0.15)
    bright = augmentation.intensity(contrast=0.0, unit=3.0)(x, 1.0, torch_stream(0))
    assert float((bright - x)[:, 0, 0, 0].std()) == pytest.approx(0.6, rel=0.15)


def test_half_of_diffusions_list_is_noiseless_and_the_rest_favours_late_times() -> None:
    torch.manual_seed(0)
    diffused = Diffused(Feedback(start=1.0, target=None, every=1))
    late = []
    for seed in range(200):
        diffused._refill(seed)
        assert int((diffused.slots == 0).sum()) == 32
        late.append(diffused.slots[32:].clone())
    times = torch.cat(late).double()
    # P(t) in proportion to t on 1 ... T: mean (2 T + 1) / 3, a share of (k / T)**2 below k
    assert float(times.mean()) == pytest.approx(2001 / 3, rel=0.01)
    assert float((times <= 500).double().mean()) == pytest.approx(500 * 501 / (1000 * 1001), abs=0.015)
    assert int(times.max()) > 990
    early = Diffused(Feedback(start=0.0, target=None))
    assert int(early.slots.max()) <= 10


def test_diffusion_keeps_the_variance_that_its_time_says_and_hands_the_time_on() -> None:
    diffused = Diffused(Feedback(start=1.0, target=None), deviation=0.05)
    x = torch.ones(64, 1, 40, 40)
    y, time = diffused(x, torch_stream(0))
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    for i in range(64):
        kept = float((1 - betas[: int(time[i])]).prod())
        assert float(y[i].mean()) == pytest.approx(kept**0.5, abs=0.01)
        assert float(y[i].std()) == pytest.approx(0.05 * (1 - kept) ** 0.5, rel=0.1, abs=1e-6)
    assert torch.equal(y[time == 0], x[time == 0])


def test_the_list_is_drawn_anew_only_when_p_is_set() -> None:
    diffused = Diffused(Feedback(target=0.6, images=100, every=2))
    before = diffused.slots.clone()
    diffused.note(torch.ones(50))
    diffused.after_step(1)
    assert torch.equal(diffused.slots, before)
    diffused.note(torch.ones(50))
    diffused.after_step(2)
    assert float(diffused.feedback.p) == 1.0
    assert int(diffused.slots.max()) > 500
