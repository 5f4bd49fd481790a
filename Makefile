# make train   trains on the default corpus         make test       runs the tests
# make check   prints the gradient cross-check      make benchmark  prints speed and memory
# make proofs  runs the slow tests too: every kind of net against NumPy, in half an hour
# make fuzz    reads hostile files and passes hostile arguments, a hundred thousand of them
# Each makes .venv first. PYTHON=python3.9 picks another interpreter.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers
MADE := $(VENV)/.made

.NOTPARALLEL:
.PHONY: train test proofs fuzz lint check benchmark clean

train: $(MADE)
	$(BIN)/python scripts/train.py

test: $(MADE)-test lint
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

proofs: $(MADE)-test
	$(BIN)/python -m pytest -m slow

fuzz: $(MADE)-test
	$(BIN)/python -m theano_rnn.fuzz

lint: $(MADE)-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

check: $(MADE)
	$(BIN)/python scripts/check_gradients.py

benchmark: $(MADE) $(PEERS)/.made
	$(BIN)/python scripts/benchmark.py --peers

# JAX and PyTorch want another NumPy than Theano: they have an environment of their own.
$(PEERS)/.made: theano_rnn/benchmark/peers.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# The environment is made again when the interpreter or the pins have changed.
$(MADE) $(MADE)-test: pyproject.toml FORCE
	@sh scripts/make_environment.sh "$(PYTHON)" $(VENV) $@ $(if $(findstring -test,$@),test)

FORCE:

clean:
	rm -rf $(VENV) $(PEERS) .pytest_cache .ruff_cache .hypothesis
