"""A page as a browser has it, where there is one."""

import json
import shutil
import subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def opened(page, scratch, width=1200):
    """The document that Chromium makes of a file, its scripts run; `scratch` is for its profile."""
    return subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--window-size={width},900",
            f"--user-data-dir={scratch / 'chromium'}", "--virtual-time-budget=8000",
            "--dump-dom", f"file://{page}",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout  # fmt: skip


# Lets a script of a test use the controls of a page, and sends what it gathered to the test.
DRIVER = """
<script>
const sleep = ms => new Promise(done => setTimeout(done, ms));
async function until(condition) {
  for (let i = 0; i < 3000; i++) { if (condition()) return; await sleep(20); }
  throw new Error("never: " + condition);
}
const box = element => {
  const {left, right, top, bottom, width, height} = element.getBoundingClientRect();
  return {left, right, top, bottom, width, height};
};
addEventListener("load", async () => {
  const found = [];
  try { await (async () => { SCRIPT })(); } catch (error) { console.error("driver: " + error); }
  fetch("ADDRESS", {method: "POST", mode: "no-cors", body: JSON.stringify(found)});
});
</script>
"""


class Told(BaseHTTPRequestHandler):
    """Keeps what is posted."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()
        self.server.told = body

    def log_message(self, *_):
        pass


def driven(page, scratch, script, width=1400, height=900, within=None):
    """What `script` appends to `found` in a page that Chromium opens, and the console's lines.

    Nothing resizes the window, and time is real: a slow machine is waited for. `scratch` is for the
    profile and copies of the page. `within` makes another page of the page's text, to open that.
    """
    # Its processes end after it, and may still write into the profile.
    leftovers = TemporaryDirectory(dir=scratch, ignore_cleanup_errors=True)
    with HTTPServer(("127.0.0.1", 0), Told) as server, leftovers as folder:
        server.told, server.timeout = None, 1
        driver = DRIVER.replace("ADDRESS", f"http://127.0.0.1:{server.server_port}/")
        text = page.read_text(encoding="utf-8")
        text = text.replace("</html>", driver.replace("SCRIPT", script) + "</html>")
        copy = Path(folder) / "page.html"
        copy.write_text(within(text) if within else text, encoding="utf-8")
        console = Path(folder) / "console"
        with console.open("w") as stderr:
            browser = subprocess.Popen(
                [
                    CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                    "--disable-background-networking", "--disable-component-update",
                    "--disable-sync", "--disable-features=LocalNetworkAccessChecks",
                    "--remote-debugging-port=0", f"--window-size={width},{height}",
                    "--enable-logging=stderr", f"--user-data-dir={folder}/chromium",
                    f"file://{copy}",
                ],
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )  # fmt: skip
            try:
                for _ in range(300):
                    server.handle_request()
                    if server.told is not None:
                        break
            finally:
                browser.kill()  # its profile is thrown away
                browser.wait()
        lines = [line for line in console.read_text().splitlines() if ":CONSOLE:" in line]
        assert server.told is not None, lines
        return json.loads(server.told), lines
