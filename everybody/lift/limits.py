"""How far joints go: mean ranges of active motion of healthy adults, in degrees.

American Academy of Orthopaedic Surgeons, Joint Motion: Method of Measuring and Recording (1965), as
confirmed with small differences by Boone and Azen (1979) for men under 54. Hinges, whose other two
turns are passive and small: Grood and Suntay (1983) for the knee, Wu et al. (2005) for the elbow's
carrying angle. Signs are those of `angles.JOINTS`.

The shoulder has no bounds here: its three angles bound each other, and no box holds them (Engin and
Tümer 1989).
"""

from __future__ import annotations

# joint -> its three angles in the order of `angles.JOINTS`: from, to
LIMITS: dict[str, tuple[tuple[float, float], ...]] = {
    "trunk": ((-25, 80), (-35, 35), (-45, 45)),
    "neck": ((-45, 45), (-45, 45), (-60, 60)),
    "hip": ((-30, 120), (-45, 30), (-45, 45)),
    "knee": ((-10, 135), (-5, 5), (-15, 15)),
    "ankle": ((-50, 20), (-15, 35), (-20, 20)),
    "elbow": ((0, 150), (-5, 15), (-80, 80)),
    "wrist": ((-70, 80), (-20, 30), (-10, 10)),
}
