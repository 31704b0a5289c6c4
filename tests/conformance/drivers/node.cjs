// `node node.cjs CLIENT`: mysql2, mysqljs and mariadb, with the script's actions as functions that return promises.
'use strict';
const { createHash } = require('crypto');
const { createReadStream, readFileSync } = require('fs');

const BIG_UNIT = '0123456789abcdef';
const LONG = 1000;
const LET_IT_START = 400; // milliseconds
const given = JSON.parse(readFileSync(0, 'utf8'));

class Unsupported extends Error {}

const later = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const digest = (value) => createHash('sha256').update(value).digest('hex');

function argument([kind, text]) {
  if (text === null) return null;
  switch (kind) {
    case 'int': return Number.isSafeInteger(Number(text)) ? Number(text) : text;
    case 'float': return Number(text);
    case 'bytes': return Buffer.from(text, 'hex');
    case 'datetime': return new Date(text.replace(' ', 'T') + 'Z');
    case 'big': return BIG_UNIT.repeat(Number(text) / BIG_UNIT.length);
  }
  return text;
}

function shown(value) {
  if (value === null || value === undefined) return null;
  if (Buffer.isBuffer(value)) {
    return value.length > LONG ? `${value.length} bytes, sha256 ${digest(value)}` : '0x' + value.toString('hex');
  }
  if (value instanceof Date) return value.toISOString();
  if (typeof value === 'string') {
    return value.length > LONG ? `${[...value].length} characters, sha256 ${digest(value)}` : value;
  }
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

// --- each client's own ways ---

class MySQLJS {
  constructor() { this.module = require('mysql'); }

  options(login) {
    return {
      host: login.host, port: login.port, user: login.user, password: login.password,
      database: login.database || undefined, charset: login.charset === 'latin1' ? 'LATIN1_SWEDISH_CI' : 'UTF8MB4_GENERAL_CI',
      ssl: login.tls ? { rejectUnauthorized: false } : undefined,
      multipleStatements: true, supportBigNumbers: true, bigNumberStrings: true, timezone: 'Z',
    };
  }

  promised(start) {
    return new Promise((resolve, reject) => start((error, ...rest) => (error ? reject(error) : resolve(rest))));
  }

  async open(login) {
    this.connection = this.module.createConnection(this.options(login));
    this.connection.on('error', () => {}); // what ends the connection reaches the statement as well
    await this.promised((done) => this.connection.connect(done));
  }

  async close() {
    if (this.connection) this.connection.destroy();
  }

  ownId() { return this.connection.threadId; }

  sets(rows, fields) {
    const many = Array.isArray(fields) && fields.some((field) => field === undefined || Array.isArray(field));
    const all = many ? rows.map((part, index) => [part, fields[index]]) : [[rows, fields]];
    return all.map(([part, columns]) => this.set(part, columns));
  }

  set(rows, fields) {
    if (!Array.isArray(rows)) {
      return { columns: null, rows: [], affected: rows.affectedRows, id: String(rows.insertId), warnings: rows.warningCount ?? rows.warningStatus };
    }
    const names = fields.map((field) => field.name);
    const types = fields.map((field) => [field.type ?? field.columnType, field.charsetNr ?? field.characterSet, field.flags]);
    return { columns: names, types, rows: rows.map((row) => this.cells(row, names)) };
  }

  cells(row, names) { return names.map((name) => shown(row[name])); }

  async query(sql, args) {
    const [rows, fields] = await this.promised((done) => this.connection.query({ sql, values: args.length ? args : undefined }, done));
    return this.sets(rows, fields);
  }

  async prepared() { throw new Unsupported('has no server-side prepared statements'); }

  async call(procedure, args) { return this.query(`CALL ${procedure}(${args.map(() => '?').join(', ')})`, args); }

  async infile(sql) { return this.query(sql, []); }

  begin() { return this.promised((done) => this.connection.beginTransaction(done)); }
  commit() { return this.promised((done) => this.connection.commit(done)); }
  rollback() { return this.promised((done) => this.connection.rollback(done)); }

  async stream(sql) {
    let total = 0;
    await new Promise((resolve, reject) => this.connection.query(sql).on('error', reject).on('end', resolve)
      .on('result', (row) => { total += row.filling.length; }));
    return [{ columns: ['all'], rows: [[String(total)]] }];
  }

  async changeUser(login) {
    await this.promised((done) => this.connection.changeUser({ user: login.user, password: login.password, database: login.database }, done));
  }

  async reset() { throw new Unsupported('cannot reset the connection'); }

  info() { return this.connection._protocol._handshakeInitializationPacket.serverVersion; }
}

class MySQL2 extends MySQLJS {
  constructor() { super(); this.module = require('mysql2'); }

  options(login) {
    return { ...super.options(login), charset: login.charset, infileStreamFactory: (path) => createReadStream(path) };
  }

  async prepared(sql, args) {
    const [rows, fields] = await this.promised((done) => this.connection.execute(sql, args, done));
    return this.sets(rows, fields);
  }

  async infile(sql) {
    return this.sets(...await this.promised((done) => this.connection.query(
      { sql, infileStreamFactory: (path) => createReadStream(path) }, done)));
  }

  async reset() {
    if (!this.connection.reset) throw new Unsupported('cannot reset the connection');
    await this.promised((done) => this.connection.reset(done));
  }

  info() { return this.connection._handshakePacket?.serverVersion ?? this.connection.serverVersion ?? null; }
}

class MariaDB extends MySQLJS {
  constructor() { super(); this.module = require('mariadb'); }

  options(login) {
    return {
      host: login.host, port: login.port, user: login.user, password: login.password, database: login.database || undefined,
      charset: login.charset, ssl: login.tls ? { rejectUnauthorized: false } : false, connectTimeout: 10000,
      multipleStatements: true, permitLocalInfile: true, allowPublicKeyRetrieval: true, rowsAsArray: true, metaAsArray: true,
      timezone: 'Z', bigIntAsNumber: false, insertIdAsNumber: false, decimalAsNumber: false,
    };
  }

  async open(login) {
    this.connection = await this.module.createConnection(this.options(login));
    this.connection.on('error', () => {});
  }

  async close() {
    if (this.connection) this.connection.destroy();
  }

  set(rows, fields) {
    if (!Array.isArray(rows)) return super.set(rows, fields);
    const names = fields.map((field) => field.name());
    return { columns: names, types: fields.map((field) => [field.columnType, field.collation?.index, field.flags]), rows: rows.map((row) => row.map(shown)) };
  }

  sets(rows, fields) {
    const isSet = (part) => Array.isArray(part) && (part.length === 0 || Array.isArray(part[0]));
    const many = Array.isArray(fields) && fields.some((field) => field === undefined || Array.isArray(field));
    const all = many && Array.isArray(rows) ? rows.map((part, index) => [part, fields[index] ?? []]) : [[rows, fields]];
    return all.filter(([part]) => part !== undefined).map(([part, columns]) => this.set(isSet(part) || !Array.isArray(part) ? part : [part], columns));
  }

  async query(sql, args) {
    const [rows, fields] = await this.connection.query(sql, args.length ? args : undefined);
    return this.sets(rows, fields);
  }

  async prepared(sql, args) {
    const [rows, fields] = await this.connection.execute(sql, args);
    return this.sets(rows, fields);
  }

  begin() { return this.connection.beginTransaction(); }
  commit() { return this.connection.commit(); }
  rollback() { return this.connection.rollback(); }

  async stream(sql) {
    let total = 0;
    for await (const row of this.connection.queryStream(sql)) total += row[1].length;
    return [{ columns: ['all'], rows: [[String(total)]] }];
  }

  async changeUser(login) {
    await this.connection.changeUser({ user: login.user, password: login.password, database: login.database });
  }

  async reset() { await this.connection.reset(); }

  info() { return this.connection.serverVersion(); }
}

const CLIENTS = { mysqljs: MySQLJS, mysql2: MySQL2, 'node-mariadb': MariaDB };

// --- the script ---

const client = new CLIENTS[process.argv[2]]();
let login = given.login;

async function reopen(next) {
  await client.close();
  login = next;
  await client.open(next);
}

async function cancel(sql) {
  const number = client.ownId();
  const faults = [];
  let cancelledAt = 0;
  const killer = later(LET_IT_START).then(async () => {
    cancelledAt = Date.now();
    const second = new CLIENTS[process.argv[2]]();
    try {
      await second.open(login);
      await second.query(`KILL QUERY ${number}`, []);
    } catch (error) {
      faults.push(String(error));
    }
    await second.close();
  });
  const result = await attempt(async () => ({ sets: await client.query(sql, []) }));
  const seconds = cancelledAt ? (Date.now() - cancelledAt) / 1000 : -1;
  await killer;
  return { ...result, faults, 'cancelled after': seconds };
}

async function perform(action) {
  const args = (action.args || []).map(argument);
  switch (action.do) {
    case 'query': return { sets: await client.query(action.sql, args) };
    case 'multi': return { sets: await client.query(action.sql, []) };
    case 'prepared': return { sets: await client.prepared(action.sql, args) };
    case 'call': return { sets: await client.call(action.procedure, args) };
    case 'stream': return { sets: await client.stream(action.sql) };
    case 'infile': {
      const path = given.infile + (action.missing ? '.missing' : '');
      return { sets: await client.infile(`LOAD DATA LOCAL INFILE '${path}' INTO TABLE ${action.table}`) };
    }
    case 'connect': await reopen({ ...given.login, ...action.changes }); return {};
    case 'reconnect': await reopen(login); return {};
    case 'begin': await client.begin(); return {};
    case 'commit': await client.commit(); return {};
    case 'rollback': await client.rollback(); return {};
    case 'reset': await client.reset(); return {};
    case 'info': return { value: client.info() };
    case 'warnings': return { value: (await client.query('SHOW WARNINGS', []))[0].rows };
    case 'change user': await client.changeUser({ ...given.other, ...(action.password ? { password: action.password } : {}) }); return {};
    case 'sleep': await later(action.seconds * 1000); return {};
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

async function noAnswer(action) {
  await later(action.do === 'change user' ? 4000 : 60000);
  throw new Error('the client never answers');
}

async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Unsupported) return { unsupported: error.message };
    const text = String(error.sqlMessage ?? error.message).slice(0, 500);
    return { error: { type: error.constructor.name, code: error.errno ?? error.code ?? null, name: error.code ?? null, sqlstate: error.sqlState ?? null, text } };
  }
}

async function check(actions) {
  login = given.login;
  const opened = await attempt(async () => client.open(login));
  if (opened) return [{ login: opened }];
  const results = [];
  for (const action of actions) {
    results.push(await attempt(() => Promise.race([perform(action), noAnswer(action)])));
    const last = results[results.length - 1];
    if (last.unsupported || (last.error && !action['may fail'])) break;
  }
  await client.close();
  return results;
}

(async () => {
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
