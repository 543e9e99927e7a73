'use strict';
// What the tests' clients share: node CLIENT SCENARIO URL DIRECT. URL leads to web_backend.js through
// the proxy, DIRECT past it. Exit code 0: all was as it must be.

const { createHash } = require('crypto');

const [scenario, url, direct] = process.argv.slice(2);

function run(scenarios) {
  process.exitCode = 1;  // also if nothing is left to wait for
  scenarios[scenario]().then(() => { process.exitCode = 0; }, error => {
    console.error(error);
    process.exit(1);
  });
}

module.exports = { direct, run, sha256: data => createHash('sha256').update(data).digest('hex'), url };
