// drizzle-kit: introspects a database into a schema; and drizzle-orm's statements.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { drizzle } from 'drizzle-orm/node-postgres';
import { asc, eq, gt, sql } from 'drizzle-orm';
import { boolean, integer, numeric, pgTable, text, timestamp } from 'drizzle-orm/pg-core';
import pg from 'pg';
import { env, run, test } from './tests.mjs';

const place = path.dirname(fileURLToPath(import.meta.url));
const pool = new pg.Pool({
  host: env.PGHOST,
  port: Number(env.PGPORT),
  user: env.PGUSER,
  database: env.PGDATABASE,
  max: 2,
});
const db = drizzle(pool);
const allTypes = pgTable('all_types', {
  id: integer('id').primaryKey(),
  at: timestamp('at', { withTimezone: true }),
  flag: boolean('flag'),
  txt: text('txt'),
  money: numeric('money', { precision: 12, scale: 2 }),
});

test('reflection', 'drizzle-kit introspect', () => {
  const out = fs.mkdtempSync(path.join(os.tmpdir(), 'drizzle-'));
  const config = path.join(place, `drizzle-${env.PGPORT}.config.json`);
  fs.writeFileSync(
    config,
    JSON.stringify({
      dialect: 'postgresql',
      out,
      schemaFilter: ['public'],
      tablesFilter: ['all_types', 'portfolio'],
      dbCredentials: {
        host: env.PGHOST,
        port: Number(env.PGPORT),
        user: env.PGUSER,
        password: '',
        database: env.PGDATABASE,
        ssl: false,
      },
    }),
  );
  execFileSync(
    path.join(place, 'node_modules/.bin/drizzle-kit'),
    ['introspect', `--config=${path.basename(config)}`],
    { cwd: place, stdio: 'pipe', timeout: 50000 },
  );
  const schema = fs.readFileSync(path.join(out, 'schema.ts'), 'utf8');
  fs.rmSync(out, { recursive: true });
  fs.rmSync(config);
  return schema.split('\n');
});
test('tables', 'select', () => db.select().from(allTypes).orderBy(asc(allTypes.id)), 2);
test(
  'tables',
  'where',
  () =>
    db
      .select({ id: allTypes.id })
      .from(allTypes)
      .where(gt(allTypes.id, 3))
      .orderBy(asc(allTypes.id)),
  2,
);
test(
  'tables',
  'aggregates',
  () =>
    db
      .select({ flag: allTypes.flag, n: sql`count(*)` })
      .from(allTypes)
      .groupBy(allTypes.flag)
      .orderBy(asc(allTypes.flag)),
  2,
);
test('tables', '$count', () => db.$count(allTypes), 2);
test(
  'extended',
  'prepare',
  () =>
    db
      .select()
      .from(allTypes)
      .where(eq(allTypes.id, sql.placeholder('id')))
      .prepare('p')
      .execute({ id: 4 }),
  10,
);
test(
  'begin',
  'transaction',
  () =>
    db.transaction(
      async (tx) => tx.execute(sql`show transaction_isolation`).then((found) => found.rows),
      { isolationLevel: 'repeatable read', accessMode: 'read only', deferrable: true },
    ),
  2,
);
await run(() => pool.end());
