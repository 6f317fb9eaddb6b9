"""The server's command: ``python -m small_server module:application PORT``."""

import asyncio
import pkgutil
import sys

from small_server import Server

application = pkgutil.resolve_name(sys.argv[1])
sys.exit(asyncio.run(Server(application, int(sys.argv[2])).serve()))
