# defidata: build with PGXS; `make demo` and `make test` do everything by themselves.
EXTENSION = defidata
MODULE_big = defidata
OBJS = $(addprefix extension/, defidata.o \
	matcher.o pattern.o rules.o clean.o reject.o number.o \
	series_codec.o series_reader.o series_writer.o series_text.o \
	series.o series_io.o series_ops.o replace_hours.o rolling.o \
	observed.o windows.o day_sums.o sliding.o row.o call_cache.o quotes.o metrics.o unroll.o mentions.o \
	narrow.o narrow_query.o hour_span.o study.o event_study.o)

# the install script: layers, each of which calls only those before it
PARTS = schema builtin_token metric_list series operator clean \
	common setting judge tables stream \
	quote_series source survey check_ids remote attach \
	copy follow quote import mention_document \
	facts hours revision compute metrics as_of history \
	price_document price_load price study \
	board ranking alert openapi document publish configure \
	distribute grant owner step_identity steps setup \
	record run backfill reconcile maintain \
	legacy schedule data_status source_status run_status status openmetrics \
	report_style report_parts report \
	api_owner api_operator api_reader rights
DATA_built = extension/defidata--1.1.sql extension/defidata--1.0--1.1.sql
GENERATED = $(addprefix extension/sql/, builtin_token.sql metric_list.sql tables.sql report_style.sql)
EXTRA_CLEAN = $(GENERATED)

REGRESS = installation $(filter-out installation, $(sort $(notdir $(basename $(wildcard sql/*.sql)))))
ISOLATION = $(sort $(notdir $(basename $(wildcard test/isolation/specs/*.spec))))
ISOLATION_OPTS = --inputdir=test/isolation --load-extension=postgres_fdw --load-extension=defidata

# figures must have the same bits on every machine, and where JIT inlines them
PG_CPPFLAGS = -ffp-contract=off -DDEFIDATA_VERSION='"$(EXTVERSION)"'
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" defidata.control)

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
SERVER_HEADERS := $(shell $(PG_CONFIG) --includedir-server 2>/dev/null)
# Debian's client packages bring pgxs.mk without the headers
ifneq ($(and $(wildcard $(PGXS)),$(wildcard $(SERVER_HEADERS)/postgres.h)),)
include $(PGXS)
else
all install installcheck clean:
	@echo "There are no server headers of $(or $(shell $(PG_CONFIG) --version 2>/dev/null),PostgreSQL) here:" \
		"install them (for version 15, Debian's postgresql-server-dev-15) or name another pg_config by PG_CONFIG." >&2; exit 1
endif

extension/defidata--1.1.sql: $(addprefix extension/sql/, $(addsuffix .sql, $(PARTS)))
	cat $^ > $@

extension/defidata--1.0--1.1.sql: extension/update.awk extension/update/1.0--1.1.sql \
		$(addprefix extension/sql/, $(addsuffix .sql, $(PARTS)))
	awk -f $^ > $@

extension/sql/builtin_token.sql: extension/builtin_token.csv
	awk -f extension/builtin_token.awk $< > $@

extension/sql/metric_list.sql: extension/literal.awk extension/metric_list.awk \
		extension/metric_list.h
	awk $(addprefix -f , $(filter %.awk, $^)) $(filter-out %.awk, $^) > $@

extension/sql/tables.sql: extension/literal.awk extension/tables.awk \
		extension/metric_list.h extension/tables.sql
	awk $(addprefix -f , $(filter %.awk, $^)) $(filter-out %.awk, $^) > $@

extension/sql/report_style.sql: extension/report_style.awk extension/report.css
	awk -f $^ > $@

# a longer list is a longer struct
extension/windows.o extension/day_sums.o extension/metrics.o: extension/metric_list.h
extension/row.o extension/defidata.o: defidata.control

.PHONY: demo demo-stream demo-stop test test-citus test-deb test-fresh test-matrix fuzz bench check-code deb dist
demo:
	test/demo/demo.sh start
demo-stream:
	test/demo/stream.sh
demo-stop:
	test/demo/demo.sh stop
test-fresh:
	test/fresh.sh
test-matrix:
	test/matrix.sh
test-deb:
	test/deb.sh test
test:
	test/run.sh
test-citus:
	FAMILY=test/t/040_citus.pl test/run.sh
bench:
	test/bench/run.sh
fuzz:
	FAMILY=fuzz FUZZ_RUNS=$${FUZZ_RUNS:-10000000} test/run.sh

deb:
	test/deb.sh build
check-code:
	test/check_code.sh

# what PGXN takes: the last commit, under the version of META.json
DIST = defidata-$(shell sed -n '0,/"version"/s/.*"version": "\(.*\)".*/\1/p' META.json)
dist:
	git archive --format=zip --prefix=$(DIST)/ --output=$(DIST).zip HEAD
