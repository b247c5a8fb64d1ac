"""A remote database and one with defidata that reads it, at some scale."""

import contextlib
import os

import psycopg2

HOUR = 3600
WEEK = 168 * HOUR
HERE = os.path.dirname(__file__)


def connect(cluster, database):
    """Connect as the cluster's superuser; every statement is a transaction."""
    work = os.environ['BENCH_WORK']
    with open(f'{work}/{cluster}/port', encoding='ascii') as file:
        connection = psycopg2.connect(host=f'{work}/{cluster}', port=file.read().strip(),
                                      user='postgres', dbname=database)
    connection.autocommit = True
    return connection


class Database:
    """A connection with short ways to run statements."""

    def __init__(self, cluster, name):
        self.connection = connect(cluster, name)
        self.cursor = self.connection.cursor()

    def run(self, statement, *parameters):
        """Run a statement."""
        self.cursor.execute(statement, parameters or None)

    def one(self, statement, *parameters):
        """Run a query and return its first value."""
        self.run(statement, *parameters)
        return self.cursor.fetchone()[0]

    def column(self, statement):
        """Run a query and return the first values of its rows."""
        self.run(statement)
        return [row[0] for row in self.cursor.fetchall()]


class Site:
    """Two databases of one name; hours count from the first that is delivered.

    The last of `hours` ends a week, where the facts of a week are longest and an
    hour costs most.
    """

    def __init__(self, name, tokens, hours):
        self.name, self.tokens, self.delivered = name, tokens, 0
        for cluster in ('remote', 'analytics'):
            Database(cluster, 'postgres').run(f'CREATE DATABASE {name}')
        self.remote, self.local = Database('remote', name), Database('analytics', name)
        # as for the rivals: to compile a statement takes longer than most of these do
        self.local.run('SET jit = off')
        for part in ('../ct_scanner.sql', 'remote.sql'):
            with open(f'{HERE}/{part}', encoding='utf-8') as file:
                self.remote.run(file.read())
        self.local.run('CREATE EXTENSION defidata CASCADE')
        week = self.local.one('SELECT extract(epoch FROM defidata.week_of(now()))::bigint')
        self.origin = week - hours * HOUR
        self.attach()

    def attach(self):
        """Connect the two, as README.md says."""
        self.local.run(f'''
            CREATE SERVER scanner FOREIGN DATA WRAPPER postgres_fdw
                OPTIONS (host '{self.remote.connection.info.host}', port '{self.remote.connection.info.port}',
                         dbname '{self.name}');
            CREATE USER MAPPING FOR CURRENT_USER SERVER scanner OPTIONS (user 'postgres');
            SELECT defidata_attach_server('scanner', prices => NULL)''')

    def deliver(self, hours):
        """Let the next hours arrive at the remote database."""
        self.remote.run('SELECT deliver(%s, to_timestamp(%s), %s, %s)', self.tokens, self.origin,
                        self.delivered, self.delivered + hours)
        self.delivered += hours
        if hours > 1:
            self.remote.run('VACUUM ANALYZE tweetvolumeshours')

    def second(self, hour):
        """Return the Unix time at which an hour starts."""
        return self.origin + hour * HOUR

    def import_new(self):
        """Import what is new: everything, the first time."""
        self.local.run('SELECT defidata_import((SELECT to_timestamp(%s) WHERE NOT EXISTS (SELECT FROM defidata.hours)))',
                       self.origin)

    @contextlib.contextmanager
    def without_documents(self):
        """Let a publish write no documents."""
        definition = self.local.one("SELECT pg_get_functiondef('defidata.publish_documents()'::regprocedure)")
        self.local.run("CREATE OR REPLACE FUNCTION defidata.publish_documents() RETURNS void LANGUAGE sql AS ''")
        yield
        self.local.run(definition)

    def forget_facts(self):
        """Go back to imported rows of which nothing has been computed."""
        self.local.run('TRUNCATE defidata.week_series, defidata.day_series')
        self.local.run('UPDATE defidata.hours SET rows = NULL, mentions = NULL, tokens = NULL, summed = false')
        self.local.run('VACUUM defidata.hours')

    def settle(self):
        """Let nothing that went before, like pages to write, weigh upon what comes."""
        self.local.run('VACUUM ANALYZE')
        self.local.run('CHECKPOINT')
        self.remote.run('CHECKPOINT')

    def drop(self):
        """Remove both databases."""
        for cluster, database in (('analytics', self.local), ('remote', self.remote)):
            database.connection.close()
            Database(cluster, 'postgres').run(f'DROP DATABASE {self.name} WITH (FORCE)')
