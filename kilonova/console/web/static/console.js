// Keeps the page live: when the cloud says that something changed, the page is fetched again and its main part put in
// the place of the old one, unless somebody is typing in it. Without this file every page works, and stands still.
"use strict";

const WAIT = 700;
let due = null;

function isBusy() {
  const focused = document.activeElement;
  return focused && ["INPUT", "SELECT", "TEXTAREA"].includes(focused.tagName);
}

async function refresh() {
  due = null;
  if (isBusy() || document.hidden) return;
  const reply = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual" });
  if (!reply.ok) return;
  const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
  const open = new Set([...document.querySelectorAll("details[open] > summary")].map((each) => each.textContent));
  for (const details of fresh.querySelectorAll("details")) {
    if (open.has(details.querySelector("summary").textContent)) details.open = true;
  }
  for (const part of ["main", "footer"]) {
    const before = document.querySelector(part), after = fresh.querySelector(part);
    if (before && after && before.innerHTML !== after.innerHTML) before.innerHTML = after.innerHTML;
  }
}

function listen() {
  const stream = new EventSource(`${document.body.dataset.root}/live`);
  const say = (text) => { const pulse = document.getElementById("pulse"); if (pulse) pulse.textContent = text; };
  stream.addEventListener("open", () => say("● live"));
  stream.addEventListener("changed", () => { due ??= setTimeout(refresh, WAIT); });
  stream.addEventListener("trouble", (event) => say(`○ ${JSON.parse(event.data)}`));
  stream.addEventListener("error", () => say("○ reconnecting"));
}

document.addEventListener("click", (event) => {
  const source = event.target.dataset?.copy;
  if (source) navigator.clipboard?.writeText(document.getElementById(source).textContent);
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) due ??= setTimeout(refresh, 0); });
if (document.body.dataset.live) listen();
