'use strict';
// A node backend for tests: HTTP in its less usual forms, WebSockets and other upgrades.
//
// What waits goes on when /tell?name=NAME is asked, once per answer; what happened here is read from
// /seen?name=NAME, a JSON list. Paths stand in three tables: pages, sockets (WebSocket), upgrades.
// Environment: LISTEN_AT listens when that file is there; KEEP_ALIVE_MS closes idle connections.

const { createHash } = require('crypto');
const fs = require('fs');
const http = require('http');
const { WebSocketServer } = require('ws');

const events = new Map();
const gates = new Map();

const seen = name => events.get(name) ?? [];
const note = (name, value) => events.set(name, [...seen(name), value]);

function gateOf(name) {
  if (!gates.has(name)) gates.set(name, { told: 0, waiting: [] });
  return gates.get(name);
}

function tell(name) {
  const gate = gateOf(name);
  const next = gate.waiting.shift();
  if (next) next(); else ++gate.told;
}

function whenTold(name) {
  const gate = gateOf(name);
  if (gate.told === 0) return new Promise(next => gate.waiting.push(next));
  --gate.told;
  return Promise.resolve();
}

const sha256 = data => createHash('sha256').update(data).digest('hex');
const urlOf = request => new URL(request.url, 'http://backend');
const queryOf = request => Object.fromEntries(urlOf(request).searchParams);

function sendJson(response, value) {
  const text = Buffer.from(JSON.stringify(value));
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length });
  response.end(text);
}

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts);
}

// ---- HTTP: (request, response, query)

const pages = {
  '/': (request, response) => response.end('ok\n'),
  '/page': (request, response) => {
    response.setHeader('content-type', 'text/html');
    response.end(fs.readFileSync(`${__dirname}/web_page.html`));
  },
  '/tell': (request, response, { name }) => {
    tell(name);
    response.end('told\n');
  },
  '/seen': (request, response, { name }) => sendJson(response, seen(name)),

  '/request': async (request, response) => {
    const body = await bodyOf(request);
    const { method, url, headers } = request;
    sendJson(response, { method, url, headers, body: body.toString() });
  },
  '/status': (request, response, { code }) => {
    response.writeHead(Number(code), { etag: '"one"' });
    response.end();
  },
  '/sized': (request, response) => {
    response.setHeader('content-length', 10);
    response.end(request.method === 'HEAD' ? undefined : '0123456789');
  },
  '/chunks': (request, response, { count }) => {
    for (let i = 0; i < count; ++i) response.write(`chunk ${i}\n`);
    response.end();
  },
  '/trailers': async (request, response) => {
    const body = await bodyOf(request);
    response.writeHead(200, { trailer: 'x-checksum, x-theirs' });
    response.write(body);
    response.addTrailers({ 'x-checksum': sha256(body), 'x-theirs': request.trailers['x-mine'] ?? 'none' });
    response.end();
  },
  '/once': (request, response) => {
    response.setHeader('connection', 'close');
    response.end('once\n');
  },

  '/hold': async (request, response, { name }) => {
    response.once('close', () => note('gone', [name, response.writableFinished]));
    note('held', name);
    await whenTold(name);
    response.end(`${name} was told\n`);
  },
  '/events': async (request, response, { name, count }) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    for (let i = 0; i < count; ++i) {
      await whenTold(name);
      response.write(`data:${i}\n\n`);
    }
    response.end();
  },
  '/hints': async (request, response, { name }) => {
    response.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' });
    await whenTold(name);
    response.end('hinted\n');
  },
};

// "Expect: 100-continue": /refused says no; any other path says yes when it is told to.
async function answerExpectation(request, response) {
  const { pathname } = urlOf(request);
  note('expected', pathname);
  if (pathname === '/refused') {
    response.writeHead(417, { 'content-length': 0 });
    return response.end();
  }
  await whenTold('continue');
  response.writeContinue();
  pages[pathname](request, response, queryOf(request));
}

// ---- WebSockets: (socket, request, query)

const sockets = {
  '/echo': socket => socket.on('message', (data, binary) => socket.send(data, { binary })),
  '/head': (socket, request) => {
    const { url, headers, answer } = request;
    socket.send(JSON.stringify({ url, headers, answer }));
  },
  '/fragments': socket => socket.on('message', (data, binary) => {
    const third = Math.ceil(data.length / 3);
    socket.send(data.subarray(0, third), { binary, fin: false });
    socket.send(data.subarray(third, 2 * third), { binary, fin: false });
    socket.send(data.subarray(2 * third), { binary, fin: true });
  }),
  '/ping': socket => {
    socket.on('ping', data => note('ping', data.toString()));
    socket.on('pong', data => socket.send(`pong ${data}`));
    socket.ping('from the backend');
  },
  '/checksum': socket => socket.on('message', data => {
    socket.send(sha256(data));
    socket.send(data, { binary: true });
  }),
  '/close': (socket, request, { code, reason }) =>
    socket.on('message', () => socket.close(Number(code), reason)),
  '/terminate': socket => socket.on('message', () => socket.terminate()),
};

const webSockets = new WebSocketServer({
  noServer: true,
  perMessageDeflate: { threshold: 0, serverMaxWindowBits: 11 },
  handleProtocols: offered => [...offered].at(-1),
});
webSockets.on('headers', (lines, request) => { request.answer = lines; });

function acceptWebSocket(request, stream, head) {
  webSockets.handleUpgrade(request, stream, head, socket => {
    const query = queryOf(request);
    socket.on('close', (code, reason) => note(query.name, [code, reason.toString()]));
    sockets[urlOf(request).pathname](socket, request, query);
  });
}

// ---- Other upgrades: (stream, head), where `head` came right behind the request's head

const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat/1\r\n\r\n';

const upgrades = {
  '/chat': (stream, head) => {
    stream.write(`${switching}welcome\n${head}`);
    stream.on('data', data => stream.write(data));
    stream.on('end', () => stream.end('last words\n'));
  },
  '/listener': (stream, head) => {
    let heard = head.toString();
    stream.end(`${switching}speak\n`);
    stream.on('data', data => { heard += data; });
    stream.on('end', () => note('heard', heard));
  },
  '/breaker': stream => {
    stream.write(`${switching}welcome\n`);
    stream.on('data', () => stream.resetAndDestroy());
  },
  '/refuse': (stream, head) => {
    stream.unshift(head);
    stream.write('HTTP/1.1 426 Upgrade Required\r\nContent-Length: 8\r\n\r\nchat/2!\n');
    server.emit('connection', stream);  // goes on as HTTP
  },
};

function switchProtocol(request, stream, head) {
  stream.on('error', () => {});
  if (request.headers.upgrade === 'websocket') return acceptWebSocket(request, stream, head);
  upgrades[urlOf(request).pathname](stream, head);
}

// ----

function answer(request, response) {
  const page = pages[urlOf(request).pathname];
  if (page) return page(request, response, queryOf(request));
  response.statusCode = 404;
  response.end();
}

const server = http.createServer(answer);
server.on('checkContinue', answerExpectation);
server.on('upgrade', switchProtocol);
server.keepAliveTimeout = Number(process.env.KEEP_ALIVE_MS ?? 5000);

function listen() {
  const { PORT, HOST, LISTEN_AT } = process.env;
  if (LISTEN_AT && !fs.existsSync(LISTEN_AT)) return setTimeout(listen, 5);
  server.listen(PORT, HOST, 4096);
}
listen();
