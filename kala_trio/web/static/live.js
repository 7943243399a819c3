// Keeps a page as it is by now: what is marked data-live is fetched anew when the server says that
// something has changed, and how far off an instant is said anew as time goes by.

// Below so many seconds a unit is counted, of so many seconds; pages/filters.py says the same.
const UNITS = [
  [60, 1, "s"], [3_600, 60, "min"], [172_800, 3_600, "h"],
  [5_184_000, 86_400, "d"], [63_072_000, 2_592_000, "months"],
];

// 2026-01-31 09:00:00 with the zone: Sweden writes dates as ISO 8601 does.
const HERE = new Intl.DateTimeFormat("sv-SE", {
  year: "numeric", month: "2-digit", day: "2-digit",
  hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short",
});

function relative(seconds) {
  if (!seconds) return "now";
  const far = Math.abs(seconds);
  const [, size, unit] = UNITS.find(([below]) => far < below) ?? [0, 365 * 86400, "years"];
  const count = Math.floor(far / size);
  return seconds > 0 ? `in ${count} ${unit}` : `${count} ${unit} ago`;
}

function tellTimes() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    const absolute = time.querySelector("small");
    if (!time.title) {
      // In the zone of who looks; the server's words, in UTC, are a hint then.
      const here = HERE.format(at);
      time.title = absolute ? absolute.textContent : here;
      if (absolute) absolute.textContent = here;
    }
    const said = time.querySelector(".rel");
    const words = relative(Math.round((at - Date.now()) / 1000));
    if (said && said.textContent !== words) said.textContent = words;
  }
}

const PLACES = "a, button, input, select, summary";

function put(old, fresh) {
  const active = [...old.querySelectorAll(PLACES)].indexOf(document.activeElement);
  old.replaceWith(fresh);
  if (active >= 0) fresh.querySelectorAll(PLACES)[active]?.focus({ preventScroll: true });
}

function isSelected(element) {
  const selection = getSelection();
  return !selection.isCollapsed && selection.containsNode(element, true);
}

let isFetching = false;
let isOutdated = false;

export async function refresh() {
  isOutdated = true;
  if (isFetching) return;
  isFetching = true;
  try {
    while (isOutdated) {
      isOutdated = false;
      const answer = await fetch(location.href);
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const old of document.querySelectorAll("[data-live]")) {
        const fresh = page.getElementById(old.id);
        if (fresh && !isSelected(old)) put(old, document.adoptNode(fresh));
      }
      tellTimes();
    }
  } catch {
    // The server is away; the events say when it is back.
  } finally {
    isFetching = false;
    listen();
  }
}

let events = null;

function listen() {
  const first = document.querySelector("[data-live]");
  if (document.hidden || !first) {
    // A browser has few connections to a server: what nobody looks at holds none.
    events?.close();
    events = null;
  } else if (!events) {
    events = new EventSource(`/webui/events/?seen=${first.dataset.live}`);
    events.onmessage = refresh;
  }
}

tellTimes();
setInterval(tellTimes, 1000);
document.addEventListener("visibilitychange", listen);
addEventListener("pagehide", () => { events?.close(); events = null; });
addEventListener("pageshow", listen);
listen();
