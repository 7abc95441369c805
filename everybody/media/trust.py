"""What FFmpeg may open for a source: the source, and what a playlist names beside it.

FFmpeg follows names that it finds inside of files: to other files, to other hosts, to ports of this
machine. Here every source is opened with a list of the formats that read nothing but themselves and
of the protocols that its address needs. Playlists (HLS, lists of FFmpeg) are told by their first
line and opened as such: what they name must lie in their own folder or at their own host, which
every single opening is checked for. SDP opens ports, so it needs to be trusted.
"""

from __future__ import annotations

import os
import time
from io import BytesIO
from typing import Any, BinaryIO

from ..errors import InputError
from . import network

# Seconds without a frame after which a playlist is given up: at a host, and in a folder.
STALLED = 20.0
STALLED_HERE = 10.0
PLAYLIST_BYTES = 16 * 2**20  # which name some hundred thousand pieces

# Demuxers that read the one file they are given, by FFmpeg's names.
FORMATS = (
    "mov,matroska,webm,avi,mpegts,mpegtsraw,mpeg,mpegvideo,m4v,h261,h263,h264,hevc,vvc,evc,av1,obu,"
    "ivf,vc1,vc1test,cavsvideo,dirac,dnxhd,avs2,avs3,apv,asf,asf_o,flv,live_flv,kux,ogg,mxf,gxf,"
    "wtv,dv,nut,nsv,nuv,rm,ivr,swf,yuv4mpegpipe,mjpeg,mjpeg_2000,smjpeg,mpjpeg,gif,apng,flic,smk,"
    "bink,amv,mtv,dhav,ty,pva,film_cpk,roq,4xm,cine,ser,mlv,lmlm4,vividas,vivo,filmstrip,thp,dxa,"
    "rpl,sol,anm,c93,cdxl,dfa,ea,idcin,iv8,jv,mm,mv,psxstr,rl2,siff,smush,tiertexseq,vmd,wc3movie,"
    "wsvqa,xmv,yop,ipu,argo_brp,moflex,sga,kvag,fits,"
    "image2,bmp_pipe,dds_pipe,dpx_pipe,exr_pipe,gem_pipe,gif_pipe,hdr_pipe,j2k_pipe,jpeg_pipe,"
    "jpegls_pipe,jpegxl_pipe,jpegxl_anim,jpegxs_pipe,pam_pipe,pbm_pipe,pcx_pipe,pfm_pipe,pgm_pipe,"
    "pgx_pipe,phm_pipe,photocd_pipe,pictor_pipe,png_pipe,ppm_pipe,psd_pipe,qdraw_pipe,qoi_pipe,"
    "sgi_pipe,sunrast_pipe,tiff_pipe,webp_pipe,xbm_pipe,xpm_pipe,xwd_pipe,"
    # Sound alone, so that it can be said that it holds no video.
    "wav,w64,mp3,aac,flac,aiff,au,caf,ac3,eac3,amr,ape,wv,tta,dts,opus"
)
_PLAIN = {"format_whitelist": FORMATS, "pattern_type": "none"}  # no % in the name of a picture
_NOTHING = "none"  # no protocol is called so
_TCP = "tcp,tls,http,https,httpproxy"
_PROTOCOLS = {
    "http": "http,https,httpproxy,tcp,tls",
    "https": "http,https,httpproxy,tcp,tls",
    "rtsp": f"rtp,srtp,udp,{_TCP}",
    "rtsps": f"rtp,srtp,udp,{_TCP}",
    "rtmp": f"rtmp,rtmps,rtmpt,rtmpts,ffrtmphttp,{_TCP}",
    "rtmps": f"rtmp,rtmps,rtmpt,rtmpts,ffrtmphttp,{_TCP}",
    "rtp": "rtp,srtp,udp",
    "srt": "srt",
    "udp": "udp",
    "tcp": "tcp",
}
_ANY = f"file,data,crypto,rtp,srtp,udp,{_TCP}"  # of a playlist that is trusted


def path(name: str) -> str:
    """The name of a file as FFmpeg takes it, whatever colons are in it."""
    return f"file:{name}"


def plain(file: Any) -> dict[str, str]:
    """Options of FFmpeg for a source that is to be opened alone: a path (see `path`), an address or
    a binary stream.
    """
    if not isinstance(file, str):
        return {**_PLAIN, "protocol_whitelist": _NOTHING}
    scheme = file.partition(":")[0].lower()
    live = (
        {} if scheme in ("file", "http", "https") else {"format_whitelist": f"rtsp,rtp,{FORMATS}"}
    )
    return {**_PLAIN, **live, "protocol_whitelist": _PROTOCOLS.get(scheme, "file")}


def playlist(file: Any, head: bytes, name: str, trusted: bool | None) -> dict[str, Any]:
    """Arguments of `av.open` for a playlist. Raises InputError where it must not be opened."""
    if trusted:
        return {"options": {"protocol_whitelist": _ANY, "safe": "0"}}
    if trusted is False:
        raise InputError(
            f"{name}: is a playlist, and nothing else is opened for a source that is not trusted; "
            "send the pictures or the video themselves"
        )
    if head.startswith(b"v=0"):
        raise InputError(
            f"{name}: is an SDP description, which opens ports; if you trust it: --trust"
        )
    if not isinstance(file, str):
        raise InputError(
            f"{name}: is a playlist without a place of its own; if you trust it: --trust"
        )
    if file.startswith("file:") and os.path.getsize(_local(file)) > PLAYLIST_BYTES:
        raise InputError(f"{name}: is a playlist of more than {PLAYLIST_BYTES // 2**20} MB")
    if head.startswith(b"#EXTM3U"):
        options = {"format_whitelist": f"hls,{FORMATS}", "http_persistent": "0"}
        return {"format": "hls", "options": options, "io_open": Beside(file, name)}
    if not file.startswith("file:"):
        raise InputError(f"{name}: is a list of FFmpeg at an address; if you trust it: --trust")
    # FFmpeg's own rule, "safe": relative names without "..", and no protocols.
    options = {"format_whitelist": f"concat,{FORMATS}", "protocol_whitelist": "file", "safe": "1"}
    return {"format": "concat", "options": options}


class Beside:
    """Opens for FFmpeg what a playlist names: files below its folder, or addresses at its host.

    One that never gets on is given up `STALLED` seconds after the last frame, which `alive` tells
    of.
    """

    def __init__(self, playlist: str, name: str) -> None:
        self._name = name
        self._host = None if playlist.startswith("file:") else network.host(playlist)
        self._folder = os.path.realpath(os.path.dirname(playlist.removeprefix("file:")) or ".")
        self._refused = False
        self.problems: list[InputError] = []  # not told yet
        self._open: list[BinaryIO | _Piece] = []
        self.alive()

    def alive(self) -> None:
        self._since = time.monotonic()

    def close(self) -> None:
        """Closes what FFmpeg has left open."""
        for file in self._open:
            file.close()

    def __call__(self, url: str, flags: int, options: dict[str, str]) -> Any:
        if self._refused:
            return BytesIO()  # FFmpeg tries again; what was raised first is what it ends with
        try:
            self._check(url)
        except InputError:
            self._refused = True
            raise
        try:
            file = self._opened(url, options)
        except InputError as error:  # a member is missing: those after it may be there
            self.problems.append(error)
            return BytesIO()
        self._open = [*(one for one in self._open if not one.closed), file]
        return file

    def _check(self, url: str) -> None:
        """Raises InputError where a name leads away, or nothing has come for too long."""
        patience = STALLED_HERE if self._host is None else STALLED
        if time.monotonic() - self._since > patience:
            raise InputError(
                f"{self._name}: stalls; given up {patience:.0f} s after its last frame"
            )
        if self._host is None:
            inside = _local(url).startswith(os.path.join(self._folder, ""))
        else:
            remote = url.lower().startswith(("http://", "https://"))
            inside = remote and network.host(url) == self._host
        if not inside:
            place = "folder" if self._host is None else "host"
            raise InputError(
                f"{self._name}: leads out of its own {place}, to {network.shown(url)}; "
                "if you trust it: --trust"
            )

    def _opened(self, url: str, options: dict[str, str]) -> BinaryIO | _Piece:
        if self._host is not None:
            return _Piece(network.fetch(url, within=self._host, part=_part(options)))
        try:
            return open(_local(url), "rb")
        except OSError as error:
            raise InputError(f"{self._name}: {url} cannot be opened ({error.strerror})") from error


class _Piece:
    """What a server answers; a playlist ends at `PLAYLIST_BYTES`, a video goes on."""

    def __init__(self, answer: network.Answer) -> None:
        self._answer, self._playlist, self._count = answer, False, 0

    def read(self, size: int) -> bytes:
        data = self._answer.read(size)
        self._playlist |= not self._count and data.startswith(b"#EXTM3U")
        self._count += len(data)
        if self._playlist and self._count > PLAYLIST_BYTES:
            raise OSError(f"a playlist of more than {PLAYLIST_BYTES // 2**20} MB")
        return data

    @property
    def closed(self) -> bool:
        return self._answer.closed

    def close(self) -> None:
        self._answer.close()


def _local(url: str) -> str:
    """The path that FFmpeg means, links followed."""
    return os.path.realpath(url.removeprefix("file:"))


def _part(options: dict[str, str]) -> tuple[int, int | None] | None:
    """Which bytes FFmpeg asks for."""
    start, end = int(options.get("offset", 0)), int(options.get("end_offset", 0))
    return (start, end or None) if start or end else None
