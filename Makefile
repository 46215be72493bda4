# The one front door: `make` lists what there is.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The cluster that run, install, demo, demo-autoscaling and local-* act on: the one of KUBECONFIG, from the command line
# or the environment, else a control plane on loopback that lives in .cluster.
KUBECONFIG ?=
IS_LOCAL := $(if $(strip $(KUBECONFIG)),,yes)
CLUSTER := $(if $(IS_LOCAL),$(CURDIR)/.cluster/kubeconfig,$(KUBECONFIG))

# Where cargo builds, and how: release where there is a release build already. PROFILE=dev|release
TARGET := $(or $(CARGO_TARGET_DIR),target)
PROFILE ?= $(if $(wildcard $(TARGET)/release/prism-operator),release,dev)
BIN := $(TARGET)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
TESTBED := $(BIN)/testbed

# Programs that only the checks need, built once for each machine.
TOOLS := $(or $(PRISM_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/prism-operator)/tools
CARGO_DENY_VERSION := 0.20.2
TYPOS_VERSION := 1.52.0
export PATH := $(PATH):$(TOOLS)/bin

# The kubectl of the machine where there is one, else the one inside the local control plane.
KUBECTL := $(if $(IS_LOCAL),$(TESTBED) kubectl --,$(or $(shell command -v kubectl),$(TESTBED) kubectl --) --kubeconfig '$(CLUSTER)')
CRDS := config/crd/bases
# Kinds of the objects that the operator makes, and what selects them.
CHILDREN := deployments,statefulsets,services,horizontalpodautoscalers,poddisruptionbudgets,configmaps,serviceaccounts
MANAGED := app.kubernetes.io/managed-by=prism-operator

# Most tests wait for the cluster most of the time: more of them than cores run at once.
TEST_THREADS ?= 6

# More arguments for test, run, demo and bench: make bench ARGS='--patterns 50 --rounds 1', or
# ARGS='--scaled-objects 500 --keda' for the way from patterns to KEDA's autoscalers
ARGS ?=

##@ Start here

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\n%s\n' 'KUBECONFIG=FILE chooses your own cluster, ARGS=... adds arguments, PROFILE=dev|release the build.'

.PHONY: demo
demo: programs ## See a whole stack come to life; starts a local cluster if there is none
	@$(if $(IS_LOCAL),env -u KUBECONFIG,KUBECONFIG='$(CLUSTER)') $(BIN)/demo $(ARGS)

.PHONY: demo-autoscaling
demo-autoscaling: programs ## See a consumer follow its load, from one replica to many and back
	@$(if $(IS_LOCAL),env -u KUBECONFIG,KUBECONFIG='$(CLUSTER)') $(BIN)/demo-autoscaling $(ARGS)

##@ Build and check

.PHONY: build
build: ## Build everything, optimised
	@$(MAKE) programs PROFILE=release

.PHONY: test
test: ## Run all tests on a control plane of their own
	cargo test --workspace --no-run
	$(TARGET)/debug/testbed build
	$(TARGET)/debug/testbed run -- cargo test --workspace --no-fail-fast $(ARGS)

.PHONY: fuzz
fuzz: ## Try hostile input on everything that reads it, for ten minutes: FUZZ_SECONDS=120 for each of five programs
	FUZZ_SECONDS=$(or $(FUZZ_SECONDS),120) cargo test --workspace --lib --test plans --test numbers --test decisions --test decoding -- --nocapture fuzz_

.PHONY: bench
bench: ## Measure the operator against bare server-side apply (release build, a cluster of its own)
	@$(MAKE) programs PROFILE=release
	$(TARGET)/release/testbed run -- $(TARGET)/release/bench $(ARGS)

.PHONY: fmt
fmt: ## Format the sources
	cargo fmt --all
	gofmt -w cluster

.PHONY: lint
lint: tools check-manifests ## Run every check that is no test
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo deny --workspace check bans licenses sources
	@if timeout 120 cargo deny --log-level off fetch db; then set -x; cargo deny --workspace check --disable-fetch advisories; \
	  else echo 'The database of advisories is out of reach: known vulnerabilities are not looked for.' >&2; fi
	typos
	@unformatted=$$(gofmt -l cluster); if [ -n "$$unformatted" ]; then echo "run make fmt: $$unformatted" >&2; exit 1; fi

.PHONY: tools
tools: ## Install what lint needs and is not there: cargo-deny, typos
	@command -v cargo-deny >/dev/null || cargo install --locked --root '$(TOOLS)' cargo-deny@$(CARGO_DENY_VERSION)
	@command -v typos >/dev/null || cargo install --locked --root '$(TOOLS)' typos-cli@$(TYPOS_VERSION)

.PHONY: manifests
manifests: programs ## Generate the custom resource definitions from the types
	$(BIN)/crdgen $(CRDS)

.PHONY: check-manifests
check-manifests: programs ## Fail if the custom resource definitions are not what the types say
	$(BIN)/crdgen --check $(CRDS)

##@ Use a cluster

.PHONY: cluster-up
cluster-up: programs ## Start the local cluster, or do nothing if it runs
	@$(TESTBED) up

.PHONY: cluster-down
cluster-down: programs ## End the local cluster and forget what was in it
	@$(TESTBED) down

.PHONY: install
install: programs ## Install the custom resource definitions
	$(KUBECTL) apply --server-side --force-conflicts -f $(CRDS)
	$(KUBECTL) wait --for=condition=Established --timeout=30s -f $(CRDS)

.PHONY: uninstall
uninstall: programs ## Remove the custom resource definitions, and with them all of Prism's objects
	$(KUBECTL) delete --ignore-not-found -f $(CRDS)

.PHONY: run
run: programs ## Run the operator here, against the cluster; ready when :8080/readyz answers
	@KUBECONFIG='$(CLUSTER)' exec $(BIN)/prism-operator run $(ARGS)

.PHONY: local-run
local-run: cluster install run ## Start the local cluster if need be, install, and run the operator

.PHONY: local-test-hpa
local-test-hpa: cluster install ## Apply a pattern with an autoscaler and wait until it is Ready; needs local-run
	$(KUBECTL) apply --server-side --force-conflicts -f config/samples/prismpattern_hpa_example.yaml
	@$(KUBECTL) wait --for=condition=Ready --timeout=60s -f config/samples/prismpattern_hpa_example.yaml \
	  || { echo 'It is not Ready: does the operator run? `make local-run`, in another terminal.' >&2; exit 1; }
	$(KUBECTL) get -f config/samples/prismpattern_hpa_example.yaml
	$(KUBECTL) get deployments,horizontalpodautoscalers,pods -l prism.io/pattern-instance=shop-events

.PHONY: local-keda
local-keda: cluster ## Run KEDA beside the local cluster, until Ctrl-C
	@$(TESTBED) keda

.PHONY: local-test-keda
local-test-keda: with-keda ## Apply a pattern that KEDA scales and wait for its ScaledObject; needs local-run and local-keda
	@$(MAKE) scaled-by-keda SAMPLE=prismpattern_keda_kafka_example.yaml NAME=invoice-reader

# The keys are nobody's: KEDA says that it cannot read the queue, and goes by the other triggers.
.PHONY: local-test-multi
local-test-multi: with-keda ## The same with several triggers, one with a Secret
	@$(KUBECTL) get secret notification-queue >/dev/null 2>&1 || $(KUBECTL) create secret generic notification-queue \
	  --from-literal=AWS_ACCESS_KEY_ID=example --from-literal=AWS_SECRET_ACCESS_KEY=example
	@$(MAKE) scaled-by-keda SAMPLE=prismpattern_keda_multi_trigger_example.yaml NAME=notification-fanout

.PHONY: local-status
local-status: programs ## Show all of Prism's objects and what the operator made for them
	@$(KUBECTL) get prism --all-namespaces
	@$(KUBECTL) get $(CHILDREN) --all-namespaces -l $(MANAGED)

.PHONY: local-clean
local-clean: programs ## Remove all of Prism's objects and definitions, and end the local cluster
	@$(if $(IS_LOCAL),$(TESTBED) down,$(KUBECTL) delete namespace prism-demo --ignore-not-found --timeout=2m && \
	  $(KUBECTL) delete --ignore-not-found --timeout=2m -f $(CRDS) \
	  || { echo 'A stack goes only while the operator runs: `make run`, in another terminal.' >&2; exit 1; })

##@ Not in this version

deploy: ## Run the operator inside of a cluster
undeploy: ## Remove it from there
docker-build: ## Build a container image
kind-create: ## Start a cluster in containers
kind-delete: ## End it

.PHONY: deploy undeploy docker-build kind-create kind-delete
deploy: instead = `make install run` runs it on this machine against any cluster
undeploy: instead = `make uninstall` removes what `make install` has installed
docker-build: instead = `make build` leaves the operator in target/release/prism-operator
kind-create: instead = `make cluster-up` starts a control plane without containers
kind-delete: instead = `make cluster-down` ends the cluster of `make cluster-up`
deploy undeploy docker-build kind-create kind-delete:
	@echo 'make $@ is for a later version; until then, $(instead).' >&2; exit 1

# What other targets start from.

# All at once: cargo then chooses the same features of each dependency every time, and builds it once.
.PHONY: programs
programs:
	@cargo build --profile $(PROFILE) --workspace

# The local cluster where no other is asked for.
.PHONY: cluster
cluster: programs
	@$(if $(IS_LOCAL),$(TESTBED) up,:)

.PHONY: with-keda
with-keda: cluster install
	@$(KUBECTL) get crd scaledobjects.keda.sh >/dev/null 2>&1 || { \
	  echo 'The cluster has no KEDA: $(if $(IS_LOCAL),run `make local-keda` in another terminal,install it from https://keda.sh).' >&2; exit 1; }

# Applies the pattern NAME of SAMPLE, and shows what scales it.
.PHONY: scaled-by-keda
scaled-by-keda:
	$(KUBECTL) apply --server-side --force-conflicts -f config/samples/$(SAMPLE)
	@$(KUBECTL) wait --for=condition=Ready --timeout=60s -f config/samples/$(SAMPLE) \
	  && $(KUBECTL) wait --for=create --timeout=30s scaledobject/$(NAME) \
	  || { echo 'It is not scaled: does the operator run? `make local-run`, in another terminal.' >&2; exit 1; }
	$(KUBECTL) get -f config/samples/$(SAMPLE)
	$(KUBECTL) get scaledobjects,triggerauthentications,horizontalpodautoscalers -l prism.io/pattern-instance=$(NAME)
