# `make` alone prints what there is. GO is found in PATH or where the Go
# distribution puts it, because sudo does not keep PATH.
GO ?= $(shell command -v go 2>/dev/null || echo /usr/local/go/bin/go)
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

VERSION ?= $(shell packaging/version)
# The loaders are embedded where they have been staged.
STAGED = $(wildcard booters/loaders/firmware/SHA256SUMS)
TAGS = $(if $(STAGED),embed_ipxe)
GOFLAGS_BUILD = -trimpath -buildvcs=false -tags '$(TAGS)' -ldflags '-s -w -buildid= -X github.com/pixiecore/pixiecore/daemon/cli.version=$(VERSION)'
ROOT := $(filter 0,$(shell id -u))
# The race detector needs a C compiler.
RACE := $(if $(shell command -v gcc 2>/dev/null),-race)
FUZZTIME ?= 30s

# What `make build` writes; cross builds, GOARCH in the environment, name another.
BINARY ?= pixiecore

# Where `make install` puts things. PREFIX=/usr is for packages.
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
BINDIR ?= $(PREFIX)/bin
UNITDIR ?= $(PREFIX)/lib/systemd/system
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/pixiecore
BASHCOMPDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHCOMPDIR ?= $(PREFIX)/share/zsh/site-functions
FISHCOMPDIR ?= $(PREFIX)/share/fish/vendor_completions.d
DATA = install -D -m 644

.DEFAULT_GOAL := help
.PHONY: help build run test unit e2e lint bench load profile soak fuzz docs firmware clean $(BINARY) completions install packages test-packages test-systemd test-browser

help: ## print this
	@echo 'make TARGET, where TARGET is one of'
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

build: $(BINARY) completions ## build ./pixiecore, with the staged loaders in it

$(BINARY):
	CGO_ENABLED=0 $(GO) build $(GOFLAGS_BUILD) -o $@ ./daemon/pixiecore
	@echo '$(if $(TAGS),loaders embedded: $(notdir $(wildcard booters/loaders/firmware/*.efi booters/loaders/firmware/*.kpxe)),no loaders embedded: those of the host are used; `make firmware` stages them)'

# Written by a program for this host, whatever GOARCH is built for.
completions:
	@mkdir -p dist/completions
	@for shell in bash zsh fish; do \
	  env -u GOOS -u GOARCH CGO_ENABLED=0 $(GO) run -trimpath -buildvcs=false ./daemon/pixiecore completion $$shell >dist/completions/$$shell || exit 1; \
	done

install: ## install what `make build` has built: DESTDIR, PREFIX (/usr/local); builds nothing, enables nothing
	@[ -x $(BINARY) ] && [ -s dist/completions/fish ] || { echo '`make build` comes first: an installation builds nothing, for it is often root who installs.' >&2; exit 2; }
	install -D -m 755 $(BINARY) $(DESTDIR)$(BINDIR)/pixiecore
	@# Units and profile name the program by its path.
	for f in systemd/units/*; do \
	  $(DATA) $$f $(DESTDIR)$(UNITDIR)/$${f##*/} && sed -i 's,/usr/bin/pixiecore,$(BINDIR)/pixiecore,' $(DESTDIR)$(UNITDIR)/$${f##*/} || exit 1; \
	done
	$(DATA) packaging/sysusers.d/pixiecore.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/pixiecore.conf
	$(DATA) packaging/tmpfiles.d/pixiecore.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/pixiecore.conf
	$(DATA) packaging/sysctl.d/60-pixiecore.conf $(DESTDIR)$(PREFIX)/lib/sysctl.d/60-pixiecore.conf
	$(DATA) packaging/firewalld/pixiecore.xml $(DESTDIR)$(PREFIX)/lib/firewalld/services/pixiecore.xml
	$(DATA) packaging/apparmor.d/pixiecore $(DESTDIR)$(SYSCONFDIR)/apparmor.d/pixiecore
	for f in packaging/man/*.[58]; do $(DATA) $$f $(DESTDIR)$(MANDIR)/man$${f##*.}/$${f##*/} || exit 1; done
	$(DATA) dist/completions/bash $(DESTDIR)$(BASHCOMPDIR)/pixiecore
	$(DATA) dist/completions/zsh $(DESTDIR)$(ZSHCOMPDIR)/_pixiecore
	$(DATA) dist/completions/fish $(DESTDIR)$(FISHCOMPDIR)/pixiecore.fish
	for f in README.md CHANGELOG.md docs/*.md docs/images/*; do $(DATA) $$f $(DESTDIR)$(DOCDIR)/$$f || exit 1; done
	$(DATA) packaging/prometheus/pixiecore.rules.yml $(DESTDIR)$(DOCDIR)/prometheus/pixiecore.rules.yml
	$(DATA) packaging/grafana/pixiecore.json $(DESTDIR)$(DOCDIR)/grafana/pixiecore.json
	for f in examples/*.*; do $(DATA) $$f $(DESTDIR)$(DOCDIR)/examples/$${f##*/} || exit 1; done
	@# An installation over another keeps the configuration.
	[ -e $(DESTDIR)$(SYSCONFDIR)/pixiecore.hcl ] || install -D -m 640 packaging/pixiecore.hcl $(DESTDIR)$(SYSCONFDIR)/pixiecore.hcl
	install -d -m 750 $(DESTDIR)$(SYSCONFDIR)/pixiecore.d

packages: ## deb, rpm and apk for amd64 and arm64, source and vendor tarballs, an OCI image: into dist/
	packaging/build

test-packages: ## build the packages twice, compare, and look at all that is in them (root, if tools are missing)
	packaging/setup
	packaging/build
	$(GO) test -tags packages -count 1 -timeout 20m -v ./packaging

test-systemd: ## install the deb under Debian's systemd, and live with it (needs root and, once, the archive)
	e2e/systemd/setup
	ARCHES=$$($(GO) env GOARCH) packaging/build deb
	$(GO) test -tags systemd -count 1 -timeout 20m -v ./e2e/systemd

test-browser: ## look at the status page by Chromium while machines boot (needs root and, once, the archive and npm)
	e2e/setup
	e2e/browser/setup
	$(GO) test -tags e2e,browser -run '^TestBrowser' -count 1 -timeout 10m -v ./e2e

firmware: ## stage Debian's iPXE binaries, to be embedded by the next build
	packaging/firmware/stage

docs: ## write docs/language.md, the manual pages, the API's schemas and the README's table of what boots anew
	$(GO) generate ./daemon/cli/docs ./daemon/page
	$(GO) test -run TestREADME ./e2e -update

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
	$(GO) vet -tags e2e,browser ./e2e ./e2e/upstream
	$(GO) run $(STATICCHECK) ./...
	$(GO) run $(STATICCHECK) -tags e2e,browser ./e2e ./e2e/upstream
	$(GO) vet -tags packages,systemd,bench ./packaging ./e2e/systemd ./e2e/bench
	$(GO) run $(STATICCHECK) -tags packages,systemd,bench ./packaging ./e2e/systemd ./e2e/bench
	cd packaging/tools && $(GO) vet ./... && $(GO) run $(STATICCHECK) ./...

bench: ## run the Go benchmarks; as root, load the daemon beside dnsmasq, atftpd and nginx where installed
	$(GO) test -run '^$$' -bench . -benchmem ./...
ifneq ($(ROOT),)
	@$(MAKE) --no-print-directory load
else
	@echo 'Not root: the daemon is not loaded beside other servers (sudo make bench does that).'
endif

# Rows of the table by name, with commas: ROW=offers,pxe. UNPINNED=1 gives the server
# and the load all processors in place of one each.
TABLE = PIXIECORE_BENCH_ROW=$(ROW) PIXIECORE_BENCH_UNPINNED=$(UNPINNED) $(if $(UNPINNED),,taskset -c 1) $(CURDIR)/dist/bench.test -test.run TestTable -test.v -test.timeout 60m

load: $(BINARY) ## the second half of bench: the table of measured against target; ROW=offers,pxe: these
	@mkdir -p dist
	$(GO) test -tags bench -c -o dist/bench.test ./e2e/bench
	cd e2e/bench && PIXIECORE_BIN=$(CURDIR)/$(BINARY) $(TABLE)

profile: ## a row of the table, ROW=offers, and where the daemon's time goes meanwhile (needs root)
	@[ -n '$(ROW)' ] || { echo 'make profile ROW=NAME; the names are in the first column of `make load`' >&2; exit 2; }
	@mkdir -p dist/profile/$(ROW)
	$(GO) test -tags bench -c -o dist/bench.test ./e2e/bench
	CGO_ENABLED=0 $(GO) build -tags '$(TAGS)' -o dist/profiled ./e2e/bench/profiled
	cd e2e/bench && PIXIECORE_BIN=$(CURDIR)/dist/profiled PIXIECORE_BENCH_PROFILE=$(CURDIR)/dist/profile/$(ROW) $(TABLE)
	@for f in dist/profile/$(ROW)/*.cpu; do \
	  echo; echo "$$f; go tool pprof opens it, and $${f%.cpu}.heap"; \
	  $(GO) tool pprof -top -nodecount 30 $$f || exit 1; \
	done

soak: $(BINARY) ## floods, half-open requests, faults of mirrors, kill -9, while machines boot; PART=100 does a hundredth (needs root)
	e2e/setup
	@mkdir -p dist
	PIXIECORE_SOAK_PART=$(or $(PART),1) $(GO) test -count 1 -run TestAKilledProcess -v ./daemon ./booters/cache
	PIXIECORE_SOAK_PART=$(or $(PART),1) PIXIECORE_BIN=$(CURDIR)/$(BINARY) $(GO) test -tags e2e -count 1 -timeout 30m -v ./e2e/upstream
	$(GO) test -tags bench -c -o dist/bench.test ./e2e/bench
	cd e2e/bench && PIXIECORE_SOAK_PART=$(or $(PART),1) PIXIECORE_BIN=$(CURDIR)/$(BINARY) taskset -c 1 $(CURDIR)/dist/bench.test -test.run TestSoak -test.v -test.timeout 60m

fuzz: ## fuzz every target for FUZZTIME (30s)
	@for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep ^Fuzz); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
	  done; \
	done

clean: ## remove what was built and staged
	rm -rf pixiecore dist
	find booters/loaders/firmware -type f ! -name README -delete
