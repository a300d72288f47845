"""Remove the runs that a config no longer asks for: `make prune CONFIG=config/demo.yaml`.

    python -m squareloss.share.prune --config config.yaml config/demo.yaml

Removed are parts of runs and blocks, in the folder of the config's study alone, each with
Snakemake's record of it. Figures, tables and pages are made anew by the next `snakemake`.
"""

import argparse
import contextlib
import sys
from pathlib import Path

from squareloss.errors import run_stage
from squareloss.share import merge
from squareloss.share import snakemake_records as records
from squareloss.study import plan
from squareloss.study.config import Study
from squareloss.study.files import read


def prune(study: Study, clone: Path, unasked: dict[str, list[str]]) -> None:
    """Remove these parts, by run, with their records, and the folders that this empties."""
    merge.refuse_locked(clone)
    top = clone / plan.folder(study)
    with merge.only_one(clone):
        for run, names in unasked.items():
            for name in names:
                path = clone / name
                path.unlink()
                records.record_path(clone, name).unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # other blocks are there
                    for parent in path.parents:
                        if parent == top:
                            break
                        parent.rmdir()
            print(f"{study.study}: removed {run}: {len(names)} files")


def main() -> None:
    """Command line of `make prune`. In a terminal it asks first."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--config", nargs="+", required=True, help="config.yaml and its overlays")
    study = read(parser.parse_args().config)
    unasked = plan.unasked(study, Path())
    if not unasked:
        print(f"{plan.folder(study)}: nothing but what the config asks for")
        return
    print(*unasked, sep="\n")
    if sys.stdin.isatty():
        print(f"Remove the {sum(map(len, unasked.values()))} files of these runs? [y/N] ", end="")
        if input().strip().lower() not in ("y", "yes"):
            return
    prune(study, Path(), unasked)


if __name__ == "__main__":
    run_stage(main)
