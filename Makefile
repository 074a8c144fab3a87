# Installs everything that trust-otel needs: Python packages into .venv, executables into ~/.cache/trust-otel.
# `make demo FOR=60s REPORT=report.json` stops after 60 s and writes a report.

UV_VERSION := 0.13.9
UV := .venv-uv/bin/uv
RUN := .venv/bin
# The second environment, with the newer of the two supported versions of the SDK and of SQLAlchemy.
NEXT := .venv-next
# Tests that depend on the version of the SDK or SQLAlchemy.
NEXT_TESTS := $(addprefix tests/unit/,configurator distro example export incidents instrumentation metrics monitors privacy recording) \
	$(addprefix tests/integration/,configurator distro example export instrumentation monitors) \
	tests/contract/test_privacy.py tests/contract/test_promoted_attributes.py

# The environment of the release tools.
RELEASE := .venv-release

# Two processes. Tests of one file share what they start, so they stay in one process.
PARALLEL := -n 2 --dist worksteal
BY_FILE := -n 2 --dist loadfile

# Measure notification times, or need both cores: no other test may run at the same time.
ALONE := tests/integration/test_alertmanager_live.py tests/integration/test_cluster.py tests/e2e/test_drill.py

# Installs large programs.
THIRD_PARTY := tests/e2e/third_party

.DEFAULT_GOAL := help
.PHONY: help demo drill test test-unit test-third-party check generate pictures bench evidence cluster stack release clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/ready ## Run the example service with traffic, Collector and Prometheus, and show the totals live
	@$(RUN)/python -m examples.demo $(if $(FOR),--for $(FOR)) $(if $(REPORT),--report $(REPORT))

drill: .venv/ready ## Inject the fault of every alert, and check who is notified and that it resolves (20 minutes)
	@# It starts processes during gRPC calls, and gRPC would log a warning for each.
	@GRPC_ENABLE_FORK_SUPPORT=false $(RUN)/python -m testbed.drill $(if $(QUIET),--quiet $(QUIET)) $(if $(REPORT),--report $(REPORT)) $(if $(PICTURE),--picture $(PICTURE))

test: check ## Run all checks and tests
	@# Tests skip components that cannot be installed here (Debian packages on other systems).
	-@$(RUN)/trust-otel stack build
	-@$(RUN)/python -m testbed.cluster --build-only
	@$(RUN)/pytest $(PARALLEL) tests/unit tests/contract
	@$(RUN)/pytest $(BY_FILE) tests/integration tests/e2e $(addprefix --ignore ,$(ALONE) $(THIRD_PARTY))
	@$(RUN)/pytest $(ALONE)
	@echo "Repeating tests with the newer versions of the SDK and SQLAlchemy ..."
	@UV_PROJECT_ENVIRONMENT=$(NEXT) $(UV) sync -q --frozen --no-default-groups --group dev --group sdk-1-45-2
	@$(NEXT)/bin/pytest $(PARALLEL) $(NEXT_TESTS)

test-unit: .venv/ready ## Run the unit tests, which start no program (2 minutes)
	@$(RUN)/pytest $(PARALLEL) tests/unit

test-third-party: .venv/ready ## Run programs that others wrote with it, and write docs/third-party.md (10 minutes, 2 GB of packages)
	@$(RUN)/pytest -n 0 $(THIRD_PARTY) --third-party-table docs/third-party.md

check: .venv/ready ## Check format, lint and types
	@echo "Checking format, lint and types ..."
	@$(RUN)/ruff format --check -q .
	@$(RUN)/ruff check -q .
	@$(RUN)/mypy
	@$(RUN)/mypy --python-version 3.11 monitoring/dashboards/*.py monitoring/dashboards/*/*.py

generate: .venv/ready ## Write all generated files: conventions, settings, alert rules, dashboards, Kubernetes manifests, gRPC stubs, constraints
	@$(RUN)/python -m trust_otel.semconv.generator
	@$(RUN)/trust-otel settings --markdown > docs/settings.md
	@$(RUN)/python -m trust_ops.site_config.pages
	@$(RUN)/python -m monitoring.objectives
	@$(RUN)/python -m monitoring.alerts
	@$(RUN)/python -m monitoring.dashboards
	@$(RUN)/python -m monitoring.regulations
	@$(RUN)/python -m monitoring.k8s
	@examples/trust_service/generate-stubs $(RUN)/python
	@$(RUN)/python examples/trust_service/generate-countries
	@$(RUN)/python -m tools.constraints

pictures: .venv/ready ## Take screenshots of the dashboards in Chromium, over a fleet and in four outages (17 minutes)
	@GRPC_ENABLE_FORK_SUPPORT=false $(RUN)/python -m testbed.screenshots $(if $(FOR),--for $(FOR))

bench: .venv/ready ## Compare the cost with other instrumentations (7 minutes; QUICK=1: 2 minutes)
	@$(RUN)/python -m benchmarks $(if $(QUICK),--quick)

evidence: .venv/ready ## Measure attack detection, lookups, panel queries, a week of alerts, their causes, shutdown and process models (1 hour)
	@$(RUN)/python -m benchmarks.lookups
	@$(RUN)/python -m benchmarks.detectors
	@$(RUN)/python -m benchmarks.heavy_hitters
	@$(RUN)/python -m benchmarks.dashboards
	@$(RUN)/python -m testbed.fleet.replay
	@$(RUN)/python -m testbed.fleet.causes
	@$(RUN)/python -m benchmarks.servers
	@$(RUN)/python -m benchmarks.process_models

cluster: .venv/ready ## Run the Kubernetes manifests on a node of their own until Ctrl-C (root, Debian 12; first time 10 minutes)
	@$(RUN)/python -m testbed.cluster

stack: .venv/ready ## Run Collector and Prometheus until Ctrl-C
	@$(RUN)/trust-otel stack up

release: $(UV) ## Build both wheels, check each in an empty environment, and write SBOMs to dist/
	@UV_PROJECT_ENVIRONMENT=$(RELEASE) $(UV) sync -q --frozen --only-group release
	@$(RELEASE)/bin/python -m tools.release --uv $(UV)

clean: ## Remove the environments; built executables stay in the cache
	rm -rf .venv .venv-uv $(NEXT) $(RELEASE) .venv-bench .venv-frameworks .venv-third-party dist

.venv/ready: pyproject.toml trust_ops/pyproject.toml uv.lock $(UV)
	@echo "Installing the Python packages of uv.lock ..."
	@$(UV) sync -q --frozen
	@touch $@

$(UV):
	@echo "Installing uv $(UV_VERSION) ..."
	@python3 -m venv .venv-uv
	@.venv-uv/bin/pip install -q --disable-pip-version-check uv==$(UV_VERSION)
