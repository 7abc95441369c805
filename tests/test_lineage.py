"""Laws of all of MODELS: every network answers what its codec means, learns with all of its
parameters, treats a batch as its pictures, learns two crops by heart, and its export is itself.

Full sizes are built without numbers (on torch's meta device); what must be computed is computed by
each family's smallest variant, thinner where that has numbers for it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from everybody.codecs import Heatmap, Integral, Regression, SimCC, WholeBody, make_codec  # noqa: E402
from everybody.errors import DataError, OptionError  # noqa: E402
from everybody.models import MODELS, Model  # noqa: E402
from everybody.runtime import Port  # noqa: E402
from everybody.train import agreement, export, pose  # noqa: E402
from everybody.train.recipe import Recipe  # noqa: E402
from everybody.train.recipes import BASE, RECIPES, recipe  # noqa: E402
from everybody.train.task import codec_of, encoded  # noqa: E402
from everybody.train.tasks import TASKS, network, task, task_of  # noqa: E402

from .network_laws import batched_equals_single, every_parameter_learns  # noqa: E402

CROPS = [name for name, model in MODELS.items() if model.kind == "crops"]
JOINTS = 5
# The smallest variant of each network of crops, and numbers that make it thinner still.
FAMILIES: dict[str, dict] = {
    "sppe-fast": {"width": 16, "head": 16, "depths": (1, 1, 1, 1)},
    "tinypose": {},
    "tinypose-cells": {},
    "deeppose-tiny": {},
    "deeppose-resnet-tiny": {},
    "deeppose-resnet-tiny-rle": {},
    "tompson-small": {"width": 16, "hidden": 32, "fine": 16},
    "cpm-tiny": {},
    "ief-fast": {"width": 16, "depths": (1, 1, 1, 1)},
    "hourglass-tiny": {},
    "simple-baseline-18": {"width": 8, "widths": (32, 32, 32)},
    "integral-tiny": {},
    "dsnt-fast": {"width": 16, "head": 16, "depths": (1, 1, 1, 1)},
    "hrnet-tiny": {},
    "fastpose-tiny": {},
    "fastpose-tiny-whole-body": {},
    "simcc-18": {"width": 8, "deconvolutions": (32,)},
    "rtmpose-t": {"width": 8, "hidden": 32, "shared": 16},
    "vitpose-s": {"width": 48, "depth": 2, "heads": 4},
}
LARGE = {"deeppose-tiny": (96, 128)}  # crops, where 64 x 64 leave its layers too little
RATES = dict.fromkeys(("tinypose", "tinypose-cells"), 1e-3)  # their normalisation is folded


def thin(name: str) -> Model:
    """The row of a family's smallest variant, thinner."""
    model = MODELS[name]
    assert isinstance(model.build, partial)
    *others, numbers = model.build.args
    thinner = {**numbers, **FAMILIES[name]}
    return replace(model, build=partial(model.build.func, *others, thinner))


def made(name: str, seed: int = 0):
    """The thin network, its row, its codec, and crops of its size [2, 3, H, W]."""
    model, size = thin(name), LARGE.get(name, (64, 64))
    codec = codec_of(model, Recipe(model=name, size=size, sigma=0))
    torch.manual_seed(seed)
    net = model.build(JOINTS, codec)
    return net, model, codec, torch.randn(2, 3, size[1], size[0])


def keypoints(codec, seed: int = 0) -> torch.Tensor:
    """Labelled joints well within the crop [2, K, 3]."""
    random = np.random.default_rng(seed)
    places = random.uniform(0.25, 0.75, (2, JOINTS, 2)) * codec.size
    return torch.from_numpy(np.concatenate([places, np.ones((2, JOINTS, 1))], 2)).float()


def said(net, model, image, targets, weights):
    """What a network says in training."""
    more = model.guide(net, image, targets, weights) if model.guide else ()
    return net(image, *more)


def test_every_network_of_crops_is_tried():
    def nets(names):
        return {MODELS[name].build.args[0] for name in names}

    assert nets(FAMILIES) == nets(CROPS)


@pytest.mark.parametrize("name", CROPS)
def test_every_variant_answers_what_its_codec_means(name):
    """Built without numbers, so of full size: its answers have the shapes that the codec checks,
    and its joints are read from its parameters.
    """
    model = MODELS[name]
    codec = codec_of(model, Recipe(model=name, size=(192, 256), sigma=0))
    with torch.device("meta"):
        net = model.build(JOINTS, codec).eval()
        answers = model.answers(net, torch.empty(2, 3, 256, 192))
    assert len(answers) == len(model.outputs)
    ports = [Port(n, tuple(a.shape)) for n, a in zip(model.outputs, answers, strict=True)]
    codec.check(ports, JOINTS)
    assert model.joints_in(net.state_dict(), codec) == JOINTS


@pytest.mark.parametrize("name", FAMILIES)
def test_the_gradient_reaches_every_parameter(name):
    net, model, codec, image = made(name)
    with torch.no_grad():  # factors that start at 0 hide what is behind them
        for parameter_name, parameter in net.named_parameters():
            if parameter.ndim == 1 and parameter_name.endswith("weight"):
                parameter.fill_(1.0)
    targets, weights = encoded(codec, keypoints(codec))

    class Taught(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, image):
            return said(self.net, model, image, targets, weights)

    every_parameter_learns(
        Taught(), image, lambda answer: model.loss(net, answer, targets, weights, codec)[0]
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_a_batch_is_its_pictures(name):
    net, model, _, image = made(name)
    batched_equals_single(export.Answer(net, model), image, tolerance=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_unlabelled_joints_teach_nothing_and_weights_add_up(name):
    net, model, codec, image = made(name)
    points = keypoints(codec)
    points[:, 1:3, 2] = 0
    targets, weights = encoded(codec, points)
    net.eval()
    with torch.no_grad():
        answer = said(net, model, image, targets, weights)
        loss, weight = model.loss(net, answer, targets, weights, codec)
        nothing, none = model.loss(net, answer, targets, weights * 0, codec)
        twice, double = model.loss(net, answer, targets, weights * 2, codec)
    assert loss.isfinite()
    assert weight == 2 * (JOINTS - 2)
    assert (nothing, none) == (0, 0)
    assert torch.isclose(twice, 2 * loss)
    assert double == 2 * weight


@pytest.mark.parametrize("name", FAMILIES)
def test_two_crops_can_be_learnt_by_heart(name):
    """Trained on two crops, the answer is right within a twentieth of the crop; normalised by the
    two, as in training, because running statistics of so few cells are not theirs.
    """
    net, model, codec, image = made(name, seed=1)
    points = keypoints(codec)
    targets, weights = encoded(codec, points)
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout | torch.nn.Dropout2d):
            module.p = 0.0
    optimiser = torch.optim.AdamW(net.parameters(), RATES.get(name, 2e-3), weight_decay=0.0)

    def away() -> float:
        with torch.no_grad():
            answers = model.answers(net, image)
        found = codec.decode([answer.numpy() for answer in answers])
        return float(np.abs(found[..., :2] - points[..., :2].numpy()).max() / max(codec.size))

    net.train()

    def steps(count: int) -> None:
        for _ in range(count):
            optimiser.zero_grad()
            answer = said(net, model, image, targets, weights)
            loss, weight = model.loss(net, answer, targets, weights, codec)
            (loss / weight).backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimiser.step()

    for _ in range(40):
        steps(15)
        if away() < 0.05:
            return
    pytest.fail(f"{name}: off by {away():.2f} of the crop")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FAMILIES)
def test_the_export_is_the_network(name, tmp_path):
    net, model, codec, _ = made(name)
    net.eval()
    path = tmp_path / "net.onnx"
    export.write_graph(net, model, codec.size, path)
    assert agreement.difference_on_pictures(net, model, codec.size, path) <= agreement.CLOSE


@pytest.mark.parametrize("name", CROPS)
def test_what_a_codec_encodes_it_decodes_within_half_a_cell(name):
    row = dict(MODELS[name].codec)
    codec = make_codec(row, (96, 128))
    points = keypoints(codec).numpy()
    targets, _ = codec.encode(points)
    cell = {Heatmap: row.get("stride", 4), SimCC: 0.5, Regression: 0.01, Integral: 4, WholeBody: 4}[
        type(codec)
    ]
    answers = list(targets)
    if isinstance(codec, Integral):
        answers = [np.log(np.maximum(targets[1], 1e-12))]
    if isinstance(codec, WholeBody):
        answers = [targets[1]]
    if isinstance(codec, Regression) and codec.sigmas:
        answers = [np.concatenate([targets[0], np.zeros_like(targets[0])], -1)]
    if isinstance(codec, SimCC) and codec.activation == "softmax":
        answers = [np.log(np.maximum(target, 1e-12)) for target in targets]
    found = codec.decode(answers)
    assert np.abs(found[..., :2] - points[..., :2]).max() <= cell / 2 + 1e-4


# --- crops that do not fit


EXACT = {  # they have no cells, or are cut where cells end
    *(name for name in FAMILIES if MODELS[name].codec["type"] == "regression"),
    "hourglass-tiny",
}


def demand(name: str, size: tuple[int, int]) -> None:
    """As a task asks for it, before anything is learnt."""
    told = Recipe(model=name, size=size, sigma=0)
    pose.demand_fit(MODELS[name], codec_of(MODELS[name], told), told)


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - EXACT))
def test_crops_that_do_not_divide_are_refused(name):
    with pytest.raises(OptionError, match=r"100x130.* multiples of (32|16), as \d+x\d+"):
        demand(name, (100, 130))


@pytest.mark.parametrize("name", sorted(EXACT))
def test_crops_that_do_not_divide_are_answered_exactly(name):
    """With what the codec reads."""
    demand(name, (100, 130))


# --- names that are not known


def test_unknown_names_are_errors_that_list_the_known_ones(tmp_path):
    with pytest.raises(
        OptionError, match=r"unknown recipe 'spe-fast': did you mean sppe-fast.*turn"
    ):
        recipe("spe-fast")
    with pytest.raises(OptionError, match=r"unknown model 'sppe-slow': .*sppe-fast.*tinypose"):
        recipe("sppe-fast", ["model=sppe-slow"])
    with pytest.raises(OptionError, match=r"unknown model 'x': known are .*hourglass-8"):
        network(replace(BASE, model="x"))
    with pytest.raises(OptionError, match=r"unknown task 'magic': known are crops,.*turns"):
        task_of(replace(BASE, task="magic"))
    with pytest.raises(OptionError, match=r"unknown task 'magic': known are crops,.*turns"):
        task(replace(BASE, task="magic"), None)  # before the pictures are looked at
    with pytest.raises(OptionError, match=r"'turn' learns from turns, this task has crops.*sppe"):
        task_of(replace(BASE, model="turn", task="rmpe"))
    with pytest.raises(OptionError, match="RMPE needs an SPPE that answers with heatmaps"):
        task_of(replace(BASE, model="simcc-18", task="rmpe"))


def test_weights_of_an_unknown_model_name_the_known_ones(tmp_path):
    from everybody.train import checkpoint

    about = {"recipe": replace(BASE, model="from-the-future").to_json()}
    checkpoint.save_weights(tmp_path / "w.safetensors", {"x": torch.zeros(1)}, about)
    with pytest.raises(OptionError, match="unknown model 'from-the-future': known are sppe-fast"):
        export.load(tmp_path / "w.safetensors")


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_names_a_model_and_a_task_that_go_together(name):
    assert task_of(RECIPES[name]) in TASKS.values()


@pytest.mark.parametrize(
    ("before", "now"),
    [("pose", ""), ("turn", ""), ("detector", ""), ("sstn", ""), ("rmpe", "rmpe"), ("", "")],
)
def test_recipes_of_earlier_versions_are_read(before, now):
    assert Recipe.from_json(replace(BASE, task=before).to_json()).task == now


def test_published_names_and_torch_checkpoints_can_be_started_from(tmp_path):
    from everybody.train import checkpoint

    model = thin("simple-baseline-18")
    net, other = (model.build(JOINTS, None) for _ in range(2))
    theirs = {
        f"{'keypoint_head' if name.startswith(('deconv', 'final')) else 'backbone'}.{name}": value
        for name, value in net.state_dict().items()
    }
    torch.save({"state_dict": theirs}, tmp_path / "theirs.pth")
    checkpoint.load_weights(tmp_path / "theirs.pth", other, model)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), other.parameters(), strict=True))
    torch.save(net, tmp_path / "code.pth")
    with pytest.raises(DataError, match="holds pickled code"):
        checkpoint.load_weights(tmp_path / "code.pth", other, model)
