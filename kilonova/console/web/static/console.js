// Keeps the page live: when the cloud says that something changed, the page is fetched again and its main part put in
// the place of the old one, unless somebody is typing in it. Without this file every page works, and stands still.
"use strict";

const LEAST_WAIT = 700;
const LONGEST_LEAVE = 60_000;
const words = document.body.dataset;
let due = null;
let wait = LEAST_WAIT;
let isLeaving = false;

// Whether somebody types in the main part, or presses on something there: what is pressed must still be there when it is
// let go, or nothing comes of it.
function isBusy() {
  const main = document.getElementById("main"), focused = document.activeElement;
  if (main.matches(":active")) return true;
  return focused && ["INPUT", "SELECT", "TEXTAREA"].includes(focused.tagName) && main.contains(focused);
}

// Where a details element stands among the others: what was open stays open.
function places(root) {
  return [...root.querySelectorAll("details")].map((each) => {
    const owner = each.closest("[id]");
    return [each, `${owner ? owner.id : ""}/${each.querySelector("summary").textContent.replace(/\d+/g, "")}`];
  });
}

function focusPath(main) {
  const focused = document.activeElement;
  if (!focused || !main.contains(focused) || focused === main) return null;
  return focused.id ? `#${CSS.escape(focused.id)}` : focused.getAttribute("href") ? `[href="${CSS.escape(focused.getAttribute("href"))}"]` : null;
}

async function refresh() {
  due = null;
  if (isLeaving || document.hidden) return;
  if (isBusy()) { soon(); return; }
  const began = performance.now();
  let reply;
  try {
    reply = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual" });
  } catch {
    return;
  }
  // Where somebody is on the way already, a reload would turn them back.
  if (isLeaving) return;
  if (reply.type === "opaqueredirect") { location.reload(); return; }
  if (!reply.ok) return;
  const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
  // The page took its time, and somebody may have begun something meanwhile.
  if (isLeaving) return;
  if (isBusy()) { soon(); return; }
  const open = new Set(places(document).filter(([each]) => each.open).map(([, place]) => place));
  for (const [each, place] of places(fresh)) if (open.has(place)) each.open = true;
  const before = document.querySelector("main"), after = fresh.querySelector("main");
  if (before && after && before.innerHTML !== after.innerHTML) {
    const focused = focusPath(before);
    before.replaceChildren(...after.childNodes);
    if (focused) before.querySelector(focused)?.focus({ preventScroll: true });
    age();
  }
  // A page that takes long to make is made seldom.
  wait = Math.max(LEAST_WAIT, 4 * (performance.now() - began));
}

function soon() { due ??= setTimeout(refresh, wait); }

function listen() {
  const stream = new EventSource(`${words.root}/live?server=${encodeURIComponent(words.server ?? "")}`);
  const say = (text) => { const pulse = document.getElementById("pulse"); if (pulse && pulse.textContent !== text) pulse.textContent = text; };
  stream.addEventListener("ready", () => { say(`● ${words.wordLive}`); });
  stream.addEventListener("changed", () => { say(`● ${words.wordLive}`); soon(); });
  stream.addEventListener("trouble", (event) => say(`○ ${JSON.parse(event.data)}`));
  stream.addEventListener("error", () => say(`○ ${words.wordReconnecting}`));
}

// How old each figure is, counted on while the page stands still.
function age() {
  for (const each of document.querySelectorAll("time[data-age]")) {
    const seconds = Math.max(0, Math.round((Date.now() - Date.parse(each.dateTime)) / 1000));
    const told = seconds < 120 ? `${seconds} s` : seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
    each.title ||= each.textContent;
    each.textContent = each.dataset.word.replace("{age}", told);
  }
}

document.addEventListener("click", async (event) => {
  const source = event.target.dataset?.copy;
  if (!source) return;
  await navigator.clipboard?.writeText(document.getElementById(source).textContent);
  const before = event.target.textContent;
  event.target.textContent = words.wordCopied;
  setTimeout(() => { event.target.textContent = before; }, 1500);
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  const field = document.getElementById("jump");
  if (field) { event.preventDefault(); field.focus(); }
});
// The slider tells its instant while it is drawn, and shows the cloud when it is let go.
document.addEventListener("input", (event) => {
  const shows = event.target.dataset?.shows;
  if (!shows) return;
  const began = Date.parse(event.target.dataset.began), now = Date.parse(event.target.dataset.now);
  const at = new Date(began + (now - began) * event.target.value / event.target.max);
  document.getElementById(shows).textContent = `${at.toISOString().slice(0, 19).replace("T", " ")} UTC`;
});
document.addEventListener("change", (event) => { if (event.target.dataset?.shows) event.target.form.requestSubmit(); });
document.addEventListener("submit", (event) => {
  if (event.target.target === "_blank") return;
  isLeaving = true;
  // Nothing tells that it was stopped, or that what came is no page: who is still here then stays.
  setTimeout(() => { isLeaving = false; if (words.live) soon(); }, LONGEST_LEAVE);
});
// Who comes back to a page that was kept is on no way any more; a page that is shown first may be left already.
window.addEventListener("pageshow", (event) => { if (event.persisted) isLeaving = false; });
document.addEventListener("visibilitychange", () => { if (!document.hidden && words.live) soon(); });
if (words.live) listen();
age();
setInterval(age, 1000);
