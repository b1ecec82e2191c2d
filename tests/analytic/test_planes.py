"""JPDDM: MRI goes through sampling untouched, only PET is diffused, and three planes meet in their places."""

from collections.abc import Callable, Iterable, Iterator

import pytest
import torch
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.diffusion import Diffusion
from radloom.models.model import Batch, Model
from radloom.models.planes import Planes
from radloom.random import torch_stream
from radloom.systems.xie2022_jpddm import SYSTEM

SHAPE = (6, 5, 4)


class Marked(Model):
    """Draws what is given times a factor, plus where in its slice a voxel lies; remembers what it was shown."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))
        self.shown: list[Tensor] = []
        self.begun = 0

    def loss(self, x: Tensor, given: Given, *, turn: str, rng: torch.Generator) -> dict[str, Tensor]:
        assert given.image is not None
        self.shown.append(torch.cat([x, given.image], dim=1))
        return {"total": self.factor * (1 + x.shape[-1])}

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        assert given.image is not None
        return self.factor * given.image * torch.linspace(0, 1, shape[-1])

    def begin(self, batches: Callable[[], Iterable[Batch]]) -> None:
        self.begun += sum(len(batch.x) for batch in batches())


def volume() -> tuple[Tensor, Given]:
    x = torch.arange(120.0).view(1, 1, *SHAPE) + 1
    mask = torch.ones(1, 1, *SHAPE, dtype=torch.bool)
    mask[..., 0] = False  # the lowest axial slice shows nothing
    return x, Given(image=x / 100, mask=mask)


def test_three_planes_are_averaged_each_in_its_own_orientation() -> None:
    model = Planes((Marked(1.0), Marked(10.0), Marked(100.0)))
    x, given = volume()
    drawn = model.sample(given, tuple(x.shape), rng=torch.Generator())
    # slices across x are (y, z), across y (x, z), across z (x, y): their last axes are z, z and y
    z, y = torch.linspace(0, 1, 4).view(1, 1, 1, 1, 4), torch.linspace(0, 1, 5).view(1, 1, 1, 5, 1)
    expected = x / 100 * (1.0 * z + 10.0 * z + 100.0 * y) / 3
    torch.testing.assert_close(drawn, expected)


def test_training_shows_each_model_slices_of_its_own_direction_that_show_something() -> None:
    parts = (Marked(1.0), Marked(1.0), Marked(1.0))
    model = Planes(parts, slices=5)
    x, given = volume()
    loss = model.loss(x, given, turn="all", rng=torch_stream(0))
    assert loss["total"].item() == pytest.approx((1 + 4) + (1 + 4) + (1 + 5))
    lines: Iterator[tuple[int, Marked]] = enumerate(parts)
    for axis, part in lines:
        (seen,) = part.shown
        assert seen.shape == (5, 2, *(n for i, n in enumerate(SHAPE) if i != axis))
        torch.testing.assert_close(seen[:, 1], seen[:, 0] / 100)  # what is given belongs to the slice
        every = x[0, 0].movedim(axis, 0)
        found = [[i for i, one in enumerate(every) if torch.equal(one, slab[0])] for slab in seen]
        assert all(len(one) == 1 for one in found)
        if axis == 2:
            assert [0] not in found


def test_every_model_begins_on_all_slices_of_its_direction() -> None:
    parts = (Marked(1.0), Marked(1.0), Marked(1.0))
    x, given = volume()
    assert given.mask is not None
    region = given.mask
    Planes(parts).begin(lambda: [Batch(x, given, region)])
    assert [part.begun for part in parts] == [6, 5, 4]


def test_what_makes_no_planes_is_refused() -> None:
    parts = (Marked(1.0), Marked(1.0), Marked(1.0))
    with pytest.raises(RadloomError, match="at least 1"):
        Planes(parts, draws=0)
    with pytest.raises(RadloomError, match="volumes"):
        Planes(parts).loss(torch.rand(1, 1, 4, 4), Given(), turn="all", rng=torch_stream(0))


class Watching(nn.Module):
    """A network that answers 0 and keeps the MRI that it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor, noise: Tensor, given: Given) -> Tensor:
        assert given.image is not None
        self.seen.append(given.image)
        return torch.zeros_like(x)


def planes(**changes: str) -> Planes:
    model = SYSTEM.resolve("tiny", 3, changes).build()
    assert isinstance(model, Planes)
    return model


def test_mri_is_bit_identical_before_and_after_sampling_and_at_every_noise_level() -> None:
    model = planes()
    watchers = []
    for part in model.models:
        assert isinstance(part, Diffusion)
        part.network = Watching()
        watchers.append(part.network)
    rng = torch.Generator().manual_seed(3)
    image, mask = torch.rand((1, 1, 8, 8, 8), generator=rng), torch.ones(1, 1, 8, 8, 8, dtype=torch.bool)
    before = image.clone()
    model.sample(Given(image=image, mask=mask), (1, 1, 8, 8, 8), rng=torch_stream(0))
    assert torch.equal(image, before)
    for axis, watcher in enumerate(watchers):
        slices = before.movedim(2 + axis, -1).movedim(-1, 1).flatten(0, 1)
        assert len(watcher.seen) == 2 * 4  # predictor and corrector at each of four levels
        assert all(torch.equal(seen, slices) for seen in watcher.seen)


def test_a_perfect_denoiser_gives_the_pet_from_either_prior_and_the_priors_differ() -> None:
    truth = torch.rand((1, 1, 8, 8, 8), generator=torch.Generator().manual_seed(4))
    given = Given(image=truth, mask=torch.ones(1, 1, 8, 8, 8, dtype=torch.bool))
    starts = {}
    for prior in ("exploded", "unit"):
        model, first = planes(prior=prior, steps_drawn="12"), []
        for part in model.models:
            assert isinstance(part, Diffusion)

            def denoise(x: Tensor, sigma: Tensor, known: Given, first: list[float] = first) -> Tensor:
                assert known.image is not None
                first.append(float(x.std()))
                return known.image

            part.denoise = denoise  # type: ignore[method-assign]
        drawn = model.sample(given, (1, 1, 8, 8, 8), rng=torch_stream(0))
        torch.testing.assert_close(drawn, truth)
        starts[prior] = first[0]
    assert starts["exploded"] == pytest.approx(348, rel=0.15)
    assert starts["unit"] == pytest.approx(1, rel=0.15)
    with pytest.raises(RadloomError, match="prior half"):
        planes(prior="half")
