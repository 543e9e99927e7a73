'use strict';
// The shared text, typed here and elsewhere at once. The server puts all edits in one order and
// streams them; what was typed here and isn't in that order yet is moved past what is.
// Offsets are JavaScript's own, UTF-16 code units, as in splice.h.

const area = document.querySelector('#text');
const longest = Number(area.dataset.longest);
const mostSplices = Number(area.dataset.mostSplices);
const reopen = document.querySelector('#reopen').content.textContent;

const me = [...crypto.getRandomValues(new Uint8Array(12))]
  .map(byte => byte.toString(16).padStart(2, '0')).join('');
const name = ownName();

// ---- Splices: {at, removed, inserted}; the rules of splice.cpp.

function apply(text, splice) {
  return text.slice(0, splice.at) + splice.inserted + text.slice(splice.at + splice.removed);
}

function transformed(mine, theirs, iAmFirst) {
  const myEnd = mine.at + mine.removed;
  const theirEnd = theirs.at + theirs.removed;
  const isBefore = myEnd <= theirs.at;
  const isAfter = theirEnd <= mine.at;
  const mineFirst = mine.at < theirs.at || (mine.at === theirs.at && iAmFirst);
  if (isBefore && (!isAfter || mineFirst)) return mine;
  const { inserted } = mine;
  const shift = theirs.inserted.length;
  if (isAfter) return { at: mine.at - theirs.removed + shift, removed: mine.removed, inserted };
  const left = Math.max(theirs.at - mine.at, 0);
  const right = Math.max(myEnd - theirEnd, 0);
  if (!mineFirst) return { at: theirs.at + shift, removed: right, inserted };
  if (right === 0) return { at: mine.at, removed: left, inserted };
  return { at: mine.at, removed: left + shift + right, inserted: inserted + theirs.inserted };
}

// Changes both runs to be applied after each other. Theirs stand first.
function pass(mine, theirs) {
  for (let i = 0; i < mine.length; ++i) {
    for (let j = 0; j < theirs.length; ++j) {
      const myNext = transformed(mine[i], theirs[j], false);
      theirs[j] = transformed(theirs[j], mine[i], true);
      mine[i] = myNext;
    }
  }
}

const isHalf = (text, at, from) => at >= 0 && at < text.length && (text.charCodeAt(at) & 0xFC00) === from;

// The splice that makes `after` of `before`. `caret` is where the change in `after` ends, which
// tells which of several equal letters was typed.
function difference(before, after, caret = after.length) {
  const most = Math.min(before.length, after.length);
  let end = 0;
  while (end < Math.min(most, after.length - caret) &&
         before[before.length - 1 - end] === after[after.length - 1 - end]) ++end;
  let start = 0;
  while (start < most - end && before[start] === after[start]) ++start;
  while (end < most - start &&
         before[before.length - 1 - end] === after[after.length - 1 - end]) ++end;
  if (isHalf(after, start - 1, 0xD800)) --start;
  if (isHalf(after, after.length - end, 0xDC00)) --end;
  return {
    at: start,
    removed: before.length - start - end,
    inserted: after.slice(start, after.length - end),
  };
}

// A run of splices as few: typing on is one insertion.
function append(run, splice) {
  const last = run.at(-1);
  if (last && splice.removed === 0 && splice.at === last.at + last.inserted.length) {
    last.inserted += splice.inserted;
  } else {
    run.push(splice);
  }
}

// ---- The text: base (the server's) + sent + unsent = shown.

let base = '';
let version = 0;
let shown = '';
let sent = null;   // {number, splices, length}: posted, and not yet back on the stream
let unsent = [];
let number = 0;    // of the last edit posted
let isLive = false;
let isFull = false;
let isStuck = false;
let isComposing = false;
let held = [];     // what came while a composition must not be disturbed
let postTimer = 0;
let postPause = 500;
const stuckAfter = 5000;

// Takes in what was typed.
function record() {
  const now = area.value;
  if (now === shown) return;
  const wellFormed = now.toWellFormed?.() ?? now;
  if (wellFormed !== now) {
    area.setRangeText(wellFormed, 0, now.length, 'preserve');
  }
  append(unsent, difference(shown, wellFormed, area.selectionEnd));
  shown = wellFormed;
  if (!sent && unsent.length > mostSplices) withdraw();
}

// Makes all that the server lacks one splice again. Nothing may be on its way.
function withdraw() {
  sent = null;
  const splice = difference(base, shown);
  unsent = splice.removed || splice.inserted ? [splice] : [];
}

// Puts the others' splices into the window. The caret stays where it is in the text.
function paint(splices) {
  for (const { at, removed, inserted } of splices) {
    area.setRangeText(inserted, at, at + removed, 'preserve');
  }
  shown = area.value;
}

function send() {
  if (!isLive || isComposing || sent) return;
  if (shown.length > longest) return refuse();
  if (unsent.length === 0) return setFull(false);
  const splices = unsent.splice(0, mostSplices);
  sent = { number: ++number, splices, length: lengthAfter(splices) };
  post();
}

// Of the server's text with them.
function lengthAfter(splices) {
  return splices.reduce((sum, { removed, inserted }) => sum + inserted.length - removed, base.length);
}

async function post() {
  clearTimeout(postTimer);
  const edit = sent;
  const body = JSON.stringify({ by: me, number: edit.number, base: version, splices: edit.splices });
  const stuckTimer = setTimeout(() => { if (sent === edit) setStuck(true); }, stuckAfter);
  let status = 0;
  try {
    status = (await fetch('edits', { method: 'POST', body })).status;
  } catch { /* no answer: as any other failure, below */ }
  clearTimeout(stuckTimer);
  setStuck(false);
  if (isLive && (status === 204 || status === 413)) setState('live');
  if (status !== 410) postPause = 500;
  if (sent !== edit) return;
  if (status === 204) return setFull(false);
  if (status === 413) {
    refuse();
    if (shown.length < edit.length) send();
    return;
  }
  if (status === 409 || status === 400) {  // made on what the server does not remember
    withdraw();
    isLive = false;
    setTimeout(follow, 500);
    return;
  }
  // A stream that is open outlasts its URL, which lets no new connection in.
  if (status === 410) {
    setState('ended');
    postPause = Math.min(2 * postPause, 60000);
  }
  postTimer = setTimeout(() => { if (isLive && sent === edit) post(); }, postPause);
}

// The text would be too long with it: kept here, and tried again with each change.
function refuse() {
  withdraw();
  setFull(true);
}

function setStuck(now) {
  if (now === isStuck) return;
  isStuck = now;
  tell();
}

function setFull(now) {
  if (now === isFull) return;
  isFull = now;
  tell();
}

const receive = {
  // The whole text: at the beginning, and again after the stream was lost.
  state(state) {
    if (sent && state.number >= sent.number) {
      base = sent.splices.reduce(apply, base);
      sent = null;
    }
    take(difference(base, state.text));
    base = state.text;
    version = state.version;
    started = Date.now() - state.uptime * 1000;
    isLive = true;
    setState('live');
    if (sent) post(); else send();
  },

  edit(edit) {
    const isMine = sent && edit.by === me && edit.number === sent.number;
    const next = edit.splices.reduce(apply, base);
    if (isMine) {
      base = sent.splices.reduce(apply, base);
      sent = null;
      take(difference(base, next));
    } else {
      take(...edit.splices);
    }
    base = next;
    version = edit.version;
    if (edit.by !== me) showTyping(edit.by);
    send();
  },

  lookers: showLookers,

  full(places) {
    fullPlaces = places;
    tell();
  },
};

// Moves what is only here past the others' splices, and shows those.
function take(...theirs) {
  theirs = theirs.filter(splice => splice.removed || splice.inserted);
  if (sent) pass(sent.splices, theirs);
  pass(unsent, theirs);
  paint(theirs);
}

function handle(kind, data) {
  if (isComposing) {
    held.push([kind, data]);
    return;
  }
  record();
  receive[kind](data);
}

area.addEventListener('input', () => { record(); send(); });
area.addEventListener('compositionstart', () => { isComposing = true; });
area.addEventListener('compositionend', () => {
  isComposing = false;
  record();
  for (const [kind, data] of held.splice(0)) handle(kind, data);
  send();
});
addEventListener('beforeunload', event => {
  if (sent || unsent.length) event.preventDefault();
});

// ---- The stream.

let stream = null;
let pause = 0;
let fullPlaces = 0;
let isResting = false;
let restAfter = 20000;
let restTimer = 0;
let useEvery = 60000;  // well below the idle limit that a backend has by default
let useTimer = 0;

function follow() {
  if (isResting) return;
  stream?.close();
  stream = new EventSource('events?' + new URLSearchParams({ by: me, name }));
  for (const kind of Object.keys(receive)) {
    stream.addEventListener(kind, event => {
      pause = 0;
      if (kind === 'state') fullPlaces = 0;
      handle(kind, JSON.parse(event.data));
    });
  }
  stream.onerror = lose;
}

async function statusOfUrl() {
  try {
    return (await fetch('.', { method: 'HEAD', cache: 'no-store' })).status;
  } catch {
    return 0;  // nobody answers
  }
}

// Tries again by itself; ever more rarely if the backend is said to be gone.
async function lose() {
  stream.close();
  isLive = false;
  if (state !== 'ended') setState('lost');
  const status = await statusOfUrl();
  setState(status === 410 ? 'ended' : 'lost');
  setTimeout(follow, fullPlaces ? 5000 : pause);
  pause = Math.min(2 * pause + 100, status === 410 ? 60000 : 2000);
}

// A browser has six connections at most to one address, for all its windows: one that nobody has
// seen for a while lets go of its own, and is no looker. What was typed in it goes out first. Its
// backend still counts as used, or it would be ended and the text with it.
function rest() {
  if (sent || unsent.length) {
    restTimer = setTimeout(rest, restAfter);
    return;
  }
  isResting = true;
  isLive = false;
  stream.close();
  if (state === 'live') setState('opening');
  useLater();
}

function useLater() {
  clearTimeout(useTimer);
  useTimer = setTimeout(use, useEvery);
}

async function use() {
  const status = await statusOfUrl();
  if (!isResting) return;
  if (status === 410) setState('ended'); else useLater();
}

function restIfHidden() {
  clearTimeout(restTimer);
  if (document.hidden) {
    restTimer = setTimeout(rest, restAfter);
  } else if (isResting) {
    isResting = false;
    clearTimeout(useTimer);
    follow();
  }
}

document.addEventListener('visibilitychange', restIfHidden);

// ---- What is shown around the text.

let state = 'opening';
let wasLost = false;
let started = Date.now() - Number(document.querySelector('#uptime').dataset.seconds) * 1000;

function setState(now) {
  if (now === state) return;
  state = now;
  const isLost = state === 'lost' || state === 'ended';
  if (isLost || state === 'live') {
    document.querySelector('#announcement').textContent = wasLost && !isLost ? 'Live again.' : '';
    wasLost = isLost;
  }
  tell();
}

const stateWords = { opening: 'opening', live: 'live', lost: 'connection lost', ended: 'ended' };

function tell() {
  document.body.dataset.state = state;
  if (state !== 'live') document.querySelector('#looking').textContent = '–';
  document.querySelector('#state').textContent = stateWords[state];
  const notice = document.querySelector('#notice');
  const words = noticeWords();
  if (notice.textContent !== words.join('')) {
    notice.replaceChildren(...words.map((word, index) => index % 2 ? element('code', word) : word));
  }
}

// Sentences and code in turn.
function noticeWords() {
  if (state === 'ended') {
    return ['This URL has expired, or its backend has ended. Your text is still here, to be copied. ' +
      'For a new URL of the key: ', reopen];
  }
  if (state === 'lost' && fullPlaces) {
    return [`${fullPlaces} windows are looking, and no more can. Trying again; what you type waits here.`];
  }
  if (state === 'lost') {
    return ['The connection is lost. Trying again; what you type waits here.'];
  }
  if (isStuck) {
    return ['Nothing typed gets through. If too many windows of this page are open in this browser, ' +
      'close one. What you type waits here.'];
  }
  if (isFull) {
    return [`The text is full: it can have ${longest.toLocaleString('en')} characters. ` +
      'What you added is in this window only. Remove some, and all of it is shared again.'];
  }
  return [];
}

function element(tag, text, kind) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

const hues = [265, 25, 150, 320, 75, 205, 350, 110];

function chipOf(looker) {
  const chip = element('li', '');
  chip.dataset.id = looker.id;
  chip.style.setProperty('--hue', hues[looker.colour % hues.length]);
  const initial = element('span', [...looker.name][0].toUpperCase(), 'initial');
  initial.ariaHidden = 'true';
  chip.append(initial, element('bdi', looker.name));
  if (looker.id === me) chip.append(element('span', 'you', 'you'));
  return chip;
}

function showLookers(lookers) {
  const first = lookers.filter(looker => looker.id === me);
  const others = lookers.filter(looker => looker.id !== me);
  document.querySelector('#lookers').replaceChildren(...[...first, ...others].map(chipOf));
  document.querySelector('#looking').textContent =
    first.length && !others.length ? '1, only you' : String(lookers.length);
}

function showTyping(id) {
  const chip = [...document.querySelectorAll('#lookers li')].find(li => li.dataset.id === id);
  chip?.classList.remove('typing');
  void chip?.offsetWidth;  // starts the animation anew
  chip?.classList.add('typing');
}

function showUptime() {
  if (state === 'ended') return;
  const seconds = Math.max(0, Math.floor((Date.now() - started) / 1000));
  const [days, hours, minutes] = [86400, 3600, 60].map(unit => Math.floor(seconds / unit));
  document.querySelector('#uptime').textContent =
    days ? `${days} d ${hours % 24} h`
      : hours ? `${hours} h ${minutes % 60} min`
      : minutes ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}

// A name for this window, kept when it is loaded anew.
function ownName() {
  const pick = words => words[Math.floor(Math.random() * words.length)];
  const made = pick(['Amber', 'Brave', 'Calm', 'Clever', 'Curious', 'Eager', 'Gentle', 'Happy',
    'Keen', 'Lively', 'Merry', 'Nimble', 'Patient', 'Quiet', 'Sunny', 'Swift']) + ' ' +
    pick(['Badger', 'Beaver', 'Crane', 'Dolphin', 'Falcon', 'Fox', 'Gecko', 'Heron', 'Ibex',
      'Koala', 'Lynx', 'Magpie', 'Otter', 'Owl', 'Panda', 'Puffin', 'Raven', 'Seal', 'Tapir',
      'Wren']);
  try {
    sessionStorage.name ??= made;
    return sessionStorage.name;
  } catch {
    return made;
  }
}

setInterval(showUptime, 1000);
showUptime();
tell();
follow();
restIfHidden();
