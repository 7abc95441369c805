"""Mask R-CNN with keypoints: as published, whole and in parts; suppression; what it learns from."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.methods.rcnn_decode import keypoints_from_heatmaps  # noqa: E402
from everybody.models import box_deltas  # noqa: E402
from everybody.models.keypoint_rcnn import (  # noqa: E402
    VARIANTS,
    KeypointRCNN,
    fitted,
    published,
)
from everybody.models.rcnn_losses import (  # noqa: E402
    NOBODY,
    UNSURE,
    Truth,
    keypoint_loss,
    mask_loss,
    matched,
    rcnn_losses,
    sampled,
)
from everybody.models.suppression import kept, overlap  # noqa: E402
from tests import golden, network_laws  # noqa: E402

NAME = "keypoint_rcnn_r50_fpn"
TINY = {
    "width": 8,
    "depths": (1, 1, 1, 1),
    "norm": torch.nn.BatchNorm2d,
    "pyramid": 16,
    "proposals": 40,
    "most": 10,
    "heads": {"hidden": 32, "width": 16, "depth": 1, "mask_width": 16, "mask_depth": 1},
}


@pytest.fixture(scope="module")
def net():
    net = KeypointRCNN().eval()
    net.load_state_dict(published(golden.state(NAME)))
    return net


# --- as published


def test_every_part_says_what_the_published_one_says(net):
    boxes = torch.from_numpy(golden.fill().inputs(NAME)["boxes"])
    zero = torch.zeros(len(boxes), dtype=torch.long)
    found = {}
    with torch.no_grad():
        levels = net.backbone(golden.image(NAME))
        said = zip(["0", "1", "2", "3", "pool"], levels, *net.rpn(levels), strict=True)
        for level, features, objectness, deltas in said:
            found |= {f"fpn.{level}": features, f"rpn.objectness.{level}": objectness}
            found[f"rpn.deltas.{level}"] = deltas
        found["anchors"] = torch.cat(net.rpn.anchors(levels, (256, 320)))

        found["box_roi"] = net.roi_heads.regions(levels[:-1], boxes, zero, 7, 256)
        found["box_features"] = net.roi_heads.box_head(found["box_roi"])
        found["class_logits"], found["box_regression"] = net.roi_heads.boxes(found["box_roi"])
        found["keypoint_roi"] = net.roi_heads.regions(levels[:-1], boxes, zero, 14, 256)
        found["keypoint_logits"] = net.roi_heads.keypoints(found["keypoint_roi"])

    points = keypoints_from_heatmaps(found["keypoint_logits"].numpy(), boxes.numpy())
    found["keypoints"] = np.concatenate([points[..., :2], np.ones_like(points[..., :1])], 2)
    found["keypoint_scores"] = points[..., 2]
    assert set(found) == set(golden.fill().outputs(NAME))
    golden.check(NAME, found)


def test_the_whole_finds_what_the_published_one_finds(net):
    picture, factors = fitted(golden.image(NAME + "_whole").sigmoid(), 256, 400)
    with torch.no_grad():
        said = net(picture)
    points = keypoints_from_heatmaps(said.keypoints.numpy(), said.boxes.numpy())
    scores = points[..., 2]
    points = np.concatenate([points[..., :2] * factors.numpy(), np.ones_like(points[..., :1])], 2)
    boxes = said.boxes * factors.repeat(2)
    golden.check(
        NAME + "_whole",
        {
            "boxes": boxes,
            "labels": said.labels,
            "scores": said.scores,
            "keypoints": points,
            "keypoints_scores": scores,
        },
    )


def test_older_names_are_the_newer(net):
    newer = net.state_dict()
    older = {}
    for name, value in newer.items():
        if ".inner_blocks." in name or ".layer_blocks." in name:
            name = name.replace(".0.weight", ".weight").replace(".0.bias", ".bias")
        older[name.replace("rpn.head.conv.0.0.", "rpn.head.conv.")] = value
    older["backbone.body.bn1.num_batches_tracked"] = torch.tensor(7)
    assert set(older) != set(newer)
    renamed = published(older)
    assert renamed.keys() == newer.keys()
    assert all(renamed[name] is newer[name] for name in newer)
    assert published(newer).keys() == newer.keys()


def test_the_mask_network_has_the_published_names_and_size():
    net = KeypointRCNN(**VARIANTS["mask-rcnn-r50"])
    names = net.state_dict()
    assert sum(p.numel() for p in net.parameters()) == 44_401_393  # as torchvision counts
    wanted = [f"roi_heads.mask_head.{i}.0.{leaf}" for i in range(4) for leaf in ("weight", "bias")]
    wanted += ["roi_heads.mask_predictor.conv5_mask.weight"]
    wanted += ["roi_heads.mask_predictor.mask_fcn_logits.weight"]
    assert set(wanted) <= set(names)
    assert names["roi_heads.mask_predictor.mask_fcn_logits.weight"].shape == (91, 256, 1, 1)
    older = {f"roi_heads.mask_head.mask_fcn{i + 1}.weight": torch.zeros(0) for i in range(4)}
    assert list(published(older)) == wanted[:8:2]


# --- suppression


def greedy(boxes, threshold, alive, kind):
    """One after the other, the best first."""
    stay = []
    for i in range(len(boxes)):
        rivals = [j for j in stay if kind[i] == kind[j]]
        if alive[i] and (not rivals or overlap(boxes[i : i + 1], boxes[rivals]).max() <= threshold):
            stay.append(i)
    return stay


def test_suppression_is_the_greedy_one():
    rng = torch.Generator().manual_seed(0)
    boxes = torch.rand(3, 120, 4, generator=rng) * torch.tensor([60, 60, 40, 40])
    boxes[..., 2:] += boxes[..., :2]
    alive = torch.rand(3, 120, generator=rng) > 0.2
    kind = torch.randint(0, 2, (3, 120), generator=rng)
    for threshold in (0.1, 0.3, 0.6):
        stay = kept(boxes, threshold, alive, kind)
        for row in range(3):
            wanted = greedy(boxes[row], threshold, alive[row], kind[row])
            assert stay[row].nonzero()[:, 0].tolist() == wanted
            assert 10 < len(wanted) < alive[row].sum()


def test_a_chain_of_overlaps_keeps_every_other():
    """Each overlaps its neighbours alone: the longest dependence that there can be."""
    x = torch.arange(20.0)[:, None] * 4
    boxes = torch.cat([x, torch.zeros(20, 1), x + 10, torch.ones(20, 1)], 1)[None]
    stay = kept(boxes, 0.4, torch.ones(1, 20) > 0)
    assert stay[0].tolist() == [True, False] * 10
    assert kept(boxes[:, :0], 0.4, torch.ones(1, 0) > 0).shape == (1, 0)


# --- the network's laws


def test_boxes_come_back_from_their_deltas():
    rng = torch.Generator().manual_seed(0)
    anchors, boxes = torch.rand(2, 50, 4, generator=rng) * 40
    anchors[:, 2:] += anchors[:, :2] + 5
    boxes[:, 2:] += boxes[:, :2] + 5
    for weights in (box_deltas.RPN_WEIGHTS, box_deltas.HEAD_WEIGHTS):
        deltas = box_deltas.encoded(boxes, anchors, weights)
        torch.testing.assert_close(box_deltas.decoded(deltas, anchors, weights), boxes)


def lively(**changes) -> KeypointRCNN:
    """A small network whose answers differ from place to place."""
    torch.manual_seed(0)
    net = KeypointRCNN(**TINY | changes)
    for part in (net.rpn.head.cls_logits, net.rpn.head.bbox_pred):
        torch.nn.init.normal_(part.weight, std=0.2)
    return net.eval()


def test_the_exported_graph_answers_as_torch_does(tmp_path):
    net, images = lively(), torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        assert (net(images).image.bincount() > 2).all()
    network_laws.onnx_equals_torch(net, images, tmp_path / "net.onnx", optimize=False)


def test_each_picture_alone_gives_what_it_gives_among_others():
    net = lively(masks=True)
    images = torch.randn(3, 3, 64, 96)
    with torch.no_grad():
        together = net(images)
        for i in range(3):
            alone, own = net(images[i : i + 1]), together.image == i
            assert len(alone.image)
            for part in ("boxes", "scores", "labels", "keypoints", "masks"):
                a, b = getattr(together, part)[own], getattr(alone, part)
                torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-4)


def test_nobody_is_found_where_nothing_is_sure():
    net = lively(masks=True, score=1.0)
    with torch.no_grad():
        said = net(torch.randn(2, 3, 64, 64))
    assert [len(part) for part in said] == [0] * 6
    assert said.keypoints.shape == (0, 17, 56, 56)
    points = keypoints_from_heatmaps(said.keypoints.numpy(), said.boxes.numpy())
    assert points.shape == (0, 17, 4)


# --- what it learns from


def test_who_an_anchor_belongs_to():
    people = torch.tensor([[0.0, 0, 10, 10], [100, 100, 104, 104]])
    anchors = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 20], [50, 50, 60, 60], [98, 98, 108, 108]])
    truth = Truth(people, torch.ones(2, dtype=torch.long))
    found = matched(anchors, truth, low=0.3, high=0.7)
    assert found.tolist() == [0, UNSURE, NOBODY, NOBODY]
    found = matched(anchors, truth, low=0.3, high=0.7, rescue=True)
    assert found.tolist() == [0, UNSURE, NOBODY, 1]
    nobody = truth._replace(boxes=people[:0], labels=truth.labels[:0])
    assert matched(anchors, nobody, low=0.3, high=0.7).tolist() == [NOBODY] * 4
    unsure = truth._replace(unsure=anchors[2:3])
    assert matched(anchors, unsure, low=0.3, high=0.7).tolist() == [0, UNSURE, UNSURE, NOBODY]

    owner = torch.tensor([0] * 10 + [NOBODY] * 50 + [UNSURE] * 50)
    index = sampled(owner, 16, 0.25, torch.Generator().manual_seed(0))
    assert (owner[index] == 0).sum() == 4
    assert (owner[index] == NOBODY).sum() == 12


def test_a_joint_costs_nothing_where_its_map_says_it_is():
    boxes = torch.tensor([[10.0, 20, 66, 76]])
    keypoints = torch.tensor([[[12.5, 30.5, 2], [65.5, 75.5, 1], [5, 30, 2], [30, 30, 0]]])
    logits = torch.full((1, 4, 56, 56), -20.0)
    logits[0, 0, 10, 2] = logits[0, 1, 55, 55] = 20
    loss, weight = keypoint_loss(logits, keypoints, boxes)
    assert weight == 2  # the third is outside its box, the fourth is not labelled
    assert loss < 1e-6
    loss, _ = keypoint_loss(torch.zeros(1, 4, 56, 56), keypoints, boxes)
    assert loss.item() == pytest.approx(2 * math.log(56 * 56), rel=1e-5)


def test_a_mask_costs_nothing_where_it_is_right():
    masks = torch.zeros(1, 40, 40)
    masks[0, 10:20, 10:30] = 1
    box = torch.tensor([[10.0, 10, 30, 30]])
    logits = torch.zeros(1, 3, 28, 28)
    logits[0, 2] = -30
    logits[0, 2, :14] = 30
    loss, weight = mask_loss(logits, torch.tensor([2]), masks, box)
    assert weight == 28 * 28
    assert (loss / weight).item() < 2.0  # of the border's row and column alone
    inner = mask_loss(-logits, torch.tensor([2]), masks, box)[0]
    assert inner > 10 * loss


def people_and_picture():
    """A picture of two bright boxes, with a joint at the middle of each."""
    image = torch.full((2, 3, 64, 96), -1.0)
    boxes = torch.tensor([[10.0, 8, 34, 56], [50, 16, 82, 60]])
    keypoints = torch.zeros(2, 17, 3)
    masks = torch.zeros(2, 64, 96)
    for box, points, mask in zip(boxes, keypoints, masks, strict=True):
        x0, y0, x1, y1 = box.int().tolist()
        image[0, :, y0:y1, x0:x1] = 1
        mask[y0:y1, x0:x1] = 1
        points[:] = torch.tensor([(x0 + x1) / 2, (y0 + y1) / 2, 2])
    some = Truth(boxes, torch.tensor([1, 1]), keypoints, masks)
    return image, [some, Truth(boxes[:0], some.labels[:0], keypoints[:0], masks[:0])]


def total(losses):
    return sum(loss / weight.clamp(min=1) for loss, weight in losses.values())


def test_the_gradient_reaches_every_parameter_and_pictures_of_nobody_count():
    net, rng = lively(masks=True).train(), torch.Generator().manual_seed(0)
    image, truth = people_and_picture()
    losses = rcnn_losses(net, image, truth, rng)
    assert set(losses) == {"objectness", "proposals", "classes", "boxes", "keypoints", "masks"}
    total(losses).backward()
    silent = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    assert not silent
    losses = rcnn_losses(net, image[1:], truth[1:], rng)
    assert torch.isfinite(total(losses))


def test_it_learns_two_pictures_by_heart():
    net, rng = lively().train(), torch.Generator().manual_seed(0)
    image, truth = people_and_picture()
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3)
    for _ in range(60):
        optimiser.zero_grad()
        total(rcnn_losses(net, image, truth, rng)).backward()
        optimiser.step()
    with torch.no_grad():
        net.eval()
        for part in net.modules():  # two pictures are too few for running averages
            if isinstance(part, torch.nn.BatchNorm2d):
                part.train()
        said = net(image)
    sure = said.scores > 0.5
    assert set(said.image[sure].tolist()) == {0}
    assert (overlap(truth[0].boxes, said.boxes[sure]).max(1).values > 0.6).all()
