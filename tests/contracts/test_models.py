"""Every model in 2D and 3D by one list of contracts; a new model joins by a line in MODELS."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import final

import pytest
import torch
from torch import Tensor

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models import paths, predictions, times
from radloom.models.closed_form import Constant, TrainingMean, Voxelwise
from radloom.models.diffusion import Diffusion
from radloom.models.gan import PairedGAN
from radloom.models.improved_ddpm import ImprovedDDPM
from radloom.models.losses import GAMES, Term, l1
from radloom.models.model import Batch, Model
from radloom.models.wrappers import Independent, Route, Slicewise, Tiled, gaussian_window, tile_starts
from radloom.networks.conditions import Dropout, image_maps, mask_maps
from radloom.networks.diffusion_unet import DiffusionUNet
from radloom.networks.pix2pix import PatchDiscriminator
from radloom.networks.residual_unet import ResidualUNet
from radloom.networks.voxelwise import VoxelwisePolynomial
from radloom.random import torch_stream
from radloom.samplers import grids, guidance, solvers, stochastic
from radloom.samplers.denoiser import Sampler
from radloom.systems.conte2021_missing_sequence import SYSTEM
from radloom.weights import load_tensors, save_weights

INPUTS, TARGETS = 2, 2


def gan(dims: int, *, game: str = "least_squares", base: bool = False, inputs: int = 2, outputs: int = 2) -> PairedGAN:
    return PairedGAN(
        ResidualUNet(dims, inputs, (1 + base) * outputs, (8, 8)),
        PatchDiscriminator(dims, inputs + outputs, width=4, halvings=1) if game else None,
        game=GAMES[game or "hinge"], adversarial_weight=0.01, terms=(Term("l1", 1.0, l1),),
        base=VoxelwisePolynomial(inputs, outputs, 2) if base else None,
    )  # fmt: skip


def independent(dims: int) -> Independent:
    parts = (gan(dims, inputs=1, outputs=1, base=True), gan(dims, inputs=2, outputs=1, base=True))
    return Independent(parts, (Route(draws=(1,), sees=(0,)), Route(draws=(0,), sees=(1, 0))))


def denoiser(dims: int, outputs: int = TARGETS) -> DiffusionUNet:
    return DiffusionUNet(dims, TARGETS, outputs, (16, 8), maps=(image_maps(INPUTS),), spade=mask_maps(1))


def diffusion(dims: int, name: str) -> Diffusion:
    path, prediction, when, sampler = DIFFUSIONS[name]
    guides = (guidance.classifier_free(1.5, drop=("image",)), guidance.inside_region)
    return Diffusion(
        denoiser(dims), path, prediction, times=when, sampler=sampler, sigmas=grids.karras(4, 0.02, 50.0),
        guides=guides, dropout=Dropout(("image",)),
    )  # fmt: skip


DIFFUSIONS: dict[str, tuple[paths.Path, predictions.Prediction, times.Times, Sampler]] = {
    "DDPM": (paths.variance_preserving(), predictions.noise, times.discrete(1000), stochastic.ancestral),
    "DDIM": (paths.cosine(), predictions.v, times.uniform, stochastic.ddim(0.0)),
    "score-SDE, VE": (paths.variance_exploding(0.01, 50.0), predictions.score, times.uniform,
                      stochastic.predictor_corrector(snr=0.16)),
    "score-SDE, sub-VP": (paths.sub_variance_preserving(), predictions.score, times.uniform, solvers.midpoint),
    "EDM": (paths.edm(), predictions.preconditioned(0.5), times.log_normal(), solvers.heun),
    "rectified flow": (paths.rectified_flow(), predictions.velocity, times.logit_normal(), solvers.flow_midpoint),
    "image prediction": (paths.cosine(), predictions.image, times.uniform, solvers.unipc(2)),
}  # fmt: skip


@final
class Inside(Model):
    """A model whose draws are cut off outside the region."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        return self.model.loss(x, given, turn=turn, rng=rng)

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        return self.model.sample(given, shape, rng=rng) * given.mask


MODELS: dict[str, Callable[[int], Model]] = {
    **{name: lambda dims, name=name: diffusion(dims, name) for name in DIFFUSIONS},
    "improved DDPM": lambda dims: Inside(ImprovedDDPM(denoiser(dims, 2 * TARGETS), paths.cosine(latest=0.9), draws=4)),
    **{f"GAN, {game}": lambda dims, game=game: gan(dims, game=game) for game in GAMES},
    "GAN over a base": lambda dims: gan(dims, base=True),
    "no game": lambda dims: gan(dims, game="", base=True),
    "independent": independent,
    "tiled": lambda dims: Tiled(gan(dims, base=True), (8,) * dims),
    "constant": lambda dims: Constant(0.5),
    "training mean": lambda dims: TrainingMean(TARGETS),
    "cubic": lambda dims: Voxelwise(INPUTS, TARGETS, 3),
    "conte 2021, tiny": lambda dims: SYSTEM.resolve("tiny", dims, {}).build(),
}
CASES = [pytest.param(name, dims, id=f"{name} {dims}D") for name in MODELS for dims in (2, 3)]
CASES.append(pytest.param("slicewise", 3, id="slicewise 3D"))
MODELS["slicewise"] = lambda dims: Slicewise(gan(2, base=True), chunk=3)
SHAPES = {2: (16, 15), 3: (16, 17, 16)}


def example(dims: int, count: int = 2) -> Batch:
    size = SHAPES[dims]
    rng = torch.Generator().manual_seed(dims)
    image = torch.rand((count, INPUTS, *size), generator=rng)
    mask = torch.zeros((count, 1, *size), dtype=torch.bool)
    mask[(..., *(slice(2, -2),) * dims)] = True
    x = torch.stack([image[:, 1] ** 2, 1 - image[:, 0]], dim=1) * mask
    return Batch(x, Given(image=image * mask, mask=mask), mask)


def begun(name: str, dims: int) -> Model:
    torch.manual_seed(0)
    model = MODELS[name](dims)
    model.begin(lambda: [example(dims)])
    return model


def drawn(model: Model, given: Given, count: int, dims: int, seed: int = 0) -> Tensor:
    with torch.no_grad():
        return model.eval().sample(given, (count, TARGETS, *SHAPES[dims]), rng=torch_stream(seed, "draw"))


@pytest.mark.parametrize(("name", "dims"), CASES)
def test_model_draws_the_asked_shape_the_same_for_the_same_seed_and_zero_outside(name: str, dims: int) -> None:
    model, batch = begun(name, dims), example(dims)
    first = drawn(model, batch.given, 2, dims)
    assert first.shape == batch.x.shape
    assert first.dtype == torch.float32
    assert torch.isfinite(first).all()
    assert torch.equal(first, drawn(model, batch.given, 2, dims))
    if name != "constant":
        assert not first[~batch.region.expand_as(first)].any()
        assert first[batch.region.expand_as(first)].any()


@pytest.mark.parametrize(("name", "dims"), CASES)
def test_a_batch_of_two_draws_what_two_singles_draw(name: str, dims: int) -> None:
    model, given = begun(name, dims), example(dims).given
    both, rng = drawn(model, given, 2, dims), torch_stream(0, "draw")
    for i in range(2):  # from one stream: the second single goes on where the first one stopped
        with torch.no_grad():
            single = model.sample(given[i : i + 1], (1, TARGETS, *SHAPES[dims]), rng=rng)
        torch.testing.assert_close(both[i : i + 1], single, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [*DIFFUSIONS, "improved DDPM"])
def test_a_generative_model_draws_another_image_for_another_seed_and_for_its_neighbour(name: str) -> None:
    model, given = begun(name, 2), example(2).given
    same = Given(image=given.image[:1].expand(2, -1, -1, -1), mask=given.mask[:1].expand(2, -1, -1, -1))
    first, other = drawn(model, same, 2, 2), drawn(model, same, 2, 2, seed=1)
    inside = same.mask.expand_as(first)
    assert (first - other)[inside].abs().mean() > 1e-3
    assert (first[0] - first[1])[inside[0]].abs().mean() > 1e-3


@pytest.mark.parametrize(("name", "dims"), CASES)
def test_weights_come_back_from_disk(name: str, dims: int, tmp_path: Path) -> None:
    model, given = begun(name, dims), example(dims).given
    save_weights(tmp_path / "w.safetensors", model)
    torch.manual_seed(1)
    other = MODELS[name](dims)
    blank = Batch(torch.ones(2, TARGETS, *SHAPES[dims]), given, torch.ones(2, 1, *SHAPES[dims], dtype=torch.bool))
    other.begin(lambda: [blank])
    if name != "constant":
        assert not torch.equal(drawn(model, given, 2, dims), drawn(other, given, 2, dims))
    load_tensors(other, tmp_path / "w.safetensors")
    assert torch.equal(drawn(model, given, 2, dims), drawn(other, given, 2, dims))


@pytest.mark.parametrize(("name", "dims"), CASES)
def test_weights_come_back_into_a_model_that_never_saw_data(name: str, dims: int, tmp_path: Path) -> None:
    model, given = begun(name, dims), example(dims).given
    save_weights(tmp_path / "w.safetensors", model)
    other = MODELS[name](dims)
    load_tensors(other, tmp_path / "w.safetensors")
    assert torch.equal(drawn(model, given, 2, dims), drawn(other, given, 2, dims))


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


TRAINED = [case for case in CASES if case.values[0] not in ("constant", "training mean", "cubic")]


def steps(model: Model, batch: Batch, count: int) -> Iterator[tuple[str, dict[str, Tensor]]]:
    optimisers = {turn: torch.optim.Adam(model.trainable(turn), 3e-3) for turn in model.turns}
    for _ in range(count):
        for turn in model.turns:
            model.zero_grad()
            losses = model.loss(batch.x, batch.given, turn=turn, rng=torch_stream(0))
            losses["total"].backward()
            optimisers[turn].step()
            yield turn, losses
        model.after_step()


@pytest.mark.parametrize(("name", "dims"), TRAINED)
def test_the_generators_loss_falls_at_fixed_data_and_noise(name: str, dims: int) -> None:
    model = begun(name, dims).train()
    values = [loss["total"].item() for turn, loss in steps(model, example(dims), 15) if turn in ("generator", "all")]
    assert values[-1] < 0.8 * values[0]


@pytest.mark.parametrize(("name", "dims"), TRAINED)
def test_a_turn_moves_its_own_player_alone_and_nothing_that_is_fitted(name: str, dims: int) -> None:
    model = begun(name, dims).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    players = {turn: {id(p) for p in model.trainable(turn)} for turn in model.turns}
    assert sum(map(len, players.values())) == len(list(model.parameters()))  # each parameter has one player
    names = {key: id(p) for key, p in model.named_parameters()}
    for turn, losses in steps(model, example(dims), 1):
        assert torch.isfinite(torch.stack(list(losses.values()))).all()
        moved = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
        assert moved
        assert all(names.get(key) in players[turn] for key in moved)
        before = {key: value.clone() for key, value in model.state_dict().items()}


def test_independent_parts_draw_their_own_channels_from_their_own_inputs() -> None:
    first, second = Voxelwise(1, 1, 1), Voxelwise(2, 1, 1)
    model = Independent((first, second), (Route(draws=(1,), sees=(1,)), Route(draws=(0,), sees=(0, 1))))
    batch = example(2)
    x = torch.stack([batch.given.channels((0,)).image[:, 0] * 3, batch.given.channels((1,)).image[:, 0] * 5], 1)
    model.begin(lambda: [Batch(x, batch.given, batch.region)])
    torch.testing.assert_close(drawn(model, batch.given, 2, 2), x, rtol=1e-3, atol=1e-3)
    changed = Given(batch.given.image + torch.tensor([1.0, 0.0]).view(1, 2, 1, 1), batch.given.mask)
    difference = (drawn(model, changed, 2, 2) - drawn(model, batch.given, 2, 2)).abs().amax((0, 2, 3))
    assert difference[0] > 1
    assert difference[1] == 0


def test_slicewise_is_slice_by_slice_whatever_the_chunk() -> None:
    torch.manual_seed(0)
    inner, given = gan(2).eval(), example(3).given
    slices = [
        inner.sample(Given(given.image[..., z], given.mask[..., z]), (2, 2, 16, 17), rng=torch_stream(0))
        for z in range(16)
    ]
    for chunk in (1, 4, 100):
        volume = drawn(Slicewise(inner, chunk=chunk), given, 2, 3)
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
    model, batch = begun("GAN over a base", 2), example(2)
    assert isinstance(model, PairedGAN)
    assert model.base is not None
    torch.nn.init.zeros_(model.generator.head[-1].weight)
    torch.nn.init.zeros_(model.generator.head[-1].bias)
    torch.testing.assert_close(drawn(model, batch.given, 2, 2), model.base(batch.given.image) * batch.region)
