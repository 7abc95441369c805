"""How far joints go, in degrees: mean ranges of active motion of healthy men of 20 to 54, and two
standard deviations more, so that they hold 95 of 100 people.

Limbs: Boone and Azen, Normal range of motion of joints in male subjects (J. Bone Joint Surg. 1979).
Trunk: American Academy of Orthopaedic Surgeons, Joint Motion: Method of Measuring and Recording
(1965), which gives no deviations: 5 degrees are taken. Turns that hinges make passively: Grood and
Suntay (1983) for the knee, Wu et al. (2005) for the elbow's carrying angle.

Shoulder and neck have no bounds here: a shoulder's three angles bound each other, and no box holds
them (Engin and Tümer 1989); what looks like the neck in a handful of joints is also the upper back.
"""

from __future__ import annotations

# joint -> per angle, in the order and with the signs of `angles.JOINTS`: least and most, each as
# mean and standard deviation
RANGES: dict[str, tuple[tuple[tuple[float, float], tuple[float, float]], ...]] = {
    "trunk": (((-25, 5), (80, 5)), ((-35, 5), (35, 5)), ((-45, 5), (45, 5))),
    "hip": (((-12.1, 5.4), (121.3, 6.4)), ((-40.5, 6.0), (25.6, 3.6)), ((-44.2, 4.8), (44.4, 4.3))),
    "knee": (((-1.1, 2.0), (141.2, 5.3)), ((-4, 2), (4, 2)), ((-10, 5), (10, 5))),
    "ankle": (((-54.3, 5.9), (12.2, 4.1)), ((-19.2, 4.9), (36.2, 4.2)), ((-15, 5), (15, 5))),
    "elbow": (((0.3, 2.7), (140.5, 4.9)), ((-10, 5), (5, 5)), ((-81.1, 4.0), (75.0, 5.8))),
    "wrist": (((-74.0, 6.6), (74.8, 6.6)), ((-21.1, 4.0), (35.3, 3.8)), ((-10, 5), (10, 5))),
}  # fmt: skip
LIMITS: dict[str, tuple[tuple[float, float], ...]] = {
    joint: tuple(
        (least - 2 * least_spread, most + 2 * most_spread)
        for (least, least_spread), (most, most_spread) in angles
    )
    for joint, angles in RANGES.items()
}
