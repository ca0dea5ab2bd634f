// The real service in a folder of its own, and the browser of the distribution as its client.

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const BINARY = process.env.TOOLTRAIL_BIN;
const BROWSER = process.env.CHROMIUM_BIN ?? "/usr/bin/chromium";
if (!BINARY) throw new Error("TOOLTRAIL_BIN names no binary: run `check` beside this file");

/** Longest wait in these tests, in milliseconds. A wrong answer fails sooner. */
export const PATIENCE_MS = 15_000;

/** Waits until a condition holds. */
export async function until(what, holds) {
  const end = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** A running service. */
export class Service {
  static async start() {
    const service = new Service();
    service.folder = mkdtempSync(join(tmpdir(), "tooltrail-page-"));
    await service.begin("127.0.0.1:0");
    service.admin = await service.token("root", "--role", "admin");
    service.agent = await service.token("agent", "--role", "ingest");
    return service;
  }

  async begin(listen) {
    this.child = spawn(BINARY, ["serve", "--listen", listen], {
      env: this.environment(), stdio: ["ignore", "pipe", "ignore"],
    });
    [this.address] = await once(createInterface(this.child.stdout), "line");
    await until("ready", async () => (await fetch(`${this.address}/readyz`)).ok);
  }

  async end() {
    const ended = once(this.child, "exit");
    this.child.kill("SIGTERM");
    await ended;
  }

  environment() {
    return { HOME: this.folder, TOOLTRAIL_HOME: join(this.folder, "home"), TZ: "UTC", PATH: process.env.PATH };
  }

  /** Makes a token and waits until the service knows it. */
  async token(...args) {
    const token = this.run("token", "add", ...args).trim();
    const headers = { authorization: `Bearer ${token}` };
    await until("a token is known", async () =>
      (await fetch(`${this.address}/api/audit/users?x=1`, { headers })).status !== 401);
    return token;
  }

  run(...args) {
    const ran = spawnSync(BINARY, args, { env: this.environment(), encoding: "utf8" });
    if (ran.status !== 0) throw new Error(ran.stderr);
    return ran.stdout;
  }

  /** Sends calls. */
  async post(...calls) {
    const body = calls.map((call) => JSON.stringify(call)).join("\n");
    const headers = { authorization: `Bearer ${this.agent}` };
    const answer = await fetch(`${this.address}/api/audit/entries`, { method: "POST", headers, body });
    if (answer.status !== 200) throw new Error(await answer.text());
  }

  async stop() {
    await this.end();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Starts the browser. */
export function browser() {
  return chromium.launch({
    executablePath: BROWSER,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
  });
}

/** Opens a page that collects complaints: violations of the content policy, script errors and dialogs. */
export async function open(browser, service, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("dialog", (dialog) => { page.complaints.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("console", (message) => {
    const text = message.text();
    // An answer with an error status is not a fault of the page.
    if (message.type() === "error" && !text.startsWith("Failed to load resource")) page.complaints.push(text);
  });
  page.at = (path) => page.goto(service.address + path);
  return page;
}

/** Signs in with the form. */
export async function signIn(page, token, path = "/") {
  await page.at(path);
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("button", { name: "Sign out" }).waitFor();
}

/** Returns calls of every kind. */
export function calls() {
  const at = (seconds) => new Date(Date.now() - seconds * 1000).toISOString();
  return [
    { ts: at(90), user: "alice", session: "s-1", call_id: "toolu_01", tool: "fs.read_file", args: { path: "/srv/reports/2026-q3.md", options: { encoding: "utf-8", range: [0, 4096], follow: false } }, status: "ok", result: "# Quarterly report\n\nRevenue grew by 12 % while the churn fell to 1.8 %.", duration_ms: 12.5, model: "a-model", agent: "researcher" },
    { ts: at(80), user: "alice", session: "s-1", tool: "web.search", args: { query: "rust audit log merkle tree", limit: 10 }, status: "ok", result: "10 results. 1. Transparent logs for sceptical clients …", duration_ms: 843 },
    { ts: at(70), user: "bob", session: "s-2", tool: "shell.run", args: { command: "cargo test --workspace", cwd: "/srv/build", env: {} }, status: "error", reason: "timeout", error: "the command did not end within 120 s", duration_ms: 120004 },
    { ts: at(60), user: "bob", session: "s-2", tool: "shell.run", args: { command: "rm -rf /srv" }, status: "denied", reason: "policy" },
    { ts: at(50), user: "carol", session: "s-3", tool: "db.query", args: { sql: "select count(*) from orders where placed > $1", parameters: ["2026-11-01"] }, status: "ok", result: "[{\"count\":18233}]", duration_ms: 37.2, server: "postgres" },
    { ts: at(40), user: "carol", session: "s-3", tool: "mail.send", args: { to: ["ops@example.org"], subject: "Nightly numbers", body: "x".repeat(700) }, status: "ok", result: "queued", duration_ms: 210 },
    { ts: at(30), user: "alice", session: "s-1", tool: "fs.write_file", args: { path: "/srv/reports/summary.md", content: "All is well.\n" }, status: "error", reason: "tool_error", error: "EACCES: permission denied, open '/srv/reports/summary.md'", duration_ms: 1.4 },
    { ts: at(20), user: "dora", session: "s-4", tool: "everything.get-sum", args: { a: 1.50, b: 1e308 }, status: "ok", result: "1e308", duration_ms: 0.8 },
  ];
}
