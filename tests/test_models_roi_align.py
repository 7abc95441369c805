"""RoIAlign: as published, exact where the answer can be worked out, the same in every batch."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.models.roi_align import level_of, pooled, pooled_by_rows, roi_align, taps  # noqa: E402
from tests import golden  # noqa: E402


def test_the_published_answers():
    reader = golden.fill()
    given = {name: torch.from_numpy(a) for name, a in reader.inputs("roi_align").items()}
    image, boxes = given["boxes"][:, 0].long(), given["boxes"][:, 1:]
    found = {}
    for name, case in reader.spec("roi_align")["cases"].items():
        found[name] = roi_align(
            given["features"],
            boxes,
            image,
            size=case["output_size"],
            scales=[case["spatial_scale"]],
            sampling=case["sampling_ratio"],
            aligned=case["aligned"],
        )
    golden.check("roi_align", found)


def ramp(height: int, width: int) -> torch.Tensor:
    """[1, 2, h, w]: each cell's x and y."""
    y, x = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    return torch.stack([x, y])[None]


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("sampling", [1, 2, 0])
def test_a_ramp_gives_the_bins_centres(aligned, sampling):
    box = torch.tensor([[8.0, 12.0, 40.0, 36.0]])
    zero = torch.zeros(1, dtype=torch.long)
    out = roi_align(
        ramp(20, 20), box, zero, size=4, scales=[0.25], sampling=sampling, aligned=aligned
    )
    shift = 0.5 if aligned else 0.0
    x = 2 + (torch.arange(4) + 0.5) * 2 - shift
    y = 3 + (torch.arange(4) + 0.5) * 1.5 - shift
    torch.testing.assert_close(out[0, 0], x.expand(4, 4))
    torch.testing.assert_close(out[0, 1], y[:, None].expand(4, 4))


def test_far_outside_is_nothing_and_near_the_border_is_the_border():
    ones = torch.ones(1, 1, 8, 8)
    boxes = torch.tensor([[-30.0, -30.0, -20.0, -20.0], [7.2, 0.0, 9.2, 8.0]])
    out = roi_align(ones, boxes, torch.zeros(2, dtype=torch.long), size=2, scales=[1.0])
    assert out[0].eq(0).all()
    # Columns at 7.45, 7.95 (the border's value) and 8.45, 8.95 (too far: nothing).
    assert out[1, 0].tolist() == [[1.0, 0.0]] * 2


def test_boxes_do_not_know_each_other():
    torch.manual_seed(0)
    maps = [torch.randn(2, 3, 32, 48), torch.randn(2, 3, 16, 24)]
    boxes = torch.rand(9, 4) * 60
    boxes[:, 2:] += boxes[:, :2]
    image, level = torch.arange(9) % 2, torch.arange(9) % 2
    rest = {"size": 5, "scales": [0.25, 0.125]}
    together = roi_align(maps, boxes, image, level=level, **rest)
    for i in range(9):
        alone = roi_align(maps, boxes[i : i + 1], image[i : i + 1], level=level[i : i + 1], **rest)
        torch.testing.assert_close(together[i : i + 1], alone, rtol=0, atol=1e-6)
        one = maps[int(level[i])][image[i : i + 1]]
        zero = torch.zeros(1, dtype=torch.long)
        scale = rest["scales"][int(level[i])]
        alone = roi_align(one, boxes[i : i + 1], zero, size=5, scales=[scale])
        torch.testing.assert_close(together[i : i + 1], alone, rtol=0, atol=1e-6)
    assert roi_align(maps, boxes[:0], image[:0], level=level[:0], **rest).shape == (0, 3, 5, 5)


def test_both_ways_of_summing_are_one_also_in_their_gradients():
    torch.manual_seed(0)
    start, width = torch.tensor([0, 60]), torch.tensor([10, 10])
    x = taps(torch.tensor([1.3, 2.0]), torch.tensor([4.0, 6.5]), width, 3, 2)
    y = taps(torch.tensor([0.2, -1.0]), torch.tensor([3.0, 4.0]), torch.tensor([6, 6]), 3, 2)
    results = []
    for way in (pooled, pooled_by_rows):
        table = torch.linspace(-1, 1, 480).reshape(120, 4).requires_grad_()
        out = way(table, start, width, x, y)
        out.square().sum().backward()
        results.append((out.detach(), table.grad))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b)


def test_the_level_goes_with_the_size():
    sides = torch.tensor([10.0, 111.0, 112.0, 223.0, 224.0, 447.0, 448.0, 5000.0])
    boxes = torch.stack([torch.zeros(8), torch.zeros(8), sides, sides], 1)
    assert level_of(boxes, 4).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert level_of(torch.tensor([[5.0, 5, 5, 5], [5, 5, 1, 9]]), 4).tolist() == [0, 0]


def cell(maps: torch.Tensor, y: float, x: float) -> torch.Tensor:
    """[1, C, h, w] -> [C] at a point, as § 3 of the paper has it, without any vectors."""
    height, width = maps.shape[2:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return torch.zeros_like(maps[0, :, 0, 0])
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    upper = (1 - x + left) * maps[0, :, top, left] + (x - left) * maps[0, :, top, right]
    lower = (1 - x + left) * maps[0, :, bottom, left] + (x - left) * maps[0, :, bottom, right]
    return (1 - y + top) * upper + (y - top) * lower


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("sampling", [0, 1, 2])
@pytest.mark.parametrize(
    "box",
    [
        (1, 2, 17, 7),  # far wider than high: with sampling 0, more samples across than down
        (3, 1, 5, 19),
        (4, 6, 4, 6),  # of no extent
        (9, 8, 2, 3),  # inside out
        (-9, -7, 30, 40),
        (40, 40, 60, 50),
    ],
)
def test_any_box_is_as_worked_out_point_by_point(box, sampling, aligned):
    maps = torch.randn(1, 2, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    given, zero = torch.tensor([box], dtype=torch.float64), torch.zeros(1, dtype=torch.long)
    keywords = {"size": 2, "scales": [0.5], "sampling": sampling, "aligned": aligned}
    (out,) = roi_align(maps, given, zero, **keywords)

    x, y, right, bottom = (side * 0.5 - 0.5 * aligned for side in box)
    least = -math.inf if aligned else 1
    width, height = (max(side, least) for side in (right - x, bottom - y))
    down, across = (sampling or max(math.ceil(side / 2), 0) for side in (height, width))
    for row in range(2):
        for column in range(2):
            total = torch.zeros(2, dtype=torch.float64)
            for i in range(down):
                for j in range(across):
                    at_y = y + (row + (i + 0.5) / down) * height / 2
                    total += cell(maps, at_y, x + (column + (j + 0.5) / across) * width / 2)
            wanted = total / max(down * across, 1)
            torch.testing.assert_close(out[:, row, column], wanted)
