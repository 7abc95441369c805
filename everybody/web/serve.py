"""The server itself: port, token, certificate, and what is printed when it is there."""

from __future__ import annotations

import errno
import getpass
import os
import secrets
import socket
import ssl
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..errors import OptionError
from ..messages import Say
from ..results.lock import Lock
from .app import create
from .settings import Studio

PORTS = 20  # that are tried, one after the other
LOCAL = ("127.0.0.1", "localhost", "::1")
PASSWORD = "EVERYBODY_STUDIO_KEY_PASSWORD"  # the variable that holds the key's password
CLOSING = 2  # seconds for answers to end when the server does


def serve(
    studio: Studio,
    *,
    host: str = "127.0.0.1",
    port: int = 8720,
    certificate: Path | None = None,
    key: Path | None = None,
    password: str | None = None,
    say: Say,
    show: Say = lambda link: None,
) -> None:
    """Serve until Ctrl-C. A host that other machines reach demands a token, which is made if there
    is none. password: of an encrypted key; asked for once, at the terminal, if there is none. show
    is given the link to the page. Raises OptionError, and OutputError where another server has the
    folder.
    """
    if (certificate is None) != (key is None):
        raise OptionError("--certificate and --key go together: give both")
    for path in filter(None, (certificate, key)):
        if not path.is_file():
            raise OptionError(f"{path}: no such file; expected a certificate and its key in PEM")
    if certificate is not None and key is not None:
        password = _checked(certificate, key, password)
    if host not in LOCAL:
        studio = replace(studio, token=studio.token or secrets.token_urlsafe(24))
    listening, taken = listen(host, port)
    with listening, Lock(studio.kept):
        link = _link(studio, host, taken, secure=certificate is not None)
        for text in _warnings(host, secure=certificate is not None):
            say(text)
        if port and taken != port:
            say(f"port {port} is in use: took {taken}")
        say(f"everybody studio: {link}")
        show(link)
        server(studio, certificate, key, password).run(sockets=[listening])


def _checked(certificate: Path, key: Path, given: str | None) -> str | None:
    """The password of the key, None where it needs none: a key is read twice, here and by uvicorn.
    Raises OptionError unless these are a certificate and its key.
    """
    used: list[str] = []

    def password() -> str:
        used.append(_asked(key) if given is None else given)
        return used[0]

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None)  # OpenSSL names none for a wrong password
        if used and not reason:
            raise OptionError(f"{key}: this is not the password of the key") from None
        reason = reason or getattr(error, "strerror", error)
        raise OptionError(
            f"{certificate} and {key}: expected a certificate and its key in PEM ({reason})"
        ) from None
    return used[0] if used else None


def _asked(key: Path) -> str:
    """The password of a key, typed in. Raises OptionError where there is nobody to ask."""
    missing = OptionError(
        f"{key}: the key is encrypted; set {PASSWORD} to its password, or start at a terminal"
    )
    if not sys.stdin.isatty():
        raise missing
    try:
        return getpass.getpass(f"Password of {key}: ")
    except EOFError:
        raise missing from None


def _link(studio: Studio, host: str, port: int, *, secure: bool) -> str:
    name = socket.gethostname() if host in ("0.0.0.0", "::", "") else host
    name = f"[{name}]" if ":" in name else name
    query = f"?token={studio.token}" if studio.token else ""
    return f"http{'s' if secure else ''}://{name}:{port}/{query}"


def _warnings(host: str, *, secure: bool) -> list[str]:
    """What to know of a host that other machines reach."""
    if host in LOCAL:
        return []
    token = f"other machines can reach {host}: it answers those who know the token in the link"
    plain = "without --certificate and --key what is sent can be read on its way"
    return [token] if secure else [token, plain]


def server(
    studio: Studio,
    certificate: Path | None = None,
    key: Path | None = None,
    password: str | None = None,
) -> uvicorn.Server:
    """uvicorn, set up for this application."""
    return uvicorn.Server(
        uvicorn.Config(
            create(studio),
            http=_patient(studio.limits.patience),
            ws="websockets-sansio",
            ws_max_size=studio.limits.frame,
            ws_per_message_deflate=False,  # pictures are compressed already
            log_level="warning",
            access_log=False,  # addresses may hold the token
            server_header=False,
            proxy_headers=False,
            ssl_certfile=certificate,
            ssl_keyfile=key,
            ssl_keyfile_password=password,
            timeout_graceful_shutdown=CLOSING,
        )
    )


def listen(host: str, port: int) -> tuple[socket.socket, int]:
    """A socket that listens there, or at the next port that is free, and its port. 0: any port.
    Raises OptionError.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for tried in range(port, min(port + PORTS, 65536)) if port else (0,):
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            if os.name == "posix":  # on Windows it would let two servers have one port
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((host, tried))
            listening.listen(1024)
        except OSError as error:
            listening.close()
            if error.errno != errno.EADDRINUSE:
                raise OptionError(f"{host}:{tried}: cannot be served ({error.strerror})") from None
            continue
        return listening, listening.getsockname()[1]
    raise OptionError(f"the ports {port} to {port + PORTS - 1} are in use: choose another --port")


def _patient(seconds: float) -> Any:
    """uvicorn's protocol, which gives up a client that sends nothing whole to begin with."""

    class Patient(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.loop.call_later(seconds, self._still_there)

        def _still_there(self) -> None:
            if self.cycle is None and not self.transport.is_closing():
                self.transport.close()

    return Patient
