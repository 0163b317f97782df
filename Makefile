# make demo   set up, train on the CC0 sounds in demo/, generate, export
# make test   set up and run every check
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13,$(if $(shell command -v $(name)),$(name))) python3)
VENV ?= .venv$(if $(findstring 3.13,$(PYTHON)),313)
OUT ?= demo-output

BIN := $(VENV)/bin

.PHONY: demo test lint clean

$(VENV)/.installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable .[dev]
	touch $(VENV)/.installed $@

demo: $(VENV)/.installed
	$(BIN)/melgan-tf train demo/drums --run-dir $(OUT)/run --set training.batch_size=31 --epochs 800 --log-every 100 --fresh
	$(BIN)/melgan-tf generate $(OUT)/run --out $(OUT)/sounds --count 16 --force
	$(BIN)/melgan-tf export $(OUT)/run --out $(OUT)/saved-model --version 1 --force
	$(BIN)/melgan-tf export $(OUT)/run --out $(OUT)/tflite --format tflite --force
	@echo
	@echo "Listen to  $(OUT)/sounds/*.wav   (their spectrograms: $(OUT)/sounds/sounds.png)"
	@echo "Serve      $(OUT)/saved-model     with TF Serving"
	@echo "Ship       $(OUT)/tflite          on a phone"

test: lint
	$(BIN)/python -m pytest -n auto --dist loadfile

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) $(OUT) build *.egg-info
