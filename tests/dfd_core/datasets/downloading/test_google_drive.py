"""Google Drive, against a server of this machine that speaks as Drive does: pages, a form, cookies."""

import http.server
import sys
import threading
from urllib.parse import parse_qs, urlsplit

import pytest

from dfd_core.datasets.downloading import Expected, Fetching, download, google_drive, open_origin
from dfd_core.errors import DownloadError, UnreachableError

DATA = bytes(range(256)) * 3000
QUICK = Fetching(chunk_bytes=2**16, chunks_at_once=1, first_wait_s=0.01, attempts=3)
ADDRESS = "gdrive://1FXlGIRh_Ud3cScMgSVDbEWmPDmjcrm1t"
WARNING = (
    '<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head><body><p class="uc-warning-'
    'caption">Google Drive can\'t scan this file for viruses.</p><form id="download-form" action="{host}/download" '
    'method="get"><input type="submit" id="uc-download-link" value="Download anyway"/><input type="hidden" name="id" '
    'value="{id}"><input type="hidden" name="export" value="download"><input type="hidden" name="confirm" value="t">'
    '<input type="hidden" name="uuid" value="{uuid}"></form></body></html>'
)
QUOTA = (
    '<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head><body><div id="uc-text">'
    '<p class="uc-error-caption">Sorry, you can&#39;t view or download this file at this time.</p>'
    '<p class="uc-error-subcaption">Too many users have viewed or downloaded this file recently.</p></div>'
    "</body></html>"
)


class _Drive(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        now, url = self.server, urlsplit(self.path)
        given = {key: values[0] for key, values in parse_qs(url.query).items()}
        with now.lock:
            now.seen.append((url.path, given, dict(self.headers)))
            if now.refuse:
                return self.answer(now.refuse.pop(0), b"", {})
        signed_in = "SID=mine" in self.headers.get("Cookie", "")
        if url.path == "/ServiceLogin":
            return self.page("<html><form action='/signin'>Sign in</form></html>")
        if given.get("id") != ADDRESS.removeprefix("gdrive://") or now.state == "removed":
            return self.page("<html><title>Error 404 (Not Found)!!1</title></html>", 404)
        if now.state == "private" and not signed_in:
            return self.answer(302, b"", {"Location": f"{now.host}/ServiceLogin"})
        if url.path == "/uc":
            return self.answer(303, b"", {"Location": f"{now.host}/download?id={given['id']}&export=download"})
        if now.state == "quota":
            return self.page(QUOTA)
        return self.file(now, given)

    def file(self, now, given):
        """Large files are given to those who come from the page's form, with its token and its cookie."""
        cookie = f"NID={now.token}" in self.headers.get("Cookie", "")
        if now.large and not (given.get("confirm") == "t" and given.get("uuid") == now.token and cookie):
            if "uuid" in given and now.when_stale:
                return self.answer(now.when_stale, b"", {})
            with now.lock:
                now.token = f"token-{len(now.seen)}"
            page = WARNING.format(host=now.host, id=given["id"], uuid=now.token)
            return self.page(page, 200, {"Set-Cookie": f"NID={now.token}; path=/; HttpOnly"})
        with now.lock:
            now.files += 1
            now.on_file(now.files)
        headers = {
            "Content-Disposition": 'attachment; filename="a.zip"', "Last-Modified": "Tue, 02 May 2023 05:01:16 GMT",
            "Accept-Ranges": "bytes",
        }  # fmt: skip
        wanted = self.headers.get("Range")
        if not wanted:
            return self.answer(200, DATA, headers)
        first, last = (int(one) for one in wanted.removeprefix("bytes=").split("-"))
        part = DATA[first : last + 1]
        span = f"bytes {first}-{first + len(part) - 1}/{len(DATA)}"
        return self.answer(206, part, {**headers, "Content-Range": span})

    def page(self, text, status=200, headers=None):
        self.answer(status, text.encode(), {"Content-Type": "text/html; charset=utf-8", **(headers or {})})

    def answer(self, status, body, headers):
        self.send_response(status)
        for name, value in {"Content-Type": "application/octet-stream", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


@pytest.fixture
def drive(monkeypatch, tmp_path):
    server = _Server(("127.0.0.1", 0), _Drive)
    server.host = f"http://127.0.0.1:{server.server_port}"
    server.lock, server.seen, server.refuse, server.files = threading.RLock(), [], [], 0
    server.large, server.state, server.token, server.when_stale = True, "public", "", 403
    server.on_file = lambda count: None
    server.cookies = tmp_path / "cookies.txt"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    monkeypatch.setattr(google_drive, "DRIVE", server.host)
    import gdown.download  # noqa: F401

    monkeypatch.setattr(sys.modules["gdown.download"], "DEFAULT_COOKIES_FILE", str(server.cookies))
    yield server
    server.shutdown()
    server.server_close()


def fetch(folder, how=QUICK):
    return download(open_origin(ADDRESS), folder / "a.zip", Expected(), how)


@pytest.mark.parametrize("large", [True, False])
def test_a_file_comes_in_parts_from_where_drives_pages_lead(large, drive, tmp_path):
    drive.large = large
    found = fetch(tmp_path)
    assert (tmp_path / "a.zip").read_bytes() == DATA
    assert found.fetched == len(DATA)
    assert found.stamp == "Tue, 02 May 2023 05:01:16 GMT"
    parts = [headers for path, _, headers in drive.seen if path == "/download" and "Range" in headers]
    assert len(parts) >= len(DATA) // 2**16
    assert len(drive.seen) - len(parts) == (3 if large else 2)  # pages are asked for once
    assert all("Chrome" in headers["User-Agent"] for headers in parts)


@pytest.mark.parametrize("status", [403, 400, None])
def test_an_address_that_expires_in_the_middle_is_asked_for_again(status, drive, tmp_path, caplog):
    def expire(count):
        if count in (4, 8):
            drive.token = "another"

    caplog.set_level("INFO")
    drive.on_file, drive.when_stale = expire, status
    assert fetch(tmp_path).fetched == len(DATA)
    assert (tmp_path / "a.zip").read_bytes() == DATA
    assert sum(path == "/uc" for path, _, _ in drive.seen) >= 3
    assert "token-" not in caplog.text
    assert "HTTP Request" in caplog.text


def test_a_quota_that_is_used_up_ends_in_googles_words_and_what_came_is_kept(drive, tmp_path):
    drive.state = "quota"
    with pytest.raises(DownloadError, match="Too many users have viewed or downloaded this file recently"):
        fetch(tmp_path)
    drive.state = "public"

    def use_up(count):
        if count == 6:
            drive.state = "quota"

    drive.on_file = use_up
    with pytest.raises(DownloadError, match="Too many users.*drive.google.com/file/d/1FXl"):
        fetch(tmp_path)
    drive.state, drive.on_file = "public", lambda count: None
    assert fetch(tmp_path).fetched <= len(DATA) - 3 * 2**16
    assert (tmp_path / "a.zip").read_bytes() == DATA


def test_a_private_file_needs_the_cookies_of_gdowns_file(drive, tmp_path):
    drive.state = "private"
    with pytest.raises(DownloadError, match="You may need to change the permission"):
        fetch(tmp_path)
    drive.cookies.write_text("# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t4102444800\tSID\tmine\n")
    assert fetch(tmp_path).fetched == len(DATA)


def test_a_removed_file_ends_in_gdowns_words(drive, tmp_path):
    drive.state = "removed"
    with pytest.raises(DownloadError, match=r"gdrive://1FXl.*Cannot retrieve the public link.*--folder"):
        fetch(tmp_path)


def test_a_busy_drive_is_waited_for(drive, tmp_path):
    drive.refuse = [503, 429]
    assert fetch(tmp_path).fetched == len(DATA)
    drive.refuse = [503] * 9
    (tmp_path / "a.zip").unlink()
    with pytest.raises(UnreachableError, match="503"):
        fetch(tmp_path)


def test_another_gdown_and_none_are_said(drive, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.delattr(sys.modules["gdown.download"], "_get_session")
        with pytest.raises(DownloadError, match=r"gdown [\d.]+ is not the gdown that dfd knows"):
            fetch(tmp_path)
    monkeypatch.setitem(sys.modules, "gdown", None)
    with pytest.raises(DownloadError, match=r"needs gdown.*pip install '\.\[providers\]'"):
        open_origin(ADDRESS)
