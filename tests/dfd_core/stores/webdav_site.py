"""A WebDAV server of a folder."""

import threading

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wsgi import get_input_stream
from wsgidav.fs_dav_provider import FilesystemProvider
from wsgidav.wsgidav_app import WsgiDAVApp


class _Quiet(WSGIRequestHandler):
    def log(self, *_, **__):
        pass


class Site:
    """A WebDAV server of a folder: what it was asked, and answers that it is told to give instead of its own."""

    def __init__(self, folder, login=None):
        self.folder, self.asked, self.instead = folder, [], {}
        (folder / "dav").mkdir()
        users = {"*": {login[0]: {"password": login[1]}} if login else True}
        settings = {
            "provider_mapping": {"/": FilesystemProvider(str(folder))},
            "simple_dc": {"user_mapping": users},
            "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False},
            "logging": {"enable": False},
            "verbose": 0,
        }
        self.app = WsgiDAVApp(settings)
        self.server = make_server("127.0.0.1", 0, self, threaded=True, request_handler=_Quiet)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/dav"

    def __call__(self, environ, start_response):
        method = environ["REQUEST_METHOD"]
        environ["wsgi.input"] = get_input_stream(environ)  # ends with the body
        self.asked.append((method, environ["PATH_INFO"]))
        answers = self.instead.get(method, [])
        if answers:
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if answer is not None:
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                start_response(answer, [("Content-Length", "0")])
                return [b""]
        return self.app(environ, start_response)

    def writes(self):
        return [method for method, _ in self.asked if method not in {"GET", "HEAD", "PROPFIND", "OPTIONS"}]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
