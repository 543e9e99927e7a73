'use strict';
// Loaded into the npm CLI before it: on every error that asks the npm registry for its newest version.
// Here nothing reaches the network; the newest version is $NEWEST_JAMSOCKET.

const https = require('https');
const { Readable, Writable } = require('stream');

https.request = (options, answer) => {
  const request = new Writable({ write: (chunk, encoding, done) => done() });
  request.on('finish', () => {
    const latest = process.env.NEWEST_JAMSOCKET;
    const response = Readable.from([JSON.stringify({ 'dist-tags': { latest } })]);
    answer(Object.assign(response, { statusCode: 200, headers: {} }));
  });
  return request;
};
