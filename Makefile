# Two cores unless told otherwise: make demo CORES=8
CORES ?= 2
PYTHON ?= python3
# In a container the environment is the image's, envs/Dockerfile.
BIN := $(or $(SQUARELOSS_VENV),$(CURDIR)/.venv)/bin
export CORES
# Snakemake's progress: in a terminal a bar a rule, elsewhere four lines a job. All of it is in its log.
PROGRESS = $$(if [ -t 1 ]; then echo --logger rich; else echo --quiet rules host; fi)
# Text files are UTF-8 whatever the locale, those that `make docs` prints into too.
export PYTHONUTF8 := 1
# The commands of the environment first, so that nobody needs to activate it.
export USER_PATH := $(PATH)
export PATH := $(BIN):$(PATH)

.PHONY: prune
.PHONY: help demo report test test-slurm bench doctor lint docs lock merge archive fetch-results reference clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-14s %s\n", $$1, $$2}' Makefile

demo: cores .venv/installed ## every figure and table from real training, minutes on two cores
	snakemake --cores $(CORES) --configfile config/demo.yaml $(PROGRESS)
	$(MAKE) --no-print-directory report
	@cat results/demo/claims/claims.txt

report: .venv/installed ## one self-contained page with the demo's figures, tables and captions
	snakemake --configfile config/demo.yaml --report results/demo/report.html
	@echo "Report: $(CURDIR)/results/demo/report.html"

test: cores .venv/installed lint ## the whole test suite
	pytest -rs --numprocesses $(CORES:all=auto) --dist worksteal

test-slurm: .venv/installed ## a Slurm cluster on this machine, and faults on it (root; apt-get install slurm-wlm munge)
	pytest -rs tests/slurm

bench: .venv/installed ## training speed, beside a loop written by hand and the hardware's own rate
	python -m squareloss.machine.benchmark --output results/benchmark

doctor: .venv/installed ## what this machine has, a trial of training, what the study would cost: make doctor [CONFIG=config/demo.yaml]
	python -m squareloss.machine.doctor --config config.yaml $(CONFIG)

lint: .venv/installed ## format, style and types
	ruff format --check .
	ruff check .
	mypy
	snakefmt --check Snakefile workflow

.venv/installed: envs/lock.txt envs/installer.txt
	@PATH="$$USER_PATH" PYTHON="$(PYTHON)" envs/install

.PHONY: cores
cores:
	@case "$$CORES" in all) ;; ''|0*|*[!0-9]*) \
	  echo "CORES=$$CORES: must be a number of cores, 1 or more, or all" >&2; exit 1;; esac

docs: .venv/installed ## renew what is generated: docs/tables.md, docs/claims.md and its figure, config/README.md, schema.json, numbers in documents
	python -m squareloss.tables.document > docs/tables.md
	python -m squareloss.figures figure_verdicts --results results/docs
	cp results/docs/figures/figure_verdicts.png docs/
	python -m squareloss.claims.document > docs/claims.md
	python -m squareloss.study.config > config/schema.json
	python -m squareloss.study.document > config/README.md
	python -m squareloss.pages.document_numbers *.md docs/*.md

lock: ## renew the lock files from the bounds in pyproject.toml
	echo uv | uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header -o envs/installer.txt -
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --extra dev -o envs/lock.txt pyproject.toml envs/build.in

merge: .venv/installed ## take what another clone has trained: make merge FROM=../other
	python -m squareloss.share.merge --source "$(FROM)"

archive: .venv/installed ## a study's finished runs as files to publish: make archive CONFIG=config/demo.yaml [TO=folder] [WEIGHTS=no]
	python -m squareloss.share.archive --config config.yaml $(CONFIG) $(if $(TO),--target "$(TO)") $(if $(WEIGHTS),--weights "$(WEIGHTS)")

fetch-results: .venv/installed ## take them instead of training: make fetch-results CONFIG=config/demo.yaml FROM=https://...
	python -m squareloss.share.fetch --config config.yaml $(CONFIG) --source "$(FROM)"

prune: .venv/installed ## remove trained runs that a config no longer asks for: make prune CONFIG=config/demo.yaml
	python -m squareloss.share.prune --config config.yaml $(CONFIG)

# Only names that the config allows for a study: STUDY=../x would delete what lies elsewhere. The
# shell reads STUDY from its environment, so that nothing in it is taken for a command.
export STUDY
reference: ## what of a finished study is kept in git: make reference STUDY=long
	@case "$$STUDY" in ''|reference|[!A-Za-z0-9]*|*[!A-Za-z0-9_.-]*) false;; *) test -d "results/$$STUDY/figures";; esac || \
	  { echo "STUDY=$$STUDY: not the name of a study below results/ that has figures" >&2; exit 1; }
	rm -rf "results/reference/$$STUDY"
	mkdir -p "results/reference/$$STUDY"
	cd "results/$$STUDY" && cp -r $$(ls -d aggregate figures tables claims 2>/dev/null) "../reference/$$STUDY"

clean: ## remove the demo's results
	rm -rf results/demo
