// A database of a test's own with defidata in it, and the roles that the test logs in as; in a
// PostgreSQL where the PG* variables point to, as a superuser who may log in without a password.

import pg from 'pg';

// superuser runs statements in the database postgres.
async function superuser(...statements) {
  const client = new pg.Client({ database: 'postgres' });
  await client.connect();
  for (const statement of statements) {
    await client.query(statement);
  }
  await client.end();
}

// removeDatabase removes what createDatabase made, if it is there.
export const removeDatabase = (name, ...roles) => superuser(
  `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`, ...roles.map((role) => `DROP ROLE IF EXISTS ${role}`));

// createDatabase makes both anew and returns a connection of the owner's, to be ended by the test.
export async function createDatabase(name, ...roles) {
  await removeDatabase(name, ...roles);
  await superuser(`CREATE DATABASE ${name}`, ...roles.map((role) => `CREATE ROLE ${role} LOGIN`));
  const owner = new pg.Client({ database: name });
  await owner.connect();
  await owner.query('SET client_min_messages = warning');
  await owner.query('CREATE EXTENSION defidata CASCADE');
  return owner;
}
