"""Animals: what each is, in every format and through every step; several methods in one run."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest

from everybody import schedule
from everybody.codecs import PicodetBoxes, RtmdetBoxes, YoloxBoxes
from everybody.data.dataset import Dataset, Picture
from everybody.data.frames import gathered, read_frames
from everybody.data.join import joined
from everybody.errors import ModelError, OptionError
from everybody.method import Stage
from everybody.methods import open_method
from everybody.methods.together import Together
from everybody.nms import PoseNms
from everybody.options import Options
from everybody.people import Frame, People
from everybody.results.formats import FORMATS, read_results
from everybody.results.records import Record, Results
from everybody.skeletons import ANIMAL20, COCO17
from everybody.track.tracker import Tracker
from everybody.weights import manifest

BOTH = "coco-17+animal-20"


def some(skeleton, categories, at=0.0):
    """People apart from each other, one per category."""
    count, joints = len(categories), len(skeleton)
    left = 100.0 * np.arange(count) + at
    boxes = np.stack([left, 0 * left, left + 60, 0 * left + 80], 1)
    x = left[:, None] + np.linspace(5, 55, joints)
    y = np.broadcast_to(np.linspace(5, 75, joints), x.shape)
    keypoints = np.stack([x, y, np.full(x.shape, 0.8)], 2)
    scores = 0.9 - 0.1 * np.arange(count)
    kinds = None if categories[0] is None else np.array(categories)
    return People(keypoints, boxes, scores, skeleton, categories=kinds)


# --- people


def test_categories_follow_their_people():
    animals = some(ANIMAL20, ["dog", "cat", "horse"])
    assert animals[[2, 0]].categories.tolist() == ["horse", "dog"]
    assert animals[1].called.tolist() == ["cat"]
    assert PoseNms()(animals).categories.tolist() == ["dog", "cat", "horse"]
    assert People.from_dicts(animals.to_dicts(), ANIMAL20).categories.tolist() == [
        "dog",
        "cat",
        "horse",
    ]
    assert animals.to_records()[0]["category"] == "dog"
    with pytest.raises(ValueError, match="categories must have shape"):
        replace(animals, categories=np.array(["dog"]))


def test_people_without_categories_are_persons_only_beside_others():
    people, animals = some(COCO17, [None]), some(COCO17, ["dog"])
    assert People.concatenate([people, people]).categories is None
    assert People.concatenate([people, animals]).categories.tolist() == ["person", "dog"]
    assert "category" not in people.to_dicts()[0]
    assert people.called.tolist() == ["person"]


# --- formats


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"alphapose-cmu", "alphapose-open"}))
def test_every_format_says_what_each_is(name, tmp_path):
    """Persons and animals in one frame come back as what they are, joints of both where the format
    holds them.
    """
    people = some(COCO17, [None]).to(manifest_skeleton())
    animals = some(ANIMAL20, ["dog", "cow"], at=200.0).to(manifest_skeleton())
    everyone = People.concatenate([people, animals])
    results = Results.of([Record("a.jpg", 0, 0.0, 600, 200, everyone)], everyone.skeleton)
    format = FORMATS[name]
    format.write(results, tmp_path / format.target, print)
    again = [one.people for one in read_results(tmp_path / format.target, say=print)]
    assert again[0].called.tolist() == ["person", "dog", "cow"]
    if "openpose" not in name:
        assert again[0].skeleton.joints == everyone.skeleton.joints
        assert np.allclose(again[0].keypoints, everyone.keypoints, atol=0.01)


@pytest.mark.parametrize("name", ["csv", "coco", "alphapose", "openpose", "parquet", "jsonl"])
def test_files_of_people_alone_are_as_they_were(name, tmp_path):
    """Nothing speaks of categories where there are none."""
    results = Results.of([Record("a.jpg", 0, 0.0, 600, 200, some(COCO17, [None]))], COCO17)
    format = FORMATS[name]
    format.write(results, tmp_path / format.target, print)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    for path in files:
        text = path.read_bytes().replace(b"category_id", b"")
        assert b"category" not in text


def manifest_skeleton():
    from everybody.skeletons import skeleton

    return skeleton(BOTH)


# --- judging


def test_species_are_judged_by_their_names():
    """Results know species by name; the truth has its own numbers for them."""
    picture = Picture("a.jpg", 1, 600, 200)
    animals = some(ANIMAL20, ["dog", "cat"])
    found = gathered([animals], [picture], ANIMAL20, name="found")
    truth = Dataset(
        skeleton=ANIMAL20,
        pictures=(picture,),
        picture=np.zeros(2, np.int64),
        keypoints=animals.keypoints,
        boxes=animals.boxes,
        category=np.array([7, 3]),
        categories={3: "cat", 7: "dog", 9: "horse"},
    )
    assert joined(found, truth).category.tolist() == [7, 3]


def test_a_journal_tells_species_to_the_judge(tmp_path):
    results = Results.of([Record("a.jpg", 0, 0.0, 9, 9, some(ANIMAL20, ["dog", "cat"]))], ANIMAL20)
    FORMATS["jsonl"].write(results, tmp_path / "frames.jsonl", print)
    data = read_frames(tmp_path / "frames.jsonl", skeleton=ANIMAL20)
    assert [data.categories[number] for number in data.category] == ["dog", "cat"]


# --- detectors


@pytest.mark.parametrize(
    ("codec", "answer"),
    [
        (PicodetBoxes, lambda boxes, scores: [boxes[None], scores.T[None]]),
        (
            RtmdetBoxes,
            lambda boxes, scores: [
                np.concatenate([boxes, scores.max(1, keepdims=True)], 1)[None],
                scores.argmax(1)[None],
            ],
        ),
    ],
)
def test_a_box_is_of_the_category_that_scores_best(codec, answer):
    boxes = np.array([[0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9]], np.float32)
    scores = np.array([[0.1, 0.7, 0.2], [0.1, 0.2, 0.6], [0.9, 0.1, 0.3]], np.float32)
    outputs = answer(boxes, scores)
    (found,) = codec(places=(2, 1), offset=0.0).found(outputs, (64, 64))
    sure = found.scores > 0.5
    assert found.kinds[sure].tolist() == [1, 0]
    assert np.array_equal(found.boxes[sure], boxes[:2])
    ((_, persons, score),) = codec(offset=0.0).decode(outputs, (64, 64))
    assert persons[score > 0.5].tolist() == [[40, 0, 49, 9]]


def test_a_place_that_the_network_does_not_have_is_an_error():
    with pytest.raises(ModelError, match=r"answers for 2 categories.* at place 5"):
        YoloxBoxes(places=(5,)).found([np.zeros((1, 84, 7), np.float32)], (64, 64))


# --- several methods at once


@dataclass(frozen=True)
class Says:
    """A method that finds the same people in every picture."""

    people: People
    poser = None

    @property
    def skeleton(self):
        return self.people.skeleton

    @property
    def sessions(self):
        return {"pose": self.people.skeleton.name}

    @property
    def stages(self):
        def run(frames):
            return [replace(frame, people=self.people) for frame in frames]

        return (Stage("find", run, lambda frames: True),)


def test_each_method_finds_its_own_and_people_stay_as_they_are():
    people, animals = some(COCO17, [None, None]), some(ANIMAL20, ["dog", "cat"], at=400.0)
    both = Together({"accurate": Says(people), "animals": Says(animals)})
    frame = Frame(np.zeros((200, 900, 3), np.uint8), source="a.jpg")
    (found,) = schedule.at_once(both.stages, [frame])
    assert found.people.skeleton.name == BOTH
    assert sorted(found.people.called.tolist()) == ["cat", "dog", "person", "person"]
    persons = found.people[found.people.called == "person"]
    assert np.array_equal(persons.keypoints[:, :17], people.keypoints)
    assert not persons.keypoints[:, 17:].any()
    dog = found.people[found.people.called == "dog"]
    assert np.array_equal(dog.to(ANIMAL20).keypoints, animals[:1].keypoints)
    assert set(both.sessions) == {"pose of accurate", "pose of animals"}


def test_nobody_is_legal_together():
    both = Together({"a": Says(People.empty(COCO17)), "b": Says(People.empty(ANIMAL20))})
    frame = Frame(np.zeros((20, 20, 3), np.uint8))
    (found,) = schedule.at_once(both.stages, [frame])
    assert len(found.people) == 0


def test_models_of_one_skeleton_keep_it():
    both = Together({"a": Says(some(ANIMAL20, ["dog"])), "b": Says(some(ANIMAL20, ["cow"]))})
    assert both.skeleton == ANIMAL20


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": "accurate,squid"}, "unknown variant 'squid'"),
        ({"model": "accurate,accurate"}, "names a model twice"),
        ({"model": "accurate,animals", "pose": "everybody-fast"}, "--pose would be for all"),
        ({"model": "accurate,animals", "whole": True}, "--whole would be for all"),
    ],
)
def test_what_cannot_be_of_several_models_is_refused(options, said):
    with pytest.raises(OptionError, match=said):
        open_method(Options.of(**options))


# --- tracking


def test_a_horse_is_not_its_rider():
    """At one place, a person and an animal keep their own ids, whatever the order."""
    rider, horse = some(COCO17, [None]), some(COCO17, ["horse"])
    tracker = Tracker(camera=False)
    seen = []
    for n in range(6):
        both = [rider, horse] if n % 2 else [horse, rider]
        people = tracker.update(People.concatenate(both), n / 25)
        seen.append({kind: int(i) for kind, i in zip(people.called, people.ids, strict=True)})
    assert seen[-1] == seen[-2]
    assert len(set(seen[-1].values())) == 2
    assert sorted(tracker.expected(0.3).called.tolist()) == ["horse", "person"]


def test_a_species_that_flickers_keeps_its_id():
    tracker = Tracker(camera=False)
    ids = []
    for n in range(6):
        people = tracker.update(some(ANIMAL20, ["dog" if n % 2 else "sheep"]), n / 25)
        ids += people.ids.tolist()
    assert len(set(ids)) == 1


@pytest.mark.parametrize("seed", range(5))
def test_people_and_animals_who_meet_never_exchange_ids(seed, tmp_path):
    """Persons and animals in the same joints come together, stand one upon the other, and turn
    back, where motion alone would exchange them; whoever is found in any order, some are missed,
    and a species flickers. Ids and kinds are the same in every format that can hold them.
    """
    random = np.random.default_rng(seed)
    tracker = Tracker(camera=False)
    records, seen = [], {}
    for n in range(24):
        way = 0.9 * (n - 12) ** 2
        moving = {
            "a": (some(COCO17, [None], at=200 - way), "person"),
            "b": (some(COCO17, ["horse"], at=200 + way), "horse"),
            "c": (some(COCO17, ["dog" if n % 3 else "sheep"], at=600 - way), "dog"),
            "d": (some(COCO17, [None], at=600 + way), "person"),
        }
        names = [name for name in moving if n < 3 or random.random() < 0.85]
        random.shuffle(names)
        groups = [moving[name][0].to(manifest_skeleton()) for name in names]
        groups = [replace(one, categories=one.called) for one in groups]
        people = tracker.update(People.concatenate(groups), n / 25)
        records.append(Record("film.mp4", n, n / 25, 600, 200, people))
        for kind, box, i in zip(people.called, people.boxes, people.ids, strict=True):
            near = [moving[k][0].boxes[0, 0] - box[0] for k in names if same(moving[k][1], kind)]
            assert min(map(abs, near)) < 30  # people are where they were found
            seen.setdefault(int(i), set()).add("dog" if kind == "sheep" else str(kind))
    assert all(len(kinds) == 1 for kinds in seen.values())
    assert sorted(kind for (kind,) in seen.values()) == ["dog", "horse", "person", "person"]
    results = Results.of(records, manifest_skeleton())
    for name in ("jsonl", "csv", "parquet", "coco", "alphapose"):
        target = tmp_path / FORMATS[name].target
        FORMATS[name].write(results, target, lambda text: None)
        again = list(read_results(target, say=lambda text: None))
        for one, other in zip(records, again, strict=True):
            told = [sorted(zip(r.people.ids, r.people.called, strict=True)) for r in (one, other)]
            assert told[0] == told[1]


def same(kind, told):
    """Whether a body of this kind may be called so."""
    return kind == told or (kind, told) == ("dog", "sheep")


# --- the bundled ones


def test_the_variant_of_animals_is_bundled_and_speaks_of_animals():
    rows, _ = manifest.load()
    pair = manifest.variant("animals")
    detector, pose = rows[pair.detector], rows[pair.pose]
    assert detector.bundled
    assert pose.bundled
    assert {"dog", "cat", "sheep", "horse", "cow"} <= set(detector.categories)
    assert pose.joints == ANIMAL20.joints
    assert not pair.turns


def test_a_blank_picture_holds_no_animal():
    method = open_method(Options.of(model="accurate,animals", workers=1, threads=1))
    frame = Frame(np.full((120, 160, 3), 127, np.uint8))
    (found,) = schedule.at_once(method.stages, [frame])
    assert len(found.people) == 0
    assert found.people.skeleton.name == BOTH


def test_an_animal_is_drawn_with_its_species():
    animals = some(ANIMAL20, ["dog"], at=20.0)
    image = np.full((200, 200, 3), 90, np.uint8)
    plain = replace(animals, categories=None).draw(image)
    named = animals.draw(image)
    assert cv2.absdiff(plain, named).any()


def test_feet_of_people_beside_animals():
    """--skeleton is asked of the models that know it."""
    method = open_method(
        Options.of(model="accurate,animals", skeleton="halpe-26", workers=1, threads=1)
    )
    assert method.skeleton.name == "halpe-26+animal-20"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"model": "animals", "skeleton": "halpe-26"},
            r"--skeleton halpe-26: everybody-animals finds the joints of animal-20; .*21 of 26 are",
        ),
        (
            {"model": "accurate", "skeleton": "animal-20"},
            r"everybody-accurate finds the joints of coco-17, with --skeleton halpe-26 those too;",
        ),
        ({"model": "accurate,animals", "skeleton": "hand-21"}, r"--skeleton hand-21: everybody-"),
        ({"model": "accurate", "skeleton": "wholebody-133"}, r"--skeleton wholebody-133: every"),
    ],
)
def test_joints_that_a_model_does_not_find_are_refused_in_plain_words(options, said):
    with pytest.raises(OptionError, match=said):
        open_method(Options.of(**options, workers=1, threads=1))
