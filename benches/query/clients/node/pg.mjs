// node-postgres: text results, prepared statements, cursors.
import fs from 'node:fs';
import pg from 'pg';
import Cursor from 'pg-cursor';
import { cases, env, ROUNDS, run, test, value, VALUES } from './tests.mjs';

const base = {
  host: env.PGHOST,
  port: Number(env.PGPORT),
  user: env.PGUSER,
  database: env.PGDATABASE,
};
let made = null;

async function connect(more = {}) {
  const client = new pg.Client({ ...base, connectionTimeoutMillis: 10000, ...more });
  client.on('error', () => {
    if (made === client) made = null;
  });
  await client.connect();
  return client;
}

async function client() {
  if (!made) made = await connect();
  return made;
}

async function drop() {
  const old = made;
  made = null;
  if (old) await old.end();
}

const answer = (found) => ({
  columns: (found.fields || []).map((f) => [
    f.name,
    f.dataTypeID,
    f.dataTypeSize,
    f.dataTypeModifier,
    f.format,
  ]),
  rows: found.rows,
  command: found.command,
  count: found.rowCount,
});

async function ask(sql, given, more = {}) {
  const found = await (
    await client()
  ).query({ text: sql, values: given, rowMode: 'array', ...more });
  return Array.isArray(found) ? found.map(answer) : answer(found);
}

const wanted = [
  ...VALUES,
  'sqlstates',
  'read-only',
  'settings',
  'zone',
  'forms',
  'types',
  'catalog-rows',
  'current',
];
for (const one of cases(wanted)) {
  const given = one.parameters.map((p) => value(p.type, p.value));
  test(
    one.feature,
    one.case,
    async () => {
      if (one.before.length) await drop();
      for (const sql of one.before) await ask(sql);
      const found = await ask(one.sql, given.length ? given : undefined);
      if (one.before.length) await drop();
      return found;
    },
    one.rounds,
  );
}
for (const one of cases(VALUES).filter((c) => c.rounds > 1)) {
  const given = one.parameters.map((p) => value(p.type, p.value));
  test(one.feature, `${one.case} (binary)`, () => ask(one.sql, given, { binary: true }), 2);
}
test(
  'extended',
  'a named statement',
  () => ask('select id from all_types where id > $1 order by id', [2], { name: 'n' }),
  ROUNDS,
);
for (const size of [1, 2, 10]) {
  test(
    'portals',
    `pg-cursor, ${size} at a time`,
    async () => {
      const c = await client();
      const cursor = c.query(
        new Cursor('select id, txt from all_types where id > $1 order by id', [0], {
          rowMode: 'array',
        }),
      );
      const found = [];
      for (;;) {
        const rows = await cursor.read(size);
        if (!rows.length) break;
        found.push(rows);
      }
      await cursor.close();
      return found;
    },
    3,
  );
}
test(
  'portals',
  'pg-cursor closed in the middle',
  async () => {
    const c = await client();
    const cursor = c.query(new Cursor('select id from all_types order by id'));
    const rows = await cursor.read(2);
    await cursor.close();
    return [rows, (await ask('select 1::int4')).rows];
  },
  2,
);
for (const sql of [
  '',
  ';',
  '-- ping',
  'select 1; select 2',
  'select 1; select nothing',
  'begin; select 1; commit',
]) {
  test(sql.includes('select') ? 'simple' : 'empty', JSON.stringify(sql), () => ask(sql), 2);
}
test(
  'status',
  'a failed transaction',
  async () => {
    const found = [];
    for (const sql of ['begin', 'select 1/0', 'select 1', 'commit', 'select 2::int4']) {
      try {
        found.push((await ask(sql)).command);
      } catch (problem) {
        found.push(problem.code);
      }
    }
    return found;
  },
  2,
);
test('timeout', 'statement_timeout', async () => {
  const c = await connect({ statement_timeout: 300 });
  try {
    await c.query('select pg_sleep(10)');
    return 'it ended';
  } catch (problem) {
    return [problem.code, problem.message];
  } finally {
    await c.end();
  }
});
test('timeout', 'query_timeout', async () => {
  const c = await connect({ query_timeout: 300 });
  try {
    await c.query('select pg_sleep(2)');
    return 'it ended';
  } catch (problem) {
    return problem.message;
  } finally {
    await c.end();
  }
});
test('pool', 'ten queries through a pool of two', async () => {
  const pool = new pg.Pool({ ...base, max: 2 });
  const found = await Promise.all(
    Array.from({ length: 10 }, (_, n) => pool.query('select $1::int4 as n', [n])),
  );
  await pool.end();
  return found.map((one) => one.rows[0].n);
});
test('pipeline', 'queries that do not wait for one another', async () => {
  const c = await client();
  const found = await Promise.allSettled(
    ['select 1::int4 as a', 'select 1/0', 'select 2::int4 as a'].map((sql) => c.query(sql)),
  );
  return found.map((one) => (one.status === 'fulfilled' ? one.value.rows : one.reason.code));
});
for (const [name, more] of [
  ['right', {}],
  ['wrong', { password: 'wrong' }],
  ['TLS', { ssl: { rejectUnauthorized: false } }],
  ['TLS, verified', { ssl: { ca: fs.readFileSync(`${env.RISKSTREAM_WORK}/server.crt`, 'utf8') } }],
]) {
  test(name.startsWith('TLS') ? 'ssl' : 'password', name, async () => {
    const c = await connect({
      port: Number(env.USERS_PORT),
      user: env.USERS_NAME,
      password: env.USERS_PASSWORD,
      ...more,
    });
    const found = await c.query('select count(*) from all_types');
    await c.end();
    return found.rows;
  });
}
test('database', 'unknown', () => connect({ database: 'nothing_here' }));
test(
  'error-midway',
  'after 20000 rows',
  async () => {
    try {
      await ask('select 1000/(20000 - a) from generate_series(1, 30000) a');
    } catch (problem) {
      return [problem.code, (await ask('select 1::int4')).rows];
    }
    return 'no error';
  },
  2,
);
test(
  'large',
  '100000 rows',
  async () => (await ask('select * from generate_series(1, 100000)')).rows.length,
);
test('startup', 'options, application_name', async () => {
  const c = await connect({ options: '-c statement_timeout=5s', application_name: 'x' });
  const found = [
    await c.query('show statement_timeout'),
    await c.query('show application_name'),
  ].map((one) => one.rows);
  await c.end();
  return found;
});
await run();
