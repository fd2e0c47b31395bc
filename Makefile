.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
IMAGE ?= model-server:0.1.0
APPLICATION_IMAGE ?= model-server-application:0.1.0
PORT ?= 8080
GRPC_PORT ?= 8081
APPLICATION_PORT ?= 8000
UV := $(PYTHON) requirements/uv_as_pip.py $(VENV)
LOCK := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
INSTALL := $(PYTHON) requirements/install.py
BOUNDS_TESTS ?= $(addprefix tests/model_server/test_,server.py predictions.py fast_path.py limits.py protocols.py overrides.py)

.PHONY: help install packages train run test test-fast coverage bounds soak bench first-run audit check format lock chart image kind-up deploy kind-test kind-down
help: ## Show what can be made
	@sed -n 's/^\([a-z-]*%*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

packages: $(VENV)/packages ## Set up .venv with what running and training need, every package by its hash

$(VENV)/packages: requirements/run.txt requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || { echo "model-server needs Python 3.11, 3.12 or 3.13; set PYTHON=/path/to/python3"; exit 1; }
	@$(INSTALL) $(VENV) requirements/run.txt
	@touch $@

install: $(VENV)/installed ## Add what tests and tools need, and the SageMaker SDK in a .venv of its own

$(VENV)/installed: $(VENV)/packages requirements/dev.txt requirements/sagemaker.txt pyproject.toml
	@$(INSTALL) --exactly $(VENV) requirements/dev.txt
	@$(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	@$(INSTALL) --exactly $(VENV)/sagemaker requirements/sagemaker.txt
	@touch $(VENV)/packages $@

# What is asked for by KServe, or by rich, and imported by neither the server nor the training: no
# image has it.
UNUSED := aiohappyeyeballs aiohttp aiohttp-retry aiosignal attrs cffi cryptography frozenlist \
  grpcio-tools multidict propcache pyasn1 pycparser pygments pyjwt setuptools yarl
without = $(addprefix --no-emit-package ,$(1))

lock: install ## Resolve the requirements again, with hashes
	@$(LOCK) --extra docs --extra sklearn --group dev --group sbom pyproject.toml --output-file requirements/dev.txt
	@$(LOCK) --extra docs --extra sklearn --group run --constraint requirements/dev.txt pyproject.toml --output-file requirements/run.txt
	@$(LOCK) --extra docs --extra sklearn --constraint requirements/dev.txt $(call without,$(UNUSED) pillow) pyproject.toml --output-file requirements/server.txt
	@$(LOCK) --extra docs --extra sklearn --group training --constraint requirements/dev.txt $(call without,$(UNUSED)) pyproject.toml --output-file requirements/training.txt
	@$(LOCK) --group application --constraint requirements/dev.txt --output-file requirements/application.txt
	@$(LOCK) --group sbom --constraint requirements/dev.txt --output-file requirements/sbom.txt
	@echo uv | $(LOCK) --constraint requirements/dev.txt --output-file requirements/uv.txt -
	@$(LOCK) --group sagemaker --output-file requirements/sagemaker.txt

train: models/rooms/manifest.json ## Train the built-in models, where there are none

models/rooms/manifest.json: | packages
	@echo "models: training two, about half a minute"
	@$(BIN)/python -m training

run: train ## Serve the models on port 8080, and their pages on port 8000, until Ctrl-C
	@exec $(BIN)/python run.py --port $(PORT) --grpc-port $(GRPC_PORT) --application-port $(APPLICATION_PORT)

test: install ## Pass every test that this machine can run; REQUIRE_ALL=1 makes a skip a failure
	@$(BIN)/pytest -n 2 --dist loadscope --no-loadscope-reorder --durations 25

test-fast: install ## Pass the tests that start no process, in half a minute
	@$(BIN)/pytest --fast -q

test-fast-%: ## Pass the fast tests on another Python, in a container: make test-fast-3.13
	@echo "fast tests: Python $* with the packages of requirements/dev.txt, in a container"
	@docker build --quiet --file tests/Dockerfile --build-arg PYTHON=$* --tag model-server-tests:$* . >/dev/null
	@docker run --rm model-server-tests:$*

coverage: install ## Tell which branches of the server no test takes; the server's tests alone, ten minutes
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -q tests/model_server
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

bounds: bounds-lowest-direct bounds-highest ## Try the oldest and the newest packages that pyproject.toml allows

bounds-%: install
	@echo "bounds: tests with the packages of --resolution $*"
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	  $(UV) pip compile --quiet --resolution $* --extra docs --extra sklearn --group test pyproject.toml --output-file $$folder/lock && \
	  $(PYTHON) requirements/uv_as_pip.py $$folder/venv pip sync --quiet $$folder/lock && \
	  HYPOTHESIS_STORAGE_DIRECTORY=$$folder/hypothesis $$folder/venv/bin/pytest -q $(BOUNDS_TESTS)

bench: train ## Measure beside stock KServe and a ceiling, about a quarter of an hour; needs wrk
	@$(BIN)/python -m bench --out bench/README.md
	@$(BIN)/python -m bench.pages --out bench/README.md

first-run: ## Measure `make run` from a fresh clone, with empty caches and with full ones
	@$(PYTHON) -m bench.first_run

soak: install bounds ## Put the server through faults, hostile input and overload at full size, an hour
	@$(BIN)/python -m soak --out docs/reliability.md
	@$(BIN)/python -m soak.coverage --out docs/coverage.md

audit: install ## Look the locked packages up in PyPI's vulnerability data
	@for lock in server training application; do \
	  echo "requirements/$$lock.txt:"; \
	  $(BIN)/pip-audit --strict --disable-pip --require-hashes --requirement requirements/$$lock.txt || exit 1; \
	done

check: install ## Lint, check types, look for drift and score the chart
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@told=$$($(BIN)/lint-imports --no-cache) || { echo "$$told"; exit 1; }
	@if command -v helm >/dev/null; then PYTHONPATH=. $(BIN)/python charts/generate.py --check; \
	else echo "SKIPPED FOR WANT OF A PROGRAM: helm is not installed, so charts/ was not looked at for drift"; fi
	@if command -v helm >/dev/null && command -v kube-score >/dev/null; then PYTHONPATH=. $(BIN)/python charts/score.py; \
	else echo "SKIPPED FOR WANT OF A PROGRAM: helm or kube-score is not installed, so the chart was not scored"; fi

format: install ## Format the code and mend what ruff can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

chart: install ## Make the chart's schema and README and the manifests from values.yaml
	@PYTHONPATH=. $(BIN)/python charts/generate.py

# An image as the chart's values; its id makes new pods of a rebuilt image of the same tag.
image-values = --set $(1)image.repository=$(firstword $(subst :, ,$(2))) --set $(1)image.tag=$(lastword $(subst :, ,$(2))) \
  --set-string $(1)podAnnotations.image-id=$$(docker image inspect --format '{{.Id}}' $(2))

image: ## Build the images of the server and of the application
	@echo "image $(IMAGE): building it"
	@docker build --quiet --tag $(IMAGE) . >/dev/null
	@echo "image $(APPLICATION_IMAGE): building it"
	@docker build --quiet --target application --tag $(APPLICATION_IMAGE) . >/dev/null

kind-up: packages ## Create a kind cluster with KServe, cert-manager and metrics-server
	@$(BIN)/python manifests/cluster.py up

deploy: kind-up image ## Build the images and install the chart in the kind cluster
	@$(BIN)/python manifests/cluster.py load $(IMAGE) $(APPLICATION_IMAGE)
	@helm upgrade --install model-server charts/model-server --kube-context kind-model-server \
	  --namespace model-server --create-namespace \
	  $(call image-values,,$(IMAGE)) $(call image-values,application.,$(APPLICATION_IMAGE))

kind-test: kind-up ## Run the cluster tests in that cluster
	@KIND_CLUSTER=model-server $(BIN)/pytest tests/kind

kind-down: packages ## Delete the kind cluster
	@$(BIN)/python manifests/cluster.py down
