"""Run pip or uv with the package index, certificates and proxy that pip has been told to use.

    python envs/uv_as_pip.py python -m pip install ...
    python envs/uv_as_pip.py uv pip install ...

A site with a package index of its own tells pip about it, in pip.conf or in PIP_... variables. uv
reads neither. What the user has set for uv itself about that stays as it is. All else that a user
may have set, such as PIP_TARGET, would install other things or elsewhere, and is left out.
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
# Of pip's other options, those that also say only how packages are reached.
REACHED = (*VARIABLES, "no-index", "retries", "cache-dir", "no-cache-dir", "keyring-provider",
           "use-feature", "use-deprecated", "no-input")  # fmt: skip
# Variables with which uv installs elsewhere, other things, or without looking at hashes.
ELSEWHERE = (
    "UV_BREAK_SYSTEM_PACKAGES", "UV_BUILD_CONSTRAINT", "UV_CONSTRAINT", "UV_DRY_RUN",
    "UV_EXCLUDE", "UV_EXCLUDE_NEWER", "UV_NO_BINARY", "UV_NO_BINARY_PACKAGE", "UV_NO_BUILD",
    "UV_NO_EDITABLE", "UV_NO_VERIFY_HASHES", "UV_ONLY_BINARY", "UV_OVERRIDE", "UV_PRERELEASE",
    "UV_PREFIX", "UV_PROJECT", "UV_PYTHON", "UV_REQUIRE_HASHES", "UV_RESOLUTION",
    "UV_SYSTEM_PYTHON", "UV_TARGET", "UV_TORCH_BACKEND", "UV_WORKING_DIR", "UV_WORKING_DIRECTORY",
)  # fmt: skip
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


def reaching(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` without what leads pip or uv elsewhere."""
    kept = {*map(of_pip, REACHED), "PIP_CONFIG_FILE", "PIP_DEFAULT_TIMEOUT"}
    return {
        name: value
        for name, value in environment.items()
        if name not in ELSEWHERE and (name in kept or not name.startswith("PIP_"))
    }


def for_both(pip: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """The environment in which pip and uv run: pip's options as variables, and no file of them."""
    told = {of_pip(option): value for option, value in pip.items() if option in REACHED}
    kept = {name: value for name, value in environment.items() if not name.startswith("PIP_")}
    return kept | told | {"PIP_CONFIG_FILE": os.devnull} | variables(pip, environment)


def of_pip(option: str) -> str:
    """The variable from which pip reads an option."""
    return f"PIP_{option.upper().replace('-', '_')}"


def main() -> None:
    """Replace this process by a program that is installed beside this Python."""
    environment = reaching(os.environ)
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env=environment,
        check=False,
    )
    if listed.returncode:
        sys.exit(listed.returncode)  # pip has said what is wrong with pip.conf
    program, *arguments = sys.argv[1:]
    path = str(Path(sys.executable).with_name(program))
    os.execve(path, [path, *arguments], for_both(options(listed.stdout), environment))


if __name__ == "__main__":
    main()
