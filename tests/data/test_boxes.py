"""Boxes around findings: their examples, and what they keep."""

import doctest

from hypothesis import given, settings
from hypothesis import strategies as st

from radloom.data import boxes

SIDE = st.integers(1, 12)


def test_the_examples_of_boxes_run():
    done = doctest.testmod(boxes)
    assert done.attempted > 4
    assert done.failed == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 19), st.integers(0, 14), SIDE, SIDE)
def test_a_box_holds_the_pixels_of_its_rectangle_and_no_others(left, top, width, height):
    columns, rows = 20, 15
    box = boxes.of_picture(
        float(left), float(top), float(width), float(height), shape=(columns, rows), z=0, name="a box"
    )
    mask = boxes.painted([box], (columns, rows, 1))[::-1, ::-1, 0].T  # rows and columns as on a screen
    inside = {(r, c) for r in range(rows) for c in range(columns)
              if top <= r < top + height and left <= c < left + width}  # fmt: skip
    assert {(r, c) for r in range(rows) for c in range(columns) if mask[r, c]} == inside
