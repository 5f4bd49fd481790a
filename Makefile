# make train   trains on the default corpus         make test       runs the tests
# make check   prints the gradient cross-check      make benchmark  prints speed and memory
# make proofs  runs the slow tests too: every kind of net against NumPy, in half an hour
# make test-peers  the gradients and parameters against PyTorch, in an environment of its own
# make docs    builds the pages of docs/ into site/  make figures    draws their figures again
# make fuzz    reads hostile files and passes hostile arguments, a hundred thousand of them
# make reproduce  ten steps of several nets, twice on each of PYTHONS: the same bits, and losses
# make killed  kills trainings at fifty moments, and sees each end as one that was left alone
# make coverage  prints which lines and branches the tests run
# make mutation  puts faults into the program and counts those that the tests notice: hours
# Each makes .venv first. PYTHON=python3.9 picks another interpreter.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers
PYTHONS ?= python3.9 python3.11
MADE := $(VENV)/.made

.NOTPARALLEL:
.PHONY: train test test-peers proofs killed fuzz coverage mutation reproduce lint check benchmark \
	docs figures clean

train: $(MADE)
	$(BIN)/python scripts/train.py

test: $(MADE)-test lint
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

proofs: $(MADE)-test
	$(BIN)/python -m pytest -m slow

# Those of the slow ones too.
test-peers: $(MADE)-test $(PEERS)/.made
	$(BIN)/python -m pytest -n auto --maxprocesses 4 -m "slow or not slow" tests/benchmark/test_peers.py

killed: $(MADE)-test
	$(BIN)/python -m pytest -m slow --verbose tests/training/test_killed.py

fuzz: $(MADE)-test
	PYTHONPATH=tools:tests $(BIN)/python -m fuzz

# In .venv-3.9, .venv-3.11: an environment for each.
reproduce:
	@sh tools/reproduce/all.sh $(PYTHONS)

# Those slow ones too that alone reach some of the engine and of the benchmark.
coverage: $(MADE)-proofs
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal --cov --cov-report=
	$(BIN)/python -m pytest -n auto --maxprocesses 4 -m slow -k "not reads_or_writes" \
		--cov --cov-append --cov-report=term tests/engine/loop/test_loop.py tests/benchmark/test_benchmark.py

mutation: $(MADE)-proofs
	PYTHONPATH=tools:tests $(BIN)/python -m mutation

lint: $(MADE)-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: $(MADE)
	$(BIN)/python scripts/check_gradients.py

benchmark: $(MADE) $(PEERS)/.made
	$(BIN)/python scripts/benchmark.py --peers

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

# JAX and PyTorch want another NumPy than Theano: they have an environment of their own.
$(PEERS)/.made: theano_rnn/benchmark/peers.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# The environment is made again when the interpreter or the pins have changed.
$(MADE) $(MADE)-test $(MADE)-proofs $(MADE)-docs: pyproject.toml FORCE
	@sh scripts/make_environment.sh "$(PYTHON)" $(VENV) $@ $(patsubst -%,%,$(@:$(MADE)%=%))

FORCE:

clean:
	rm -rf $(VENV) $(PEERS) .venv-3.* .compiled site .pytest_cache .ruff_cache .mypy_cache .hypothesis \
		.mutation .coverage
