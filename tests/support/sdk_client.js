'use strict';
// Programs after the README of @jamsocket/server and @jamsocket/client: they use fetch as those do, take
// each chunk of a stream by itself, and hold every answer against the validators of @jamsocket/types.
// node sdk_client.js SCENARIO, with the environment of `jamsock env`; JAMSOCK is that program.

const assert = require('assert/strict');
const { execFileSync } = require('child_process');
const { HTTPError, isBackendState, isConnectResponse } = require('@jamsocket/types');
const { run } = require('./scenarios');

const again = { times: 3, after: 2000 };  // of the SDK
const pause = milliseconds => new Promise(over => setTimeout(over, milliseconds));
const uncached = url => `${url}?${Math.random().toString(36).slice(2)}`;

async function answerTo(response, isValid) {
  if (!response.ok) throw new HTTPError(response.status, await response.text());
  assert.equal(response.headers.get('content-type'), 'application/json');
  const answer = JSON.parse(await response.text());
  assert.ok(isValid(answer), JSON.stringify(answer));
  return answer;
}

const namesOf = states => states.map(state => state.status);
const jamsock = (...words) => execFileSync(process.env.JAMSOCK, words);

function statesIn(chunk) {
  return chunk.split('\n').filter(line => line !== '').map(line => {
    assert.ok(line.startsWith('data:'), line);
    const state = JSON.parse(line.slice('data:'.length).trim());
    assert.ok(isBackendState(state), line);
    return state;
  });
}

async function eachState(url, take) {
  const response = await fetch(url);
  if (!response.ok) throw new HTTPError(response.status, await response.text());
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    statesIn(part.value).forEach(take);
  }
}

// The same states come again from a new subscription; each is told once.
class Statuses {
  states = [];
  #waiting = [];
  #tellAgain;
  heardAgain = new Promise(tell => { this.#tellAgain = tell; });

  take = state => {
    if (this.has(state.status)) {
      this.#tellAgain();
      return;
    }
    this.states.push(state);
    for (const [status, tell] of this.#waiting) if (status === state.status) tell();
  };
  has = status => this.states.some(state => state.status === status);
  reached = status => this.has(status) || new Promise(tell => this.#waiting.push([status, tell]));
}

class Jamsocket {
  constructor(env) {
    if (env.JAMSOCKET_DEV === 'true') {
      this.api = `http://localhost:${env.JAMSOCKET_DEV_PORT}`;
      this.account = this.service = this.token = '-';
    } else {
      this.api = env.JAMSOCKET_API_URL;
      this.account = env.JAMSOCKET_ACCOUNT;
      this.service = env.JAMSOCKET_SERVICE;
      this.token = env.JAMSOCKET_TOKEN;
    }
  }

  #post(path, body) {
    const headers = { Authorization: `Bearer ${this.token}`, 'Content-Type': 'application/json' };
    return fetch(`${this.api}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  }

  async connect(wanted = {}) {
    const path = uncached(`/v2/service/${this.account}/${this.service}/connect`);
    return answerTo(await this.#post(path, wanted), isConnectResponse);
  }

  async status(id) {
    return answerTo(await fetch(uncached(`${this.api}/v2/backend/${id}/status`)), isBackendState);
  }

  // Subscribes again if the stream breaks off, or can't be had for the moment.
  async subscribe(id, statuses) {
    for (let times = 0; !statuses.has('terminated'); ++times) {
      if (times > again.times) throw new Error('no stream');
      if (times > 0) await pause(again.after);
      await eachState(uncached(`${this.api}/v2/backend/${id}/status/stream`), statuses.take).catch(() => {});
    }
  }

  // Not of the SDK.
  async terminate(id) {
    await answerTo(await this.#post(`/v2/backend/${id}/terminate`, {}), answer => answer.status === 'ok');
  }
  async get(path) {
    const headers = { Authorization: `Bearer ${this.token}` };
    return answerTo(await fetch(`${this.api}${path}`, { headers }), () => true);
  }
  async namesOfAll({ backend_id }) {
    return namesOf((await this.get(`/v2/backend/${backend_id}`)).statuses);
  }
}

// A page's side: it has what the server's connect was answered, and no token.
class SessionBackend {
  statuses = new Statuses();

  constructor({ status_url }) {
    this.url = status_url;
    this.over = this.#subscribe();
  }

  // A browser repeats what met a kept connection that was just closed; node does not.
  async status() {
    const ask = () => fetch(uncached(this.url));
    let response = await ask().catch(ask);
    if (!response.ok) response = await ask();
    return answerTo(response, isBackendState);
  }

  async #subscribe() {
    while (!this.statuses.has('terminated')) {
      const now = await this.status();
      if (now.status === 'terminated') this.statuses.take(now);
      else await eachState(`${uncached(`${this.url}/stream`)}}`, this.statuses.take);
    }
  }
}

const withCode = code => error => error instanceof HTTPError && error.code === code;

const scenarios = {
  async connect() {
    const server = new Jamsocket(process.env);
    const wanted = {
      key: 'döc-😀',
      spawn: { lifetime_limit_seconds: 432000, max_idle_seconds: 300, executable: { env: { A: 'b' } } },
      user: 'my-user-id',
      auth: { metadata: 'bår' },
    };
    const made = await server.connect(wanted);
    assert.equal(made.spawned, true);
    assert.equal(made.status, 'scheduled');
    const found = await server.connect(wanted);
    assert.deepEqual([found.spawned, found.backend_id], [false, made.backend_id]);
    assert.notEqual(found.token, made.token);
    assert.equal((await fetch(found.url)).status, 200);
    assert.equal((await server.status(made.backend_id)).status, 'ready');
    assert.notEqual((await server.connect()).backend_id, made.backend_id);
  },

  async refusals() {
    const server = new Jamsocket(process.env);
    await assert.rejects(server.connect({ key: 'unheld', spawn: false }), withCode(409));
    await assert.rejects(server.connect({ key: '' }), withCode(400));
    await assert.rejects(server.status('nosuch'), withCode(404));
    server.token = 'local.wrong';
    await assert.rejects(server.connect(), withCode(401));
    server.token = '-';
    await assert.rejects(server.connect(), withCode(401));
  },

  // With all defaults of a service in development.
  async dev() {
    const server = new Jamsocket({ ...process.env, JAMSOCKET_DEV: 'true' });
    const { backend_id, url } = await server.connect({ key: 'one' });
    assert.equal((await fetch(url)).status, 200);
    assert.equal((await server.status(backend_id)).status, 'ready');
    await server.terminate(backend_id);
  },

  async statusStreams() {
    const server = new Jamsocket(process.env);
    const connection = await server.connect({ key: 'streamed' });
    const page = new SessionBackend(connection);
    const statuses = new Statuses();
    const subscription = server.subscribe(connection.backend_id, statuses);
    await Promise.all([page.statuses.reached('ready'), statuses.reached('ready')]);
    await server.terminate(connection.backend_id);
    await Promise.all([page.over, subscription]);

    const all = await server.namesOfAll(connection);
    assert.deepEqual(namesOf(statuses.states), all);
    assert.deepEqual(namesOf(page.statuses.states), all);
    assert.ok(all.includes('terminating'));
    assert.equal(statuses.states.at(-1).termination_reason, 'external');

    const late = new SessionBackend(connection);
    await late.over;
    assert.deepEqual(namesOf(late.statuses.states), ['terminated']);
  },

  // A daemon that stops ends its streams, which a page needs to begin anew.
  async restart() {
    const server = new Jamsocket(process.env);
    const connection = await server.connect({ key: 'kept' });
    const page = new SessionBackend(connection);
    await page.statuses.reached('ready');
    jamsock('daemon', 'restart');
    await page.statuses.heardAgain;
    jamsock('terminate', connection.backend_id);
    await page.over;
    assert.deepEqual(namesOf(page.statuses.states), await server.namesOfAll(connection));
  },

  // One that is killed breaks them off, which a server lives through.
  async crash() {
    const server = new Jamsocket(process.env);
    const connection = await server.connect({ key: 'kept' });
    const statuses = new Statuses();
    const subscription = server.subscribe(connection.backend_id, statuses);
    await statuses.reached('ready');
    process.kill((await server.get('/version')).pid, 'SIGKILL');
    await statuses.heardAgain;
    jamsock('terminate', connection.backend_id);
    await subscription;
    assert.deepEqual(namesOf(statuses.states), await server.namesOfAll(connection));
  },
};

run(scenarios);
