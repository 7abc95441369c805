"""Small valid files of motion capture, and a person who walks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from everybody.lift.motion import Motion
from everybody.skeletons import CMU24

_ASF = """# a body of three bones
:version 1.10
:name VICON
:units
  mass 1.0
  length 0.45
  angle deg
:root
  order TX TY TZ RX RY RZ
  axis XYZ
  position 0 0 0
  orientation 0 0 0
:bonedata
  begin
    id 1
    name lfemur
    direction 0.34202 -0.939693 0
    length 7.5
    axis 0 0 20 XYZ
    dof rx ry rz
    limits (-160.0 20.0)
           (-70.0 70.0)
           (-60.0 70.0)
  end
  begin
    id 2
    name ltibia
    direction 0.34202 -0.939693 0
    length 7.7
    axis 0 0 20 XYZ
    dof rx
    limits (-10.0 170.0)
  end
  begin
    id 3
    name lowerback
    direction 0 1 0
    length 2
    axis 0 0 0 XYZ
  end
:hierarchy
  begin
    root lfemur lowerback
    lfemur ltibia
  end
"""
_BVH = """HIERARCHY
ROOT Hips
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT LeftUpLeg
  {
    OFFSET 0.1 -0.05 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    JOINT LeftLeg
    {
      OFFSET 0 -0.42 0
      CHANNELS 3 Zrotation Yrotation Xrotation
      End Site
      {
        OFFSET 0 -0.41 0
      }
    }
  }
  JOINT Spine
  {
    OFFSET 0 0.2 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 0.3 0
    }
  }
}
MOTION
Frames: 3
Frame Time: 0.0333333
"""


def walking(count: int = 6, *, id: int = 0, rate: float = 30.0) -> Motion:
    """A person of CMU's joints who walks along x and swings arms and legs."""
    times = np.arange(count) / rate
    names = CMU24.joints
    joints = np.zeros((count, len(names), 3))
    up = {"pelvis": 0.95, "spine": 1.07, "chest": 1.2, "neck": 1.45, "head": 1.55, "head_top": 1.7}
    for name, height in up.items():
        joints[:, names.index(name)] = (0, 0, height)
    for sign, side in ((1, "left"), (-1, "right")):
        swing = sign * 0.4 * np.sin(4 * times)
        bend = 0.3 + 0.2 * np.sin(4 * times + sign)
        hip = np.array([0, 0.1 * sign, 0.9])
        knee = hip + 0.42 * _down(swing)
        ankle = knee + 0.41 * _down(swing - bend)
        ball = ankle + np.array([0.13, 0, -0.05])
        leg = {
            "hip": hip,
            "knee": knee,
            "ankle": ankle,
            "ball": ball,
            "toe": ball + np.array([0.06, 0, 0]),
        }
        shoulder = np.array([0, 0.18 * sign, 1.42])
        elbow = shoulder + 0.29 * _down(-swing)
        wrist = elbow + 0.25 * _down(-swing + 0.4)
        arm = {"shoulder": shoulder, "elbow": elbow, "wrist": wrist}
        arm["hand"] = wrist + 0.08 * _down(-swing + 0.4)
        for part, place in {**leg, **arm}.items():
            joints[:, names.index(f"{side}_{part}")] = place
    joints[..., 0] += times[:, None]
    return Motion(CMU24, joints, times, id=id)


def _down(angles: np.ndarray) -> np.ndarray:
    """[T] from straight down to the front -> unit vectors [T, 3]."""
    return np.stack([np.sin(angles), 0 * angles, -np.cos(angles)], 1)


def bvh(folder: Path) -> Path:
    rows = [[0.1 * n, 0.9, 0, 0, 2 * n, 0] + [5.0 * n, -3, 1] * 3 for n in range(3)]
    path = folder / "motion.bvh"
    path.write_text(_BVH + "".join(" ".join(map(str, row)) + "\n" for row in rows))
    return path


def amc(folder: Path) -> Path:
    (folder / "body.asf").write_text(_ASF)
    lines = ["#!OML:ASF body", ":FULLY-SPECIFIED", ":DEGREES"]
    for n in range(3):
        lines += [str(n + 1), f"root {n} 17.5 -28 {2 * n} 1 -4", f"lfemur {n} -2 20"]
        lines += [f"ltibia {10 * n}"]
    path = folder / "body_01.amc"
    path.write_text("\n".join(lines) + "\n")
    return path


def asf(folder: Path) -> Path:
    """A body beside a motion: what is damaged is the body."""
    amc(folder)
    return folder / "body.asf"


def trc(folder: Path) -> Path:
    from everybody.results.motions import write

    return write(folder / "motion.trc", [walking()])[0]


def c3d(folder: Path) -> Path:
    from everybody.results.motions import write

    return write(folder / "motion.c3d", [walking()])[0]


def imus(folder: Path) -> Path:
    path = folder / "sensors.csv"
    rows = ["time,bone,w,x,y,z"]
    for n in range(4):
        rows += [f"{n / 30},pelvis,1,0,0,0", f"{n / 30},left_thigh,0.8,0.6,0,0"]
    path.write_text("\n".join(rows) + "\n")
    return path
