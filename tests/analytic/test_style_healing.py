"""Healing CT by a style generator: windows, votes and the search, each against answers known beforehand."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.ct_windows import Windows, inside_skull
from radloom.models.latent_search import Whitening, drift, noise_steps, rate, style_steps, unlikeness
from radloom.models.style_healing import StyleHealing
from radloom.models.voting import begun, median, voted
from radloom.random import torch_stream
from radloom.systems import load

WINDOWS = Windows((-1000.0, 1000.0), ((5.0, 55.0), (0.0, 80.0), (-20.0, 180.0)))


def built(**changes: str) -> StyleHealing:
    torch.manual_seed(0)
    model = load("lee2022_emergency_ct").resolve("tiny", 2, changes).build()
    assert isinstance(model, StyleHealing)
    return model


def head(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """HU of slices with a ring of bone around brain, and where the head is."""
    y, x = np.mgrid[:32, :32] - 15.5
    radius = torch.from_numpy(np.hypot(y, x)).float()
    hu = torch.where(radius < 11, 35.0, torch.where(radius < 14, 900.0, -1000.0)).expand(count, 1, 32, 32)
    return hu.clone(), (radius < 14).expand(count, 1, 32, 32)


def test_windows_give_back_every_hu_that_the_widest_shows_and_no_other():
    hu = torch.linspace(-300, 400, 701).view(1, 1, -1)
    found = WINDOWS.joined(WINDOWS.split(WINDOWS.image(hu)))
    torch.testing.assert_close(found, hu.clamp(-20, 180), atol=1e-2, rtol=0)


def test_where_windows_disagree_those_that_hold_the_hu_are_averaged():
    seen = torch.tensor([0.0, 0.5, -0.4]).view(1, 3, 1)  # 30, 60 and 40 HU
    assert WINDOWS.joined(seen).item() == pytest.approx((30 + 60 + 40) / 3)
    assert WINDOWS.joined(torch.tensor([1.0, 0.5, 0.0]).view(1, 3, 1)).item() == pytest.approx((60 + 80) / 2)


@pytest.mark.parametrize("pairs", [(), ((5.0, 5.0),), ((0.0, 80.0), (5.0, 55.0))])
def test_windows_that_cannot_be_joined_are_refused(pairs):
    with pytest.raises(RadloomError, match="windows"):
        Windows((-1000.0, 1000.0), pairs)


def test_the_inside_of_a_skull_with_a_gap_is_found_and_an_open_one_is_not():
    hu, mask = head(2)
    hu[0, 0, 3, 15] = 30.0  # a suture
    hu[1, 0, 16:] = 30.0  # half of the skull is missing
    found = inside_skull(hu, mask, rim=0)
    assert found[0, 0, 15, 15]
    assert not (found[0] & (hu[0] > 120)).any()
    assert 0.97 < found[0].sum() / (math.pi * 11**2) < 1.03  # a circle of pixels
    assert not found[1].any()
    assert inside_skull(hu, mask, rim=1)[0].sum() < found[0].sum()


def test_the_median_is_that_of_scipy():
    x = torch.randn((2, 1, 9, 11), generator=torch.Generator().manual_seed(0))
    for width in (1, 3, 5):
        expected = np.stack([ndimage.median_filter(one.numpy(), width, mode="nearest") for one in x[:, 0]])
        np.testing.assert_array_equal(median(x, width)[:, 0].numpy(), expected)
    with pytest.raises(RadloomError, match="odd"):
        median(x, 4)


def test_votes_are_one_for_a_difference_and_one_for_agreement_with_a_slice_beside():
    brain = torch.ones((4, 1, 1, 3), dtype=torch.bool)
    x = torch.zeros((4, 1, 1, 3))
    x[0, ..., 0], x[1, ..., 0], x[3, ..., 2] = 9.0, -9.0, 9.0  # two slices agree at the left, one is alone at the right
    tally = voted(begun(x), x, torch.zeros_like(x), brain, limit=5.0, width=1)
    assert tally.votes[:, 0, 0].tolist() == [[2, 0, 0], [2, 0, 0], [0, 0, 0], [0, 0, 1]]
    assert tally.suspect[:, 0, 0, 0].tolist() == [True, True, False, False]
    again = voted(tally, x, x, brain, limit=5.0, width=1)  # the second reconstruction is perfect
    assert again.steps == 2
    assert not again.suspect.any()
    assert again.map.max() == 0
    assert tally.map[0, 0, 0, 0] == 18
    assert tally.scores(brain).tolist() == [6, 6, 0, 3]
    assert tally.scores(torch.zeros_like(brain)).tolist() == [0, 0, 0, 0]


def test_a_difference_outside_the_brain_or_within_the_limit_has_no_vote():
    x = torch.full((1, 1, 3, 3), 5.0)
    brain = torch.zeros((1, 1, 3, 3), dtype=torch.bool)
    assert voted(begun(x), x, torch.zeros_like(x), ~brain, limit=5.0, width=1).votes.sum() == 0
    assert voted(begun(x), 9 * x, torch.zeros_like(x), brain, limit=5.0, width=1).votes.sum() == 0


def test_whitened_styles_have_mean_0_and_unit_covariance_and_come_back():
    rng = torch.Generator().manual_seed(1)
    v = torch.randn((4000, 1, 3), generator=rng) @ torch.tensor([[1.0, 0.5, 0], [0, 0.3, 0], [0, 0, 2.0]]) + 0.4
    w = torch.where(v < 0, 0.2 * v, v) * 2**0.5  # what a leaky ReLU makes of them
    known = Whitening.of(torch.tensor(4000.0), v.sum(0), torch.einsum("bnw,bnk->nwk", v, v))
    p = known.whitened(w)
    torch.testing.assert_close(p[:, 0].T.cov(correction=0), torch.eye(3), atol=2e-3, rtol=0)
    assert p.mean(0).abs().max() < 1e-3
    torch.testing.assert_close(known.styles(p), w, atol=1e-4, rtol=1e-4)
    new = Whitening.of(torch.tensor(0.0), torch.zeros(1, 3), torch.zeros(1, 3, 3))
    torch.testing.assert_close(new.styles(new.whitened(w)), w, atol=1e-5, rtol=1e-5)


def test_the_rate_rises_stays_and_falls_as_that_of_the_projector():
    found = [rate(step, 200, 2.0) for step in range(200)]
    assert found[0] == pytest.approx(0.2)
    assert found[9] == found[150] == 2.0
    assert found[175] == pytest.approx(2.0 * 0.5)
    assert 0 < found[199] < 0.01


def test_drift_away_from_normal_costs_and_drift_towards_it_is_free():
    start = torch.tensor([[[1.0, -2.0]]])
    assert drift(torch.tensor([[[0.0, -1.0]]]), start).item() == 0
    assert drift(torch.tensor([[[1.0, -4.0]]]), start).item() == 2.0


def linear(styles: torch.Tensor, noise) -> torch.Tensor:
    """A stand-in for a synthesis: styles are blocks of the image, noise adds to it."""
    image = styles.view(-1, 1, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    return image + 0.01 * noise(image)


def test_the_search_finds_the_styles_of_an_image_and_each_image_alone_as_in_a_batch():
    x = torch.rand((2, 1, 4, 4), generator=torch.Generator().manual_seed(2)).view(2, 1, 16) + 0.2
    seen = linear(x, torch.zeros_like)
    plain = Whitening.of(torch.tensor(0.0), torch.zeros(1, 16), torch.zeros(1, 16, 16))
    start = plain.whitened(x * 1.4)

    def last(rows: slice) -> torch.Tensor:
        return list(style_steps(linear, seen[rows], plain, start[rows], steps=60, highest=0.1))[-1][1]

    both = last(slice(None))
    before = unlikeness(seen, linear(plain.styles(start), torch.zeros_like))
    assert (unlikeness(seen, both) < 0.3 * before).all()
    torch.testing.assert_close(torch.cat([last(slice(0, 1)), last(slice(1, 2))]), both, atol=1e-4, rtol=0)


def test_noise_maps_go_to_the_target_and_not_to_the_image():
    styles = torch.zeros((1, 1, 16))
    goal = torch.full((1, 1, 16, 16), 0.05)
    goal[..., :8] = 0.0
    for y in noise_steps(linear, styles, lambda: goal, steps=40, highest=2.0):
        assert not y.requires_grad
    torch.testing.assert_close(y, goal, atol=0.02, rtol=0)


def test_each_stage_moves_its_own_parts_alone():
    model, (hu, mask) = built(gan_steps="1", encoder_steps="14", known="2"), head(2)
    x = model.windows.image(hu)
    moved = []
    for step in range(15):
        row = set()
        for turn in model.turns:
            model.requires_grad_(False)
            for parameter in model.trainable(turn):
                parameter.requires_grad_(True)
                parameter.grad = None
            model.loss(x, Given(mask=mask), turn=turn, rng=torch_stream(step, turn))["total"].backward()
            if any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.trainable(turn)):
                row.add(turn)
        model.after_step()
        moved.append(row)
    assert moved[0] == {"discriminator", "generator"}
    assert moved[1] == {"encoder"}  # alone for the first 5 of 70 parts
    assert moved[2] == moved[-1] == {"discriminator", "encoder"}
    assert int(model.count) == 2 * 2
    for one, other in zip(model.mean.parameters(), model.gan.generator.parameters(), strict=True):
        torch.testing.assert_close(one, other)  # no optimiser stepped here


def test_healing_changes_nothing_outside_the_skull_and_marks_nothing_there():
    model, (hu, mask) = built().eval().requires_grad_(False), head(3)
    x = model.windows.image(hu)
    found = [model.heal(x, Given(mask=mask), rng=torch_stream(seed)) for seed in (0, 1)]
    brain = inside_skull(hu, mask, rim=model.search.rim)
    assert brain.any()
    torch.testing.assert_close(found[0].healthy[~brain], x[~brain], atol=1e-5, rtol=0)
    assert found[0].map[~brain].max() == 0
    assert found[0].map[brain].max() > 0
    torch.testing.assert_close(found[0].map, found[1].map, atol=0, rtol=0)  # no draw


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"gan_steps": "0"}, "GAN of 0 steps"),
        ({"known": "99"}, "known over 99"),
        ({"style_steps": "0"}, "a search of 0"),
    ],
)
def test_settings_that_leave_a_stage_without_a_step_are_refused(changes, match):
    with pytest.raises(RadloomError, match=match):
        built(**changes)
