# Two cores unless told otherwise: make demo CORES=8
CORES ?= 2
PYTHON ?= python3
BIN := .venv/bin
# The commands of the environment first, so that nobody needs to activate it.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help demo report test test-slurm bench lint docs lock merge reference clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile

demo: .venv/installed ## every figure and table from real training, minutes on two cores
	snakemake --cores $(CORES) --configfile config/demo.yaml
	$(MAKE) --no-print-directory report
	@cat results/demo/claims/claims.txt

report: .venv/installed ## one self-contained page with the demo's figures, tables and captions
	snakemake --configfile config/demo.yaml --report results/demo/report.html
	@echo "Report: $(CURDIR)/results/demo/report.html"

test: .venv/installed lint ## the whole test suite
	pytest -rs

test-slurm: .venv/installed ## a Slurm cluster on this machine, and faults on it (root; apt-get install slurm-wlm munge)
	pytest -rs tests/slurm

bench: .venv/installed ## training speed, beside a loop written by hand and the hardware's own rate
	python -m squareloss.benchmark --output results/benchmark

lint: .venv/installed ## format, style and types
	ruff format --check .
	ruff check .
	mypy
	snakefmt --check Snakefile workflow

# The installer itself is pinned and hashed, like everything it installs.
.venv/installed: envs/lock.txt envs/installer.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13) and "Python 3.11, 3.12 or 3.13 is needed, e.g. make PYTHON=python3.12")'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r envs/installer.txt
	UV_CACHE_DIR=.venv/cache $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r envs/lock.txt
	UV_CACHE_DIR=.venv/cache $(BIN)/uv pip install --quiet --python $(BIN)/python --no-build-isolation --no-deps --editable .
	rm -rf .venv/cache
	touch $@

docs: .venv/installed ## renew what is generated: docs/tables.md, docs/claims.md, config/schema.json
	python -m squareloss.tables.document > docs/tables.md
	python -m squareloss.claims.document > docs/claims.md
	python -m squareloss.config > config/schema.json

lock: ## renew the lock files from the bounds in pyproject.toml
	echo uv | uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header -o envs/installer.txt -
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --extra dev -o envs/lock.txt pyproject.toml envs/build.in

# Snakemake's records come along, so that a run finished there is not trained again here. What both
# have stays as it is here.
merge: ## take what another clone has finished: make merge FROM=../other
	@test -d "$(FROM)/.snakemake/metadata" || { echo "FROM=$(FROM): not a clone in which Snakemake has run"; exit 1; }
	mkdir -p .snakemake/metadata
	cp -a --no-clobber "$(FROM)/results/." results/
	cp -a --no-clobber "$(FROM)/.snakemake/metadata/." .snakemake/metadata/

reference: ## what of a finished study is kept in git: make reference STUDY=cpu
	@test -n "$(STUDY)" && test -d "results/$(STUDY)/figures" || { echo "STUDY=$(STUDY): no such study below results/ has figures"; exit 1; }
	rm -rf results/reference/$(STUDY)
	mkdir -p results/reference/$(STUDY)
	cd results/$(STUDY) && cp -r $$(ls -d aggregate figures tables claims 2>/dev/null) ../reference/$(STUDY)

clean: ## remove the demo's results
	rm -rf results/demo
