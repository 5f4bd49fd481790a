# make train      trains on the default corpus
# make test       runs the tests, in some minutes the first time, installing included
# make test-all   runs the slow tests too, with all functions compiled to C; lints first
# make test-peers compares gradients and parameters with PyTorch's; tests of the comparison with JAX
# make lint       checks style (ruff) and types (mypy)
# make check      prints the largest differences between compiled, NumPy and numerical gradients
# make benchmark  prints speed and memory, beside other programs, and what has changed since the last time
# make docs       builds the pages of docs/ into site/
# make figures    draws loss, activation, lag and gradient_flow.png of docs/ again
# make explore    draws docs/explore.png, a picture of the page of theano-rnn explore, in Chromium
#
# These judge the tests and the program; tools/README.md describes them:
# make coverage   prints which lines and branches the tests run
# make mutation   puts faults into the program and counts those that the tests notice; takes hours
# make fuzz       reads hostile files and passes hostile arguments, a hundred thousand of them
# make reproduce  trains on each of PYTHONS twice and compares the bits, and the losses of versions
# make matrix     prints a table of Python x NumPy x compiler: tests, gradients, speed; takes an hour
# make killed     kills trainings at fifty moments, resumes them and compares the ends bit by bit
# make kinds      compares all 960 kinds of networks with NumPy, where test-all has some 80; so too
#                 all masks of dropout under every cell and truncation
# make verdicts   prints how often the verdict on a gradient is right where the truth is known
# make approve    accepts the words that reports have now: do it after reading the difference
#
# make environment  makes .venv for train and test; make clean deletes what was made
#
# Each but explore, reproduce and clean makes .venv first. PYTHON=python3.9 picks another interpreter, VENV=.venv-3.9 another folder.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers
PYTHONS ?= python3.9 python3.10 python3.11 python3.12 python3.13
MADE := $(VENV)/.made

.NOTPARALLEL:
.PHONY: train test test-all test-peers lint check benchmark docs figures explore \
	coverage mutation fuzz reproduce matrix killed kinds verdicts approve clean environment

# What train and test install first.
environment: $(MADE) $(MADE)-test

train: $(MADE)
	$(BIN)/python scripts/train.py

# The slowest twenty are printed, in seconds.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

test: $(MADE)-test
	$(PYTEST) --durations=20

# Half of the time goes to g++: it optimizes as for users where machine code is what is tested, and
# less elsewhere.
OPTIMIZED := tests/engine tests/test_cross_check.py
ALL := TESTS_IN_C=1 $(PYTEST) --durations=20 -m "not exhaustive"

test-all: $(MADE)-test lint
	$(ALL) $(OPTIMIZED)
	THEANO_FLAGS="$(THEANO_FLAGS),gcc__cxxflags=-O1" $(ALL) $(addprefix --ignore=,$(OPTIMIZED))

test-peers: $(MADE)-test $(PEERS)/.made
	TESTS_IN_C=1 $(PYTEST) -m "not exhaustive" tests/benchmark/test_peers.py

killed: $(MADE)-test
	$(BIN)/python -m pytest -m "slow or exhaustive" --verbose tests/training/test_killed.py

kinds: $(MADE)-test
	TESTS_IN_C=1 $(PYTEST) -m exhaustive tests/test_cross_check.py tests/model/test_dropout.py

fuzz: $(MADE)-test
	PYTHONPATH=tools:tests $(BIN)/python -m fuzz

# In .venv-3.9, .venv-3.10 and so on: an environment for each.
reproduce:
	@sh tools/reproduce/all.sh $(PYTHONS)

# OPTIONS="--python 3.13 --no-tests", for example.
matrix: $(MADE)-test
	@PYTHONPATH=tools $(BIN)/python -m matrix $(OPTIONS)

# Of the slow tests, those that alone reach some of the engine and of the benchmark.
coverage: $(MADE)-proofs
	TESTS_IN_C=1 $(PYTEST) --cov --cov-report=
	TESTS_IN_C=1 $(PYTEST) -m slow -k "not reads_or_writes" --cov --cov-append --cov-report=term \
		tests/engine/loop/test_loop.py tests/benchmark/test_benchmark.py

mutation: $(MADE)-proofs
	PYTHONPATH=tools:tests $(BIN)/python -m mutation

verdicts: $(MADE)-test
	PYTHONPATH=.:tests $(BIN)/python -m flow.family

approve: $(MADE)-test
	APPROVE=1 $(BIN)/python -m pytest tests/flow/test_words.py
	git diff tests/flow/words.txt

lint: $(MADE)-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@[ ! -x $(BIN)/mypy ] && echo "mypy is not run: it reads the types of NumPy 2.0, on Python 3.9 to 3.11." \
		|| { echo mypy; $(BIN)/mypy; }

check: $(MADE)
	$(BIN)/python scripts/check_gradients.py

benchmark: $(MADE) $(PEERS)/.made
	$(BIN)/python scripts/benchmark.py --peers --quick --compare docs/benchmarks.json

# Read it at site/index.html. Its search wants a server: python -m http.server --directory site
docs: $(MADE)-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

# A training of some minutes, two reports of it and of untrained networks; four of their pictures.
figures: $(MADE)
	rm -rf runs/figures
	$(BIN)/python scripts/train.py --run runs/figures/default
	$(BIN)/python scripts/gradient_flow.py runs/figures/default --cosine 0.99 \
		--report runs/figures/flow
	$(BIN)/python scripts/gradient_flow.py --demo --report runs/figures/demo
	cp runs/figures/default/loss.png runs/figures/demo/gradient_flow.png \
		runs/figures/flow/activation.png runs/figures/flow/lag.png docs/

# The page after four clicks. Root says CHROMIUM="chromium --no-sandbox".
CHROMIUM := chromium
explore:
	mkdir -p runs
	$(PYTHON) -m theano_rnn explore --output runs/explore.html
	$(CHROMIUM) --headless --disable-background-networking --hide-scrollbars \
		--window-size=1280,900 --screenshot=docs/explore.png "file://$(CURDIR)/runs/explore.html#at=4"

# JAX and PyTorch want another NumPy than Theano: they have an environment of their own.
$(PEERS)/.made: theano_rnn/benchmark/peers.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "JAX and PyTorch here need Python 3.11 or later: PYTHON=python3.11 make ..." >&2; exit 1; }
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# The environment is made again when the interpreter or the pins have changed.
$(MADE): EXTRAS := report,search
$(MADE)-test: EXTRAS := test
$(MADE)-proofs: EXTRAS := proofs
$(MADE)-docs: EXTRAS := docs
$(MADE) $(MADE)-test $(MADE)-proofs $(MADE)-docs: FORCE
	@sh scripts/make_environment.sh "$(PYTHON)" $(VENV) $@ $(EXTRAS)

FORCE:

clean:
	rm -rf $(VENV) $(PEERS) .venv-3.* build .compiled site .pytest_cache .ruff_cache .mypy_cache .hypothesis \
		.mutation .coverage
