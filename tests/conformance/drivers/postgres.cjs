// `node postgres.cjs CLIENT`: pg ("node pg") and postgres.js, with the script's actions as functions that return promises.
'use strict';
const { createHash } = require('crypto');
const { createReadStream, readFileSync } = require('fs');
const { pipeline } = require('stream/promises');

const LONG = 1000;
const LET_IT_START = 400; // milliseconds
const given = JSON.parse(readFileSync(0, 'utf8'));

class Unsupported extends Error {}

const later = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const digest = (value) => createHash('sha256').update(value).digest('hex');
const values = (args) => args.map(([, text]) => text);

function shown(value) {
  if (value === null || value === undefined) return null;
  if (Buffer.isBuffer(value)) return '0x' + value.toString('hex');
  if (value instanceof Date) return value.toISOString();
  if (typeof value === 'string') return value.length > LONG ? `${[...value].length} characters, sha256 ${digest(value)}` : value;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

async function summed(stream) {
  const sum = createHash('sha256');
  let length = 0;
  for await (const part of stream) {
    sum.update(part);
    length += part.length;
  }
  return [length, sum.digest('hex')];
}

// --- each client's own ways ---

class NodePg {
  constructor() { this.module = require('pg'); }

  async open(login) {
    this.notices = [];
    this.notes = [];
    this.connection = new this.module.Client({
      host: login.socket ? login.socket_folder : login.host, port: login.socket ? 5432 : login.port, user: login.user,
      password: login.password, database: login.database, connectionTimeoutMillis: 20000,
      ssl: login.tls ? { rejectUnauthorized: false } : false, ...(login.tls === 'direct' ? { sslnegotiation: 'direct' } : {}),
    });
    this.connection.on('error', () => {}); // what ends the connection reaches the statement as well
    this.connection.on('notice', (notice) => this.notices.push([notice.severity, notice.message]));
    this.connection.on('notification', (note) => this.notes.push([note.channel, note.payload]));
    await this.connection.connect();
  }

  async close() { if (this.connection) await this.connection.end().catch(() => {}); }

  set(found) {
    return { columns: found.fields.map((field) => [field.name, field.dataTypeID, field.format]), command: found.command,
      affected: found.rowCount, rows: found.rows.map((row) => row.map(shown)) };
  }

  async query(sql, args) {
    const found = await this.connection.query({ text: sql, values: args.length ? values(args) : undefined, rowMode: 'array' });
    return (Array.isArray(found) ? found : [found]).map((one) => this.set(one));
  }

  async prepared(sql, args) {
    const sets = [];
    for (const each of args) sets.push(this.set(await this.connection.query({ name: 'again', text: sql, values: values(each), rowMode: 'array' })));
    return sets;
  }

  async pipeline(sql, count) {
    const all = Array.from({ length: count }, (_, n) => this.connection.query({ text: sql, values: [String(n)], rowMode: 'array' }));
    return (await Promise.all(all)).map((one) => this.set(one));
  }

  async stream(sql) {
    const Cursor = require('pg-cursor');
    const cursor = this.connection.query(new Cursor(sql, [], { rowMode: 'array' }));
    let total = 0;
    for (let rows; (rows = await cursor.read(500)).length;) for (const row of rows) total += row[1].length;
    await cursor.close();
    return total;
  }

  async copyIn(table) {
    const { from } = require('pg-copy-streams');
    await pipeline(createReadStream(given.infile), this.connection.query(from(`COPY ${table} FROM STDIN`)));
  }

  copyOut(sql) {
    const { to } = require('pg-copy-streams');
    return summed(this.connection.query(to(`COPY (${sql}) TO STDOUT`)));
  }

  async notify(channel, payload) {
    await this.connection.query(`LISTEN ${channel}`);
    await this.connection.query(`NOTIFY ${channel}, '${payload}'`);
    for (let n = 0; n < 100 && !this.notes.length; n++) await later(20);
    return this.notes;
  }

  async noticed(sql) {
    await this.connection.query(sql);
    return this.notices;
  }

  // pg has no function for it since 8.x; programs end their statement from another session.
  async cancelling(sql) {
    const number = this.connection.processID;
    const running = this.connection.query(sql);
    running.catch(() => {});
    await later(LET_IT_START);
    const second = new NodePg();
    await second.open(given.login);
    const at = Date.now();
    await second.query(`SELECT pg_cancel_backend(${number})`, []);
    await second.close();
    return { running: running.then(() => []), at };
  }
}

class PostgresJS {
  constructor() { this.module = require('postgres'); }

  async open(login) {
    if (login.tls === 'direct') throw new Unsupported('has no TLS at once that the proxy or PostgreSQL 17 would know');
    this.notices = [];
    this.options = {
      host: login.host, port: login.port, user: login.user, password: login.password, database: login.database, max: 1, connect_timeout: 20,
      ssl: login.tls ? { rejectUnauthorized: false } : false, onnotice: (notice) => this.notices.push([notice.severity, notice.message]),
      ...(login.socket ? { path: `${login.socket_folder}/.s.PGSQL.5432` } : {}),
    };
    this.sql = this.module(this.options);
    await this.sql`SELECT 1`;
  }

  async close() { if (this.sql) await this.sql.end({ timeout: 1 }).catch(() => {}); }

  set(found, rows) {
    const columns = (found.columns ?? []).map((column) => [column.name, column.type]);
    return { columns, command: found.command, affected: found.count, rows: [...rows].map((row) => row.map(shown)) };
  }

  async query(sql, args) {
    const found = await this.sql.unsafe(sql, values(args)).values();
    return Array.isArray(found[0]) && found[0].command ? found.map((one) => this.set(one, one)) : [this.set(found, found)];
  }

  async multi(sql) {
    await this.sql.unsafe(sql).simple();
    return [];
  }

  async prepared(sql, args) {
    const sets = [];
    for (const each of args) {
      const found = await this.sql.unsafe(sql, values(each), { prepare: true }).values();
      sets.push(this.set(found, found));
    }
    return sets;
  }

  async pipeline(sql, count) {
    const all = Array.from({ length: count }, (_, n) => this.sql.unsafe(sql, [String(n)], { prepare: true }).values());
    return (await Promise.all(all)).map((one) => this.set(one, one));
  }

  async stream(sql) {
    let total = 0;
    for await (const rows of this.sql.unsafe(sql).cursor(500)) for (const row of rows) total += row.repeat.length;
    return total;
  }

  async copyIn(table) {
    await pipeline(createReadStream(given.infile), await this.sql.unsafe(`COPY ${table} FROM STDIN`).writable());
  }

  async copyOut(sql) { return summed(await this.sql.unsafe(`COPY (${sql}) TO STDOUT`).readable()); }

  async notify(channel, payload) {
    const notes = [];
    await this.sql.listen(channel, (told) => notes.push([channel, told])); // on a connection of its own
    await this.sql.notify(channel, payload);
    for (let n = 0; n < 100 && !notes.length; n++) await later(20);
    return notes;
  }

  async noticed(sql) {
    await this.sql.unsafe(sql).simple();
    return this.notices;
  }

  async cancelling(sql) {
    const running = this.sql.unsafe(sql);
    running.execute();
    running.catch(() => {});
    await later(LET_IT_START);
    const at = Date.now();
    running.cancel();
    return { running: running.then(() => []), at };
  }
}

const CLIENTS = { 'node-pg': NodePg, 'postgres-js': PostgresJS };

// --- the script ---

const client = new CLIENTS[process.argv[2]]();
let login = given.login;

async function reopen(next) {
  await client.close();
  login = next;
  await client.open(next);
}

async function cancel(sql) {
  const { running, at } = await client.cancelling(sql);
  const result = await attempt(async () => ({ sets: await running }));
  return { ...result, faults: result.error ? [] : ['it was not cancelled'], 'cancelled after': (Date.now() - at) / 1000 };
}

async function perform(action) {
  const args = action.args || [];
  switch (action.do) {
    case 'query': return { sets: await client.query(action.sql, args) };
    case 'multi': return { sets: client.multi ? await client.multi(action.sql) : await client.query(action.sql, []) };
    case 'prepared': return { sets: await client.prepared(action.sql, args) };
    case 'pipeline': return { sets: await client.pipeline(action.sql, action.count) };
    case 'stream': return { sets: [{ rows: [[String(await client.stream(action.sql))]] }] };
    case 'copy in': await client.copyIn(action.table); return {};
    case 'copy out': return { value: await client.copyOut(action.sql) };
    case 'notify': return { value: await client.notify(action.channel, action.payload) };
    case 'notices': return { value: await client.noticed(action.sql) };
    case 'connect': await reopen({ ...given.login, ...action.changes }); return {};
    case 'reconnect': await reopen(login); return {};
    case 'begin': case 'commit': case 'rollback': await client.query(action.do.toUpperCase(), []); return {};
    case 'cancel': return cancel(action.sql);
    case 'logins':
      for (let i = 0; i < action.count; i++) {
        await reopen(login);
        await client.query('SELECT 1', []);
      }
      return { value: action.count };
  }
  throw new Unsupported(`does not know ${action.do}`);
}

async function noAnswer() {
  await later(90000);
  throw new Error('the client never answers');
}

async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Unsupported) return { unsupported: error.message };
    const state = /^[0-9A-Z]{5}$/.test(error.code ?? '') ? error.code : null;
    return { error: { type: error.constructor.name, code: error.code ?? null, sqlstate: state, text: String(error.message).slice(0, 500),
      severity: error.severity ?? null, position: error.position ?? null, routine: error.routine ?? null } };
  }
}

async function check(actions) {
  login = given.login;
  const opened = await attempt(async () => client.open(login));
  if (opened) return [{ login: opened }];
  const results = [];
  for (const action of actions) {
    results.push(await attempt(() => Promise.race([perform(action), noAnswer()])));
    const last = results[results.length - 1];
    if (last.unsupported || (last.error && !action['may fail'])) break;
  }
  await client.close();
  return results;
}

(async () => {
  process.on('unhandledRejection', () => {}); // a connection that ended tells each of its promises
  process.on('uncaughtException', (error) => {
    process.stderr.write(`uncaught: ${error.stack}\n`);
    process.exit(3);
  });
  for (const { name, actions } of given.checks) {
    const started = Date.now();
    const results = await check(actions);
    process.stdout.write(JSON.stringify({ check: name, results, seconds: (Date.now() - started) / 1000 }) + '\n');
  }
  process.exit(0);
})();
