// postgres.js: pipelined, looks types up first, binary-free text values of its own.
import postgres from 'postgres';
import { cases, env, ROUNDS, run, test, value, VALUES } from './tests.mjs';

const base = {
  host: env.PGHOST,
  port: Number(env.PGPORT),
  user: env.PGUSER,
  database: env.PGDATABASE,
  onnotice: () => {},
};
let sql = postgres({ ...base, max: 1, connect_timeout: 10 });

const answer = (found) => ({
  columns: (found.columns || []).map((c) => [c.name, c.type]),
  rows: found.raw ? found.raw : [...found],
  command: found.command,
});

async function ask(text, given, more) {
  const found = await sql.unsafe(text, given, more);
  return Array.isArray(found) && found.length && found[0] && found[0].command
    ? found.map(answer)
    : answer(found);
}

for (const one of cases([
  ...VALUES,
  'sqlstates',
  'settings',
  'zone',
  'forms',
  'types',
  'casts',
  'current',
])) {
  const given = one.parameters.map((p) => value(p.type, p.value));
  test(
    one.feature,
    one.case,
    async () => {
      for (const before of one.before) await ask(before);
      try {
        return await ask(
          one.sql,
          given.length ? given : undefined,
          given.length ? { prepare: true } : {},
        );
      } finally {
        if (one.before.length) {
          await sql.end({ timeout: 1 });
          sql = postgres({ ...base, max: 1 });
        }
      }
    },
    one.rounds,
  );
}
test(
  'extended',
  'a template',
  () => sql`select id, txt from all_types where id > ${2} order by id`,
  ROUNDS,
);
test(
  'p-array',
  'a list in a template',
  () => sql`select id from all_types where id in ${sql([1, 3])} order by id`,
  2,
);
test(
  'p-array',
  'any of an array',
  () => sql`select id from all_types where id = any(${[1, 3]}) order by id`,
  2,
);
test('p-array', 'sql.array', () => sql`select ${sql.array([1, 2])}::int4[] as a`, 2);
test('p-json', 'sql.json', () => sql`select ${sql.json({ a: [1, null] })}::json as j`, 2);
for (const size of [1, 2, 10]) {
  test(
    'portals',
    `cursor of ${size}`,
    async () => {
      const found = [];
      await sql`select id from all_types order by id`.cursor(size, (rows) => {
        found.push([...rows]);
      });
      return found;
    },
    3,
  );
}
test(
  'portals',
  'cursor ended in the middle',
  async () => {
    const found = [];
    await sql`select id from all_types order by id`.cursor(2, (rows) => {
      found.push([...rows]);
      return sql.CLOSE;
    });
    return [found, await sql`select 1::int4 as a`];
  },
  2,
);
test(
  'flush',
  'forEach',
  async () => {
    const found = [];
    await sql`select id from all_types order by id`.forEach((row) => found.push(row.id));
    return found;
  },
  2,
);
test(
  'describe',
  'describe()',
  async () => {
    const found =
      await sql`select id, txt from all_types where id = ${1} and txt like ${'x'}`.describe();
    return { columns: found.columns.map((c) => [c.name, c.type]), types: found.types };
  },
  2,
);
test('simple', 'several', () => ask('select 1::int4 as a; select 2::int4 as b'), 2);
test(
  'simple',
  'simple()',
  async () =>
    [...(await sql`select 1::int4 as a; select 2::int4 as b`.simple())].map((x) => [...x]),
  2,
);
test(
  'savepoints',
  'nested',
  () =>
    sql.begin('read only', async (tx) => {
      const found = [];
      await tx
        .savepoint(async (inner) => inner`select 1/0`)
        .catch((problem) => found.push(problem.code));
      found.push([...(await tx`select 1::int4 as a`)]);
      return found;
    }),
  2,
);
for (const how of [
  '',
  'isolation level serializable read only deferrable',
  'isolation level repeatable read',
]) {
  test('begin', how, () => sql.begin(how, (tx) => tx`show transaction_isolation`));
}
test(
  'pipeline',
  'at once',
  async () => {
    const found = await Promise.allSettled([
      sql`select 1::int4 as a`,
      sql`select 1/0`,
      sql`select 2::int4 as a`,
    ]);
    return found.map((one) => (one.status === 'fulfilled' ? [...one.value] : one.reason.code));
  },
  2,
);
test(
  'copy-text',
  'readable()',
  async () => {
    const stream = await sql`copy (select id, txt from all_types order by id) to stdout`.readable();
    let text = '';
    for await (const part of stream) text += part;
    return text;
  },
  2,
);
test('cancel', 'cancel()', async () => {
  const query = sql`select pg_sleep(20)`;
  setTimeout(() => query.cancel(), 300);
  try {
    await query;
    return 'it ended';
  } catch (problem) {
    return [problem.code, [...(await sql`select 1::int4 as a`)]];
  }
});
for (const [name, more] of [
  ['right', {}],
  ['wrong', { password: 'wrong' }],
  ['TLS', { ssl: 'require' }],
]) {
  test(name === 'TLS' ? 'ssl' : 'password', name, async () => {
    const one = postgres({
      ...base,
      port: Number(env.USERS_PORT),
      user: env.USERS_NAME,
      password: env.USERS_PASSWORD,
      max: 1,
      ...more,
    });
    try {
      return [...(await one`select count(*) from all_types`)];
    } finally {
      await one.end({ timeout: 1 });
    }
  });
}
test('startup', 'connection', async () => {
  const one = postgres({
    ...base,
    max: 1,
    connection: { application_name: 'x', statement_timeout: 5000, TimeZone: 'Asia/Tokyo' },
  });
  try {
    return [
      ...(await one`select current_setting('application_name') as a,
        current_setting('statement_timeout') as b, current_setting('TimeZone') as c`),
    ];
  } finally {
    await one.end({ timeout: 1 });
  }
});
test(
  'types',
  'fetch_types of arrays',
  async () => [
    ...(await sql`select array['a', null]::text[] as a, array[1.5]::float8[] as b,
      array[true] as c, array[date '2024-01-01'] as d`),
  ],
  2,
);
test('read-only', 'listen', () => sql.listen('x', () => {}).then(() => 'listening'));
await run(() => sql.end({ timeout: 1 }));
