"""Run uv with the package index, certificates and proxy that pip has been told to use.

    python envs/uv_as_pip.py pip install ...

A site with a package index of its own tells pip about it, in pip.conf or in PIP_... variables. uv
reads neither. What the user has set for uv itself stays as it is.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

# pip's option -> uv's variable, and what separates several values there
VARIABLES = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "client-cert": ("SSL_CLIENT_CERT", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
    "proxy": ("ALL_PROXY", " "),
}
# The lock file has a hash for everything, so it does not matter which of several indexes has it.
ANY_INDEX = {"UV_INDEX_STRATEGY": "unsafe-best-match"}


def options(listing: str) -> dict[str, str]:
    """pip's options for `pip install`, from the output of `pip config list`.

    Its lines are like `global.index-url='https://...'`. Variables of the environment (`:env:`) win
    over the section `install`, and that over `global`.
    """
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listing.splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.partition(".")
        if section in found:
            option = option.replace("_", "-").removeprefix("default-")
            found[section][option] = str(ast.literal_eval(value))
    return found["global"] | found["install"] | found[":env:"]


def variables(pip: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """What to set for uv so that it does as pip with these options, where it is not set yet."""
    wanted = dict(ANY_INDEX)
    for option, (variable, separator) in VARIABLES.items():
        if values := pip.get(option, "").split():
            wanted[variable] = separator.join(values)
    if bundle := environment.get("REQUESTS_CA_BUNDLE") or environment.get("CURL_CA_BUNDLE"):
        wanted.setdefault("SSL_CERT_FILE", bundle)  # pip reads these too
    if pip.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        wanted["UV_OFFLINE"] = "1"
    return {name: value for name, value in wanted.items() if name not in environment}


def main() -> None:
    """Replace this process by uv's, which is installed beside this Python."""
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    ).stdout
    uv = str(Path(sys.executable).with_name("uv"))
    os.execve(uv, [uv, *sys.argv[1:]], {**os.environ, **variables(options(listing), os.environ)})


if __name__ == "__main__":
    main()
