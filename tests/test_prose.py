"""How much there is to read: words of prose, without tables, code, comments and HTML.

A word is what stands between spaces and has a letter or a digit. A link counts with its text, and a
picture with nothing.
"""

import re
import subprocess

import pytest
from workflow_copy import ROOT

FOLD = "<details>"
# CHANGELOG is for those who were there.
PAGES = [
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    if name != "CHANGELOG.md" and (ROOT / name).exists()
]
RESULTS = sorted((ROOT / "docs" / "results").glob("*.md"))


def words(text: str) -> int:
    """Words outside comments, HTML, pictures and the targets of links."""
    text = re.sub(r"<!--.*?-->|</?[a-z][^>]*>|!\[[^]]*\]\([^)]*\)", "", text, flags=re.DOTALL)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    return sum(bool(re.search(r"\w", word)) for word in text.split())


def prose(text: str) -> str:
    """The text without tables and code, fenced or indented."""
    text = re.sub(r"^(`{3,}).*?^\1", "", text, flags=re.DOTALL | re.MULTILINE)
    kept, code, item, blank = [], False, False, True
    for line in text.splitlines():
        indented = line.startswith("    ")
        # What is indented below an item of a list belongs to the item.
        code = indented and not item and (blank or code)
        if line.strip() and not indented:
            item = bool(re.match(r"\s*([-*]|\d+\.) ", line)) or (item and not blank)
        if not code and not line.lstrip().startswith("|"):
            kept.append(line)
        blank = not line.strip()
    return "\n".join(kept)


def test_words_of_prose_and_of_all():
    text = """# Two words

One [two words](a/long/address.md), and `code` in a line.
<!--= median a/b -->7<!--=--> ![a picture](x.png)

| a | table |
|---|---|

    indented code

- an item

    of two paragraphs

```python
print("no prose")
```
<details><summary>Folded</summary>
"""
    assert words(prose(text)) == 2 + 8 + 1 + 2 + 3 + 1
    assert words(text) == words(prose(text)) + 2 + 2 + 3


def test_readme_is_one_screen_with_its_tables_and_code():
    assert words((ROOT / "README.md").read_text(encoding="utf-8")) <= 700


@pytest.mark.parametrize("page", RESULTS, ids=lambda path: path.stem)
def test_a_page_of_results_is_read_in_a_minute(page):
    """What stands before the tables that are folded."""
    assert words(prose(page.read_text(encoding="utf-8").split(FOLD)[0])) <= 250


def test_all_pages_are_read_in_an_hour():
    assert sum(words(prose(page.read_text(encoding="utf-8"))) for page in PAGES) <= 15_000
