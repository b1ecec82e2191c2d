"""What a model is given: dropout, classes, values, words, boxes, measurements and maps, against answers by hand."""

import doctest
import warnings
from typing import final

import pytest
import torch
from torch import Tensor

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.networks import conditions
from radloom.networks.conditions import Class, Dropout, Value, Words, dropped, never
from radloom.operators.base import LinearOperator, Measurement


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_given_carries_a_measurement_through_slicing_and_moving() -> None:
    @final
    class Double(LinearOperator):
        def __call__(self, x: Tensor) -> Tensor:
            return 2 * x

        adjoint = __call__

        def pinv(self, y: Tensor) -> Tensor:
            return y / 2

    given = Given(
        image=torch.zeros(3, 2, 1, 1), measured=Measurement(torch.arange(3.0)[:, None], Double()), text=("a", "b", "c")
    )
    some = given[1:].to("cpu")
    assert some.measured is not None
    assert some.measured.y.flatten().tolist() == [1.0, 2.0]
    assert some.measured.operator is given.measured.operator
    assert some.text == ("b", "c")
    kept = given.channels((1,))
    assert kept.measured is given.measured
    assert kept.image is not None
    assert kept.image.shape == (3, 1, 1, 1)


def test_dropout_hides_each_entry_and_all_together_at_the_rates_asked_for() -> None:
    count = 20_000
    given = Given(label=torch.ones(count, 2), image=torch.zeros(count, 1, 1, 1), text=("tumour",) * count)
    policy = Dropout(("label", "image", "text"), each=0.2, jointly=0.1)
    hidden = dropped(given, count, policy, rng())
    lost = torch.stack(
        [hidden.label[:, 0].isnan(), hidden.image[:, 0, 0, 0].isnan(), torch.tensor([t == "" for t in hidden.text])]
    )
    torch.testing.assert_close(lost.float().mean(1), torch.full((3,), 0.1 + 0.9 * 0.2), rtol=0.0, atol=0.015)
    assert lost.all(0).float().mean().item() == pytest.approx(0.1 + 0.9 * 0.008, abs=0.01)
    assert hidden.label.isnan().all(1).equal(hidden.label.isnan().any(1))
    assert dropped(given, count, never, rng()) is given
    assert dropped(Given(), 5, policy, rng()) == Given()
    with pytest.raises(RadloomError, match="dropout of colour"):
        Dropout(("colour",))
    with pytest.raises(RadloomError, match="chances"):
        Dropout(("label",), each=1.5)


def test_the_unknown_is_the_same_whether_absent_nan_or_empty_and_differs_from_all_that_is_known() -> None:
    torch.manual_seed(0)
    unknown = Given(label=torch.tensor([[float("nan")], [0.0]]), text=("", "no tumour"))
    for part in (Class(3, 8), Value(8, centre=1.0, scale=2.0), Words(8)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found, absent = part(unknown, 2), part(Given(), 2)
        assert found.shape == (2, 8)
        assert torch.isfinite(found).all()
        assert torch.equal(found[0], absent[0])
        assert not torch.equal(found[1], absent[1])


def test_values_far_apart_and_words_in_any_case_are_told_apart_and_mistakes_are_said() -> None:
    torch.manual_seed(0)
    value = Value(16)(Given(label=torch.tensor([[0.1], [0.9]])), 2)
    assert not torch.allclose(value[0], value[1], atol=1e-3)
    words = Words(8)(Given(text=("Tumour, left.", "left tumour", "right tumour")), 3)
    torch.testing.assert_close(words[0], words[1])
    assert not torch.allclose(words[0], words[2])
    for label in (3.0, -1.0):
        with pytest.raises(RadloomError, match="expected 0 to 2"):
            Class(3, 8)(Given(label=torch.tensor([[label]])), 1)
    with pytest.raises(RadloomError, match="a label of shape"):
        Class(3, 8, column=1)(Given(label=torch.tensor([[1.0]])), 1)


def test_boxes_are_painted_with_their_shares_of_voxels() -> None:
    corners = torch.tensor([[[0.5, 1.0, 2.0, 3.0], [float("nan")] * 4]])  # rows 0.5 to 2, columns 1 to 3
    expected = torch.tensor([[0, 0.5, 0.5, 0], [0, 1, 1, 0], [0, 0, 0, 0]])
    torch.testing.assert_close(conditions.painted(corners, (3, 4))[0, 0], expected)
    box = conditions.box_map(3, 1, first=1)
    x = torch.zeros(1, 1, 4, 4, 4)
    assert box.draw(Given(label=torch.tensor([[9.0, 0, 1, 2, 2, 3, 4]])), x).sum().item() == 8
    assert not box.draw(Given(), x).any()
    with pytest.raises(RadloomError, match="corners"):
        box.draw(Given(label=torch.zeros(1, 3)), x)


@final
class Shadow(LinearOperator):
    """Every image without its first column."""

    def __call__(self, x: Tensor) -> Tensor:
        return x[..., 1:]

    def adjoint(self, y: Tensor) -> Tensor:
        return torch.nn.functional.pad(y, (1, 0))

    pinv = adjoint


def test_a_measurement_is_seen_as_the_image_that_it_determines_or_as_unknown() -> None:
    x, y = torch.zeros(2, 1, 2, 3), torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]] * 2)
    y[1, 0, 0, 0] = float("nan")
    seen = conditions.measured_maps(1).draw(Given(measured=Measurement(y, Shadow())), x)
    assert seen[0].tolist() == [[[0, 1, 2], [0, 3, 4]], [[1, 1, 1], [1, 1, 1]]]
    assert not seen[1].any()
    assert torch.equal(conditions.measured_maps(1).draw(Given(), x), torch.zeros(2, 2, 2, 3))
    with pytest.raises(RadloomError, match="a measurement of images"):
        conditions.measured_maps(2).draw(Given(measured=Measurement(y, Shadow())), x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_dropout_hides_a_measurement_of_real_or_complex_numbers_and_leaves_the_operator(dtype: torch.dtype) -> None:
    given = Given(measured=Measurement(torch.ones(2000, 1, 1, 2, dtype=dtype), Shadow()))
    hidden = dropped(given, 2000, Dropout(("measured",), each=0.3, jointly=0.0), rng())
    assert given.measured is not None
    assert hidden.measured is not None
    assert hidden.measured.operator is given.measured.operator
    lost = hidden.measured.y.isnan().flatten(1)
    assert torch.equal(lost.all(1), lost.any(1))
    assert lost[:, 0].float().mean().item() == pytest.approx(0.3, abs=0.04)
    assert not given.measured.y.isnan().any()


def test_maps_tell_known_from_unknown_voxels_and_refuse_other_shapes() -> None:
    x = torch.zeros(2, 1, 4, 4)
    image = torch.ones(2, 1, 4, 4)
    image[1, 0, 0] = float("nan")
    drawn = conditions.image_maps(1).draw(Given(image=image), x)
    assert drawn[0].sum().item() == 32
    assert drawn[1].sum().item() == 24
    assert not conditions.mask_maps(1).draw(Given(), x).any()
    assert conditions.mask_maps(1).draw(Given(mask=torch.zeros(2, 1, 4, 4, dtype=torch.bool)), x)[:, 1].all()
    with pytest.raises(RadloomError, match="a given image of shape"):
        conditions.image_maps(2).draw(Given(image=image), x)


@pytest.mark.parametrize("module", [conditions])
def test_examples_in_docstrings_are_true(module: object) -> None:
    done = doctest.testmod(module, extraglobs={"torch": torch})  # type: ignore[arg-type]
    assert done.attempted > 0
    assert done.failed == 0
