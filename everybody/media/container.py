"""How MP4 is written: in short fragments, each of which plays whatever comes after it."""

from __future__ import annotations

OPTIONS = {
    # The head comes with the first fragment: only packets tell what it has to say of some kinds of
    # sound.
    "movflags": "empty_moov+default_base_moof+delay_moov",
    "frag_duration": "250000",  # microseconds: what a kill may cost
    "flush_packets": "1",  # a fragment goes to the system when it is complete
    # Microseconds: pictures wait no longer for sound that has ended.
    "max_interleave_delta": "1000000",
}
