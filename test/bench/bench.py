"""What defidata costs beside plain SQL, DuckDB and the pipeline that it replaces.

run.sh prepares the clusters and calls this with the scale in the environment:
TOKENS × HOURS rows, ROUNDS of each measurement.  It prints one table, and fails
only where two ways to compute a figure differ.
"""

import csv
import gzip
import json
import os
import statistics
import subprocess

import measure
import pipeline
from databases import HERE, Database, Site

TOKENS, HOURS, ROUNDS = (int(os.environ[name]) for name in ('TOKENS', 'HOURS', 'ROUNDS'))
WORK = os.environ['BENCH_WORK']
# rows a second that the issue which set the targets measured
OLD_RATE = 860
# hours that arrive one by one after the history: to compute, to refresh, for readers
STEPS = 2 * ROUNDS + 2
LATER = 4 * STEPS
# the expressions of a comparison that two ways of rounding pass
METRICS = (*pipeline.COLUMNS, 'trend_24h', 'surge_14d', 'deviation_14d', 'zscore_14d', 'sentiment_24h', 'sentiment_7d', 'coverage_14d')
SAME = '(r.{0} IS NOT DISTINCT FROM m.{0} OR abs(r.{0} - m.{0}) <= 1e-9 * greatest(1, abs(m.{0})))'
# as DuckDB counts: a figure that nothing asks for would not be computed there
BUILD = f"SELECT {', '.join(f'count({column})' for column in pipeline.COLUMNS)} FROM defidata.metrics"

table = measure.Table()


def say(text):
    """Tell the progress."""
    print(text, flush=True)


def sql(name, **parameters):
    """Read a file of SQL and fill its parameters in."""
    with open(f'{HERE}/{name}.sql', encoding='utf-8') as file:
        text = file.read()
    for parameter, value in parameters.items():
        text = text.replace(':' + parameter, str(value))
    return text


def check_same(db, rival, name, expected, columns=pipeline.COLUMNS):
    """Raise unless a rival's rows have the figures of defidata.metrics, and as many rows as expected."""
    rows, same = (db.one(f'''SELECT {what} FROM {rival} r
        JOIN defidata.metrics m ON m.token = r.token AND m.hour = to_timestamp(r.hour * 3600::bigint)''') for what in (
            'count(*)', f"count(*) FILTER (WHERE r.mentions = m.mentions AND {' AND '.join(SAME.format(c) for c in columns)})"))
    if not rows == same == expected:
        raise SystemExit(f'{name}: of {expected} rows {rows} are in defidata.metrics, {same} with the same figures.')
    say(f'  {name}: {same} rows have the same figures')


def measure_import(site, insert_bare, rounds, chunk):
    """Time imports of a chunk of hours, and bare ones of the same foreign rows."""
    times = {'defidata': [], 'bare': []}
    for turn in range(rounds):
        first = site.delivered
        site.deliver(chunk)
        ways = [('defidata', site.import_new), ('bare', lambda f=first: insert_bare(f, f + chunk))]
        for name, action in ways[::-1 if turn % 2 else 1]:
            # millions of rows leave pages to write that whoever comes next would pay for
            site.settle()
            times[name].append(measure.clock(action))
    return times


def measure_build(site, rounds):
    """Time the build from imported rows to facts, its memory, and metrics written out as a table."""
    times = {'stored': [], 'logged': [], 'unlogged': []}
    for _ in range(rounds):
        site.forget_facts()
        fresh = Database('analytics', site.name)
        with measure.PeakMemory(fresh.connection.info.backend_pid) as memory:
            times['stored'].append(measure.clock(lambda: fresh.run('SELECT defidata_compute()')))
        fresh.connection.close()
        site.local.run('VACUUM ANALYZE defidata.week_series, defidata.day_series')
        for name in ('logged', 'unlogged'):
            make = f"CREATE {'UNLOGGED ' if name == 'unlogged' else ''}TABLE written_out AS SELECT * FROM defidata.metrics"
            times[name].append(measure.clock(lambda statement=make: site.local.run(statement)))
            site.local.run('DROP TABLE written_out')
    site.settle()
    return times, memory


def measure_hour(site, times):
    """Time compute and publish of one more hour."""
    site.deliver(1)
    site.import_new()
    with site.without_documents():
        compute = measure.clock(lambda: site.local.run('SELECT defidata_compute()'))
        publish = measure.clock(lambda: site.local.run('SELECT defidata_publish()'))
    documents = measure.clock(lambda: site.local.run('SELECT defidata.publish_documents()'))
    rewrite = undone(site, "UPDATE defidata.token_stats SET hour = hour + interval '1 hour'")
    # whatever is computed, these have to be read and sorted too
    read = measure.clock(lambda: site.local.run('''SELECT token, sum(mentions), sum(mentions * sentiment) FROM defidata.raw_mentions
        WHERE hour = to_timestamp(%s) AND reason IS NULL GROUP BY token''', site.second(site.delivered - 1)))
    ask = measure.clock(lambda: site.local.run('SELECT * FROM defidata.rank_tokens()'))
    for name, passed in (('compute', compute), ('publish', publish), ('boards', compute + publish),
                         ('documents', documents), ('rewrite', rewrite), ('least', read + rewrite + ask)):
        times.setdefault(name, []).append(passed)


def undone(site, statement, before='SELECT'):
    """Time a statement, then undo it."""
    site.local.run('BEGIN; ' + before)
    passed = measure.clock(lambda: site.local.run(statement))
    site.local.run('ROLLBACK')
    return passed


def measure_hours(sites):
    """Time hour after hour, the sites by turns so that a busy machine wrongs none, the first hours for warmth."""
    for site in sites:
        measure_hour(site, {})
    times = [{} for _ in sites]
    for _ in range(STEPS - 1):
        for site, result in zip(sites, times):
            measure_hour(site, result)
    return times


def measure_refreshes(site, insert_bare, steps):
    """Time whole cycles without and with documents, and bare inserts of foreign rows of an hour."""
    times = {'defidata': [], 'bare': [], 'with documents': []}
    for step in range(steps):
        first = site.delivered
        site.deliver(1)
        ways = [('defidata', lambda: site.local.run('SELECT defidata_refresh()')), ('bare', lambda: insert_bare(first, first + 1))]
        with site.without_documents():
            for name, action in ways[::-1 if step % 2 else 1]:
                passed = measure.clock(action)
                if step > 0:
                    times[name].append(passed)
        site.deliver(1)
        times['with documents'].append(measure.clock(lambda: site.local.run('SELECT defidata_refresh()')))
    return times


def make_bare(site):
    """Make a table with the key of the raw copy, and return what inserts hours into it with the same values of the key."""
    site.local.run('''CREATE TABLE bare (source text COLLATE "C", id text COLLATE "C", timestamp integer, symbol text,
                                         count float8, sentiment float8, PRIMARY KEY (source, id))''')
    source = site.local.one('SELECT name FROM defidata.source')
    return lambda first, until: site.local.run('''INSERT INTO bare
        SELECT %s, id, timestamp, symbol, count, sentiment FROM defidata_remote.scanner_tweetvolumeshours
         WHERE timestamp >= %s AND timestamp < %s''', source, site.second(first), site.second(until))


def fill_bare(site):
    """Give the bare table the history that the copy has, so that an hour meets an index of the same size."""
    site.local.run('''INSERT INTO bare
        SELECT source, id, extract(epoch FROM hour)::integer, symbol, mentions, sentiment FROM defidata.raw_mentions
        ON CONFLICT DO NOTHING''')
    site.settle()


def measure_growth(name, tokens):
    """Measure everything that grows at some number of tokens."""
    site = Site(name, tokens, HOURS + LATER)
    insert_bare = make_bare(site)
    result = {'import': measure_import(site, insert_bare, 1, HOURS)['defidata']}
    build, memory = measure_build(site, ROUNDS)
    result['build, stored'] = build['stored']
    result['build, counted'] = [measure.clock(lambda: site.local.run(BUILD)) for _ in range(ROUNDS)]
    site.local.run('SELECT defidata_publish()')
    result['compute + publish'] = measure_hours([site])[0]['boards']
    result['whole cycle'] = measure_refreshes(site, insert_bare, STEPS)['with documents']
    result['memory'] = [memory.private]
    site.drop()
    return {key: statistics.median(values) for key, values in result.items()}


def make_facts(db):
    """Make the table that the rivals compute from and return its latest hour."""
    db.run('''CREATE TABLE facts AS
              SELECT token, (extract(epoch FROM hour) / 3600)::integer AS hour, mentions::integer AS mentions, sentiment
                FROM defidata.metrics ORDER BY hour, token''')
    db.run('CREATE INDEX ON facts (hour)')
    db.run('VACUUM ANALYZE facts')
    return db.one('SELECT max(hour) FROM facts')


def compare_sql(site, at):
    """Compute the same in plain SQL, windows by each way to write them once, since they are slow."""
    site.settle()
    db = site.local
    times = {}
    db.run("SET work_mem = '1GB'; SET jit = off")
    for name in ('latest', 'filters', 'sums', 'windows'):
        make = f'CREATE TABLE rival AS {sql(name, at=at)}'
        times[name] = []
        for turn in range(ROUNDS + 1 if name in ('latest', 'filters') else 1):
            db.run('DROP TABLE IF EXISTS rival')
            times[name].append(measure.clock(lambda: db.run(make)))
        check_same(db, 'rival', f'plain SQL, {name}', *((site.tokens, METRICS) if name == 'latest' else [site.tokens if name == 'filters' else db.one('SELECT count(*) FROM facts')]))
    db.run('DROP TABLE rival; RESET work_mem; RESET jit')
    return times


def compare_duckdb(site, at):
    """Compute the same in DuckDB, over the same table in memory."""
    db = site.local
    directory = f'{WORK}/duckdb'
    os.makedirs(directory, exist_ok=True)
    with open(f'{directory}/facts.csv', 'w', encoding='utf-8') as file:
        db.cursor.copy_expert('COPY facts TO STDOUT (FORMAT csv, HEADER)', file)
    for name, text in (('windows.sql', sql('windows')), ('latest.sql', sql('latest', at=at)), ('filters.sql', sql('filters', at=at)), ('rounds', str(ROUNDS))):
        with open(f'{directory}/{name}', 'w', encoding='utf-8') as file:
            file.write(text)
    answer = subprocess.run(['node', f'{HERE}/duckdb.mjs', directory], check=True, stdout=subprocess.PIPE)
    result = json.loads(answer.stdout)
    for name, expected, columns in (('latest', site.tokens, ('sentiment', *METRICS)),
                                    ('windows', db.one('SELECT count(*) FROM facts WHERE hour % 24 = 0'), pipeline.COLUMNS)):
        db.run(f'CREATE TABLE duckdb_{name} (token text, hour integer, mentions bigint)')
        with open(f'{directory}/{name}.csv', encoding='utf-8') as file:
            names = file.readline().strip().split(',')
            for column in names[3:]:
                db.run(f'ALTER TABLE duckdb_{name} ADD {column} float8')
            db.cursor.copy_expert(f"COPY duckdb_{name} ({', '.join(names)}) FROM STDIN (FORMAT csv)", file)
        check_same(db, f'duckdb_{name}', f'DuckDB, {name}', expected, columns)
    return {name: [ms / 1000 for ms in result[name]] for name in ('latest', 'filters', 'counted', 'stored')}, result['version']


def compare_pipeline(site, build_per_row):
    """Compare with the old pipeline, by time for a row since it is slow."""
    db = site.local
    db.run('CREATE TABLE old_figures (token text, hour integer, mentions bigint, ' +
           ', '.join(f'{column} float8' for column in pipeline.COLUMNS) + ')')
    query = 'SELECT token, hour, mentions FROM facts WHERE token IN (SELECT token FROM facts GROUP BY token ORDER BY token LIMIT 500)'
    counts = []
    passed = measure.clock(lambda: counts.append(pipeline.compute(db.connection, query)))
    check_same(db, 'old_figures', 'pandas', counts[0])
    table.add('full build, stored', [build_per_row], f'pandas pipeline, {min(500, site.tokens)} tokens', [passed / counts[0]], '>=', 1,
              lambda seconds: f'{seconds * 1e6:.2f} µs/row')


def compare_clean():
    """Compare defidata_clean, 10,000 tokens listed, with the pattern alone over dirty symbols."""
    Database('analytics', 'postgres').run('CREATE DATABASE clean')
    db = Database('analytics', 'clean')
    db.run('CREATE EXTENSION defidata CASCADE')
    db.run('SELECT defidata_setup()')
    db.run('CREATE TABLE seed (symbol text)')
    path = os.environ.get('DIRTY')
    if path:
        with gzip.open(path, 'rt', encoding='utf-8') as file:
            symbols = sorted({row['raw_symbol'] for row in csv.DictReader(file)})
    else:
        symbols = [f'{head}{k}{tail}' for k in range(5000) for head in ('', '$', 'x') for tail in ('', '🚀', '/USDT')]
        symbols += ['BTC', 'eth', '$DOGE', 'ETH.', 'a' * 70, '', 'stETH', '1inch'] * 1000
    with db.connection.cursor() as cursor:
        pipeline.execute_values(cursor, 'INSERT INTO seed VALUES %s', [(s,) for s in symbols], page_size=1000)
    db.run("""INSERT INTO defidata.token (symbol, name)
              SELECT upper(md5(k::text)::varchar(5)), 'token' FROM generate_series(1, 30000) k GROUP BY 1 LIMIT 10000""")
    rows = min(5_000_000, 500 * TOKENS)
    db.run(f'''CREATE TABLE dirty AS SELECT symbol FROM seed, generate_series(1, {rows} / {len(symbols)} + 1)
               ORDER BY hashtext(symbol || generate_series) LIMIT {rows}''')
    db.run('VACUUM ANALYZE dirty')
    times = {'clean': [], 'pattern': []}
    for _ in range(ROUNDS):
        times['pattern'].append(measure.clock(lambda: db.run("SELECT count(*) FILTER (WHERE symbol ~ '^[A-Za-z]{1,4}$') FROM dirty")))
        times['clean'].append(measure.clock(lambda: db.run('SELECT count(defidata_clean(symbol)) FROM dirty')))
    table.add(f'defidata_clean, {rows} symbols', times['clean'], 'symbol ~ pattern', times['pattern'], '<=', 1)


def compare_readers(site):
    """Compare a board reader's latency when nothing else happens with that beside the cycle."""
    dsn = site.local.connection.dsn
    query = 'SELECT * FROM defidata.most_mentioned'
    with measure.Reader(dsn, query) as idle:
        site.local.run('SELECT pg_sleep(%s)', 2 + ROUNDS)
    # what a reader has of two cores beside any import from a server on the same machine
    site.local.run('CREATE TABLE beside (LIKE bare INCLUDING ALL)')
    with measure.Reader(dsn, query) as beside:
        site.local.run("""INSERT INTO beside SELECT '', id, timestamp, symbol, count, sentiment
            FROM defidata_remote.scanner_tweetvolumeshours WHERE timestamp < %s""", site.second(min(HOURS, 48)))
    site.local.run('DROP TABLE beside')
    site.remote.run('SELECT deliver(%s, to_timestamp(%s), -48, 0)', site.tokens, site.origin)
    busy = []
    for _ in range(STEPS):
        # the collector writes on a machine of its own: not while readers are watched
        site.deliver(1)
        busy.append(measure.Reader(dsn, query))
        with busy[-1]:
            site.local.run('SELECT defidata_refresh()')
    busy.append(measure.Reader(dsn, query))
    with busy[-1]:
        site.local.run('CALL defidata_backfill(to_timestamp(%s), to_timestamp(%s))', site.second(-48), site.second(0))
    empty = sum(reader.empty for reader in (idle, *busy))
    if empty:
        raise SystemExit(f'A reader of the board saw it empty {empty} times.')
    for what, with_waits in (('', True), (', less the time without a core', False)):
        p99, p99_idle, p99_beside = (measure.p99(measure.latencies_of(readers, with_waits)) for readers in (busy, [idle], [beside]))
        table.add(f'board reader, p99{what}, beside refreshes and a backfill ({sum(len(r.latencies) for r in busy)} reads, none empty)',
                  [p99], 'idle', [p99_idle], '<=', 1.5)
        table.note(f'board reader, p99{what}, beside a bare INSERT … SELECT of foreign rows, for comparison', measure.human(p99_beside))


def check_exact(site):
    """Raise unless a rebuild of the facts leaves the metrics that the hours have built."""
    before = site.local.one("SELECT defidata_checksum('defidata.metrics')")
    passed = measure.clock(lambda: site.local.run('SELECT defidata_recompute()'))
    if site.local.one("SELECT defidata_checksum('defidata.metrics')") != before:
        raise SystemExit('defidata_recompute() has changed metrics.')
    table.note('defidata_recompute(): facts again, metrics bit for bit the same', measure.human(passed))


def site_with_history(tokens, hours):
    """Make a site that has imported and published some hours."""
    say(f'{tokens} tokens with {hours} hours of history')
    site = Site(f'history_{hours}', tokens, hours + LATER)
    site.deliver(hours)
    site.import_new()
    site.local.run('SELECT defidata_compute(); SELECT defidata_publish()')
    site.settle()
    return site


def compare_history():
    """Compare the hour's time with several times the history behind it."""
    tokens = max(TOKENS // 5, 10)
    sites = [site_with_history(tokens, factor * HOURS) for factor in (1, 4, 8)]
    first, *others = measure_hours(sites)
    for factor, times in zip((4, 8), others):
        table.add(f'hour: compute + publish, documents apart, {tokens} tokens, {factor * HOURS} hours behind it', times['boards'],
                  f'{HOURS} hours', first['boards'], '<=', 1.1)
    for site in sites:
        site.drop()


def note_growth(whole):
    """Note how times grow with the tokens."""
    sizes = (TOKENS // 4, TOKENS // 2, TOKENS)
    parts = []
    for size in sizes[:2]:
        say(f'{size} tokens')
        parts.append(measure_growth(f'growth_{size}', size))
    parts.append(whole)
    for what in ('import', 'build, stored', 'build, counted', 'compute + publish', 'whole cycle', 'memory'):
        values = [part[what] for part in parts]
        show = (lambda v: f'{v / 1e6:.0f} MB') if what == 'memory' else measure.human
        table.note(f"growth: {what}, {' → '.join(str(s) for s in sizes)} tokens", ' → '.join(show(v) for v in values),
                   f'exponent {measure.exponent(sizes, values):.2f}',
                   ', '.join(f'{measure.exponent(sizes[i:i + 2], values[i:i + 2]):.2f}' for i in (0, 1)))


def main():
    """Measure everything and print the table."""
    say(f'{TOKENS} tokens, {HOURS} hours')
    site = Site('bench', TOKENS, HOURS + LATER)
    insert_bare = make_bare(site)
    chunk = max(1, min(1_000_000 // TOKENS, HOURS // ROUNDS))
    imports = measure_import(site, insert_bare, ROUNDS, chunk)
    if site.delivered < HOURS:
        site.deliver(HOURS - site.delivered)
        site.import_new()
    rate = chunk * TOKENS / statistics.median(imports['defidata'])
    table.add(f'import of {chunk * TOKENS} rows', imports['defidata'], 'bare INSERT … SELECT', imports['bare'], '<=', 1.3)
    table.add('import', [1 / rate], 'the old script, as once measured', [1 / OLD_RATE], '>=', 100, lambda seconds: f'{1 / seconds:.0f} rows/s')

    say('building')
    build, memory = measure_build(site, ROUNDS)
    counted = [measure.clock(lambda: site.local.run(BUILD)) for _ in range(ROUNDS)]
    site.local.run('SELECT defidata_publish()')
    rows = site.local.one('SELECT count(*) FROM defidata.metrics')

    say('hours')
    hourly = measure_hours([site])[0]
    fill_bare(site)
    refreshes = measure_refreshes(site, insert_bare, STEPS)

    say('plain SQL')
    at = make_facts(site.local)
    plain = compare_sql(site, at)
    say('DuckDB')
    duckdb, version = compare_duckdb(site, at)
    for name, how in (('filters', 'a FILTER for each window'), ('latest', 'rows summed by day')):
        table.add('hour: compute + publish, documents apart', hourly['boards'], f'plain SQL, latest hour alone, {how}', plain[name], '>=', 20)
        table.add('hour: compute + publish, documents apart', hourly['boards'], f'DuckDB, latest hour alone, {how}', duckdb[name], '>=', 8)
    for name, what in (('compute', 'compute'), ('publish', 'publish, without documents'), ('documents', 'documents'),
                       ('rewrite', 'a bare UPDATE of the rows of token_stats, for comparison'),
                       ('least', 'the least: that UPDATE, the raw rows summed by token, the boards asked for; nothing computed')):
        table.note(f'hour: {what}', measure.human(statistics.median(hourly[name])))
    table.add('full build, counted', counted, 'DuckDB, counted', duckdb['counted'], '>=', 4)
    table.add('full build, written out: CREATE UNLOGGED TABLE AS', build['unlogged'], 'DuckDB, CREATE TABLE AS', duckdb['stored'], '>=', 1)
    for name, label in (('stored', 'full build, stored as facts, from raw rows'), ('logged', 'full build, written out: CREATE TABLE AS')):
        table.add(label, build[name], 'DuckDB, CREATE TABLE AS', duckdb['stored'], '>=', 1)
        table.add(label, build[name], 'plain SQL, window functions', plain['windows'], '>=', 10)
        table.add(label, build[name], 'plain SQL, windows over sums', plain['sums'])
    table.add('whole hourly cycle, documents apart', refreshes['defidata'], 'bare INSERT … SELECT of the hour', refreshes['bare'], '<=', 4)
    table.note('whole hourly cycle, with documents', measure.human(statistics.median(refreshes['with documents'])))
    table.note('full build, stored: memory', f'{memory.private / 1e6:.0f} MB of its own, '
               f'{memory.high_water / 1e6:.0f} MB with shared buffers (VmHWM)')

    say('the old pipeline')
    compare_pipeline(site, statistics.median(build['stored']) / rows)
    say('cleaning')
    compare_clean()
    say('readers')
    compare_readers(site)
    check_exact(site)
    postgres = site.local.one('SHOW server_version')
    site.drop()

    compare_history()
    note_growth({'import': TOKENS * HOURS / rate, 'build, stored': statistics.median(build['stored']),
                 'build, counted': statistics.median(counted), 'compute + publish': statistics.median(hourly['boards']),
                 'whole cycle': statistics.median(refreshes['with documents']), 'memory': memory.private})
    with open('/proc/cpuinfo', encoding='utf-8') as file:
        model = next(line.split(':')[1].strip() for line in file if line.startswith('model name'))
    print(f'\nTOKENS={TOKENS} HOURS={HOURS} ROUNDS={ROUNDS}; {model}, {os.cpu_count()} cores; '
          f'PostgreSQL {postgres}, DuckDB {version}, pandas {pipeline.pandas.__version__}\n')
    table.show()


if __name__ == '__main__':
    main()
