// The policy of every page: the one that they share, differences with a reason, and nothing inline that it would have to admit.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import test from "node:test";

const WWW = new URL("../../www/", import.meta.url);
/** Every page of the site, by its path. @type {Map<string, string>} */
const PAGES = new Map(readdirSync(WWW, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".html"))
  .map((path) => [path, readFileSync(new URL(path, WWW), "utf8")]));
// The one that `microtome serve --lan` makes.
PAGES.set("join.html", readFileSync(new URL("../src/cli/room/join.html", WWW), "utf8"));

/** What a page may do. */
const POLICY = {
  "default-src": "'none'",
  "script-src": "'self' 'wasm-unsafe-eval'",
  "worker-src": "'self'",
  "connect-src": "'self' https://huggingface.co https://*.hf.co",
  "img-src": "'self' blob: data:",
  "style-src": "'self'",
  "base-uri": "'none'",
  "form-action": "'none'",
  "require-trusted-types-for": "'script'",
  "trusted-types": "microtome",
};
const NO_HUB = "it loads no model of the Hub";
const NO_PICTURES = "it makes no pictures for files";
/** @type {Record<string, Record<string, { is: string | RegExp, why: string }>>} */
const OTHERWISE = {
  "index.html": { "script-src": { is: /^'self' 'wasm-unsafe-eval' 'sha256-[\w+/=]{44}'$/, why: "the notice for a page that was opened as a file is its one inline script" } },
  "article.html": { "connect-src": { is: "'self'", why: NO_HUB }, "img-src": { is: "'self'", why: NO_PICTURES } },
  "bench.html": { "connect-src": { is: "'self'", why: NO_HUB }, "img-src": { is: "'self' data:", why: NO_PICTURES } },
  "embed.html": { "worker-src": { is: "'self' blob:", why: "in a sandboxed frame, which has no origin of its own, a worker starts from a blob only" }, "img-src": { is: "'self'", why: NO_PICTURES } },
  "handout.html": { "connect-src": { is: "'self'", why: NO_HUB } },
  // It computes nothing.
  "join.html": {
    "script-src": { is: "'self'", why: "no WebAssembly" }, "worker-src": { is: "", why: "no worker" }, "connect-src": { is: "'self'", why: NO_HUB },
    "img-src": { is: "'self'", why: NO_PICTURES }, "trusted-types": { is: "'none'", why: "no worker, whose address the others’ policy of types is for" },
  },
};

/** The directives of a policy, by name. @param {string} text */
const directives = (text) => Object.fromEntries(text.split(";").map((part) => part.trim()).filter(Boolean)
  .map((part) => [part.split(" ")[0], part.split(" ").slice(1).join(" ")]));
/** What a browser reads of a page. @param {string} page */
const markup = (page) => page.replace(/<!--[^]*?-->/g, "");

for (const [path, page] of PAGES) {
  test(`${path}: the policy that all pages share, first of all, but for differences with a reason`, () => {
    const found = [...markup(page).matchAll(/<meta http-equiv="Content-Security-Policy" content="([^"]*)">/g)];
    assert.equal(found.length, 1, "one policy");
    const before = markup(page).slice(0, found[0].index);
    assert.doesNotMatch(before, /<(?:script|link|style|base|body)\b/, "nothing may be loaded before the policy is read");
    const policy = directives(found[0][1]);
    const differing = OTHERWISE[path] ?? {};
    const named = Object.keys(POLICY).filter((name) => differing[name]?.is !== "");
    assert.deepEqual(Object.keys(policy).sort(), named.sort());
    for (const [name, shared] of Object.entries(POLICY)) {
      const expected = differing[name]?.is ?? shared;
      // One that is left out is as strict as default-src.
      if (!expected) continue;
      if (expected instanceof RegExp) assert.match(policy[name], expected, name);
      else assert.equal(policy[name], expected, name);
      assert.ok(!differing[name] || policy[name] !== shared, `${name} does not differ any more`);
    }
  });

  test(`${path}: no script, style or handler in its text`, () => {
    const text = path === "index.html" ? markup(page).replace(/<script>[^]*?<\/script>/, "") : markup(page);
    for (const [tag] of text.matchAll(/<script\b[^>]*>/g)) assert.match(tag, /\ssrc="[\w./-]+"/, tag);
    for (const [, inside] of text.matchAll(/<script\b[^>]*>([^]*?)<\/script>/g)) assert.equal(inside, "");
    for (const [tag] of text.matchAll(/<[a-z][^>]*>/gi)) {
      assert.doesNotMatch(tag, /\sstyle\s*=|\son[a-z]+\s*=|=\s*["']?\s*javascript:|\ssrcdoc\s*=/i, tag);
      // What a page loads is the site's own.
      assert.doesNotMatch(tag, /^<(?!a\b)[^>]*\s(?:src|href)\s*=\s*["']?\s*(?:https?:)?\/\//i, tag);
    }
    assert.doesNotMatch(text, /<style\b|<base\b|<iframe\b|<object\b|<embed\b/i);
  });
}

test("the differences are those of pages that there are", () => {
  for (const path of Object.keys(OTHERWISE)) assert.ok(PAGES.has(path), path);
  assert.ok(PAGES.size >= 7);
});

test("the hash in the policy is that of the inline script", () => {
  const page = PAGES.get("index.html") ?? "";
  const scripts = [...page.matchAll(/<script>([^]*?)<\/script>/g)].map(([, text]) => text);
  const admitted = [...page.matchAll(/'sha256-([^']+)'/g)].map(([, hash]) => hash);
  assert.equal(scripts.length, 1);
  assert.deepEqual(admitted, scripts.map((text) => createHash("sha256").update(text).digest("base64")));
});
