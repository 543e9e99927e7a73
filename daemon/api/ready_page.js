'use strict';
const { status, stream } = document.body.dataset;
const link = document.getElementById('open');
const progress = document.querySelector('progress');
const steps = ['scheduled', 'loading', 'starting', 'waiting', 'ready'];
let wasReady = false;
let isOver = false;

const show = (name, value) => {
  for (const part of document.querySelectorAll(`[data-${name}]`)) part.hidden = part.dataset[name] !== value;
};

const momentOf = (state) => {
  if (state.status === 'terminated') return wasReady ? 'ended' : 'not-started';
  return state.status.endsWith('terminating') ? 'ending' : state.status;
};

const reasonOf = (state) => state.termination_reason ?? (state.exit_error === false ? 'exited' : 'failed');

const tell = (state) => {
  const step = steps.indexOf(state.status);
  isOver = state.status === 'terminated';
  show('when', momentOf(state));
  show('why', isOver ? reasonOf(state) : '');
  show('over', isOver ? 'yes' : 'no');
  progress.value = step + 1;
  progress.hidden = step < 0;
  document.title = document.querySelector('[data-when]:not([hidden]) h1').textContent + ' · jamsock';
};

// The stream tells of the past first: that the backend was ready once doesn't mean that it still is.
const goIfStillReady = async () => {
  const now = await (await fetch(status, { cache: 'no-store' })).json();
  if (now.status === 'ready') location.replace(link.href);
};

const follow = () => {
  const events = new EventSource(stream);
  events.onmessage = (event) => {
    const state = JSON.parse(event.data);
    if (state.status === 'ready') {
      wasReady = true;
      goIfStillReady().catch(() => location.replace(link.href));
    }
    tell(state);
    if (isOver) events.close();
  };
  events.onerror = () => {
    if (events.readyState === EventSource.CLOSED && !isOver) setTimeout(follow, 2000);
  };
};

if (stream) follow();
