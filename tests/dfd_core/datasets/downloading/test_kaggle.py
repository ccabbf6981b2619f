"""Kaggle, against a server of this machine that speaks its API, and signs addresses of a storage host."""

import http.server
import json
import sys
import threading
from urllib.parse import parse_qs, urlsplit

import pytest

from dfd_core.datasets import shelf
from dfd_core.datasets.cards import Archive, Part
from dfd_core.datasets.downloading import Expected, Fetching, download, kaggle, open_origin, signed
from dfd_core.errors import DownloadError, UnreachableError
from dfd_core.storage import Store

VERSIONS = {n: bytes([n]) + bytes(range(256)) * 3000 for n in (2, 3, 4)}
QUICK = Fetching(chunk_bytes=2**16, chunks_at_once=1, first_wait_s=0.01, attempts=3)
API = "/api/v1/datasets.DatasetApiService/"


class _Kaggle(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        now, body = self.server, json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with now.lock:
            now.asked.append((self.path.removeprefix(API), body, self.headers.get("Authorization")))
            if now.refuse:
                status, message = now.refuse.pop(0)
                return self.json(status, {"code": status, "message": message})
        if now.login is not None and self.headers.get("Authorization") != now.login:
            return self.json(401, {"code": 401, "message": "Unauthenticated"})
        if (body["ownerSlug"], body["datasetSlug"]) != ("xhlulu", "140k"):
            return self.json(404, {"code": 404, "message": "Dataset not found"})
        if self.path == f"{API}GetDataset":
            return self.json(200, {"id": 1, "ref": "xhlulu/140k", "currentVersionNumber": now.current})
        with now.lock:
            now.signatures.append(now.uses)
            number = len(now.signatures) - 1
        place = f"{now.storage}/kaggle-data-sets/1/{body['datasetVersionNumber']}/archive.zip"
        return self.answer(302, b"", {"Location": f"{place}?X-Goog-Signature=secret{number}"})

    def do_GET(self):
        now, url = self.server, urlsplit(self.path)
        number = int(parse_qs(url.query)["X-Goog-Signature"][0].removeprefix("secret"))
        with now.lock:
            now.leaked |= self.headers.get("Authorization") is not None
            now.signatures[number] -= 1
            expired = now.signatures[number] < 0
        if expired:
            return self.answer(
                now.expired, b"<Error><Code>ExpiredToken</Code></Error>", {"Content-Type": "application/xml"}
            )
        version = int(url.path.split("/")[-2])
        data, wanted = VERSIONS[version], self.headers.get("Range")
        headers = {"ETag": f'"{version}"', "Accept-Ranges": "bytes"}
        if not wanted:
            return self.answer(200, data, headers)
        first, last = (int(one) for one in wanted.removeprefix("bytes=").split("-"))
        part = data[first : last + 1]
        with now.lock:
            now.parts += 1
            now.on_part(now.parts)
        return self.answer(
            206, part, {**headers, "Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(data)}"}
        )

    def json(self, status, value):
        self.answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def answer(self, status, body, headers):
        try:
            self.send_response(status)
            for name, value in {"Content-Type": "application/zip", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


@pytest.fixture
def site(monkeypatch, tmp_path):
    """Kaggle's API and its storage; nobody is logged in."""
    import kagglehub.config
    from kagglesdk import kaggle_env

    server = _Server(("127.0.0.1", 0), _Kaggle)
    server.lock, server.asked, server.refuse, server.signatures = threading.RLock(), [], [], []
    server.current, server.login, server.uses, server.expired = 3, None, 10**6, 403
    server.parts, server.on_part, server.leaked = 0, lambda count: None, False
    server.storage = f"http://localhost:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "home" / ".kaggle"))
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.LOCAL, endpoint)
    yield server
    kagglehub.config.clear_kaggle_credentials()
    server.shutdown()
    server.server_close()


def fetch(folder, address="kaggle://xhlulu/140k", how=QUICK):
    return download(open_origin(address), folder / "a.zip", Expected(), how)


def told(error):
    """All that a traceback would say: the error, and those that it came from."""
    text = ""
    while error is not None:
        text += f"{type(error).__name__}: {error}\n"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return text


def asked(site, what):
    return [body for path, body, _ in site.asked if path == what]


def test_the_current_version_is_fetched_in_parts_and_stands_in_the_stamp(site, tmp_path):
    found = fetch(tmp_path)
    assert (tmp_path / "a.zip").read_bytes() == VERSIONS[3]
    assert found.stamp == 'versions/3 "3"'
    assert site.parts > len(VERSIONS[3]) // 2**16
    assert [body["datasetVersionNumber"] for body in asked(site, "DownloadDataset")] == [3]
    (tmp_path / "a.zip").unlink()
    assert fetch(tmp_path, "kaggle://xhlulu/140k/versions/2").stamp == 'versions/2 "2"'
    assert (tmp_path / "a.zip").read_bytes() == VERSIONS[2]
    assert len(asked(site, "GetDataset")) == 1
    assert not site.leaked


@pytest.mark.parametrize("status", [403, 400])
def test_a_signature_that_expires_is_made_anew_for_the_same_version(status, site, tmp_path, caplog):
    caplog.set_level("INFO")
    site.uses, site.expired = 6, status
    site.on_part = lambda count: setattr(site, "current", 4)
    found = fetch(tmp_path)
    assert (tmp_path / "a.zip").read_bytes() == VERSIONS[3]
    assert found.fetched == len(VERSIONS[3])
    assert len(site.signatures) >= 3
    assert {body["datasetVersionNumber"] for body in asked(site, "DownloadDataset")} == {3}
    assert "secret" not in caplog.text
    assert "/archive.zip" in caplog.text


def test_a_storage_that_refuses_fresh_signatures_is_asked_twice(site, tmp_path, caplog):
    caplog.set_level("INFO")
    site.uses = 1  # which kagglehub's own request needs
    with pytest.raises(DownloadError, match=r"kaggle://xhlulu/140k can't be downloaded \(403\)") as error:
        fetch(tmp_path)
    assert len(site.signatures) == 2
    assert "secret" not in told(error.value) + caplog.text
    site.uses = 0
    with pytest.raises(DownloadError, match=r"\(403\).*https://www.kaggle.com/datasets/xhlulu/140k") as error:
        fetch(tmp_path)
    assert "secret" not in told(error.value) + caplog.text


@pytest.mark.parametrize("current", [3, 4])
def test_a_download_goes_on_unless_there_is_a_new_version(current, site, tmp_path):
    def fail(count):
        if count == 8:
            site.refuse, site.signatures = [(404, "gone")] * 9, [0] * len(site.signatures)

    site.on_part = fail
    with pytest.raises(DownloadError, match="404"):
        fetch(tmp_path)
    site.on_part, site.refuse, site.current = lambda count: None, [], current
    found = fetch(tmp_path)
    assert (tmp_path / "a.zip").read_bytes() == VERSIONS[current]
    assert (found.fetched < len(VERSIONS[3]) - 2**17) == (current == 3)


def test_what_is_recorded_has_the_version_and_no_secret(site, tmp_path, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", "secret_token")
    store, part = Store(tmp_path), Part(address="kaggle://xhlulu/140k")
    seen = []

    def look(*_):
        seen.extend(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and ".partial" not in path.name)

    shelf.fetch_archive(Archive(name="faces", kind="zip", parts=(part,)), store, QUICK, look)
    look()
    assert shelf.record(part, store)["stamp"] == 'versions/3 "3"'
    assert shelf.record(part, store)["address"] == "kaggle://xhlulu/140k"
    assert len(seen) > 3
    assert not any(b"secret" in data for data in seen)


def test_logins_are_kagglehubs_own(site, tmp_path, monkeypatch):
    import kagglehub.config

    def works():
        (tmp_path / "a.zip").unlink(missing_ok=True)
        return fetch(tmp_path).size == len(VERSIONS[3])

    site.login = "Basic bWU6a2V5"
    (tmp_path / "home" / ".kaggle").mkdir(parents=True)
    (tmp_path / "home" / ".kaggle" / "kaggle.json").write_text('{"username": "me", "key": "key"}')
    assert works()
    (tmp_path / "home" / ".kaggle" / "kaggle.json").unlink()
    with pytest.raises(DownloadError, match="401.*KAGGLE_API_TOKEN"):
        works()
    monkeypatch.setenv("KAGGLE_USERNAME", "me")
    monkeypatch.setenv("KAGGLE_KEY", "key")
    assert works()
    site.login = "Bearer of_the_environment"
    monkeypatch.setenv("KAGGLE_API_TOKEN", "of_the_environment")
    assert works()
    site.login = "Bearer of_this_process"
    kagglehub.config.set_kaggle_api_token("of_this_process")  # what kagglehub.login() does
    assert works()
    assert not site.leaked


def test_a_broken_kaggle_json_is_said(site, tmp_path):
    (tmp_path / "home" / ".kaggle").mkdir(parents=True)
    (tmp_path / "home" / ".kaggle" / "kaggle.json").write_text("{")
    with pytest.raises(DownloadError, match=r"Invalid Kaggle credentials file.*access_token"):
        fetch(tmp_path)


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (401, "Unauthenticated", "asks for a login.*kaggle.com/settings/api.*KAGGLE_API_TOKEN"),
        (403, "Consent needed", "Open https://www.kaggle.com/datasets/xhlulu/140k, and accept.*says: Consent needed"),
        (404, "Dataset not found", r"\(404\): there is no such dataset or version"),
        (418, "Teapot", r"\(418\).*Kaggle says: Teapot"),
    ],
)
def test_a_refusal_says_what_to_do(status, message, expected, site, tmp_path, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", "secret_token")
    site.refuse = [(status, message)]
    with pytest.raises(DownloadError, match=expected) as error:
        fetch(tmp_path)
    assert "secret_token" not in told(error.value)
    assert len(site.asked) == 1


def test_a_busy_kaggle_is_waited_for_and_a_silent_one_given_up(site, tmp_path, monkeypatch):
    site.refuse = [(429, "slow"), (503, "busy")]
    assert fetch(tmp_path).size == len(VERSIONS[3])
    (tmp_path / "a.zip").unlink()
    monkeypatch.setattr(site, "storage", "http://127.0.0.1:9")  # nobody is there
    with pytest.raises(UnreachableError, match="Kaggle does not answer: ConnectionError") as error:
        fetch(tmp_path)
    assert "X-Goog-Signature" not in told(error.value)
    monkeypatch.setattr(kaggle, "within", lambda act, what: signed.within(act, what, 0.1))
    site.lock.acquire()
    try:
        with pytest.raises(UnreachableError, match="Kaggle does not answer within 0 s"):
            fetch(tmp_path, how=QUICK.model_copy(update={"attempts": 1}))
    finally:
        site.lock.release()


def test_what_is_no_dataset_and_other_kagglehubs_are_said(site, tmp_path, monkeypatch):
    for address in ("kaggle://xhlulu", "kaggle://xhlulu/140k/versions/new"):
        with pytest.raises(DownloadError, match="kaggle://OWNER/NAME/versions/N"):
            open_origin(address)
    with monkeypatch.context() as patch:
        patch.delattr("kagglehub.clients.build_kaggle_client")
        with pytest.raises(DownloadError, match=r"kagglehub [\d.]+ is not the kagglehub that dfd knows"):
            fetch(tmp_path)
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(DownloadError, match=r"needs kagglehub.*pip install '\.\[providers\]'"):
        open_origin("kaggle://xhlulu/140k")
