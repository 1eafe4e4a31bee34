# Each target does its own set-up: on a fresh machine with Python >= 3.11, `make demo` and `make test` are enough.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.komainu-installed

.PHONY: help setup demo test check bench bench-incident incident-sample bench-fencing bench-scheduler bench-ring bench-watchdog soak races differential compiled compiled-test docs clean

help:           ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(STAMP) ## make .venv with komainu and its tools in it

$(STAMP): constraints.txt pyproject.toml tools/setup
	@PYTHON="$(PYTHON)" tools/setup "$(VENV)"
	@touch $@

ENGINE ?= builtin

demo: $(STAMP)  ## put a two-node cluster in network namespaces through nine faults (ENGINE=corosync: on Corosync 3)
	@tools/system-packages $(if $(filter corosync,$(ENGINE)),engine,demo)
	@$(BIN)/komainu drill run demo --engine $(ENGINE)

test: $(STAMP)  ## check the code, then run every test
	@tools/system-packages test
	@$(MAKE) --no-print-directory check
	@$(BIN)/python -m pytest -n auto --ignore tests/live
	@$(BIN)/python -m pytest tests/live

check: $(STAMP) ## the quick gate: format, lint, types, tidiness
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/test_tidy.py

bench: $(STAMP) ## measure: take-over, memory, idle CPU, simulator speed, the guard of links
	@tools/system-packages demo
	@$(BIN)/python benchmarks/run.py
	@$(BIN)/python benchmarks/links.py

bench-incident: $(STAMP) ## the founding incident with real network managers and peers, 43 set-ups; rewrites docs/incident.md
	@tools/system-packages incident
	@$(BIN)/python benchmarks/incident.py

incident-sample: $(STAMP) ## that night's cell of komainu and of each peer, in a few minutes; writes nothing
	@tools/system-packages incident
	@$(BIN)/python benchmarks/incident.py --sample

bench-fencing: $(STAMP) ## the drills of the last resort beside Pacemaker; rewrites docs/benchmark-fencing.md (hours; RUNS=10 LABS=1)
	@tools/system-packages fencing
	@$(BIN)/python benchmarks/fencing.py --runs $${RUNS:-10} --labs $${LABS:-1}

bench-scheduler: $(STAMP) ## the scheduler beside Debian's crm_simulate; rewrites docs/benchmark-scheduler.md (LONG=--long)
	@tools/system-packages scheduler
	@$(BIN)/python benchmarks/scheduler.py $(LONG)

soak: $(STAMP)  ## the simulator at length: every class of faults alone, then all mixed (SEEDS=1000)
	@$(BIN)/komainu sim run --seeds $${SEEDS:-1000} --nodes 2..5 --each --count 2 --within 10
	@$(BIN)/komainu sim run --seeds $${SEEDS:-1000} --nodes 2..7

bench-ring: $(STAMP) ## measure the ring beside Corosync 3; rewrites docs/benchmark-ring.md (PARTS="--only blip --times 20")
	@tools/system-packages ring
	@$(BIN)/python benchmarks/ring.py $(PARTS)

bench-watchdog: $(STAMP) ## measure how steadily the watchdog is petted while every core is busy
	@tools/system-packages demo
	@$(BIN)/python benchmarks/petting.py

races: $(STAMP) ## run 1,000 fence races of a pair in the simulator (RACES=1000)
	@KOMAINU_RACES=$${RACES:-1000} $(BIN)/python -m pytest -q tests/simulation/test_races.py tests/simulation/test_sbd_pair.py

differential: $(STAMP) ## compare plans for random CIBs with the real crm_simulate (CIBS=5000)
	@tools/system-packages test
	@KOMAINU_DIFFERENTIAL=$${CIBS:-5000} $(BIN)/python -m pytest -q tests/differential/test_differential.py

COMPILED = build/compiled/stage/src

compiled: $(STAMP) ## build the package with a compiled scheduler, build/compiled/komainu-*.whl (minutes; needs a C compiler)
	@tools/system-packages compiled
	@$(BIN)/python tools/compiled.py

compiled-test: $(STAMP) ## hold the compiled scheduler against the suite, its tests, and the plans of the plain one (after make compiled)
	@tools/system-packages test
	@$(BIN)/python tools/compiled.py --check
	@PYTHONPATH=$(abspath $(COMPILED)) $(BIN)/python -m pytest -q tests/unit/scheduler tests/unit/cib tests/unit/node/test_node_planner.py \
		tests/cases/scheduler $(addprefix tests/differential/test_,compiled_plans.py fuzz.py properties.py)

docs:           ## say where the documentation is; it is plain Markdown
	@ls -1 README.md ARCHITECTURE.md docs/*/*.md

clean:          ## remove what the other targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist src/*.egg-info
