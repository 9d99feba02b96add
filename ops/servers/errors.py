"""The one error of the private servers."""


class ServersError(Exception):
    """A private server can't be had; the message says why and what to do."""
