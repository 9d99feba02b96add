"""Private PostgreSQL and Redis: started beside Layby, ended with it, data kept in its home."""

from ops.servers.errors import ServersError
from ops.servers.home import default_home
from ops.servers.launch import Servers, private_servers

__all__ = ["Servers", "ServersError", "default_home", "private_servers"]
