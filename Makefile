# A menu. Every entry is one or two lines; the work is done by Meson and by tools/.

BUILD ?= build
FUZZ_SECONDS ?= 60
ROUNDS ?= 1000
KILLS ?= 500
IMAGES ?= 10000
CHAOS_SCALE ?= 1
EXPLORE_STATES ?= 10000000
SEEDS ?= 10000
CALLS ?= 1000000

.PHONY: build demo test check chaos explore seeds models mutants bench orphans fmt lint asan tsan fuzz docs install valgrind clean

build: # compile everything into build/
	@tools/setup build && tools/build $(BUILD)

demo: build # a pool of Python workers does real work, visibly
	@tools/demo

.PHONY: showcase
showcase: build # demos that explain what they do while they do it (DEMO=name or all; a menu without)
	@tools/setup showcase && BUILD=$(BUILD) tools/showcase $(DEMO)

test: # unit, system and bridge tests; the last line is the sum
	@tools/setup test && tools/build $(BUILD) && tools/run_tests.py $(BUILD)

check: # what every change must pass: form, lint, two compilers, sanitizers
	@tools/setup check && tools/check

chaos: build # workers die, hang and misbehave under load; a checker judges (CHAOS_SCALE=10: longer)
	@tools/setup test && tools/chaos --scale $(CHAOS_SCALE) $(BUILD)

explore: build # every order of events of small pools, as deep as EXPLORE_STATES go
	@$(BUILD)/test/sim/explore -f 2 -w 1 -s $(EXPLORE_STATES)

seeds: build # SEEDS lives of pools with faults, on a clock of their own, each twice
	@$(BUILD)/test/sim/seeds -n $(SEEDS)

models: # the protocols between host, guard and worker: every state, with Spin
	@tools/setup check && tools/models

mutants: # seeded bugs, each of which the tests must catch
	@tools/setup check && tools/mutants

.PHONY: counts
counts: build # instructions of a call, beside those of before
	@tools/setup test && tools/counts $(BUILD)

BENCH ?=
bench: build # speed and memory, beside floors and peers in the same run (BENCH=--quick: less)
	@tools/setup bench && tools/bench $(BUILD) $(BENCH)

orphans: build # hosts and guards killed ROUNDS times: nobody may be left
	@tools/setup test && tools/orphans $(BUILD) $(ROUNDS)

.PHONY: durability
durability: build # hosts killed while they store, KILLS times, and IMAGES power failures
	@tools/setup test && tools/durability $(BUILD) $(KILLS) $(IMAGES)

.PHONY: profiles
profiles: build # threads and overlapping coroutines measured; CALLS calls over 16 threads
	@tools/setup test && tools/profiles $(BUILD) $(CALLS)

.PHONY: instances
instances: build # racing starters, numbers used again, neighbours, leftovers, ROUNDS times
	@tools/setup test && tools/instances $(BUILD) $(ROUNDS)

fmt: # give the C code its form
	@tools/setup check && tools/fmt

lint: build # layers, banned functions, symbols, features, spelling, scripts
	@tools/setup check && tools/lint $(BUILD)

asan: # AddressSanitizer and UndefinedBehaviorSanitizer over unit and system tests
	@tools/setup test && tools/sanitize address

tsan: # ThreadSanitizer over unit tests and the system tests marked for it
	@tools/setup test && tools/sanitize thread

fuzz: # every fuzz target for FUZZ_SECONDS
	@tools/setup check && tools/fuzz $(FUZZ_SECONDS)

STORM ?= 40
.PHONY: clients
clients: build # clients that close, cancel, ask too much, while the pit ends (STORM=1: shorter)
	@tools/setup test && tools/clients $(BUILD) $(STORM)

HAMMER ?= 100000
.PHONY: hammer
hammer: build # HAMMER rounds of lies and scribbles of a worker about shared memory
	@SNAKEPIT_HAMMER=$(HAMMER) $(BUILD)/test/unit/worker/test_worker_memory

docs: build # the man pages, and the reference of everything public
	@ls $(BUILD)/docs/*.[1-8] && tools/reference.py $(BUILD)

install: build # into /usr/local, or what `meson configure build --prefix=` said; or DESTDIR
	@meson install -C $(BUILD) --no-rebuild
	@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" -ne 0 ] || ldconfig

valgrind: # unit tests under memcheck
	@tools/setup check && tools/build $(BUILD) && tools/run_tests.py --valgrind $(BUILD)

.PHONY: help
help: # this menu
	@sed -n 's/^\([a-z]*\):[^#]*# \(.*\)/\1\t\2/p' Makefile | expand -t 12

clean: # remove every build folder
	@rm -rf $(BUILD) build-asan build-tsan build-fuzz build-gcc build-clang
