"""What the models made of models do: independent parts, slices, tiles, a training mean, a base."""

from itertools import pairwise
from typing import final

import pytest
import torch
from model_list import begun, drawn, example, gan
from torch import Tensor

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.closed_form import Constant, TrainingMean, Voxelwise
from radloom.models.ensemble import Averaged, Ensemble
from radloom.models.gan import PairedGAN
from radloom.models.model import Batch, Model
from radloom.models.wrappers import Independent, Route, Slicewise, Tiled, gaussian_window, tile_starts
from radloom.random import torch_stream

PLANE, CUBE = (16, 15), (16, 17, 16)


def test_independent_parts_draw_their_own_channels_from_their_own_inputs() -> None:
    first, second = Voxelwise(1, 1, 1), Voxelwise(2, 1, 1)
    model = Independent((first, second), (Route(draws=(1,), sees=(1,)), Route(draws=(0,), sees=(0, 1))))
    batch = example(PLANE)
    x = torch.stack([batch.given.channels((0,)).image[:, 0] * 3, batch.given.channels((1,)).image[:, 0] * 5], 1)
    model.begin(lambda: [Batch(x, batch.given, batch.region)])
    torch.testing.assert_close(drawn(model, batch.given, 2, PLANE), x, rtol=1e-3, atol=1e-3)
    changed = Given(batch.given.image + torch.tensor([1.0, 0.0]).view(1, 2, 1, 1), batch.given.mask)
    difference = (drawn(model, changed, 2, PLANE) - drawn(model, batch.given, 2, PLANE)).abs().amax((0, 2, 3))
    assert difference[0] > 1
    assert difference[1] == 0


def test_slicewise_is_slice_by_slice_whatever_the_chunk() -> None:
    torch.manual_seed(0)
    inner, given = gan(2).eval(), example(CUBE).given
    slices = [
        inner.sample(Given(given.image[..., z], given.mask[..., z]), (2, 2, 16, 17), rng=torch_stream(0))
        for z in range(16)
    ]
    for chunk in (1, 4, 100):
        volume = drawn(Slicewise(inner, chunk=chunk), given, 2, CUBE)
        torch.testing.assert_close(volume, torch.stack(slices, dim=-1), rtol=1e-4, atol=1e-5)


@final
class Copy(Model):
    """Draws the given image; notes the sizes that it was asked for."""

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        return {"total": x.sum()}

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        assert given.image is not None
        assert given.image.shape == shape
        return given.image


@pytest.mark.parametrize(
    ("tile", "shape"),
    [((8, 8), (8, 8)), ((8, 8), (5, 3)), ((8, 8), (9, 17)), ((8, 6), (31, 40)), ((1, 3), (4, 7)),
     ((16, 16, 16), (48, 48, 12)), ((8, 8, 4), (9, 21, 5)), ((64, 64, 24), (20, 70, 25))],
)  # fmt: skip
def test_tiles_of_an_identity_give_the_image_back_without_seams(tile: tuple[int, ...], shape: tuple[int, ...]) -> None:
    image = torch.rand((2, 2, *shape), generator=torch.Generator().manual_seed(0))
    tiled = Tiled(Copy(), tile).sample(Given(image), (2, 2, *shape), rng=torch_stream(0))
    torch.testing.assert_close(tiled, image, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
@pytest.mark.parametrize(("length", "edge"), [(8, 8), (9, 8), (100, 16), (33, 7), (5, 8), (12, 1)])
def test_tiles_cover_the_axis_with_the_overlap_asked_for(length: int, edge: int, overlap: float) -> None:
    starts = tile_starts(length, edge, overlap)
    assert starts[0] == 0
    assert starts[-1] == max(0, length - edge)
    gaps = [b - a for a, b in pairwise(starts)]
    assert all(0 < gap <= max(1, edge * (1 - overlap)) for gap in gaps)


def test_gaussian_window_peaks_in_the_middle_and_never_vanishes() -> None:
    window = gaussian_window((9, 16))
    assert window.shape == (9, 16)
    assert window.min() >= 1e-3
    assert window[4, 7] == window.max()
    torch.testing.assert_close(window, window.flip(0, 1))


def test_training_mean_is_voxelwise_on_one_grid_and_a_level_per_channel_on_many() -> None:
    def batch(edge: int, value: float) -> Batch:
        region = torch.zeros(1, 1, edge, edge, dtype=torch.bool)
        region[..., : edge // 2] = True
        x = torch.stack([torch.full((edge, edge), value), torch.full((edge, edge), 10 * value)])[None]
        return Batch(x, Given(mask=region), region)

    everywhere = Given(mask=torch.ones(1, 1, 4, 4, dtype=torch.bool))
    model = TrainingMean(2)
    uneven = Batch(torch.arange(32.0).view(1, 2, 4, 4), Given(), torch.ones(1, 1, 4, 4, dtype=torch.bool))
    model.begin(lambda: [uneven, Batch(uneven.x + 2, Given(), uneven.region)])
    assert torch.equal(model.sample(everywhere, (1, 2, 4, 4), rng=torch_stream(0)), uneven.x + 1)
    model.begin(lambda: [batch(4, 1.0), batch(8, 2.0)])  # 8 and 32 voxels: the mean is (8 * 1 + 32 * 2) / 40
    image = model.sample(everywhere, (1, 2, 4, 4), rng=torch_stream(0))
    assert image[0, 0].unique().tolist() == pytest.approx([1.8])
    assert image[0, 1].unique().tolist() == pytest.approx([18.0])
    model.begin(lambda: [batch(4, 1.0), batch(4, 2.0)])
    assert model.sample(everywhere, (1, 2, 4, 4), rng=torch_stream(0))[0, 0].unique().tolist() == [1.5]


def test_zero_in_the_generator_over_a_base_is_the_base() -> None:
    model, batch = begun("GAN over a base", 2), example(PLANE)
    assert isinstance(model, PairedGAN)
    assert model.base is not None
    torch.nn.init.zeros_(model.generator.head[-1].weight)
    torch.nn.init.zeros_(model.generator.head[-1].bias)
    torch.testing.assert_close(drawn(model, batch.given, 2, PLANE), model.base(batch.given.image) * batch.region)


def test_an_ensemble_draws_each_member_as_often_as_the_others_and_learns_as_if_each_were_alone() -> None:
    ensemble = Ensemble((Constant(0.0), Constant(1.0), Constant(2.0)))
    x = ensemble.sample(Given(), (900, 1, 1, 1), rng=torch_stream(0))
    counts = torch.bincount(x.flatten().long(), minlength=3)
    assert counts.sum() == 900
    assert (counts - 300).abs().max() < 60  # 4 standard deviations of a binomial variable
    each = ensemble.each(Given(), (4, 1, 2, 2), rng=torch_stream(0))
    torch.testing.assert_close(each.mean(0), torch.ones(4, 1, 2, 2))
    torch.testing.assert_close(each.std(0, unbiased=False), torch.full((4, 1, 2, 2), (2 / 3) ** 0.5))
    members, batch = (gan(2, game=""), gan(2, game="")), example(PLANE)
    turn = members[0].turns[0]
    with torch.no_grad():
        losses = [
            float(one.loss(batch.x, batch.given, turn=turn, rng=torch_stream(1))["total"])
            for one in (Ensemble(members), *members)
        ]
    assert losses[0] == pytest.approx(losses[1] + losses[2])


def test_members_of_an_ensemble_answer_from_the_same_noise() -> None:
    model = begun("VAE", 2)
    each = Ensemble((model, model)).eval().each(Given(), (2, 2, 12, 9), rng=torch_stream(3))
    torch.testing.assert_close(each[0], each[1])


@pytest.mark.parametrize("members", [(), (Constant(0.0), gan(2))])
def test_an_ensemble_of_nothing_or_of_models_with_other_turns_is_refused(members: tuple[Model, ...]) -> None:
    with pytest.raises(RadloomError, match="an ensemble of"):
        Ensemble(members)


def test_the_mean_of_members_errs_less_than_they_do_by_their_spread() -> None:
    ensemble = Ensemble((Constant(0.0), Constant(1.0), Constant(5.0)))
    drawn = Averaged(ensemble).sample(Given(), (2, 1, 3, 3), rng=torch_stream(0))
    assert torch.equal(drawn, torch.full((2, 1, 3, 3), 2.0))
    truth = torch.tensor(4.0)
    each = torch.tensor([0.0, 1.0, 5.0])
    less = (each - truth).square().mean() - (each - each.mean()).square().mean()
    torch.testing.assert_close((drawn - truth).square().mean(), less)
