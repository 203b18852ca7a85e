// What the clients in JavaScript share: tests one after another, a line of JSON each.
import fs from 'node:fs';

export const env = process.env;
// `pg` reads `prefer` as TLS with a certificate that it knows.
delete env.PGSSLMODE;
export const ROUNDS = 10;
const skip = Number(env.RISKSTREAM_SKIP || 0);
const only = (env.RISKSTREAM_FEATURE || '').split(',').filter(Boolean);
const queue = [];

export function plain(value) {
  if (value === null || value === undefined) return null;
  if (typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'number')
    return Object.is(value, -0) ? '-0' : Number.isFinite(value) ? value : `number ${value}`;
  if (typeof value === 'bigint') return `bigint ${value}`;
  if (value instanceof Date) return `Date ${isNaN(value) ? 'invalid' : value.toISOString()}`;
  if (Buffer.isBuffer(value) || value instanceof Uint8Array)
    return `bytes ${Buffer.from(value).toString('hex')}`;
  if (Array.isArray(value)) return [...value].map(plain);
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plain(one)]));
}

export function test(feature, name, work, rounds = 1) {
  if (only.length && !only.includes(feature)) return;
  queue.push({ feature, name, work, rounds });
}

export function cases(features) {
  const found = JSON.parse(fs.readFileSync(env.RISKSTREAM_CASES, 'utf8'));
  return found.filter((one) => !features || features.includes(one.feature));
}

export function value(type, text) {
  if (text === null) return null;
  if (Array.isArray(text)) return text.map((one) => value(type.slice(0, -2), one));
  if (type === 'bool') return text === 't';
  if (type === 'int2' || type === 'int4') return Number(text);
  if (type === 'float4' || type === 'float8') return Number(text);
  if (type === 'bytea') return Buffer.from(text, 'hex');
  return text;
}

const say = (line) => fs.writeSync(1, JSON.stringify(line) + '\n');

export async function run(close = async () => {}) {
  for (let number = 1; number <= queue.length; number++) {
    if (number <= skip) continue;
    const { feature, name, work, rounds } = queue[number - 1];
    say({ begin: number, feature, case: name });
    let answer = null;
    for (let round = 0; round < rounds; round++) {
      let now;
      try {
        now = plain(await work());
      } catch (problem) {
        const deep = problem.parent || problem.original || problem.cause || problem;
        now = {
          error: deep.code || problem.code || problem.name || 'error',
          text: String(problem.message).slice(0, 300),
        };
      }
      if (round === 0) answer = now;
      else if (JSON.stringify(now) !== JSON.stringify(answer)) {
        answer = { error: 'rounds differ', first: answer, round: round + 1, now };
        break;
      }
      if (now && now.error) break;
    }
    say({ feature, case: name, answer });
  }
  await close();
  process.exit(0);
}

export const VALUES = (
  'bool int float numeric text bytea date time timestamp timestamptz interval uuid json array ' +
  'tables p-bool p-int p-float p-numeric p-text p-bytea p-date p-time p-timestamp ' +
  'p-timestamptz p-uuid p-json ' +
  'p-array p-null p-inferred'
).split(' ');
