"""The geometry of bars and lines stays within its frame."""

import pytest

from hub.drawing.charts import BAR_WIDTH, bar_segments, small_spark, spark


@pytest.mark.parametrize(
    "sizes", [[1], [0, 0, 0], [10**12, 0, 1], [5] * 128, [1] * 2000, list(range(50))]
)
def test_a_bar_holds_all_its_layers(sizes: list[int]) -> None:
    segments = bar_segments(sizes)
    assert len(segments) == len(sizes)
    end = 0.0
    for segment in segments:
        assert float(segment.x) >= end - 0.11  # of rounding
        assert float(segment.width) > 0
        end = float(segment.x) + float(segment.width)
    assert end <= BAR_WIDTH + 0.2


def test_nothing_makes_no_picture() -> None:
    assert bar_segments([]) == []
    assert spark([]) is None
    assert spark([3]) is None


def test_a_line_rises_with_its_numbers() -> None:
    drawn = spark([0, 5, 10])
    assert drawn is not None
    assert drawn.line == "0.0,48.0 120.0,26.0 240.0,4.0"
    assert drawn.area == "0,48 0.0,48.0 120.0,26.0 240.0,4.0 240,48"
    flat = spark([0, 0])
    assert flat is not None
    assert flat.line == "0.0,48.0 240.0,48.0"


def test_a_small_line_says_nothing_of_nothing() -> None:
    assert small_spark([]) == small_spark([4]) == small_spark([0, 0, 0]) == ""
    assert small_spark([0, 5, 10]) == "0.0,21.0 40.0,12.0 80.0,3.0"
