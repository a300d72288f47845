# A recipe gets these as variables of its shell, exactly as they were typed, and quotes them. Pasted into
# the recipe's text, a quote or `$(shell ...)` in them would run as a command. They count on the command
# line of make alone: CONFIG in the environment may be another program's.
define as_typed
override $1 := $$(if $$(filter command,$$(origin $1)),$$(value $1))
export $1
endef
$(foreach name,CONFIG FROM STUDY TO WEIGHTS YES,$(eval $(call as_typed,$(name))))
# Two cores unless told otherwise: make demo CORES=8
CORES ?= 2
override CORES := $(value CORES)
override PYTHON := $(or $(value PYTHON),python3)
export CORES PYTHON
# In a container the environment is the image's, envs/Dockerfile.
BIN := $(or $(value SQUARELOSS_VENV),$(CURDIR)/.venv)/bin
# `all` is what this process may have, in a container too, where Snakemake and pytest count the machine's.
COUNT = "$$(if [ "$$CORES" = all ]; then python -m squareloss.machine.allowance; else echo "$$CORES"; fi)"
# Snakemake's progress: in a terminal a bar a rule, elsewhere a line a job. Both go to standard error; the
# standard output here is what `$$(...)` reads.
PROGRESS = --logger $$(if [ -t 2 ]; then echo rich; else echo squareloss; fi)
# Text files are UTF-8 whatever the locale, those that `make docs` prints into too.
export PYTHONUTF8 := 1
# The commands of the environment first, so that nobody needs to activate it.
export USER_PATH := $(value PATH)
export PATH := $(BIN):$(value PATH)
# The code is this folder's and the libraries are the environment's. Neither packages on a PYTHONPATH of
# the user's nor a file `statistics.py` in this folder come before them.
export PYTHONPATH := $(CURDIR)/src
export PYTHONSAFEPATH := 1
# With these, a user's shell or Python does something else than the recipes say.
unexport BASH_ENV CDPATH ENV GLOBIGNORE IFS POSIXLY_CORRECT
unexport PYTHONHOME PYTHONINSPECT PYTHONOPTIMIZE PYTHONWARNINGS

.PHONY: help demo report test mutants test-slurm bench doctor lint docs site lock merge archive fetch-results reference prune clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-14s %s\n", $$1, $$2}' Makefile

demo: cores .venv/installed ## every figure and table from real training, minutes on two cores
	snakemake --cores $(COUNT) --configfile config/demo.yaml $(PROGRESS)
	$(MAKE) --no-print-directory report
	@printf '%-10s %s\n' Explorer: "$$PWD/results/demo/explore.html" Claims: "$$PWD/results/demo/claims/claims.html" \
	  Figures: "$$PWD/results/demo/figures"; tail -n 1 results/demo/claims/claims.txt

report: .venv/installed ## one self-contained page with the demo's figures, tables and captions
	@test -e results/demo/claims/claims.txt || { echo "results/demo has no results yet: run make demo first" >&2; exit 1; }
	snakemake --configfile config/demo.yaml --report results/demo/report.html --logger squareloss
	@printf '%-10s %s\n' Report: "$$PWD/results/demo/report.html"

# One process more than cores: a sixth of their time tests wait, for a browser, Snakemake or an installer.
test: cores .venv/installed lint ## the whole test suite
	pytest -rs --numprocesses $$(expr $(COUNT) + 1) --dist worksteal

mutants: cores .venv/installed ## single mistakes put into a copy of the code: which do the tests notice? make mutants [ONLY=engine]
	python tests/mutants/run.py --cores $(COUNT) $(if $(ONLY),--only "$(ONLY)")

test-slurm: .venv/installed ## a Slurm cluster on this machine, and faults on it (root; apt-get install slurm-wlm munge)
	pytest -rs tests/slurm

bench: .venv/installed ## training speed, beside a loop written by hand and the hardware's own rate
	python -m squareloss.machine.benchmark --output results/benchmark

doctor: .venv/installed ## what this machine has, a trial of training, what the study would cost: make doctor [CONFIG=config/demo.yaml]
	python -m squareloss.machine.doctor --config config.yaml $${CONFIG:+"$$CONFIG"}

lint: .venv/installed ## format, style and types
	ruff format --check .
	ruff check .
	mypy
	snakefmt --check Snakefile workflow

.venv/installed: envs/lock.txt envs/installer.txt
	@PATH="$$USER_PATH" envs/install

.PHONY: cores
cores:
	@case "$$CORES" in all) ;; ''|0*|*[!0-9]*|?????*) \
	  echo "CORES=$$CORES: must be a number of cores, 1 to 9999, or all" >&2; exit 1;; esac

docs: .venv/installed ## renew what is generated: docs/tables.md, equations.md, claims.md and its figure, config/README.md, schema.json, numbers in documents
	python -m squareloss.tables.document > docs/tables.md
	python -m squareloss.figures figure_verdicts --results results/docs
	cp results/docs/figures/figure_verdicts.png docs/
	python -m squareloss.claims.document > docs/claims.md
	python -m squareloss.source.equations > docs/equations.md
	python -m squareloss.study.schema > config/schema.json
	python -m squareloss.study.document > config/README.md
	python -m squareloss.figures.document_numbers *.md docs/*.md docs/results/*.md

site: .venv/installed ## docs/ as a site with search and an API, site/index.html
	python envs/uv_as_pip.py uv pip install --quiet --python "$$(command -v python)" --require-hashes -r envs/site.txt
	sphinx-build --quiet --fail-on-warning --keep-going --doctree-dir build/site docs site
	@printf '%-10s %s\n' Site: "$$PWD/site/index.html"

lock: ## renew the lock files from the bounds in pyproject.toml
	echo uv | uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header -o envs/installer.txt -
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --extra dev -o envs/lock.txt pyproject.toml envs/build.in
	python3 -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["site"], sep="\n")' | \
	  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --constraints envs/lock.txt -o envs/site.txt -

merge: .venv/installed ## take what another clone has trained: make merge FROM=../other
	python -m squareloss.share.merge --source="$$FROM"

archive: .venv/installed ## a study's finished runs as files to publish: make archive CONFIG=config/demo.yaml [TO=folder] [WEIGHTS=no]
	@case "$$WEIGHTS" in ''|yes) set --;; no) set -- --weights=no;; \
	  *) echo "WEIGHTS=$$WEIGHTS: must be yes or no" >&2; exit 1;; esac; \
	python -m squareloss.share.archive --config config.yaml $${CONFIG:+"$$CONFIG"} $${TO:+--target="$$TO"} "$$@"

fetch-results: .venv/installed ## take them instead of training: make fetch-results CONFIG=config/demo.yaml FROM=https://...
	python -m squareloss.share.fetch --config config.yaml $${CONFIG:+"$$CONFIG"} --source="$$FROM"

prune: .venv/installed ## list trained runs that a config no longer asks for, ask, and remove them: make prune CONFIG=config/demo.yaml [YES=1]
	@case "$$YES" in '') set --;; 1) set -- --yes;; *) echo "YES=$$YES: must be 1 or left out" >&2; exit 1;; esac; \
	python -m squareloss.share.prune --config config.yaml $${CONFIG:+"$$CONFIG"} "$$@"

# Only names that the config allows for a study: STUDY=../x would delete what lies elsewhere. One shell,
# so that nothing (`make -i`) goes on to the removal past a refusal or a failed copy.
reference: ## what of a finished study is kept in git: make reference STUDY=long
	@case "$$STUDY" in ''|reference|[!A-Za-z0-9]*|*[!A-Za-z0-9_.-]*) false;; *) test -d "results/$$STUDY/figures";; esac || \
	  { echo "STUDY=$$STUDY: not the name of a study below results/ that has figures" >&2; exit 1; }; \
	set -e; new=results/reference/.new; \
	rm -rf "$$new"; mkdir -p "$$new"; \
	for part in aggregate small figures tables claims; do \
	  if [ -d "results/$$STUDY/$$part" ]; then cp -r "results/$$STUDY/$$part" "$$new"; fi; done; \
	rm -rf "results/reference/$$STUDY"; mv "$$new" "results/reference/$$STUDY"

clean: ## remove the demo's results
	rm -rf results/demo
