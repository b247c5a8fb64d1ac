"""The pipeline that defidata replaces, written afresh from its description.

Rows are read into pandas, rolled token by token and inserted.  Only for
comparison.
"""

import pandas
from psycopg2.extras import execute_values

COLUMNS = ('sma_24h', 'sma_7d', 'sma_14d', 'sma_24h_prev', 'sma_7d_prev',
           'change_24h', 'change_7d', 'rsd_24h', 'rsd_7d', 'rsd_14d')


def read(connection, query):
    """Read a query's rows into a data frame."""
    with connection.cursor() as cursor:
        cursor.execute(query)
        return pandas.DataFrame(cursor.fetchall(), columns=[c.name for c in cursor.description])


def roll(facts):
    """Compute the ten window figures of every row."""
    facts = facts.assign(hour=pandas.to_datetime(facts['hour'], unit='h')).sort_values(['token', 'hour']).set_index('hour')
    grouped = facts.groupby('token')['mentions']
    figures = pandas.DataFrame(index=pandas.MultiIndex.from_arrays([facts['token'], facts.index]))
    figures['mentions'] = facts['mentions'].to_numpy()
    for name, hours in (('24h', 24), ('7d', 168), ('14d', 336)):
        window = grouped.rolling(f'{hours}h', min_periods=hours * 3 // 4)
        figures['sma_' + name] = window.mean()
        figures['rsd_' + name] = window.std() / figures['sma_' + name]
    for name, hours in (('24h', 24), ('7d', 168)):
        previous = figures.groupby(level='token')['sma_' + name].shift(hours)
        figures[f'sma_{name}_prev'] = previous
        figures['change_' + name] = figures['sma_' + name] / previous - 1
    return figures


def compute(connection, query):
    """Read facts, roll them and insert the figures; return how many rows."""
    figures = roll(read(connection, query)).reset_index()
    figures['hour'] = figures['hour'].astype('int64') // 3_600_000_000_000
    figures = figures[['token', 'hour', 'mentions', *COLUMNS]].astype(object)
    figures = figures.where(figures.notna(), None)
    with connection.cursor() as cursor:
        execute_values(cursor, 'INSERT INTO old_figures VALUES %s',
                       figures.itertuples(index=False, name=None), page_size=1000)
    return len(figures)
