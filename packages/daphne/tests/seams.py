"""The private parts of daphne, Twisted, autobahn and Django that this package relies on.

Each is a place, and a text there.
"""

SEAMS = [
    # The server
    ("daphne/server.py Server.__init__", "self.application = application"),
    ("daphne/server.py Server.__init__", "self.endpoints = endpoints"),
    ("daphne/server.py Server.__init__", "self.signal_handlers = signal_handlers"),
    (
        "daphne/server.py Server.__init__",
        "self.application_close_timeout = application_close_timeout",
    ),
    ("daphne/server.py Server.__init__", "self.abort_start = False"),
    ("daphne/server.py Server.run", "self.connections = {}"),
    ("daphne/server.py:133 Server.run", "for socket_description in self.endpoints:"),
    ("daphne/server.py:149 Server.run", '("before", "shutdown", self.kill_all_applications)'),
    ("daphne/server.py Server.run", "if not self.abort_start:"),
    (
        "daphne/server.py:155 Server.run",
        "reactor.run(installSignalHandlers=self.signal_handlers)",
    ),
    ("daphne/server.py Server", "def listen_success("),
    ("daphne/server.py Server.listen_error", "self.stop()"),
    ("daphne/server.py:224 Server.create_application", "= asyncio.ensure_future("),
    (
        "daphne/server.py:219 Server.create_application",
        "send=partial(self.handle_reply, protocol)",
    ),
    ("daphne/server.py Server.create_application", "self.application("),
    ("daphne/server.py:268 Server.application_checker", "def application_checker("),
    ("daphne/server.py Server.application_checker", "application_instance.cancel()"),
    ("daphne/server.py:325 Server.kill_all_applications", "application_instance.cancel()"),
    # The command
    ("daphne/cli.py CommandLineInterface", "server_class = "),
    ("daphne/cli.py CommandLineInterface", "def entrypoint("),
    (
        "daphne/cli.py:310 CommandLineInterface.run",
        "if self.server.abort_start:\n            exit(1)",
    ),
    # The live server of Channels
    ("daphne/testing.py", "def _reinstall_reactor("),
    ("daphne/testing.py DaphneProcess.__init__", "self.get_application = get_application"),
    ("daphne/testing.py DaphneProcess.resolve_port", "if self.server.listening_addresses:"),
    (
        "channels/testing/live.py ChannelsLiveServerTestCase.setUpClass",
        "cls._server_process = cls.ProtocolServerProcess(",
    ),
    # Connections
    ("daphne/http_protocol.py WebRequest", "def connectionLost("),
    (
        "daphne/http_protocol.py WebRequest.process",
        "transport, self.transport = self.transport, None",
    ),
    (
        "daphne/ws_protocol.py:220 WebSocketProtocol.handle_exception",
        "self.sendCloseFrame(code=1011)",
    ),
    ("autobahn/websocket/protocol.py WebSocketProtocol", "def sendCloseFrame("),
    ("autobahn/websocket/protocol.py WebSocketProtocol", "STATE_OPEN = "),
    (
        "autobahn/websocket/protocol.py:2323 WebSocketProtocol.sendClose",
        "code != 1000 and not (3000 <= code <= 4999)",
    ),
    (
        "autobahn/websocket/protocol.py WebSocketProtocol.sendCloseFrame",
        "self.closeHandshakeTimeout,",
    ),
    ("txaio/_common.py:88 _BatchedTimer.call_later", "int(now + delay) * 1000"),
    # The reactor
    ("twisted/internet/base.py ReactorBase.sigTerm", "self.callFromThread(self.stop)"),
    ("twisted/internet/base.py ReactorBase", "def callWhenRunning("),
    ("twisted/internet/base.py ReactorBase", "def addSystemEventTrigger("),
    ("twisted/internet/asyncioreactor.py AsyncioSelectorReactor", "def getReaders("),
    ("twisted/internet/endpoints.py _TCPServerEndpoint.listen", "self._reactor.listenTCP,"),
    ("twisted/internet/endpoints.py SSL4ServerEndpoint.listen", "self._reactor.listenSSL,"),
    ("twisted/internet/tcp.py Port", "def createInternetSocket("),
    # Streams of HTTP/2
    ("twisted/web/_http2.py H2Stream", "def abortConnection("),
    ("twisted/web/_http2.py H2Stream.connectionLost", "self._request.connectionLost(reason)"),
    # Python
    ("threading.py", "def _register_atexit("),
    # runserver
    ("daphne/management/commands/runserver.py Command", "server_cls = "),
    (
        "daphne/management/commands/runserver.py Command.inner_run",
        'signal_handlers=not options["use_reloader"]',
    ),
    (
        "django/core/management/commands/runserver.py Command.run",
        "autoreload.run_with_reloader(self.inner_run, **options)",
    ),
]
