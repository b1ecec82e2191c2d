"""What drawing from nothing is built of: baselines of known moments, stages, one model for each class, conditions."""

import copy
import doctest

import numpy as np
import pandas
import pytest
import torch

from radloom.compare import sheets, trivial
from radloom.compare.arms import _as_mixed
from radloom.data import condition
from radloom.data.cohort import Cohort
from radloom.data.condition import Condition
from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models import likelihoods
from radloom.models.by_class import ByClass, by_class
from radloom.models.closed_form import Constant
from radloom.models.latent import Latent
from radloom.models.staged import Staged
from radloom.models.vae import VAE
from radloom.networks.autoencoder import Decoder, Encoder
from radloom.networks.conditions import position_maps
from radloom.synthesis import Synthesis
from radloom.systems import load


@pytest.mark.parametrize("module", [trivial, sheets, condition])
def test_examples_in_docstrings_hold(module) -> None:
    assert doctest.testmod(module).attempted > 0
    assert doctest.testmod(module).failed == 0


def test_gaussian_draws_have_the_training_images_mean_and_covariance() -> None:
    rng = np.random.default_rng(0)
    mixing = np.array([[0.1, 0.0, 0.0], [0.08, 0.05, 0.0], [-0.05, 0.0, 0.02]])
    training = rng.standard_normal((400, 3)) @ mixing.T + [0.2, 0.0, -0.3]
    drawn = trivial.gaussian(training, 40_000, rng)
    assert np.allclose(drawn.mean(axis=0), training.mean(axis=0), atol=2e-3)
    assert np.allclose(np.cov(drawn.T), np.cov(training.T), atol=2e-4)


def test_mean_and_noise_keep_each_voxel_and_lose_all_correlation() -> None:
    rng = np.random.default_rng(0)
    first = 0.2 * rng.standard_normal(500)
    training = np.stack([first, first], axis=1)
    drawn = trivial.noise(training, 40_000, rng)
    assert np.allclose(drawn.std(axis=0), training.std(axis=0), atol=3e-3)
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.02


def test_training_images_again_are_training_images_to_the_bit() -> None:
    training = np.arange(12.0).reshape(3, 2, 2)
    images, chosen = trivial.again(training, 50, np.random.default_rng(0))
    assert set(chosen) == {0, 1, 2}
    assert all(np.array_equal(image, training[i]) for image, i in zip(images, chosen, strict=True))


@pytest.mark.parametrize("draw", [trivial.gaussian, trivial.noise])
def test_a_baseline_of_one_training_image_is_refused(draw) -> None:
    with pytest.raises(RadloomError, match="1 training images for a baseline"):
        draw(np.zeros((1, 2, 2)), 3, np.random.default_rng(0))


def test_a_sheet_of_nothing_is_refused() -> None:
    with pytest.raises(RadloomError, match="a sheet of no images"):
        sheets.sheet([], (0.0, 1.0), columns=2, mark="")


def test_drawn_images_are_mixed_as_the_test_images_are() -> None:
    task = Synthesis(("image.a",), (Condition("label.b", ("0", "1")),))
    codes = [(0.0,)] * 30 + [(1.0,)] * 30
    chosen = _as_mixed(codes, [(0.0,)] * 3 + [(1.0,)], task)
    assert [codes[i] for i in chosen].count((0.0,)) == 30  # three of four test images
    assert [codes[i] for i in chosen].count((1.0,)) == 10
    plain = Synthesis(("image.a",))
    assert _as_mixed([()] * 5, [()] * 2, plain) == [0, 1, 2, 3, 4]


def cohort(values: list[object]) -> Cohort:
    rows = {"case": [f"c{i}" for i in range(len(values))], "patient": [f"p{i}" for i in range(len(values))],
            "site": "", "vendor": "", "split": "train", "label.x": values}  # fmt: skip
    return Cohort(pandas.DataFrame(rows), root=__import__("pathlib").Path())


def test_words_and_few_whole_numbers_are_classes_and_other_numbers_are_values() -> None:
    assert Condition("label.x").fitted(cohort(["wild", "mutant", "wild"])).classes == ("mutant", "wild")
    assert Condition("label.x").fitted(cohort([3, 1, 1])).classes == ("1", "3")
    value = Condition("label.x").fitted(cohort([1.0, 2.5, 4.0]))
    assert value.classes == ()
    assert value.centre == 2.5
    assert value.scale == pytest.approx(1.5 * (2 / 3) ** 0.5)
    assert Condition("label.x").fitted(cohort(list(range(10)))).classes == ()


def test_labels_that_say_nothing_or_that_nobody_knows_are_refused() -> None:
    with pytest.raises(RadloomError, match=r"all training cases have label\.x 1"):
        Condition("label.x").fitted(cohort([1, 1]))
    fitted = Condition("label.x").fitted(cohort(["a", "b"]))
    with pytest.raises(RadloomError, match='"c" is no class of the training cases; expected one of a, b'):
        fitted.code("c")
    with pytest.raises(RadloomError, match="is no number"):
        Condition("label.x").code("old")
    with pytest.raises(RadloomError, match="is not finite"):
        Condition("label.x").code("nan")


def test_position_maps_run_from_minus_one_to_one_along_each_axis() -> None:
    maps = position_maps(2)
    drawn = maps.draw(Given(), torch.zeros(2, 1, 3, 5))
    assert drawn.shape == (2, maps.channels, 3, 5)
    assert drawn[1, 0, :, 2].tolist() == [-1, 0, 1]
    assert drawn[1, 1, 0].tolist() == [-1, -0.5, 0, 0.5, 1]


def vae() -> VAE:
    torch.manual_seed(0)
    return VAE(Encoder(2, 1, 4, (4,)), Decoder(2, 2, 1, (4,)), 2)


def test_each_class_trains_its_own_part_alone() -> None:
    model = by_class(vae, 2)
    x, given = torch.rand(3, 1, 8, 8), Given(label=torch.tensor([[1.0], [1.0], [1.0]]))
    model.loss(x, given, turn="all", rng=torch.Generator().manual_seed(0))["total"].backward()
    assert isinstance(model, ByClass)
    assert all(p.grad is None for p in model.parts[0].parameters())
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parts[1].parameters())


def test_a_batch_of_classes_draws_what_its_items_draw_one_by_one() -> None:
    model = ByClass((Constant(1.0), vae(), Constant(2.0)))
    label = torch.tensor([[2.0], [1.0], [1.0], [0.0]])
    together = model.sample(Given(label=label), (4, 1, 8, 8), rng=torch.Generator().manual_seed(3))
    rng = torch.Generator().manual_seed(3)
    alone = torch.cat([model.sample(Given(label=label[i : i + 1]), (1, 1, 8, 8), rng=rng) for i in range(4)])
    assert torch.allclose(together, alone, atol=1e-6)
    assert (together[0] == 2).all()
    assert (together[3] == 1).all()


@pytest.mark.parametrize("label", [None, torch.tensor([[float("nan")]]), torch.tensor([[2.0]])])
def test_an_image_without_a_class_is_refused(label) -> None:
    with pytest.raises(RadloomError, match="for 2 models; expected 0 to 1"):
        by_class(vae, 2).sample(Given(label=label), (1, 1, 8, 8), rng=torch.Generator())


def staged(gate: float) -> Staged:
    autoencoder = vae()
    return Staged(autoencoder, Latent(autoencoder, vae_of_latents(), gate=gate), first=2)


def vae_of_latents() -> VAE:
    return VAE(Encoder(2, 2, 4, (4,)), Decoder(2, 2, 2, (4,)), 2)


def test_the_first_stage_trains_the_autoencoder_and_the_second_the_prior_at_unit_spread() -> None:
    model, rng = staged(1e9), torch.Generator().manual_seed(0)
    x = torch.rand(4, 1, 8, 8, generator=rng)
    for step in range(3):
        model.zero_grad(set_to_none=True)
        model.loss(x, Given(), rng=rng)["total"].backward()
        coder = any(p.grad is not None for p in model.latent.autoencoder.parameters())
        prior = any(p.grad is not None for p in model.latent.prior.parameters())
        assert (coder, prior) == ((True, False) if step < 2 else (False, True))
        model.after_step()
    with torch.no_grad():
        assert float((model.latent.coder.encode(x) * model.latent.scale).std()) == pytest.approx(1, rel=1e-4)


def test_a_prior_does_not_begin_on_an_autoencoder_that_loses_the_images() -> None:
    model, rng = staged(0.01), torch.Generator().manual_seed(0)
    x = torch.rand(4, 1, 8, 8, generator=rng)
    for _ in range(2):
        model.loss(x, Given(), rng=rng)
        model.after_step()
    with pytest.raises(RadloomError, match=r"relative error of .*; expected at most 0\.01"):
        model.loss(x, Given(), rng=rng)


def test_a_copy_of_a_staged_model_has_one_autoencoder_of_its_own() -> None:
    model = staged(1.0)
    other = copy.deepcopy(model)
    assert other._inner[0] is other.latent.autoencoder
    assert other._inner[0] is not model._inner[0]


def test_bits_of_a_vae_that_knows_the_density_are_those_of_the_density(monkeypatch: pytest.MonkeyPatch) -> None:
    def normal(self, x, given, *, draws, rng):
        return torch.distributions.Normal(0.0, 1.0).log_prob(x).flatten(1).sum(1)

    monkeypatch.setattr(VAE, "bound", normal)
    bits = likelihoods.vae_bits(vae(), torch.zeros(2, 1, 4, 4), Given(), torch.Generator().manual_seed(0))
    # -ln N(0; 0, 1) / ln 2 + log2 of 255 levels on a range of 2
    assert torch.allclose(bits, torch.full((2,), 1.3257 + 6.9944), atol=1e-3)


def test_several_columns_cannot_be_split_into_models_but_can_be_heard() -> None:
    changes = {"condition": "label.a,label.b"}
    with pytest.raises(RadloomError, match="cannot be split into a model for each class"):
        load("kingma2018_glow").resolve("tiny", 2, changes).build()
    assert load("karras2022_edm").resolve("tiny", 2, changes).build() is not None


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"target": "flair"}, r"image\.NAME"), ({"target": ""}, r"image\.NAME"), ({"condition": "idh"}, r"label\.NAME"),
     ({"scaling": "max"}, "auto, median or window"), ({"jitter": "0.1"}, "jitter=0"), ({"nope": "1"}, "one of")],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(changes: dict[str, str], said: str) -> None:
    with pytest.raises(RadloomError, match=said):
        load("karras2022_edm").resolve("tiny", 2, changes)
