'use strict';
// An HTTP client of the tests: node's own.

const assert = require('assert/strict');
const { randomBytes } = require('crypto');
const { once } = require('events');
const http = require('http');
const { direct, run, sha256, url } = require('./scenarios');

const tell = name => fetch(new URL(`tell?name=${name}`, direct));
const ask = (path, options = {}) => http.request(new URL(path, url), options);
const pause = milliseconds => new Promise(over => setTimeout(over, milliseconds));

async function textOf(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts).toString();
}

async function ended(request) {
  request.end();
  const [response] = await once(request, 'response');
  return [response, await textOf(response)];
}

const scenarios = {
  async trailers() {
    const body = randomBytes(200000).toString('hex');
    const request = ask('trailers', { method: 'POST', headers: { trailer: 'x-mine', te: 'trailers' } });
    request.write(body);
    request.addTrailers({ 'x-mine': 'sent last' });
    const [response, text] = await ended(request);
    assert.equal(text, body);
    assert.deepEqual({ ...response.trailers }, { 'x-checksum': sha256(body), 'x-theirs': 'sent last' });
  },

  async earlyHints() {
    const request = ask('hints?name=hinted');
    request.end();
    const [hint] = await once(request, 'information');
    assert.equal(hint.statusCode, 103);
    assert.equal(hint.headers.link, '</style.css>; rel=preload; as=style');
    tell('hinted');
    const [response] = await once(request, 'response');
    assert.equal(response.statusCode, 200);
    assert.equal(await textOf(response), 'hinted\n');
  },

  // The backend sends an event only when it is told so: what is late once waits for ever.
  async eventStream() {
    const request = ask('events?name=fetched&count=20');
    request.end();
    const [response] = await once(request, 'response');
    const events = response[Symbol.asyncIterator]();
    for (let number = 0; number < 20; ++number) {
      tell('fetched');
      assert.equal((await events.next()).value.toString(), `data:${number}\n\n`);
    }
    assert.ok((await events.next()).done);
  },

  // The backend closes each idle connection after a moment; requests come just about then.
  async closingBackend() {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
    const one = async (number, path) => {
      await pause(number % 7);
      const [response, text] = await ended(ask(path, { agent }));
      assert.deepEqual([response.statusCode, text], [200, path === 'once' ? 'once\n' : 'ok\n']);
    };
    const series = async path => {
      for (let number = 0; number < 50; ++number) await one(number, path);
    };
    await Promise.all([series(''), series(''), series(''), series('once')]);
    agent.destroy();
  },
};

run(scenarios);
