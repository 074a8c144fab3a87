# Everything that trust-otel needs, it installs itself: Python packages into .venv, executables into ~/.cache/trust-otel.
# `make demo FOR=60s REPORT=report.json` stops by itself and writes what it saw.

UV_VERSION := 0.13.9
UV := .venv-uv/bin/uv
RUN := .venv/bin
# A name for the second environment, with the newer of the two supported lines of the SDK and of SQLAlchemy.
NEXT := .venv-next
# What can differ there: what uses the SDK or SQLAlchemy.
NEXT_TESTS := $(addprefix tests/unit/,configurator distro example export incidents instrumentation metrics monitors) \
	tests/contract/test_privacy.py tests/contract/test_promoted_attributes.py

# The environment of the tools that check a release.
RELEASE := .venv-release

# Tests that start no part of the stack run on two processors.
BESIDE := -n 2 --dist worksteal

# It compares how soon notifications arrive, so nothing else may run beside it.
ALONE := tests/integration/test_alertmanager_live.py

.DEFAULT_GOAL := help
.PHONY: help demo drill test check generate pictures bench evidence stack release clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/ready ## Run the example service with traffic, Collector and Prometheus, and show the totals live
	@$(RUN)/python -m examples.demo $(if $(FOR),--for $(FOR)) $(if $(REPORT),--report $(REPORT))

drill: .venv/ready ## Cause the fault behind every alert, and check who is notified and that it resolves (20 minutes)
	@# It starts programs while gRPC calls are under way, and gRPC would complain of each.
	@GRPC_ENABLE_FORK_SUPPORT=false $(RUN)/python -m testbed.drill $(if $(QUIET),--quiet $(QUIET)) $(if $(REPORT),--report $(REPORT)) $(if $(PICTURE),--picture $(PICTURE))

test: check ## Run all checks and tests
	@# What cannot be had on this machine (Debian's packages elsewhere), the tests that need it skip.
	-@$(RUN)/trust-otel stack build
	@$(RUN)/pytest $(BESIDE) tests/unit tests/contract
	@$(RUN)/pytest -n 2 --dist loadfile tests/integration --ignore $(ALONE)
	@$(RUN)/pytest $(ALONE) tests/e2e
	@echo "The same on the newer lines of the SDK and of SQLAlchemy ..."
	@UV_PROJECT_ENVIRONMENT=$(NEXT) $(UV) sync -q --frozen --no-default-groups --group dev --group sdk-1-45-2
	@$(NEXT)/bin/pytest $(BESIDE) $(NEXT_TESTS)

check: .venv/ready ## Check format, lint and types
	@echo "Checking format, lint and types ..."
	@$(RUN)/ruff format --check -q .
	@$(RUN)/ruff check -q .
	@$(RUN)/mypy
	@$(RUN)/mypy --python-version 3.11 monitoring/dashboards/*.py monitoring/dashboards/*/*.py

generate: .venv/ready ## Write the generated files
	@$(RUN)/python -m trust_otel.semconv.generator
	@$(RUN)/trust-otel settings --markdown > docs/settings.md
	@$(RUN)/python -m trust_ops.alertmanager_config.pages
	@$(RUN)/python -m monitoring.alerts
	@$(RUN)/python -m monitoring.dashboards
	@examples/trust_service/generate-stubs $(RUN)/python
	@$(RUN)/python examples/trust_service/generate-countries

pictures: .venv/ready ## Take screenshots of the dashboards in Chromium, in normal operation and three outages (11 minutes)
	@GRPC_ENABLE_FORK_SUPPORT=false $(RUN)/python -m testbed.screenshots $(if $(FOR),--for $(FOR))

bench: .venv/ready ## Compare the cost with the peers', as ratios
	@$(RUN)/python -m benchmarks

evidence: .venv/ready ## Show how well attacks are found, what it costs, how long panels take, and how long servers take to end (1 hour)
	@$(RUN)/python -m benchmarks.lookups
	@$(RUN)/python -m benchmarks.detectors
	@$(RUN)/python -m benchmarks.offenders
	@$(RUN)/python -m benchmarks.dashboards
	@$(RUN)/python -m benchmarks.servers

stack: .venv/ready ## Run Collector and Prometheus until Ctrl-C
	@$(RUN)/trust-otel stack up

release: $(UV) ## Build both wheels, check each in an empty environment, and list their contents (SBOM) in dist/
	@UV_PROJECT_ENVIRONMENT=$(RELEASE) $(UV) sync -q --frozen --only-group release
	@$(RELEASE)/bin/python -m tools.release --uv $(UV)

clean: ## Remove the environments; the built executables stay in the cache
	rm -rf .venv .venv-uv $(NEXT) $(RELEASE) dist

.venv/ready: pyproject.toml trust_ops/pyproject.toml uv.lock $(UV)
	@echo "Installing the Python packages of uv.lock ..."
	@$(UV) sync -q --frozen
	@touch $@

$(UV):
	@echo "Installing uv $(UV_VERSION) ..."
	@python3 -m venv .venv-uv
	@.venv-uv/bin/pip install -q --disable-pip-version-check uv==$(UV_VERSION)
