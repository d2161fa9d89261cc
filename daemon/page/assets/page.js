// Keeps a page as it would be if it were loaded now: what the server tells by events
// makes it fetch the page again and take over the parts with data-live that differ.
// So the server's templates are the only place that says what a page looks like.
"use strict";

const often = 400; // ms between two looks, at least
const seldom = 20000; // ms, for the times that are told as "3 min ago"
const connection = document.getElementById("connection");
let due = 0, looking = false, again = false, last = 0;

function say(text) {
  if (connection.textContent !== text) connection.textContent = text;
}

// take replaces what differs, and keeps what the reader has opened or stands on.
function take(fresh) {
  for (const part of document.querySelectorAll("[data-live][id]")) {
    const now = fresh.getElementById(part.id);
    if (!now || now.innerHTML === part.dataset.was) continue;
    const was = now.innerHTML;
    for (const d of part.querySelectorAll("details")) {
      const same = d.id ? now.querySelector("#" + CSS.escape(d.id)) : now.querySelectorAll("details")[[...part.querySelectorAll("details")].indexOf(d)];
      if (same) same.open = d.open;
    }
    const here = document.activeElement;
    const path = part.contains(here) && here !== part ? [...part.querySelectorAll("a, summary, pre")].indexOf(here) : -1;
    part.replaceChildren(...now.childNodes);
    part.dataset.was = was;
    if (path >= 0) part.querySelectorAll("a, summary, pre")[path]?.focus({ preventScroll: true });
  }
  document.title = fresh.title;
}

async function look() {
  if (looking) { again = true; return; }
  looking = true;
  last = Date.now();
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
    take(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch {
    say("The server does not answer");
  }
  looking = false;
  if (again) { again = false; soon(); }
}

function soon() {
  if (due) return;
  due = setTimeout(() => { due = 0; look(); }, Math.max(0, last + often - Date.now()));
}

function follow() {
  const path = document.body.dataset.follow;
  if (!path) return;
  const events = new EventSource(path);
  events.onopen = () => { say("Live"); soon(); };
  events.onerror = () => {
    say("Connection lost, trying again");
    // A stream that was refused is not tried again by the browser.
    if (events.readyState === EventSource.CLOSED) setTimeout(follow, 10000);
  };
  events.addEventListener("update", soon);
  events.addEventListener("served", soon);
  addEventListener("pagehide", () => events.close());
}

for (const part of document.querySelectorAll("[data-live][id]")) part.dataset.was = part.innerHTML;
follow();
setInterval(() => { if (!document.hidden) soon(); }, seldom);
document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(); });

// A page that comes back from the browser's memory has no stream any more.
addEventListener("pageshow", (e) => { if (e.persisted) follow(); });

// What is typed is looked for at once, and stands in the address to be passed on.
const find = document.querySelector("form[data-find]");
if (find) {
  const field = find.querySelector("input[type=search]");
  const search = () => {
    const query = new URLSearchParams(new FormData(find));
    for (const [name, value] of [...query]) if (!value) query.delete(name);
    history.replaceState(null, "", "/" + (query.size ? "?" + query : ""));
    soon();
  };
  field.addEventListener("input", search);
  find.addEventListener("submit", (e) => { e.preventDefault(); search(); });
  document.addEventListener("keydown", (e) => {
    if (e.key === "/" && !e.ctrlKey && !e.metaKey && !e.altKey && !e.target.closest("input, textarea")) {
      e.preventDefault();
      field.focus();
    }
  });
}
