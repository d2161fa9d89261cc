# `make` alone prints what there is. GO is found in PATH or where the Go
# distribution puts it, because sudo does not keep PATH.
GO ?= $(shell command -v go 2>/dev/null || echo /usr/local/go/bin/go)
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# The loaders are embedded where they have been staged.
STAGED = $(wildcard booters/loaders/firmware/SHA256SUMS)
TAGS = $(if $(STAGED),embed_ipxe)
GOFLAGS_BUILD = -trimpath -buildvcs=false -tags '$(TAGS)' -ldflags '-s -w -buildid= -X github.com/pixiecore/pixiecore/daemon/cli.version=$(VERSION)'
ROOT := $(filter 0,$(shell id -u))
# The race detector needs a C compiler.
RACE := $(if $(shell command -v gcc 2>/dev/null),-race)
FUZZTIME ?= 30s

.DEFAULT_GOAL := help
.PHONY: help build docs run test unit e2e lint bench fuzz firmware clean pixiecore

help: ## print this
	@echo 'make TARGET, where TARGET is one of'
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

build: pixiecore ## build ./pixiecore, with the staged loaders in it

pixiecore:
	CGO_ENABLED=0 $(GO) build $(GOFLAGS_BUILD) -o $@ ./daemon/pixiecore
	@echo '$(if $(STAGED),loaders embedded: $(notdir $(wildcard booters/loaders/firmware/*.efi booters/loaders/firmware/*.kpxe)),no loaders embedded: those of the host are used; `make firmware` stages them)'

firmware: ## stage Debian's iPXE binaries, to be embedded by the next build
	packaging/firmware/stage

docs: ## write docs/language.md and the manual pages anew
	$(GO) generate ./daemon/cli/docs

run: ## stage what is missing, build, and serve the built-in screen (needs root)
	@[ -n '$(ROOT)' ] || { echo 'The ports of DHCP and TFTP need root: sudo make run' >&2; exit 2; }
	@packaging/firmware/stage || echo 'Going on with the loaders that the host has.' >&2
	@$(MAKE) --no-print-directory build
	@exec ./pixiecore boot

test: ## run every test; as root the namespace and QEMU tests too, installing what they need
ifneq ($(ROOT),)
	e2e/setup
	$(MAKE) --no-print-directory e2e
else
	@echo 'Not root: the tests in network namespaces and with QEMU are left out (sudo make test runs them).'
endif
	$(GO) test $(RACE) ./...

unit: ## run the tests that need no root and no QEMU
	$(GO) test ./...

e2e: build ## boot machines in QEMU (needs root; e2e/setup installs what it takes)
	$(GO) test -tags e2e -count 1 -timeout 30m -v ./e2e

lint: ## gofmt, go vet for every system, staticcheck
	@unformatted=$$($$($(GO) env GOROOT)/bin/gofmt -l .); [ -z "$$unformatted" ] || { echo "not gofmt-ed: $$unformatted" >&2; exit 1; }
	@for os in linux freebsd openbsd darwin; do GOOS=$$os $(GO) vet ./... || exit 1; done
	$(GO) vet -tags e2e ./e2e
	$(GO) run $(STATICCHECK) ./...
	$(GO) run $(STATICCHECK) -tags e2e ./e2e

bench: ## run the Go benchmarks
	$(GO) test -run '^$$' -bench . -benchmem ./...

fuzz: ## fuzz every target for FUZZTIME (30s)
	@for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep ^Fuzz); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
	  done; \
	done

clean: ## remove what was built and staged
	rm -f pixiecore
	find booters/loaders/firmware -type f ! -name README -delete
