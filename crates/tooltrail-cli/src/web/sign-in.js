// Fills the token of a link such as /#token=... into the form. What follows # never leaves the browser; it is taken out
// of the address at once, so that it stays in no history. Signing in is still the reader's own click.
// @ts-check

const field = /** @type {HTMLInputElement | null} */ (document.querySelector("#token"));
const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (field && token !== null) {
  field.value = token;
  history.replaceState(null, "", location.pathname + location.search);
  /** @type {HTMLElement | null} */ (document.querySelector("form button"))?.focus();
}
