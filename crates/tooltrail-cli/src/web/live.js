// What makes the page live: news of the list, the keyboard, and calls that open in place.
// Every view is a page that the server renders and that works without this file. It makes no HTML of text: what it
// shows comes parsed from the server, as a document.
// @ts-check

/** Pause between two looks while the stream is not there. */
const POLL_MS = 2_000;
/** Shortest time between two updates of the list: a reader sees no more, and a burst is one. */
const BATCH_MS = 150;
/** First and longest pause before the stream is tried again. */
const RETRY_MS = 10_000;
const RETRY_MS_MAX = 300_000;
/** Rows held; beyond it the list is cut back to the newest page. */
const ROWS_MAX = 500;
/** How far from the top counts as scrolled away. */
const AWAY_PX = 120;

/** @param {string} selector @param {ParentNode} [within] @returns {HTMLElement | null} */
const find = (selector, within = document) => within.querySelector(selector);

/**
 * Fetches an address as a document; one that is signed out goes to the form.
 * @param {string} address
 * @returns {Promise<Document>}
 */
function load(address) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", address);
    request.responseType = "document";
    request.timeout = 30_000;
    request.onload = () => {
      const page = request.responseXML;
      if (request.status === 401 || (page && find("#token", page))) location.reload();
      else if (page && request.status < 500) resolve(page);
      else reject(new Error(`answer ${request.status}`));
    };
    request.onerror = request.ontimeout = () => reject(new Error("no answer"));
    request.send();
  });
}

/* The list */

const list = find("section.calls");
const live = find("#live");
const news = find("#news");
/** @type {Document | null} Rows that wait until the reader is back at the top. */
let held = null;
let streaming = false;
let busy = false;
let again = false;
let last = 0;
let timer = 0;

const body = () => /** @type {HTMLElement} */ (find("#rows"));
/** @param {ParentNode} within @returns {HTMLElement[]} */
const rowsOf = (within) => [...within.querySelectorAll("tr[data-key]")].map((row) => /** @type {HTMLElement} */ (row));
const keysOf = () => new Set(rowsOf(body()).map((row) => row.dataset.key));
const isAway = () => scrollY > AWAY_PX;

/** Asks for an update soon; many wishes become one. */
function ring() {
  if (timer || !list?.dataset.rows) return;
  const wait = Math.max(BATCH_MS, BATCH_MS * 2 - (performance.now() - last));
  timer = setTimeout(() => { timer = 0; update(); }, wait);
}

/** Fetches the newest rows and shows or holds those that are not here yet. */
async function update() {
  if (busy) { again = true; return; }
  busy = true;
  try {
    const page = await load(/** @type {string} */ (list?.dataset.rows));
    last = performance.now();
    show(true);
    arrived(page);
  } catch {
    show(false);
  } finally {
    busy = false;
    if (again) { again = false; ring(); }
  }
}

/** @param {boolean} on Whether the list is live. */
function show(on) {
  if (!live) return;
  live.hidden = false;
  live.classList.toggle("on", on);
  const words = on ? "live" : "not live, trying again";
  if (live.textContent !== words) live.textContent = words;
}

/** @param {Document} page */
function arrived(page) {
  const known = keysOf();
  const rows = rowsOf(page);
  const fresh = rows.filter((row) => !known.has(row.dataset.key));
  if (fresh.length === 0) return;
  if (!isAway()) { insert(page); return; }
  held = page;
  const more = fresh.length === rows.length ? "+" : "";
  const words = `${fresh.length}${more} new ${fresh.length === 1 ? "call" : "calls"}`;
  const button = news?.querySelector("button") ?? document.createElement("button");
  button.type = "button";
  if (button.textContent !== words) button.textContent = words;
  button.onclick = () => { scrollTo({ top: 0 }); release(); };
  if (!button.isConnected) news?.replaceChildren(button);
  list?.classList.add("held");
}

/** Shows what was held. */
function release() {
  const page = held;
  held = null;
  list?.classList.remove("held");
  news?.replaceChildren();
  if (page) insert(page);
}

/**
 * Puts rows where they belong among those that are here.
 * @param {Document} page
 */
function insert(page) {
  const here = new Map(rowsOf(body()).map((row) => [row.dataset.key, row]));
  const rows = rowsOf(page);
  const meets = rows.some((row) => here.has(row.dataset.key));
  const open = find("#call [data-call]")?.dataset.call;
  /** @type {Element | null} */
  let below = null;
  if (!meets && here.size > 0) {
    below = gap();
    body().prepend(below);
  }
  for (const row of rows.reverse()) {
    const known = here.get(row.dataset.key);
    if (known) { below = known; continue; }
    if (meets && !below) continue;
    const mine = /** @type {HTMLElement} */ (document.importNode(row, true));
    mine.classList.add("fresh");
    if (open === mine.dataset.key) mine.setAttribute("aria-current", "true");
    if (below) below.before(mine); else body().prepend(mine);
    below = mine;
  }
  find("#nothing")?.remove();
  /** @type {HTMLElement} */ (body().closest("table")).hidden = false;
  if (body().children.length > ROWS_MAX) cut(page);
}

/** Returns a row that says that more arrived than was fetched. */
function gap() {
  const row = document.createElement("tr");
  const cell = document.createElement("td");
  const link = document.createElement("a");
  row.className = "gap";
  row.setAttribute("role", "row");
  cell.setAttribute("role", "cell");
  cell.colSpan = 6;
  link.href = find("#rows")?.dataset.here ?? "/";
  link.textContent = "More calls arrived than fit here: load the list again";
  cell.append(link);
  row.append(cell);
  return row;
}

/**
 * Cuts the list back to one page; the way to older calls begins where that page ends.
 * @param {Document} page
 */
function cut(page) {
  const kept = new Set(rowsOf(page).map((row) => row.dataset.key));
  for (const row of body().querySelectorAll("tr")) if (!kept.has(row.dataset.key)) row.remove();
  const next = find("#rows", page)?.dataset.next;
  if (!next) return;
  let link = /** @type {HTMLAnchorElement | null} */ (find("a[rel=next]"));
  if (!link) {
    link = document.createElement("a");
    link.rel = "next";
    link.textContent = "Older calls →";
    find(".pages")?.append(link);
  }
  link.href = next;
}

/** Opens the stream, which only says that there is news: the rows are the server's to draw. */
function listen() {
  let pause = RETRY_MS;
  const connect = () => {
    const source = new EventSource(/** @type {string} */ (list?.dataset.stream));
    source.onopen = () => { streaming = true; pause = RETRY_MS; ring(); };
    source.addEventListener("entry", ring);
    source.addEventListener("gap", ring);
    source.onerror = () => {
      streaming = false;
      if (source.readyState !== EventSource.CLOSED) return;
      setTimeout(connect, pause);
      pause = Math.min(pause * 2, RETRY_MS_MAX);
    };
  };
  connect();
  update();
  setInterval(() => { if (!streaming && !document.hidden) update(); }, POLL_MS);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) ring(); });
  addEventListener("scroll", () => { if (held && !isAway()) release(); }, { passive: true });
}

/* One call */

/**
 * Shows the call of an address beside the list, or none.
 * @param {string} address
 * @param {boolean} push Whether the address becomes the page's.
 */
async function go(address, push) {
  let page;
  try { page = await load(address); } catch { location.assign(address); return; }
  const call = find("#call", page);
  const old = find("#call");
  const inside = Boolean(old?.contains(document.activeElement));
  const from = currentRow();
  old?.remove();
  if (push) history.pushState(null, "", address);
  document.querySelectorAll("tr[aria-current]").forEach((row) => row.removeAttribute("aria-current"));
  if (!call) {
    if (inside || from) from?.querySelector("a")?.focus();
    return;
  }
  const mine = /** @type {HTMLElement} */ (document.importNode(call, true));
  find("main")?.append(mine);
  const key = find("[data-call]", mine)?.dataset.call;
  const row = rowsOf(document).find((row) => row.dataset.key === key);
  row?.setAttribute("aria-current", "true");
  row?.scrollIntoView({ block: "nearest" });
  mine.focus({ preventScroll: true });
}

/** Returns the row in which the reader is. */
function currentRow() {
  const focused = /** @type {HTMLElement | null} */ (document.activeElement?.closest("tr[data-key]") ?? null);
  return focused ?? find("tr[aria-current]");
}

/** @param {number} by How many rows to go down. */
function walk(by) {
  const rows = rowsOf(document);
  const at = rows.indexOf(/** @type {HTMLElement} */ (currentRow()));
  const to = rows[at < 0 ? 0 : Math.min(Math.max(at + by, 0), rows.length - 1)];
  const link = to?.querySelector("a");
  if (!link) return;
  if (find("#call")) { go(link.href, true); return; }
  link.focus({ preventScroll: true });
  to.scrollIntoView({ block: "nearest" });
}

document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const target = /** @type {Element} */ (event.target);
  const link = target.closest("a");
  const row = target.closest("tr[data-key]");
  const way = link?.matches(".open, .close") ? link : link ? null : row?.querySelector("a");
  if (!way || (!link && String(getSelection()))) return;
  event.preventDefault();
  go(way.href, true);
});

document.addEventListener("keydown", (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey || event.isComposing) return;
  if (/** @type {Element} */ (event.target).closest("input, select, textarea")) return;
  const close = /** @type {HTMLAnchorElement | null} */ (find("#call .close"));
  const box = /** @type {HTMLInputElement | null} */ (find("#q"));
  if (event.key === "/" && box) box.select();
  else if (event.key === "j") walk(1);
  else if (event.key === "k") walk(-1);
  else if (event.key === "Escape" && close) go(close.href, true);
  else return;
  event.preventDefault();
});

addEventListener("popstate", () => go(location.href, false));

/* The form: a choice counts at once, and an address holds what was chosen and no more. */

const search = /** @type {HTMLFormElement | null} */ (find("#search"));
search?.addEventListener("change", (event) => {
  if (/** @type {Element} */ (event.target).matches("select, [type=checkbox]")) search.requestSubmit();
});
search?.addEventListener("formdata", (event) => {
  for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
});

find(".keys")?.removeAttribute("hidden");
if (list?.dataset.rows) listen();
