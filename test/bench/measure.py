"""Clocks and tables for the bench: what is measured stands in bench.py."""

import math
import multiprocessing
import statistics
import threading
import time

import psycopg2


def clock(action):
    """Return how many seconds an action takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def human(seconds):
    """Write a time with a fitting unit and three digits."""
    for unit, factor in (('s', 1), ('ms', 1e3)):
        if seconds * factor >= 1:
            return f'{seconds * factor:.{max(0, 2 - int(math.log10(seconds * factor)))}f} {unit}'
    return f'{seconds * 1e6:.0f} µs'


def p99(latencies):
    """Return the latency that one in a hundred exceeds."""
    return statistics.quantiles(latencies, n=100)[98]


def exponent(sizes, values):
    """Return the slope of a straight line through the logarithms, NaN where a difference of short times is none."""
    if min(values) <= 0:
        return math.nan
    return statistics.linear_regression([math.log(s) for s in sizes], [math.log(v) for v in values]).slope


class Table:
    """The rows that the bench prints: medians, ratios, targets."""

    def __init__(self):
        self.rows = []

    def add(self, what, ours, rival, theirs, relation=None, target=None, unit=human):
        """Compare medians: '>=' wants the rival slower by a factor, '<=' us not slower than a factor."""
        mine, other = statistics.median(ours), statistics.median(theirs)
        ratio = mine / other if relation == '<=' else other / mine
        reached = '' if relation is None else (
            'reached' if (ratio <= target if relation == '<=' else ratio >= target) else '**short**')
        aim = '' if relation is None else f'{"≤" if relation == "<=" else "≥"} {target:g} ×'
        self.rows.append((what, unit(mine), rival, unit(other), f'{ratio:.2f} ×', aim, reached))

    def note(self, what, value, aim='', reached=''):
        """Add a row that compares with nothing."""
        self.rows.append((what, value, '', '', '', aim, reached))

    def show(self):
        """Print the table as Markdown."""
        head = ('what', 'defidata', 'against', 'median', 'ratio', 'target', '')
        widths = [max(len(row[i]) for row in (head, *self.rows)) for i in range(len(head))]
        for row in (head, tuple('-' * w for w in widths), *self.rows):
            print('| ' + ' | '.join(cell.ljust(w) for cell, w in zip(row, widths)) + ' |')
        short = [row[0] for row in self.rows if 'short' in row[-1]]
        print('\nShort of the target: ' + ('; '.join(short) or 'nothing') + '.')


class PeakMemory:
    """Samples how much memory of its own a server process has while a block runs."""

    def __init__(self, pid):
        self.pid, self.private, self.done = pid, 0, threading.Event()
        self.thread = threading.Thread(target=self.sample)

    def sample(self):
        """Keep the largest RssAnon, which leaves shared buffers out."""
        while True:
            self.private = max(self.private, self.status()['RssAnon'])
            if self.done.wait(0.01):
                break

    def status(self):
        """Read the sizes in the process's status, in bytes."""
        with open(f'/proc/{self.pid}/status', encoding='ascii') as file:
            pairs = [line.split() for line in file if line.endswith('kB\n')]
        return {pair[0].rstrip(':'): int(pair[1]) * 1024 for pair in pairs}

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()
        self.high_water = self.status()['VmHWM']


def queued(*pids):
    """Return for how many seconds processes were ready to run and had no core."""
    total = 0
    for pid in pids:
        with open(f'/proc/{pid}/schedstat', encoding='ascii') as file:
            total += int(file.read().split()[1])
    return total / 1e9


def read_forever(dsn, query, stop, answer):
    """Run a query every few milliseconds and report how long each took, how long without a core, and empty results."""
    latencies, waits, empty = [], [], 0
    with psycopg2.connect(dsn) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        pids = ('self', connection.info.backend_pid)
        # a first one fills the session's caches
        cursor.execute(query)
        answer.send('reading')
        while not stop.is_set():
            before = queued(*pids)
            started = time.perf_counter()
            cursor.execute(query)
            rows = cursor.fetchall()
            latencies.append(time.perf_counter() - started)
            waits.append(queued(*pids) - before)
            empty += not rows
            time.sleep(0.002)
    answer.send((latencies, waits, empty))


class Reader:
    """A reader in a process of its own while a block runs."""

    def __init__(self, dsn, query):
        self.stop = multiprocessing.Event()
        self.answer, sender = multiprocessing.Pipe(False)
        self.process = multiprocessing.Process(target=read_forever, args=(dsn, query, self.stop, sender))

    def __enter__(self):
        self.process.start()
        # the block may be shorter than a new process takes to start
        self.answer.recv()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.latencies, self.waits, self.empty = self.answer.recv()
        self.process.join()


def latencies_of(readers, with_waits=True):
    """Return the latencies of readers together, or what of them was not spent without a core."""
    return [latency - (0 if with_waits else wait) for reader in readers
            for latency, wait in zip(reader.latencies, reader.waits)]
