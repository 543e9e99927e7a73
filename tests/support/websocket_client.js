'use strict';
// A WebSocket client of the tests: Debian's node-ws.

const assert = require('assert/strict');
const { randomBytes } = require('crypto');
const { once } = require('events');
const WebSocket = require('ws');
const { direct, run, sha256, url } = require('./scenarios');

// Opened, with what it received since then in `socket.next()`.
async function open(path, { protocols = [], ...options } = {}) {
  const socket = new WebSocket(new URL(path, url.replace(/^http/, 'ws')), protocols,
                               { perMessageDeflate: false, ...options });
  const received = [];
  const wanted = [];
  socket.on('message', (data, isBinary) => {
    received.push({ data, isBinary });
    wanted.shift()?.();
  });
  socket.next = async () => {
    if (received.length === 0) await new Promise(arrived => wanted.push(arrived));
    return received.shift();
  };
  socket.on('upgrade', response => { socket.answer = response.headers; });
  await once(socket, 'open');
  return socket;
}

async function closeOf(socket) {
  const [code, reason] = await once(socket, 'close');
  return [code, reason.toString()];
}

// What the backend has noted, as soon as there are `count` of it.
async function seen(name, count) {
  for (;;) {
    const list = await (await fetch(new URL(`seen?name=${name}`, direct))).json();
    if (list.length >= count) return list;
  }
}

async function echoed(socket, message) {
  socket.send(message);
  const { data, isBinary } = await socket.next();
  assert.equal(isBinary, typeof message !== 'string');
  assert.deepEqual(isBinary ? data : data.toString(), message);
}

const scenarios = {
  async messages() {
    const socket = await open('echo');
    await echoed(socket, 'text, Größe, 😀');
    await echoed(socket, '');
    await echoed(socket, Buffer.alloc(0));
    await echoed(socket, Buffer.from([...Array(256).keys()]));
    for (const size of [125, 126, 65535, 65536, 70000]) await echoed(socket, randomBytes(size));
    socket.close(1000);
    assert.deepEqual(await closeOf(socket), [1000, '']);
  },

  async fragments() {
    const socket = await open('fragments');
    socket.send('one ', { fin: false });
    socket.send('two ', { fin: false });
    socket.ping('between the fragments');
    socket.send('three', { fin: true });
    assert.equal((await once(socket, 'pong'))[0].toString(), 'between the fragments');
    assert.equal((await socket.next()).data.toString(), 'one two three');
    const parts = [...Array(50)].map(() => randomBytes(3000));
    parts.forEach((part, index) => socket.send(part, { fin: index === parts.length - 1 }));
    assert.deepEqual((await socket.next()).data, Buffer.concat(parts));
    socket.terminate();
  },

  async pings() {
    const socket = await open('ping');
    assert.equal((await socket.next()).data.toString(), 'pong from the backend');
    for (const payload of ['', 'from the client', 'x'.repeat(125)]) {
      socket.ping(payload);
      assert.equal((await once(socket, 'pong'))[0].toString(), payload);
    }
    assert.deepEqual(await seen('ping', 3), ['', 'from the client', 'x'.repeat(125)]);
    socket.terminate();
  },

  async closedByClient() {
    const ends = [[1000, ''], [1001, 'going away'], [4000, 'wörds of my own']];
    for (const end of ends) {
      const socket = await open('echo?name=closed');
      socket.close(...end);
      assert.deepEqual(await closeOf(socket), end);
    }
    (await open('echo?name=closed')).terminate();
    assert.deepEqual(await seen('closed', 4), [...ends, [1006, '']]);
  },

  async closedByBackend() {
    for (const end of [[1000, ''], [1001, 'going away'], [4000, 'wörds of my own']]) {
      const socket = await open(`close?code=${end[0]}&reason=${encodeURIComponent(end[1])}`);
      socket.send('now');
      assert.deepEqual(await closeOf(socket), end);
    }
    const socket = await open('terminate');
    socket.send('now');
    assert.deepEqual(await closeOf(socket), [1006, '']);
  },

  async head() {
    const socket = await open('head?room=a%20b&room=c&end=}', {
      protocols: ['v1', 'v2'],
      origin: 'https://elsewhere.example',
      headers: { 'x-mine': 'kept', 'X-Verified-Username': 'forged' },
      perMessageDeflate: { serverNoContextTakeover: true, clientMaxWindowBits: 10 },
    });
    const request = JSON.parse((await socket.next()).data);
    const { headers } = request;
    const offered = 'permessage-deflate; server_no_context_takeover; client_max_window_bits=10';
    assert.equal(request.url, '/head?room=a%20b&room=c&end=}');
    assert.equal(headers['sec-websocket-extensions'], offered);
    assert.equal(headers['sec-websocket-protocol'], 'v1,v2');
    assert.equal(headers['sec-websocket-version'], '13');
    assert.equal(headers.origin, 'https://elsewhere.example');
    assert.equal(headers.host, new URL(url).host);
    assert.equal(headers['x-mine'], 'kept');
    assert.equal(headers['x-verified-username'], 'ann');
    assert.deepEqual(JSON.parse(headers['x-verified-user-data']), { role: 'editor' });
    assert.equal(headers['x-verified-path'], new URL('head', url).pathname);
    assert.ok(headers['x-verified-backend']);
    assert.ok(headers['x-verified-secret']);
    assert.equal(headers['x-forwarded-for'], '127.0.0.1');
    assert.equal(socket.protocol, 'v2');
    for (const name of ['sec-websocket-accept', 'sec-websocket-protocol', 'sec-websocket-extensions']) {
      const line = request.answer.find(each => each.toLowerCase().startsWith(`${name}: `));
      assert.equal(socket.answer[name], line.slice(name.length + 2));
    }
    assert.equal(socket.answer['x-jamsock-backend-id'], headers['x-verified-backend']);
    socket.close();
    await closeOf(socket);
  },

  async compressed() {
    const socket = await open('echo', { perMessageDeflate: { threshold: 0 } });
    assert.match(socket.extensions, /permessage-deflate/);
    await echoed(socket, 'again and again '.repeat(10000));
    await echoed(socket, randomBytes(100000));
    socket.close();
    await closeOf(socket);
  },

  // Two at once, so that both directions are full at the same time.
  async large() {
    await Promise.all([...Array(2)].map(async () => {
      const socket = await open('checksum');
      const message = randomBytes(10 * 1000 * 1000);
      for (let round = 0; round < 2; ++round) socket.send(message);
      for (let round = 0; round < 2; ++round) {
        assert.equal((await socket.next()).data.toString(), sha256(message));
        assert.equal(sha256((await socket.next()).data), sha256(message));
      }
      socket.close();
      await closeOf(socket);
    }));
  },

  async many() {
    const all = await Promise.all([...Array(50)].map(() => open('echo')));
    for (let number = 0; number < 20; ++number) {
      all.forEach((socket, index) => socket.send(`${index} ${number} ${'x'.repeat(index * 20)}`));
    }
    await Promise.all(all.map(async (socket, index) => {
      for (let number = 0; number < 20; ++number) {
        const { data } = await socket.next();
        assert.equal(data.toString(), `${index} ${number} ${'x'.repeat(index * 20)}`);
      }
      socket.close(4000 + index);
      assert.deepEqual(await closeOf(socket), [4000 + index, '']);
    }));
  },

  async one() {
    const socket = await open('echo');
    await echoed(socket, 'hello');
    socket.close();
    await closeOf(socket);
  },
};

run(scenarios);
