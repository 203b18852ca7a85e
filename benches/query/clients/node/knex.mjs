// knex: reads version(), builds statements, streams.
import knexPackage from 'knex';
import { env, run, test } from './tests.mjs';

const knex = knexPackage({
  client: 'pg',
  pool: { min: 0, max: 2 },
  connection: {
    host: env.PGHOST,
    port: Number(env.PGPORT),
    user: env.PGUSER,
    database: env.PGDATABASE,
  },
});
const table = () => knex('all_types');

test('tool-start', 'select 1', async () => (await knex.raw('select 1::int4 as a')).rows, 2);
test(
  'reflection',
  'hasTable',
  async () => [await knex.schema.hasTable('all_types'), await knex.schema.hasTable('nothing_here')],
  2,
);
test(
  'reflection',
  'hasColumn',
  async () => [
    await knex.schema.hasColumn('all_types', 'id'),
    await knex.schema.hasColumn('all_types', 'x'),
  ],
  2,
);
test('reflection', 'columnInfo', () => table().columnInfo(), 2);
test('tables', 'select *', () => table().orderBy('id'), 2);
test(
  'tables',
  'where, in, between, like',
  () =>
    table()
      .select('id')
      .whereIn('id', [1, 3, 4])
      .whereBetween('id', [2, 5])
      .orWhere('txt', 'like', '%{%')
      .orderBy('id'),
  2,
);
test(
  'tables',
  'aggregates',
  () =>
    table().count('* as n').sum('money as s').max('day as d').avg('f8 as a').where('id', '>', 3),
  2,
);
test(
  'tables',
  'group and having',
  () =>
    table()
      .select('flag')
      .count('* as n')
      .groupBy('flag')
      .havingRaw('count(*) > ?', [0])
      .orderBy('flag'),
  2,
);
test(
  'tables',
  'join',
  () =>
    knex('all_types as a')
      .join('all_types as b', 'a.id', 'b.id')
      .select('a.id', 'b.txt')
      .where('a.id', 4),
  2,
);
test('tables', 'limit and offset', () => table().select('id').orderBy('id').limit(2).offset(1), 2);
test(
  'tables',
  'with',
  () =>
    knex
      .with('w', knex('all_types').select('id').where('id', '>', 3))
      .select('*')
      .from('w')
      .orderBy('id'),
  2,
);
test(
  'tables',
  'first, pluck',
  async () => [
    await table().orderBy('id', 'desc').first('id'),
    await table().orderBy('id').pluck('id'),
  ],
  2,
);
test(
  'tables',
  'distinct on',
  () =>
    table()
      .distinctOn('flag')
      .select('flag', 'id')
      .orderBy([{ column: 'flag' }, { column: 'id' }]),
  2,
);
test(
  'tables',
  'union, intersect',
  () =>
    table()
      .select('id')
      .where('id', 1)
      .union([knex('all_types').select('id').where('id', 2)])
      .orderBy('id'),
  2,
);
test(
  'tables',
  'json',
  () =>
    table()
      .select(knex.raw('json_build_object(?::text, id) as j', ['a']))
      .where('id', 1),
  2,
);
test('tables', 'window', () => table().select('id').rowNumber('n', 'id').orderBy('id'), 2);
test(
  'portals',
  'stream',
  async () => {
    const found = [];
    for await (const row of table().select('id').orderBy('id').stream()) found.push(row.id);
    return found;
  },
  2,
);
test(
  'begin',
  'a transaction, read only',
  () =>
    knex.transaction((tx) => tx('all_types').count('* as n'), {
      readOnly: true,
      isolationLevel: 'repeatable read',
    }),
  2,
);
test(
  'savepoints',
  'a transaction in a transaction',
  () =>
    knex.transaction(async (tx) => {
      let code = null;
      try {
        await tx.transaction((inner) => inner.raw('select 1/0'));
      } catch (problem) {
        code = problem.code;
      }
      return [code, (await tx.raw('select 1::int4 as a')).rows];
    }),
  2,
);
test('timeout', 'timeout with cancel', () =>
  knex
    .raw('select pg_sleep(20)')
    .timeout(400, { cancel: true })
    .then(
      () => 'it ended',
      (problem) => problem.name,
    ),
);
test('sqlstates', 'an unknown column', () => table().select('nothing'));
await run(() => knex.destroy());
