# defidata: build with PGXS; `make demo` and `make test` do everything by themselves.
EXTENSION = defidata
MODULE_big = defidata
OBJS = $(addprefix extension/, defidata.o matcher.o clean.o number.o series_codec.o series.o rolling.o \
	windows.o unroll.o mentions.o)

# the install script, in the order in which its parts build on each other
PARTS = schema builtin_token series clean setting setup source import compute price board publish \
	run backfill reconcile maintain grant schedule status
DATA_built = extension/defidata--1.0.sql
EXTRA_CLEAN = extension/sql/builtin_token.sql

REGRESS = setup $(filter-out setup, $(sort $(notdir $(basename $(wildcard sql/*.sql)))))
ISOLATION = $(sort $(notdir $(basename $(wildcard test/isolation/specs/*.spec))))
ISOLATION_OPTS = --inputdir=test/isolation

PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Wno-sign-compare
PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

extension/defidata--1.0.sql: $(addprefix extension/sql/, $(addsuffix .sql, $(PARTS)))
	cat $^ > $@

extension/sql/builtin_token.sql: extension/builtin_token.csv
	awk -f extension/builtin_token.awk $< > $@

.PHONY: demo demo-stop test bench fuzz check-code
demo:
	test/demo/demo.sh start
demo-stop:
	test/demo/demo.sh stop
test:
	test/run.sh
