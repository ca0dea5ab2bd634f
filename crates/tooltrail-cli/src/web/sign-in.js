// Fills the token of a link such as /#token=... into the form. What follows # never leaves the browser; it is taken out
// of the address at once, so that it stays in no history. Signing in is still the reader's own click.
// @ts-check

const PREFIX = "#token=";
const field = /** @type {HTMLInputElement | null} */ (document.querySelector("#token"));
if (field && location.hash.startsWith(PREFIX)) {
  field.value = decodeURIComponent(location.hash.slice(PREFIX.length));
  history.replaceState(null, "", location.pathname + location.search);
  /** @type {HTMLElement | null} */ (document.querySelector("form button"))?.focus();
}
