// sequelize: sets its zone at the start, describes tables, models.
import { DataTypes, Op, QueryTypes, Sequelize, Transaction } from 'sequelize';
import { env, run, test } from './tests.mjs';

const at = {
  host: env.PGHOST,
  port: Number(env.PGPORT),
  dialect: 'postgres',
  logging: false,
  pool: { max: 2 },
};
const db = new Sequelize(env.PGDATABASE, env.PGUSER, null, at);
const AllTypes = db.define(
  'all_types',
  {
    id: { type: DataTypes.INTEGER, primaryKey: true },
    at: DataTypes.DATE,
    i8: DataTypes.BIGINT,
    f8: DataTypes.DOUBLE,
    flag: DataTypes.BOOLEAN,
    txt: DataTypes.TEXT,
    money: DataTypes.DECIMAL(12, 2),
    day: DataTypes.DATEONLY,
  },
  { tableName: 'all_types', timestamps: false },
);

test(
  'tool-start',
  'authenticate',
  async () => {
    await db.authenticate();
    return 'in';
  },
  2,
);
test('tool-start', 'databaseVersion', async () => /^1[5-9]/.test(await db.databaseVersion()));
test('tool-start', 'in a zone', async () => {
  const other = new Sequelize(env.PGDATABASE, env.PGUSER, null, { ...at, timezone: '+05:30' });
  const found = await other.query(
    "select at::text as a, current_setting('TimeZone') as z from all_types where id = 6",
    { type: QueryTypes.SELECT },
  );
  await other.close();
  return found.map((row) => row.z);
});
test('reflection', 'describeTable', () => db.getQueryInterface().describeTable('all_types'), 2);
test(
  'reflection',
  'showAllTables',
  async () =>
    (await db.getQueryInterface().showAllTables())
      .map((t) => t.tableName || t)
      .filter((t) => ['all_types', 'portfolio'].includes(t))
      .sort(),
  2,
);
test('reflection', 'showIndex', () => db.getQueryInterface().showIndex('all_types'), 2);
test('reflection', 'tableExists', async () => [
  await db.getQueryInterface().tableExists('all_types'),
  await db.getQueryInterface().tableExists('nothing_here'),
]);
test('reflection', 'getForeignKeyReferencesForTable', () =>
  db.getQueryInterface().getForeignKeyReferencesForTable('all_types'),
);
test('reflection', 'showAllSchemas', async () =>
  (await db.showAllSchemas()).filter((s) => s === 'public' || s.schema_name === 'public'),
);
const raw = (found) => found.map((row) => row.get({ plain: true }));
test('tables', 'findAll', async () => raw(await AllTypes.findAll({ order: [['id', 'ASC']] })), 2);
test(
  'tables',
  'findOne, findByPk',
  async () => raw([await AllTypes.findOne({ where: { txt: 'NULL' } }), await AllTypes.findByPk(3)]),
  2,
);
test(
  'tables',
  'operators',
  async () =>
    raw(
      await AllTypes.findAll({
        attributes: ['id'],
        where: {
          [Op.or]: [{ id: { [Op.in]: [1, 3] } }, { txt: { [Op.iLike]: '%null%' } }],
          money: { [Op.or]: [null, { [Op.gt]: 0 }] },
        },
        order: ['id'],
      }),
    ),
  2,
);
test(
  'tables',
  'any',
  async () =>
    raw(
      await AllTypes.findAll({
        attributes: ['id'],
        where: { id: { [Op.any]: [1, 4] } },
        order: ['id'],
      }),
    ),
  2,
);
test(
  'tables',
  'findAndCountAll',
  async () => {
    const found = await AllTypes.findAndCountAll({
      order: ['id'],
      limit: 2,
      offset: 1,
      attributes: ['id'],
    });
    return [found.count, raw(found.rows)];
  },
  2,
);
test(
  'tables',
  'aggregates',
  async () => [await AllTypes.count(), await AllTypes.max('id'), await AllTypes.sum('id')],
  2,
);
test(
  'tables',
  'group',
  async () =>
    raw(
      await AllTypes.findAll({
        attributes: ['flag', [db.fn('count', db.col('id')), 'n']],
        group: ['flag'],
        order: ['flag'],
      }),
    ),
  2,
);
test(
  'p-inferred',
  'bind',
  () =>
    db.query('select id from all_types where id > $1 and txt <> $2 order by id', {
      bind: [2, 'x'],
      type: QueryTypes.SELECT,
    }),
  2,
);
test(
  'p-inferred',
  'replacements',
  () =>
    db.query('select id from all_types where id in (:ids) order by id', {
      replacements: { ids: [1, 2] },
      type: QueryTypes.SELECT,
    }),
  2,
);
test(
  'begin',
  'a transaction',
  () =>
    db.transaction(
      { isolationLevel: Transaction.ISOLATION_LEVELS.REPEATABLE_READ, readOnly: true },
      (transaction) => AllTypes.count({ transaction }),
    ),
  2,
);
test('savepoints', 'nested', () =>
  db.transaction(async (outer) => {
    let found = 'no error';
    try {
      await db.transaction({ transaction: outer }, (inner) =>
        db.query('select 1/0', { transaction: inner }),
      );
    } catch (problem) {
      found = problem.parent?.code || problem.message;
    }
    return [found, await AllTypes.count({ transaction: outer })];
  }),
);
test('sqlstates', 'an unknown column', () => db.query('select nothing from all_types'));
test('sqlstates', 'a write', () => AllTypes.create({ id: 7 }));
await run(() => db.close());
