# make demo       generate drums, fine-tune on the CC0 sounds in demo/, export; under five minutes
# make test       set up and run the quick checks; under eight minutes on two cores
# make test-slow  those of more than a few seconds each, which continuous integration runs as well
# make test-all   all, and the long ones: faults of every kind, several workers, Beam processes
# make docs       build the documentation into site/
# make package    build the archives for installation into dist/ and check them
# make release    and write what they need beside them (SBOM), and look for known vulnerabilities
# make lock       pin every dependency in requirements/, from setup.cfg
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13,$(if $(shell command -v $(name)),$(name))) python3)
VENV ?= .venv$(if $(findstring 3.13,$(PYTHON)),313)
OUT ?= demo-output
# pytest's expression for the tests that `make test` runs
TESTS ?= not slow and not nightly

BIN := $(VENV)/bin
# one thread in each of pytest's processes, one process a core
PYTEST := TF_NUM_INTRAOP_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal --durations=40

# one lock for all supported versions of Python, with the hashes of every file
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
        --no-emit-index-url --override requirements/overrides.txt setup.cfg

.PHONY: demo test test-slow test-all lint docs package release lock clean

$(VENV)/.installed: setup.cfg pyproject.toml requirements/lock.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes --requirement requirements/lock.txt
	$(BIN)/pip install --quiet --no-build-isolation --no-deps --editable .
	touch $@

# the last line installs the package and PyTorch, which is not locked: see requirements/overrides.txt
$(VENV)/.installed-dev: setup.cfg pyproject.toml requirements/lock-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes --requirement requirements/lock-dev.txt
	$(BIN)/pip install --quiet --no-build-isolation --editable .[dev]
	touch $(VENV)/.installed $@

demo: $(VENV)/.installed
	$(BIN)/melgan-tf generate pretrained:drums --out $(OUT)/pretrained --count 24 --force
	$(BIN)/melgan-tf train demo/drums --init-from pretrained:drums --run-dir $(OUT)/run --steps 400 --fresh \
	    --log-every 50
	$(BIN)/melgan-tf generate $(OUT)/run --out $(OUT)/fine-tuned --count 24 --force
	$(BIN)/melgan-tf export $(OUT)/run --out $(OUT)/saved-model --version 1 --force
	$(BIN)/melgan-tf export $(OUT)/run --out $(OUT)/tflite --format tflite --force
	cp demo/index.html $(OUT)/index.html
	@echo
	@echo "Listen to  $(OUT)/index.html      in a browser"
	@echo "Serve      $(OUT)/saved-model     with TF Serving"
	@echo "Ship       $(OUT)/tflite          on a phone"
	@[ -z "$$DISPLAY" ] || $(BIN)/python -m webbrowser $(OUT)/index.html

# in turns, each with fresh processes: TensorFlow does not give back all of the memory that it takes
test: lint
	$(PYTEST) -m "$(TESTS)" tests/test_[a-g]*.py
	$(PYTEST) -m "$(TESTS)" tests/test_[h-r]*.py
	$(PYTEST) -m "$(TESTS)" tests/test_[s-z]*.py melgan_tf

test-slow: TESTS = slow and not nightly
test-slow: test

test-all: TESTS = nightly or not nightly
test-all: test

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/lint-imports

docs: $(VENV)/.installed-dev
	$(BIN)/mkdocs build --strict

package: $(VENV)/.installed-dev
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist . > /dev/null
	$(BIN)/twine check --strict dist/*

release: package
	$(BIN)/python requirements/release.py dist

lock: $(VENV)/.installed-dev
	$(LOCK) --extra dev --extra docs --extra release --output-file requirements/lock-dev.txt
	$(LOCK) --constraint requirements/lock-dev.txt --output-file requirements/lock.txt

clean:
	rm -rf $(VENV) $(OUT) site build dist *.egg-info
