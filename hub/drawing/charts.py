"""Pictures made of numbers: layers as a bar, pulls as a line.

Geometry goes into SVG attributes, so that pages need no styles of their own. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

BAR_WIDTH = 1000.0
BAR_GAP = 3.0
BAR_LEAST = 2.0  # so that an empty layer is still to be seen
SPARK_WIDTH = 240.0
SPARK_HEIGHT = 48.0
SPARK_TOP = 4.0
SMALL_WIDTH = 80.0
SMALL_HEIGHT = 24.0
SMALL_EDGE = 3.0
HUES = 8


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a bar."""

    x: str
    width: str


@dataclass(frozen=True, slots=True)
class Spark:
    """A line and the area under it, as the points of a polyline and a polygon."""

    line: str
    area: str


def bar_segments(sizes: Sequence[int]) -> list[Segment]:
    """Divide a bar by sizes; none is wider than the bar has room for."""
    if not sizes:
        return []
    gap = min(BAR_GAP, BAR_WIDTH / len(sizes) / 3)
    least = min(BAR_LEAST, gap)
    room = BAR_WIDTH - gap * (len(sizes) - 1) - least * len(sizes)
    total = sum(sizes) or 1
    segments = []
    x = 0.0
    for size in sizes:
        width = least + room * size / total
        segments.append(Segment(f"{x:.1f}", f"{width:.1f}"))
        x += width + gap
    return segments


def spark(counts: Sequence[int]) -> Spark | None:
    """Draw counts over time; None for fewer than two, which make no line."""
    if len(counts) < 2:
        return None
    most = max(counts) or 1
    step = SPARK_WIDTH / (len(counts) - 1)
    height = SPARK_HEIGHT - SPARK_TOP
    points = [
        f"{step * index:.1f},{SPARK_HEIGHT - height * count / most:.1f}"
        for index, count in enumerate(counts)
    ]
    line = " ".join(points)
    return Spark(
        line, f"0,{SPARK_HEIGHT:.0f} {line} {SPARK_WIDTH:.0f},{SPARK_HEIGHT:.0f}"
    )


def small_spark(counts: Sequence[int]) -> str:
    """Draw counts as the points of a line beside a word; "" if there is nothing."""
    if len(counts) < 2 or not any(counts):
        return ""
    most = max(counts)
    step = SMALL_WIDTH / (len(counts) - 1)
    height = SMALL_HEIGHT - 2 * SMALL_EDGE
    return " ".join(
        f"{step * index:.1f},{SMALL_HEIGHT - SMALL_EDGE - height * count / most:.1f}"
        for index, count in enumerate(counts)
    )
