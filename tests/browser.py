"""A page as a browser has it, where there is one."""

import shutil
import subprocess

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
