"""Laws of smoothing: what does not move stays, what moves steadily is not held back, and nobody is
lost.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import signal

from everybody.errors import OptionError
from everybody.metrics.tracking import jitter
from everybody.people import Frame, People
from everybody.skeletons import COCO17
from everybody.smooth import NAMES, Smooth
from everybody.smooth.filters import FILTERS, butterworth, kalman
from synthetic.walkers import Scenery, walkers

from .test_track import standing

PICTURE = np.zeros((8, 8, 3), np.uint8)
WAITING = tuple(FILTERS)


def film(people, times) -> list[Frame]:
    return [Frame(PICTURE, n, float(time), "a.mp4", people(n)) for n, time in enumerate(times)]


def named(people: People, *ids: int) -> People:
    return replace(people, ids=np.array(ids or range(1, len(people) + 1)))


def uneven(count: int) -> np.ndarray:
    return np.cumsum(np.random.default_rng(0).uniform(0.01, 0.07, count))


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_stays_the_constant(name):
    people = named(standing((200, 400), (500, 420)))
    for frame in Smooth(name=name)(film(lambda n: people, uneven(60))):
        assert np.abs(frame.people.keypoints - people.keypoints).max() < 1e-3
        assert np.abs(frame.people.boxes - people.boxes).max() < 1e-3


@pytest.mark.parametrize("name", WAITING)
def test_a_steady_motion_is_not_held_back_at_uneven_times_and_at_the_ends(name):
    times = uneven(50)
    frames = film(lambda n: named(standing((100 + 90 * times[n], 400))), times)
    for before, after in zip(frames, Smooth(name=name)(frames), strict=True):
        assert np.abs(after.people.keypoints - before.people.keypoints).max() < 0.02


@pytest.mark.parametrize("name", NAMES)
def test_every_frame_comes_out_once_in_order_with_the_same_people_whatever_the_times(name):
    rng, times = np.random.default_rng(1), [0, 0.04, 0.08, 0.08, 0.02, 0.06, 9.0, 9.04, 9.0, 9.1]
    frames = film(
        lambda n: named(standing((200, 400), (500, 400)), 7, n + 20)[rng.permutation(2)], times
    )
    frames[5:7] = [replace(frame, source="b.mp4") for frame in frames[5:7]]
    frames.insert(3, replace(frames[2], index=99, people=named(People.empty(COCO17))))
    frames.append(replace(frames[-1], people=standing((1, 2))))  # without ids: as it was
    out = list(Smooth(name=name)(frames))
    assert [(f.source, f.index, f.time) for f in out] == [
        (f.source, f.index, f.time) for f in frames
    ]
    for a, b in zip(frames, out, strict=True):
        if a.people.ids is None:
            assert b.people.ids is None
        else:
            assert a.people.ids.tolist() == b.people.ids[: len(a.people)].tolist()
        assert a.people.keypoints[..., 2] == pytest.approx(
            b.people.keypoints[: len(a.people), :, 2]
        )
        assert np.isfinite(b.people.keypoints).all()
    assert list(Smooth(name=name)([])) == []


@pytest.mark.parametrize("name", NAMES)
def test_jitter_goes_by_sixty_percent(name):
    moments = walkers(
        Scenery(seconds=3, people=4, stay=True, occlusion=0, missing=0, false=0, seed=3)
    )
    times = np.array([moment.time for moment in moments])

    def people(n: int) -> People:
        order = np.argsort(moments[n].who)
        return replace(moments[n].found[order], ids=moments[n].who[order])

    frames = film(people, times)
    true, noisy, smooth = (
        np.stack([p.keypoints[..., :2] for p in everybody])
        for everybody in (
            [moment.true for moment in moments],
            [frame.people for frame in frames],
            [frame.people for frame in Smooth(name=name)(frames)],
        )
    )
    left = [
        jitter(true[:, n], smooth[:, n], times) / jitter(true[:, n], noisy[:, n], times)
        for n in range(4)
    ]
    assert np.mean(left) <= 0.4
    assert (
        np.linalg.norm(smooth - true, axis=-1).mean() < np.linalg.norm(noisy - true, axis=-1).mean()
    )


@pytest.mark.parametrize("name", WAITING)
def test_gaps_are_filled_up_to_the_limit_and_no_further(name):
    times = np.arange(40) / 25

    def people(n: int) -> People:
        there = named(standing((100 + 2 * n, 400), (700, 400)))
        return there[[1]] if n in (10, 11, 12) or 20 <= n < 30 else there

    out = list(Smooth(name=name, gap=0.2)(film(people, times)))
    assert [sorted(frame.people.ids.tolist()) for frame in out[8:15]] == [[1, 2]] * 7
    filled = out[11].people[np.flatnonzero(out[11].people.ids == 1)]
    assert np.abs(filled.keypoints[0, :, :2] - standing((122, 400)).keypoints[0, :, :2]).max() < 0.5
    assert filled.scores[0] < out[9].people.scores[0]
    assert all(frame.people.ids.tolist() == [2] for frame in out[20:30])
    assert all(
        frame.people.ids.tolist() == [2]
        for frame in list(Smooth(name=name, gap=0)(film(people, times)))[10:13]
    )


@pytest.mark.parametrize("name", WAITING)
def test_an_outlier_goes_and_a_faint_joint_follows_its_neighbours(name):
    def people(n: int) -> People:
        one = named(standing((200, 400)))
        if n == 20:
            one.keypoints[0, 9, :2] += 300
        if n == 25:
            one.keypoints[0, 10] += (200, 0, -0.9)
        return one

    out = list(Smooth(name=name)(film(people, np.arange(40) / 25)))
    still = standing((200, 400)).keypoints
    for n in (18, 20, 25):
        assert np.abs(out[n].people.keypoints[0, 9:11, :2] - still[0, 9:11, :2]).max() < 2


@pytest.mark.parametrize("name", NAMES)
def test_left_and_right_exchanged_for_a_moment_are_put_back_and_for_good_are_believed(name):
    mirror = list(COCO17.mirror)

    def people(n: int) -> People:
        one = named(standing((200, 400)))
        wrong = 10 <= n < 13 or n >= 30
        return replace(one, keypoints=one.keypoints[:, mirror]) if wrong else one

    out = list(Smooth(name=name)(film(people, np.arange(80) / 25)))
    still = standing((200, 400)).keypoints[0, :, :2]
    for n in (9, 10, 11, 12, 13):
        assert np.abs(out[n].people.keypoints[0, :, :2] - still).max() < 1
    assert np.abs(out[-1].people.keypoints[0, :, :2] - still[mirror]).max() < 1
    kept = list(Smooth(name=name, swaps=False, outliers=0)(film(people, np.arange(80) / 25)))
    assert np.abs(kept[11].people.keypoints[0, :, :2] - still).max() > 5


def test_butterworth_is_scipy_s_zero_phase_filter_within_a_percent_of_the_amplitude():
    times, rate, cutoff = np.arange(200) / 50, 50, 5.0
    wave = np.sin(2 * np.pi * 1.5 * times) + 0.5 * np.sin(2 * np.pi * 9 * times)
    theirs = signal.filtfilt(
        *signal.butter(1, cutoff, fs=rate), wave
    )  # forwards and backwards: order 2
    points, weights = np.stack([wave, wave], 1)[:, None], np.ones((200, 1))
    ours = np.array(
        [butterworth(times, points, weights, n, cutoff=cutoff)[0, 0] for n in range(60, 140)]
    )
    amplitudes = [np.abs(np.fft.rfft(x * np.hanning(80)))[[2, 14]] for x in (ours, wave[60:140])]
    response = amplitudes[0] / amplitudes[1]
    expected = 1 / (
        1 + (np.sin(np.pi * np.array([1.5, 9]) / rate) / np.sin(np.pi * cutoff / rate)) ** 4
    )
    assert response == pytest.approx(expected, abs=0.03)
    assert np.corrcoef(ours, theirs[60:140])[0, 1] > 0.97


def test_kalman_forwards_and_backwards_is_the_same_in_a_mirror_of_time():
    rng = np.random.default_rng(2)
    times, points, weights = uneven(15), rng.normal(size=(15, 3, 2)), rng.uniform(0.2, 1, (15, 3))
    forwards = kalman(times, points, weights, 6)
    backwards = kalman(times[-1] - times[::-1], points[::-1], weights[::-1], 8)
    assert forwards == pytest.approx(backwards, abs=1e-3)


@pytest.mark.parametrize(
    "wrong", [{"name": "gauss"}, {"gap": -1.0}, {"gap": 9.0}, {"minimum": float("nan")}]
)
def test_options_that_make_no_sense_are_told(wrong):
    with pytest.raises(
        OptionError, match=next(iter(wrong.values())) if "name" in wrong else next(iter(wrong))
    ):
        Smooth(**wrong)


@pytest.mark.parametrize("name", WAITING)
def test_pictures_of_what_is_past_are_not_kept(name):
    import weakref

    alive: list = []

    def frames():
        for n in range(100):
            picture = np.zeros((8, 8, 3), np.uint8)
            alive.append(weakref.ref(picture))
            yield Frame(picture, n, n / 25, "a.mp4", named(standing((200, 400))))
            del picture

    for n, frame in enumerate(Smooth(name=name, reach=0.2)(frames())):
        del frame
        assert sum(ref() is not None for ref in alive) <= 10, n
