"""Where the door is: an address to listen at. Apart from the app, which costs time to import."""

import socket


class AddressError(Exception):
    """Nobody can listen there; the message says why, and what to set."""


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to this address; raises AddressError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        raise AddressError(
            f"Cannot listen on {host}, port {port}: {error.strerror or error}. Set LAYBY_HTTP_HOST "
            "to an address of this machine and LAYBY_HTTP_PORT to a free port; is another "
            "`layby web` running?"
        ) from None
    return bound


def url_of(bound: socket.socket) -> str:
    """Where a bound socket is reached."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
