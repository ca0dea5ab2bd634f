// What a person does with the page, in a real browser. Each test starts its own service.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { AxeBuilder } from "@axe-core/playwright";
import { PATIENCE_MS, Service, browser, calls, open, signIn, until } from "./support.js";

let chromium;
before(async () => { chromium = await browser(); });
after(() => chromium.close());

/** Runs a test with a service and a page, and fails if the page has logged any complaint. */
function walk(name, steps, options = {}) {
  test(name, { timeout: 4 * PATIENCE_MS }, async () => {
    const service = await Service.start();
    try {
      const page = await open(chromium, service, options);
      await steps(page, service);
      assert.deepEqual(page.complaints, []);
      await page.context().close();
    } finally {
      await service.stop();
    }
  });
}

const tools = (page) => page.locator("a.open").allTextContents();
const focused = (page) => page.evaluate(() => document.activeElement?.closest("tr[data-key]")?.querySelector("a.open")?.textContent ?? document.activeElement?.id);
const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

/** Hostile text, which the page must always show as text. */
const HOSTILE = `<img src=x onerror="alert(1)"><script>alert(2)</script>"'><b>\u202egnp.exe\u2066\u0007`;
const hostile = {
  user: HOSTILE, tool: HOSTILE, session: HOSTILE, args: { [HOSTILE]: [HOSTILE, "W".repeat(490)], deep: { deeper: { deepest: "漢".repeat(300) } } },
  status: "error", error: `${HOSTILE}\n${"x".repeat(290)}`,
};

describe("signing in", () => {
  walk("a wrong token, an ingest token, the right one, and out again", async (page, service) => {
    await page.at("/?status=error");
    for (const [token, words] of [["tooltrail_wrong", "This token is not valid"], [service.agent, "may only send entries"]]) {
      await page.getByLabel("Token").fill(token);
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByRole("alert").filter({ hasText: words }).waitFor();
    }
    await page.getByLabel("Token").fill(`  ${service.admin}\n`);
    await page.getByLabel("Token").press("Enter");
    await page.getByRole("heading", { name: "Newest calls" }).waitFor();
    assert.equal(new URL(page.url()).search, "?status=error", "back to where one wanted to go");
    assert.equal(await page.evaluate(() => document.cookie), "", "no script reads the session");
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Token").waitFor();
    await page.at("/stats");
    await page.getByLabel("Token").waitFor();
  });

  walk("a link fills in the token, which leaves the address, and the reader signs in", async (page, service) => {
    await page.at(`/#token=${service.admin}`);
    assert.equal(await page.getByLabel("Token").inputValue(), service.admin);
    assert.equal(new URL(page.url()).hash, "", "no history keeps it");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Newest calls" }).waitFor();
  });

  walk("a user sees their own calls only, and a revoked token ends it all", async (page, service) => {
    const alice = await service.token("alice", "--role", "user", "--user", "alice");
    await service.post(...calls());
    await signIn(page, alice);
    const users = await page.locator("td.user").allTextContents();
    assert.deepEqual([...new Set(users)], ["alice"]);
    assert.equal(await page.getByLabel("User").count(), 0);
    service.run("token", "revoke", "alice");
    await page.getByLabel("Token").waitFor();
  });

  walk("a link on another site's page leads to its view", async (page, service) => {
    await signIn(page, service.admin);
    const site = createServer((_, answer) => {
      answer.setHeader("content-type", "text/html");
      answer.end(`<a href="${service.address}/?status=denied">look</a>`);
    });
    await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
    try {
      await page.goto(`http://localhost:${site.address().port}/`);
      await page.getByRole("link", { name: "look" }).click();
      await page.getByRole("heading", { name: "Newest calls" }).waitFor();
      assert.equal(new URL(page.url()).search, "?status=denied");
    } finally {
      site.closeAllConnections();
      site.close();
    }
  });
});

describe("live", () => {
  walk("new calls appear on top by themselves", async (page, service) => {
    await service.post(...calls());
    await signIn(page, service.admin);
    await page.evaluate(() => { window.same = true; });
    await service.post({ user: "eve", tool: "brand.new", status: "ok" });
    await page.getByRole("link", { name: "brand.new" }).waitFor();
    assert.equal((await tools(page))[0], "brand.new");
    await service.post(...Array.from({ length: 60 }, (_, n) => ({ user: "eve", tool: `burst.${n}`, status: "ok" })));
    await page.getByRole("link", { name: "burst.59" }).waitFor();
    const shown = (await tools(page)).filter((tool) => tool.startsWith("burst."));
    assert.equal(new Set(shown).size, 60, "each once");
    assert.equal(shown.length, 60);
    assert.ok(await page.evaluate(() => window.same), "the page was not loaded again");
  });

  walk("a long list is cut back, and the way to older calls has no hole", async (page, service) => {
    const many = (from, count) => Array.from({ length: count }, (_, n) => ({ user: "eve", tool: `n.${from + n}`, status: "ok" }));
    await service.post(...many(0, 30));
    await signIn(page, service.admin, "/?user=eve");
    for (let from = 30; from < 600; from += 90) {
      await service.post(...many(from, 90));
      await page.getByRole("link", { name: `n.${from + 89}`, exact: true }).waitFor();
    }
    const shown = await tools(page);
    assert.deepEqual(shown, many(0, 660).map(({ tool }) => tool).reverse().slice(0, shown.length), "each once, in order");
    assert.ok(shown.length <= 500, String(shown.length));
    await page.getByRole("link", { name: "Older calls" }).click();
    await page.getByRole("heading", { name: "Older calls" }).waitFor();
    const older = await tools(page);
    assert.deepEqual([older.length, older[0]], [100, `n.${660 - shown.length - 1}`]);
  });

  walk("more news than one look brings is said", async (page, service) => {
    await service.post({ user: "eve", tool: "old", status: "ok" });
    await signIn(page, service.admin, "/?user=eve");
    await page.route("**/rows**", (route) => route.abort());
    await service.post(...Array.from({ length: 150 }, (_, n) => ({ user: "eve", tool: `n.${n}`, status: "ok" })));
    await page.unroute("**/rows**");
    await service.post({ user: "eve", tool: "last", status: "ok" });
    const more = page.getByRole("link", { name: "More calls arrived" });
    await more.waitFor();
    const shown = await tools(page);
    assert.deepEqual([shown[0], shown.at(-2), shown.at(-1), shown.length], ["last", "n.51", "old", 101]);
    await more.click();
    await until("loaded", async () => (await tools(page)).length === 100);
  });

  walk("a view shows only the news that answer it", async (page, service) => {
    await signIn(page, service.admin, "/?status=error&user=eve");
    await page.getByText("No call answers this").waitFor();
    await service.post({ user: "eve", tool: "fine", status: "ok" }, { user: "bob", tool: "his", status: "error" }, { user: "eve", tool: "hers", status: "error" });
    await page.getByRole("link", { name: "hers" }).waitFor();
    assert.deepEqual(await tools(page), ["hers"]);
  });

  walk("who has scrolled away is told, and nothing moves", async (page, service) => {
    await service.post(...Array.from({ length: 90 }, (_, n) => ({ user: "eve", tool: `old.${n}`, status: "ok" })));
    await signIn(page, service.admin);
    await page.evaluate(() => scrollTo(0, 1_500));
    const before = await tools(page);
    await service.post({ user: "eve", tool: "one", status: "ok" }, { user: "eve", tool: "two", status: "ok" });
    const button = page.getByRole("button", { name: "2 new calls" });
    await button.waitFor();
    assert.deepEqual(await tools(page), before);
    assert.equal(await page.evaluate(() => scrollY), 1_500);
    await button.click();
    await until("shown", async () => (await tools(page)).length === before.length + 2);
    assert.equal(await page.evaluate(() => scrollY), 0);
    assert.equal(await button.count(), 0);
  });

  walk("the stream says when there is news, and the page looks only then", async (page, service) => {
    const streamed = page.waitForResponse((answer) => answer.url().includes("/api/audit/stream") && answer.ok());
    await signIn(page, service.admin);
    await streamed;
    let looks = 0;
    page.on("request", (request) => { looks += request.url().includes("/rows") ? 1 : 0; });
    await page.waitForTimeout(500);
    looks = 0;
    await page.waitForTimeout(2_500);
    assert.equal(looks, 0);
    await service.post({ user: "eve", tool: "brand.new", status: "ok" });
    await page.getByRole("link", { name: "brand.new" }).waitFor();
    assert.ok(looks >= 1);
  });

  walk("without the stream the page looks by itself", async (page, service) => {
    await page.route("**/api/audit/stream**", (route) => route.abort());
    await signIn(page, service.admin);
    await page.getByText("live", { exact: true }).waitFor();
    await service.post({ user: "eve", tool: "brand.new", status: "ok" });
    await page.getByRole("link", { name: "brand.new" }).waitFor();
  });

  walk("a service that went away is said to be away", async (page, service) => {
    await signIn(page, service.admin);
    await page.getByText("live", { exact: true }).waitFor();
    await service.end();
    await page.getByText("not live").waitFor();
    await service.begin(new URL(service.address).host);
    // Sessions are held in memory, so after a restart the person must sign in with the token again.
    await page.getByLabel("Token").waitFor();
  });
});

describe("finding", () => {
  walk("the box, the filters and the days are one address", async (page, service) => {
    await service.post(...calls());
    await signIn(page, service.admin);
    await page.getByLabel("Search").fill("duration>100ms");
    await page.getByLabel("Search").press("Enter");
    await page.waitForURL("**/?q=duration%3E100ms&days=7");
    assert.deepEqual((await tools(page)).sort(), ["mail.send", "shell.run", "web.search"]);
    await page.getByRole("group", { name: "Status" }).getByRole("link", { name: "error" }).click();
    await page.waitForURL("**status=error**");
    assert.deepEqual(await tools(page), ["shell.run"]);
    await page.getByLabel("Back").selectOption("30");
    await page.waitForURL("**days=30**");
    assert.deepEqual(await tools(page), ["shell.run"]);
    await page.getByRole("link", { name: "Clear" }).click();
    await page.getByLabel("Tool").fill("fs.*");
    await page.getByLabel("User").fill("alice");
    await page.getByRole("button", { name: "Search" }).click();
    await page.waitForURL("**tool=fs.**");
    assert.deepEqual(await tools(page), ["fs.write_file", "fs.read_file"]);
    await page.goBack();
    await until("all again", async () => (await tools(page)).length === calls().length + 1);
  });

  walk("what is wrong with a query is said beside the box", async (page, service) => {
    await signIn(page, service.admin);
    await page.getByLabel("Search").fill("status=fine");
    await page.getByLabel("Search").press("Enter");
    const alert = page.getByRole("alert");
    await alert.waitFor();
    assert.match(await alert.textContent(), /character 8: unknown status.*Use ok, error or denied/);
    assert.equal(await page.getByLabel("Search").inputValue(), "status=fine");
  });

  walk("counts lead to the calls behind them", async (page, service) => {
    await service.post(...calls());
    await signIn(page, service.admin, "/stats");
    const row = page.getByRole("row", { name: /web\.search/ });
    assert.deepEqual((await row.getByRole("cell").allTextContents()).slice(0, 5), ["1", "1", "0", "0", "843 ms"]);
    await page.getByRole("link", { name: "2 error 25.0 %" }).click();
    assert.deepEqual(await tools(page), ["fs.write_file", "shell.run"]);
  });
});

describe("one call", () => {
  walk("opens beside the list, at its own address", async (page, service) => {
    await service.post(...calls());
    await signIn(page, service.admin);
    await page.getByRole("link", { name: "fs.read_file" }).click();
    const call = page.getByRole("complementary", { name: "fs.read_file" });
    await call.waitFor();
    for (const text of ["s-1", "toolu_01", "researcher", "a-model", "claimed", "range", "4096", "Revenue grew by 12 %"]) {
      assert.ok((await call.textContent()).includes(text), text);
    }
    await call.locator("summary", { hasText: "options" }).click();
    assert.ok(await call.locator(".key", { hasText: "encoding" }).isHidden(), "the tree folds");
    const address = page.url();
    assert.match(address, /open=[0-9a-f-]{36}$/);
    await page.reload();
    await call.waitFor();
    await call.getByRole("link", { name: "Close" }).click();
    await until("closed", async () => (await call.count()) === 0);
    await page.goBack();
    await call.waitFor();
    assert.equal(page.url(), address);
    await call.getByRole("link", { name: "s-1" }).click();
    await page.waitForURL("**q=session**");
    assert.deepEqual(await tools(page), ["fs.write_file", "web.search", "fs.read_file"]);
  });

  walk("the keyboard walks, opens and closes", async (page, service) => {
    await service.post(...calls());
    await signIn(page, service.admin);
    const [first, second, third] = (await tools(page));
    await page.keyboard.press("/");
    assert.equal(await focused(page), "q");
    await page.keyboard.press("j");
    assert.equal(await page.getByLabel("Search").inputValue(), "j", "a letter in the box is a letter");
    await page.locator("main").focus();
    await page.keyboard.press("j");
    assert.equal(await focused(page), first);
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("k");
    assert.equal(await focused(page), second);
    await page.keyboard.press("Enter");
    await page.locator("#call-title", { hasText: second }).waitFor();
    await page.keyboard.press("j");
    await page.locator("#call-title", { hasText: third }).waitFor();
    assert.equal(await focused(page), "call");
    await page.keyboard.press("Escape");
    await until("closed", async () => (await page.locator("#call").count()) === 0);
    assert.equal(await focused(page), third, "the focus is back where it was");
  });

  walk("the focus is seen wherever the Tab key leads", async (page, service) => {
    await service.post(...calls());
    await signIn(page, service.admin);
    await page.evaluate(() => document.activeElement?.blur());
    const names = [];
    for (let n = 0; n < 25; n += 1) {
      await page.keyboard.press("Tab");
      if (await page.evaluate(() => document.activeElement === document.body)) break;
      const at = await page.evaluate(() => {
        const element = document.activeElement;
        const style = getComputedStyle(element);
        const box = element.getBoundingClientRect();
        return {
          name: element.name || element.id || element.textContent.trim(),
          seen: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 && box.bottom > 0 && box.width > 0,
        };
      });
      assert.ok(at.seen, `${n}: ${at.name}`);
      names.push(at.name);
    }
    assert.equal(names[0], "Skip to the content");
    for (const name of ["Calls", "Counts", "Sign out", "q", "Search", "denied", "tool", "user", "days", "reads", "fs.read_file"]) {
      assert.ok(names.some((known) => known.startsWith(name)), `${name}: ${names}`);
    }
  });
});

describe("hostile content", () => {
  walk("stays text, and what it hides is shown", async (page, service) => {
    await service.post(hostile);
    await signIn(page, service.admin);
    await page.locator("a.open").first().click();
    await page.locator("#call").waitFor();
    const text = await page.locator("#call").textContent();
    assert.ok(text.includes(`<img src=x onerror="alert(1)">`) && text.includes("\\u202egnp.exe\\u2066\\u0007"), text);
    assert.equal(await page.locator("main img, main script, main b").count(), 0);
    await page.at(`/?q=${encodeURIComponent(`"${HOSTILE.replaceAll('"', '\\"')}"`)}`);
    assert.equal(await page.locator("a.open").count(), 1);
    await page.at("/stats");
    assert.equal(await page.locator("main img, main script").count(), 0);
  });

  walk("no script makes HTML of text, however it gets in", async (page, service) => {
    await signIn(page, service.admin);
    const refused = await page.evaluate(() => {
      try { document.body.innerHTML = "<b>x</b>"; return "taken"; } catch (error) { return error.name; }
    });
    assert.equal(refused, "TypeError");
    await page.evaluate(() => {
      const script = document.createElement("script");
      try { script.textContent = "window.ran = 1"; document.head.append(script); } catch { /* refused even earlier */ }
      document.body.setAttribute("style", "color: red");
    });
    assert.equal(await page.evaluate(() => window.ran), undefined);
    assert.ok(page.complaints.length > 0, "the policy is at work");
    page.complaints.length = 0;
  });
});

const VIEWS = ["/", "/?open=", "/stats", "/?q=nonsense%3D1", "/?user=nobody", "/?days=0", "sign-in"];

/** Opens each view, one after another. */
async function views(page, service, look) {
  await service.post(...calls(), hostile);
  for (const view of VIEWS) {
    if (view === "sign-in") {
      await page.context().clearCookies();
      await page.at("/");
    } else if (view === "/") {
      await signIn(page, service.admin);
      await page.getByText("live", { exact: true }).waitFor();
    } else if (view === "/?open=") {
      await page.at(await page.locator("a.open").first().getAttribute("href"));
    } else {
      await page.at(view);
    }
    await look(view);
  }
}

describe("every view", () => {
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [1280, 360]) {
      walk(`holds up, ${colorScheme}, ${width} px`, async (page, service) => {
        await views(page, service, async (view) => {
          const { violations } = await new AxeBuilder({ page }).analyze();
          const words = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join("; ")}`);
          assert.deepEqual(words, [], view);
          assert.equal(await overflow(page), 0, `${view}: something is wider than the page`);
          const paper = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
          const [red] = paper.match(/\d+/).map(Number);
          assert.ok(colorScheme === "dark" ? red < 40 : red > 230, paper);
        });
      }, { colorScheme, viewport: { width, height: 740 }, reducedMotion: "reduce" });
    }
  }

  walk("works without a script", async (page, service) => {
    await service.post(...calls(), ...Array.from({ length: 130 }, (_, n) => ({ user: "eve", tool: `t.${n}`, status: "ok" })));
    await signIn(page, service.admin, "/?user=eve");
    assert.equal((await tools(page)).length, 100);
    await page.getByRole("link", { name: "Older calls" }).click();
    await page.getByRole("heading", { name: "Older calls" }).waitFor();
    assert.equal((await tools(page)).length, 30);
    await page.getByRole("link", { name: "t.0", exact: true }).click();
    await page.locator("#call-title", { hasText: "t.0" }).waitFor();
    assert.equal((await tools(page)).length, 30, "the list stays");
    await page.getByRole("link", { name: "Close" }).click();
    await page.getByRole("link", { name: "Newest" }).click();
    await page.getByLabel("User").fill("alice");
    await page.getByLabel("Search").fill("tool=fs.*");
    await page.getByRole("button", { name: "Search" }).click();
    assert.deepEqual(await tools(page), ["fs.write_file", "fs.read_file"]);
    await page.getByRole("link", { name: "Counts" }).click();
    await page.getByRole("heading", { name: "By tool" }).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Token").waitFor();
  }, { javaScriptEnabled: false });
});
