"""Pictures and videos at an address."""

from __future__ import annotations

import http.client
import re
import urllib.error
import urllib.request
from typing import BinaryIO, cast

from ..errors import InputError

TIMEOUT = 10.0  # seconds without a byte
AGENT = "everybody (Python; pose estimation)"  # some servers turn Python's own name away


def shown(url: str) -> str:
    """The address as it may stand in messages and logs: without user name and password."""
    return re.sub(r"//[^/@]*@", "//", url)


def fetch(url: str) -> BinaryIO:
    """What the server at an http(s) address answers, to be read and closed. Raises InputError that
    says why not.
    """
    name = shown(url)
    try:
        request = urllib.request.Request(url, headers={"User-Agent": AGENT})
        return cast(BinaryIO, urllib.request.urlopen(request, timeout=TIMEOUT))
    except urllib.error.HTTPError as error:
        error.close()
        raise InputError(
            f"{name}: the server answers {error.code} {error.reason}; check the address"
        ) from None
    except (
        OSError,
        http.client.HTTPException,
        ValueError,
    ) as error:  # URLError is an OSError; ValueError: no URL at all
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise InputError(
            f"{name}: cannot be reached ({getattr(reason, 'strerror', None) or reason})"
        ) from error


def endless(answer: BinaryIO) -> bool:
    """Whether an answer is the picture after picture of a network camera (Motion JPEG), which never
    ends.
    """
    headers = getattr(answer, "headers", {})
    return str(headers.get("Content-Type", "")).lower().startswith("multipart/x-mixed-replace")


def ffmpeg_options(url: str) -> dict[str, str]:
    """What FFmpeg is told when it opens an address. RTSP goes through TCP: over UDP, lost packets
    spoil pictures.
    """
    microseconds = str(int(TIMEOUT * 1e6))
    if url.lower().startswith("rtsp"):
        return {"rtsp_transport": "tcp", "timeout": microseconds, "user_agent": AGENT}
    if url.lower().startswith("http"):
        return {"rw_timeout": microseconds, "user_agent": AGENT}
    return {}
