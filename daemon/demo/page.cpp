#include "daemon/demo/page.h"

#include <fmt/format.h>

#include "common/text.h"

namespace jamsock::demo {

namespace {

constexpr std::string_view head = R"html(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; --soft: #6b7280; --line: #d1d5db; --mark: #2563eb; }
@media (prefers-color-scheme: dark) { :root { --soft: #9ca3af; --line: #374151; --mark: #60a5fa; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; }
dl { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; margin: .5rem 0 1rem; color: var(--soft); }
dl div { display: flex; gap: .4rem; }
dd { margin: 0; font-family: ui-monospace, monospace; }
textarea { box-sizing: border-box; width: 100%; min-height: 16rem; padding: .75rem; font: inherit;
  border: 1px solid var(--line); border-radius: .5rem; resize: vertical; }
textarea:focus { outline: 2px solid var(--mark); border-color: transparent; }
#lookers { color: var(--soft); }
</style>
)html";

constexpr std::string_view script = R"html(<script>
const area = document.querySelector('textarea');
const lookers = document.querySelector('#lookers');
const me = Math.random().toString(36).slice(2, 8);
let seen = -1, typing = false, sending = Promise.resolve();

function show(state) {
  if (state.version > seen && !typing) {
    seen = state.version;
    if (area.value !== state.text) {
      const at = area.selectionStart;
      area.value = state.text;
      area.setSelectionRange(at, at);
    }
  }
  lookers.textContent = state.lookers === 1 ? 'Only you are looking.' : state.lookers + ' are looking.';
}
area.addEventListener('input', () => {
  typing = true;
  const text = area.value;
  sending = sending.then(() => fetch('text', { method: 'POST', body: text }))
    .then(answer => answer.json())
    .then(state => { if (area.value === text) { typing = false; seen = state.version; } })
    .catch(() => { typing = false; });
});
async function follow() {
  for (;;) {
    try {
      show(await (await fetch('state?me=' + me)).json());
    } catch (lost) {
      lookers.textContent = 'The connection is lost; trying again.';
    }
    await new Promise(done => setTimeout(done, 500));
  }
}
follow();
</script>
</html>
)html";

}  // namespace

std::string page(const PageFacts& facts, const std::string& text) {
    const std::string key = html_escaped(facts.key);
    return fmt::format(
        "{}<title>{} · jamsock</title>\n"
        "<h1>{}</h1>\n"
        "<dl><div><dt>backend</dt><dd>{}</dd></div>"
        "<div><dt>fencing token</dt><dd>{}</dd></div></dl>\n"
        "<textarea aria-label=\"Shared text\" autofocus "
        "placeholder=\"Type here. Everybody with this page sees it.\">\n{}</textarea>\n"
        "<p id=\"lookers\" aria-live=\"polite\"></p>\n{}",
        head, key, key, html_escaped(facts.backend_id), html_escaped(facts.fencing_token),
        html_escaped(text), script);
}

}  // namespace jamsock::demo
