"""The site of `make site`: its links, and its pages as a browser has them."""

import fcntl
import functools
import json
import re
import subprocess
import sys
import threading
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pytest
from browser import CHROMIUM, driven
from workflow_copy import ROOT

pytest.importorskip("furo", reason="the site's packages are not installed: run make site first")

sys.path.insert(0, str(ROOT / "docs" / "_ext"))
import pages
import rooms

in_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not installed: the site is not opened"
)
WIDTHS = (1400, 390)  # a screen and a phone, in pixels


@pytest.fixture(scope="session")
def site(tmp_path_factory, worker_id):
    """The site's folder. The test processes share one, which takes a minute to build."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder if worker_id == "master" else folder.parent) / "site"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            done = subprocess.run(
                [
                    sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going",
                    "--doctree-dir", ROOT / "build" / "site", ROOT / "docs", folder,
                ],
                capture_output=True,
                text=True,
                check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
    return folder


class Page(HTMLParser):
    """Names of places in a page, and what it links to and loads."""

    def __init__(self, path):
        super().__init__()
        self.places, self.links, self.loaded = set(), [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.places |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag == "link" and found.get("rel") in ("stylesheet", "icon"):
            self.loaded.append(found["href"])
        elif "src" in found:
            self.loaded.append(found["src"])


@pytest.fixture(scope="module")
def parsed(site):
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def test_every_link_has_a_target(site, parsed):
    broken = []
    for path, page in parsed.items():
        for link in page.links:
            url = urlsplit(link)
            if url.scheme or url.netloc:
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            place = unquote(url.fragment)
            if not target.is_file() or (
                place and target in parsed and place not in parsed[target].places
            ):
                broken.append((str(path.relative_to(site)), link))
    assert sum(len(page.links) for page in parsed.values()) > 1000
    assert not broken


def test_what_pages_load_is_in_the_site(parsed):
    for path, page in parsed.items():
        for address in page.loaded:
            url = urlsplit(address)
            assert not url.netloc, (path, address)
            assert (path.parent / unquote(url.path)).is_file(), (path, address)


def test_every_page_is_in_the_navigation(site, parsed):
    start = site / "index.html"
    linked = {start} | {(site / urlsplit(link).path).resolve() for link in parsed[start].links}
    for path in sorted((ROOT / "docs").rglob("*.md")):
        name = path.relative_to(ROOT / "docs").with_suffix(".html")
        assert (site / name).resolve() in linked, name


# Opens pages in a frame of a given width. Its viewport is the frame, so the browser's window,
# which has a least width, does not matter.
FRAME = """
const frame = document.createElement("iframe");
document.body.replaceChildren(frame);
const width = pixels => { frame.style = `width: ${pixels}px; height: 900px; border: 0`; };
const inside = () => frame.contentDocument;
async function open(page) {
  const loaded = new Promise(done => frame.addEventListener("load", done, {once: true}));
  frame.src = page;
  await loaded;
}
"""


def seen(site, tmp_path, script):
    """What a script finds in the pages of a site, read from a server, and the console's lines."""
    handler = functools.partial(Quiet, directory=site)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/walk.html"
        page = tmp_path / "walk.html"
        page.write_text('<html><link rel="icon" href="data:,"><body></body></html>')

        def from_server(text):
            server.walk = text.encode()
            return f'<meta http-equiv="refresh" content="0; url={address}">'

        try:
            return driven(page, tmp_path, FRAME + script, within=from_server)
        finally:
            server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    """Serves the site, and the page that walks through it."""

    def do_GET(self):
        if self.path != "/walk.html":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.server.walk)

    def log_message(self, *_):
        pass


@in_browser
def test_every_page_opens_on_a_screen_and_on_a_phone(site, parsed, tmp_path):
    """Its pictures load, it is not wider than the window, and nothing complains."""
    names = [str(path.relative_to(site)) for path in parsed if "_modules" not in path.parts]
    found, console = seen(
        site,
        tmp_path,
        f"""
        for (const pixels of {list(WIDTHS)}) for (const page of {json.dumps(names)}) {{
          width(pixels);
          await open(page);
          inside().querySelectorAll("details").forEach(part => {{ part.open = true; }});
          // Tables and code scroll on their own.
          const wide = [...inside().querySelectorAll(".content *")].filter(part =>
            box(part).right > pixels && !part.closest(".table-wrapper, .highlight"));
          found.push({{page, pixels, wide: wide.map(part => part.outerHTML.slice(0, 99)),
            inner: frame.contentWindow.innerWidth, images: inside().images.length,
            broken: [...inside().images].filter(i => !i.naturalWidth).map(i => i.src),
            title: inside().querySelector("h1")?.innerText}});
        }}
        """,
    )
    assert not console
    assert len(found) == len(names) * len(WIDTHS)
    assert sum(page["images"] for page in found) > 40
    for page in found:
        assert page["inner"] == page["pixels"]
        assert not page["wide"], page
        assert not page["broken"], page
        assert page.get("title") or page["page"] == "search.html", page


@in_browser
def test_a_reader_finds_the_way(site, tmp_path):
    """By the navigation, which a phone hides until it is asked for, and by the search."""
    found, console = seen(
        site,
        tmp_path,
        """
        const link = () => [...inside().querySelectorAll(".sidebar-tree a")]
          .find(a => a.getAttribute("href") === "tables.html");
        const heading = () => inside()?.querySelector("h1")?.innerText;
        for (const pixels of [1400, 390]) {
          width(pixels);
          await open("index.html");
          const visible = () => { const at = box(link()); return at.left >= 0 && at.right > 0; };
          const before = visible();
          if (!before) { inside().querySelector("label[for=__navigation]").click(); }
          await until(visible);
          link().click();
          await until(() => heading() === "Tables");
          found.push({pixels, before});
        }
        for (const word of ["lambda_eff", "rho_equilibrium", "quetzalcoatl"]) {
          await open("search.html?q=" + encodeURIComponent(word));
          const status = () => inside().querySelector(".search-summary")?.innerText;
          await until(() => status() && !/searching/i.test(status()));
          found.push({word, status: status(),
            pages: [...inside().querySelectorAll("#search-results li a")].map(a => a.pathname)});
        }
        """,
    )
    assert not console
    screen, phone, column, function, nothing = found
    assert (screen["before"], phone["before"]) == (True, False)
    assert {"/tables.html", "/errata.html"} <= set(column["pages"])
    assert "/api/theory.html" in function["pages"]
    assert not nothing["pages"]


@pytest.mark.parametrize(
    ("source", "page", "target", "link"),
    [
        ("docs/start.md", "docs/start.md", "../config/README.md#top-level", "config.md#top-level"),
        ("docs/results/a.md", "docs/results/a.md", "../../config/README.md", "../config.md"),
        ("docs/start.md", "docs/start.md", "../results/reference/long", "reference.md"),
        ("docs/start.md", "docs/start.md", "../README.md#read-it", "index.md"),
        ("docs/start.md", "docs/start.md", "../src/squareloss/files.py#a", "#squareloss.files.a"),
        # What no page shows is copied into the site.
        ("docs/start.md", "docs/start.md", "../config/demo.yaml", "../config/demo.yaml"),
        ("docs/start.md", "docs/start.md", "../LICENSE", "../LICENSE"),
        ("docs/start.md", "docs/start.md", "../CHANGELOG.md", "path:../CHANGELOG.md"),
        ("docs/start.md", "docs/start.md", "tables.md#columns", "tables.md#columns"),
        ("docs/results/a.md", "docs/results/a.md", "../tables.md", "../tables.md"),
        ("docs/start.md", "docs/start.md", "https://a.org/../x.md", "https://a.org/../x.md"),
        ("docs/start.md", "docs/start.md", "#here", "#here"),
        # Links of a file that a page includes are relative to the file.
        ("config/README.md", "docs/config.md", "../docs/choices.md#a", "choices.md#a"),
        ("config/README.md", "docs/config.md", "demo.yaml", "../config/demo.yaml"),
        ("config/README.md", "docs/config.md", "../results/reference/README.md", "reference.md"),
    ],
)
def test_links_go_to_the_pages_that_show_their_files(source, page, target, link):
    text = pages.linked(f"see [this]({target}).", ROOT / source, ROOT / page, ROOT / "docs")
    assert text == f"see [this]({link})."


@pytest.mark.parametrize(
    ("docstring", "text"),
    [
        ("||V_k|| is `rho`, *not* 1.", r"\|\|V\_k\|\| is ``rho``, \*not\* 1."),
        ("Reads `a_b|c` as is.", "Reads ``a_b|c`` as is."),
        ("So:\n\n    x = |y|\n\nis.", "So:\n\n::\n\n        x = |y|\n\nis."),
        ("One.\n\na    b_c\nd    e", "One.\n\n::\n\n    a    b_c\n    d    e"),
    ],
)
def test_docstrings_become_restructured_text(docstring, text):
    assert rooms.restructured(docstring) == text


def test_all_public_modules_are_described(site):
    described = "".join(path.read_text() for path in (site / "api").glob("*.html"))
    for path in (ROOT / "src" / "squareloss").rglob("[a-z]*.py"):
        module = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
        assert f'id="module-{module}"' in described, module


def test_the_lock_file_of_the_site_changes_no_version_of_the_demo():

    pins = {}
    for lock in ("lock.txt", "site.txt"):
        text = (ROOT / "envs" / lock).read_text()
        pins[lock] = dict(re.findall(r"^([a-z0-9._-]+)==([^\s;\\]+)", text, re.M))
    assert {"sphinx", "furo", "myst-parser"} <= pins["site.txt"].keys() - pins["lock.txt"].keys()
    for name in pins["site.txt"].keys() & pins["lock.txt"].keys():
        assert pins["site.txt"][name] == pins["lock.txt"][name], name
