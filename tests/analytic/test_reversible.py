"""RevGAN: its core undone exactly, its gradients with and without recomputation, both directions from one network."""

import copy
import math

import pytest
import torch

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.revgan import RevGAN
from radloom.networks.memory import kept, recomputed
from radloom.networks.pix2pix import PatchDiscriminator
from radloom.networks.reversible import Coupling, ReversibleGenerator
from radloom.random import torch_stream
from radloom.systems.lin2021_revgan import SYSTEM


def shaken(network: torch.nn.Module) -> None:
    """Weights away from the zeros with which a coupling begins, so that there is something to undo."""
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.05 * torch.randn(p.shape, generator=rng))


@pytest.mark.parametrize("dims", [2, 3])
def test_the_core_run_backwards_undoes_the_core(dims: int) -> None:
    torch.manual_seed(0)
    network = ReversibleGenerator(dims, 1, 1, width=4, depth=6)
    h = torch.randn(2, 8, *(6, 7, 5)[:dims])
    assert torch.equal(network.through(h), h)  # it begins as identity
    shaken(network.core)
    there = network.through(h)
    assert (there - h).abs().mean() > 0.2
    assert (network.back(there) - h).abs().max() < 1e-5
    assert (network.through(network.back(h)) - h).abs().max() < 1e-5


def test_a_coupling_by_hand() -> None:
    block = Coupling(2, 2)
    block.first, block.second = torch.nn.Tanh(), torch.nn.Sigmoid()  # type: ignore[assignment]
    x = torch.tensor([0.5, -1.0]).view(1, 2, 1, 1)
    one = 0.5 + math.tanh(-1)
    two = -1 + 1 / (1 + math.exp(-one))
    assert block(x).flatten().tolist() == pytest.approx([one, two], abs=1e-6)
    assert block.inverse(block(x)).flatten().tolist() == pytest.approx([0.5, -1.0], abs=1e-6)
    with pytest.raises(RadloomError, match="3 channels"):
        Coupling(2, 3)


def test_gradients_are_the_same_when_the_core_is_recomputed() -> None:
    torch.manual_seed(0)
    plain = ReversibleGenerator(3, 1, 1, width=4, depth=3, run=kept)
    shaken(plain)
    spare = copy.deepcopy(plain)
    spare.run = recomputed
    a = torch.randn(1, 1, 6, 5, 4)
    for network in (plain, spare):
        (network(a).square().mean() + network.backward(a).abs().mean()).backward()
    for (name, one), two in zip(plain.named_parameters(), spare.parameters(), strict=True):
        assert one.grad is not None, name
        assert two.grad is not None, name
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-5, atol=1e-8)


def test_sizes_that_are_odd_come_out_as_they_went_in_and_tiny_ones_are_refused() -> None:
    network = ReversibleGenerator(3, 2, 1, width=2, depth=1)
    assert network(torch.rand(1, 2, 9, 8, 5)).shape == (1, 1, 9, 8, 5)
    assert network.backward(torch.rand(1, 1, 9, 8, 5)).shape == (1, 2, 9, 8, 5)
    with pytest.raises(RadloomError, match="too small"):
        network(torch.rand(1, 2, 9, 8, 3))
    with pytest.raises(RadloomError, match="0 couplings"):
        ReversibleGenerator(3, 1, 1, depth=0)


def revgan(*, pixel: float, cycle: float) -> RevGAN:
    torch.manual_seed(0)
    judges = (PatchDiscriminator(2, 1, width=4, halvings=1) for _ in range(2))
    return RevGAN(ReversibleGenerator(2, 1, 1, width=8, depth=2), *judges, shapes=((1, 16, 16), (1, 16, 16)),
                  pixel=pixel, cycle=cycle, adversarial=0.1, pool=2)  # fmt: skip


def batch(seed: int) -> tuple[torch.Tensor, Given]:
    """An image of smooth blobs, and x = 1.5 - image inside a region."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand((4, 1, 4, 4), generator=rng)
    image = torch.nn.functional.interpolate(coarse, size=(16, 16), mode="bilinear")
    mask = torch.zeros(4, 1, 16, 16, dtype=torch.bool)
    mask[..., 2:-2, 2:-2] = True
    return (1.5 - image) * mask, Given(image=image * mask, mask=mask)


def test_one_network_learns_both_directions_of_an_inverted_contrast() -> None:
    model = revgan(pixel=10.0, cycle=0.0)
    optimisers = {turn: torch.optim.Adam(model.trainable(turn), 3e-3, betas=(0.5, 0.99)) for turn in model.turns}
    x, given = batch(1000)
    assert given.image is not None
    before = [(model.sample(given, tuple(x.shape), rng=torch.Generator()) - x).abs().mean().item(),
              (model.reversed_sample(x, given) - given.image).abs().mean().item()]  # fmt: skip
    for step in range(80):
        seen, known = batch(step)
        for turn in model.turns:
            optimisers[turn].zero_grad()
            model.loss(seen, known, turn=turn, rng=torch_stream(step, turn))["total"].backward()
            optimisers[turn].step()
        model.after_step()
    with torch.no_grad():
        after = [(model.sample(given, tuple(x.shape), rng=torch.Generator()) - x).abs().mean().item(),
                 (model.reversed_sample(x, given) - given.image).abs().mean().item()]  # fmt: skip
    assert after[0] < 0.3 * before[0]
    assert after[1] < 0.3 * before[1]
    assert not model.sample(given, tuple(x.shape), rng=torch.Generator())[~given.mask].any()  # type: ignore[index]


def test_terms_are_what_their_weights_say_and_unpaired_images_are_not_compared() -> None:
    x, given = batch(0)
    parts = revgan(pixel=10.0, cycle=0.0).loss(x, given, turn="generator", rng=torch_stream(0))
    assert set(parts) == {"total", "adversarial", "pixel"}
    model = revgan(pixel=0.0, cycle=10.0)
    parts = model.loss(x, given, turn="generator", rng=torch_stream(0))
    assert set(parts) == {"total", "adversarial", "cycle"}
    other = model.loss(x[[1, 2, 3, 0]], given, turn="generator", rng=torch_stream(0))  # other partners, same images
    assert other["cycle"].item() == pytest.approx(parts["cycle"].item(), rel=1e-4)
    with pytest.raises(RadloomError, match="one of them above 0"):
        revgan(pixel=0.0, cycle=0.0)
    with pytest.raises(RadloomError, match="weights"):
        revgan(pixel=-1.0, cycle=0.0)
    with pytest.raises(RadloomError, match="without a given image"):
        model.sample(Given(), (1, 1, 16, 16), rng=torch.Generator())


def test_the_system_trains_its_generator_once_for_both_directions() -> None:
    model = SYSTEM.resolve("tiny", 3, {}).build()
    assert isinstance(model, RevGAN)
    core = {id(p) for p in model.generator.core.parameters()}
    assert core <= {id(p) for p in model.trainable("generator")}
    assert not core & {id(p) for p in model.trainable("discriminator")}
