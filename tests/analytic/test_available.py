"""One model for every set of inputs: what the inner model sees, in training and when drawing."""

import pytest
import torch
from torch import Tensor

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.available import Available, there, without
from radloom.models.closed_form import Voxelwise
from radloom.models.gan import PairedGAN
from radloom.models.losses import Term, l1, least_squares
from radloom.models.model import Batch, Model
from radloom.networks.pix2pix import PatchDiscriminator
from radloom.networks.residual_unet import ResidualUNet


class Spy(Model):
    """Keeps what it was given."""

    turns = ("generator", "discriminator")

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        assert given.image is not None
        self.seen.append(given.image)
        return {"total": x.sum()}

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        assert given.image is not None
        self.seen.append(given.image)
        return torch.zeros(shape)


IMAGE = torch.arange(1.0, 33.0).reshape(2, 2, 2, 4)


def test_maps_say_which_inputs_are_there_and_absent_ones_are_zero() -> None:
    spy = Spy()
    given = without(Given(image=IMAGE), [0])
    assert there(given).tolist() == [[False, True], [False, True]]
    Available(spy, inputs=2, hide=0.0).sample(given, (2, 1, 2, 4), rng=torch.Generator())
    torch.testing.assert_close(spy.seen[0][:, 0], torch.zeros(2, 2, 4))
    torch.testing.assert_close(spy.seen[0][:, 1], IMAGE[:, 1])
    torch.testing.assert_close(spy.seen[0][:, 2:], torch.tensor([0.0, 1.0]).view(1, 2, 1, 1).expand(2, 2, 2, 4))
    assert not torch.isnan(IMAGE).any()


def test_each_input_is_hidden_as_often_as_asked_and_never_all_of_them() -> None:
    spy, rng = Spy(), torch.Generator().manual_seed(0)
    model = Available(spy, inputs=2, hide=0.4)
    image = torch.ones(4000, 2, 1, 1)
    model.loss(torch.zeros(4000, 1, 1, 1), Given(image=image), turn="generator", rng=rng)
    maps = spy.seen[0][:, 2:, 0, 0]
    assert maps.sum(1).min() == 1
    # both would be hidden in 0.16; the luckier of the two then stays: 0.4 - 0.16 / 2 = 0.32 of each
    torch.testing.assert_close(1 - maps.mean(0), torch.tensor([0.32, 0.32]), atol=0.03, rtol=0)
    torch.testing.assert_close(spy.seen[0][:, :2], spy.seen[0][:, 2:])


def test_both_players_of_a_step_are_shown_the_same_inputs_and_the_next_step_others() -> None:
    spy, rng = Spy(), torch.Generator().manual_seed(1)
    model, x, given = Available(spy, inputs=2, hide=0.5), torch.zeros(64, 1, 1, 1), Given(image=torch.ones(64, 2, 1, 1))
    for turn in ("generator", "discriminator", "generator"):
        model.loss(x, given, turn=turn, rng=rng)
    torch.testing.assert_close(spy.seen[0], spy.seen[1])
    assert not torch.equal(spy.seen[1], spy.seen[2])


def test_an_absent_input_stays_absent_in_training() -> None:
    spy, rng = Spy(), torch.Generator().manual_seed(1)
    given = without(Given(image=torch.ones(64, 2, 1, 1)), [1])
    Available(spy, inputs=2, hide=0.5).loss(torch.zeros(64, 1, 1, 1), given, turn="generator", rng=rng)
    assert set(spy.seen[0][:, 3].flatten().tolist()) == {0.0}
    assert set(spy.seen[0][:, 2].flatten().tolist()) == {1.0}


def test_a_closed_form_map_begins_from_every_set_and_answers_each_as_well_as_a_map_of_its_own() -> None:
    rng = torch.Generator().manual_seed(0)
    image = torch.rand((1, 2, 64, 64), generator=rng)
    x = 2 * image[:, :1] + image[:, 1:]
    given, region = Given(image=image), torch.ones(1, 1, 64, 64, dtype=torch.bool)
    model = Available(Voxelwise(4, 1, 3), inputs=2, hide=0.0)
    model.begin(lambda: [Batch(x, given, region)])
    both = model.sample(given, (1, 1, 64, 64), rng=rng)
    assert (both - x).square().mean().sqrt() < 0.02
    for absent in (0, 1):
        alone = model.sample(without(given, [absent]), (1, 1, 64, 64), rng=rng)
        left = image[0, 1 - absent].flatten()
        design = torch.stack([torch.ones_like(left), left, left**2, left**3], dim=1)
        own = design @ torch.linalg.lstsq(design, x.flatten()[:, None]).solution[:, 0]
        of_own = (own - x.flatten()).square().mean().sqrt()
        assert (alone - x).square().mean().sqrt() < 1.01 * of_own


def test_training_with_hidden_inputs_teaches_one_model_to_answer_from_either() -> None:
    torch.manual_seed(0)
    rng = torch.Generator().manual_seed(0)
    gan = PairedGAN(ResidualUNet(2, 4, 1, (8, 8)), PatchDiscriminator(2, 5, width=4, halvings=1), game=least_squares,
                    adversarial_weight=0.001, terms=(Term("l1", 1.0, l1),))  # fmt: skip
    model = Available(gan, inputs=2, hide=0.4)
    optimiser = torch.optim.Adam(model.trainable("generator"), 3e-3)
    shared = torch.rand((8, 1, 16, 16), generator=rng)
    given, x = Given(image=torch.cat([shared, 1 - shared], dim=1)), shared
    for _ in range(150):
        optimiser.zero_grad()
        model.loss(x, given, turn="generator", rng=rng)["total"].backward()
        optimiser.step()
    with torch.no_grad():
        errors = [
            (model.sample(one, (8, 1, 16, 16), rng=rng) - x).abs().mean()
            for one in (given, without(given, [0]), without(given, [1]))
        ]
    assert max(errors) < 0.13  # the mean answer errs by 0.25


def test_no_input_at_all_and_an_impossible_share_are_refused() -> None:
    with pytest.raises(RadloomError, match="every input of a case is absent"):
        Available(Spy(), inputs=2, hide=0.0).sample(
            without(Given(image=IMAGE), [0, 1]), (2, 1, 2, 4), rng=torch.Generator()
        )
    with pytest.raises(RadloomError, match=r"hide=1.0 is out of range; expected a share"):
        Available(Spy(), inputs=2, hide=1.0)
