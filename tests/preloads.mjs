// The modules that the page needs before it can be drawn, as index.html names them to the browser: without such a list each
// is asked for only when the one that imports it has been read.
//
//   node tests/preloads.mjs        writes the list into www/index.html; a test says when it is not true
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const WWW = fileURLToPath(new URL("../www", import.meta.url));
const BEGIN = "  <!-- Written by tests/preloads.mjs: what main.js imports. -->\n";
const LINE = /  <link rel="modulepreload" href="[^"]+">\n/g;

/** What a module imports, and what that does, without what is imported only later on. @param {string} file @param {Set<string>} [seen] */
function importsOf(file, seen = new Set()) {
  for (const [, from] of readFileSync(file, "utf8").matchAll(/^(?:import|export)\s(?:[^;"']*\sfrom\s)?["'](\.[^"']+)["']/gm)) {
    const path = join(dirname(file), from);
    if (seen.has(path)) continue;
    seen.add(path);
    importsOf(path, seen);
  }
  return seen;
}

/** index.html with the list that belongs into it. @param {string} html */
export function withPreloads(html) {
  const links = [...importsOf(join(WWW, "main.js"))].map((path) => `  <link rel="modulepreload" href="${relative(WWW, path)}">\n`).join("");
  const [before, after] = html.split(BEGIN);
  if (after === undefined) throw new Error(`index.html lacks the line “${BEGIN.trim()}”`);
  return before + BEGIN + links + after.replace(LINE, "");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const index = join(WWW, "index.html");
  writeFileSync(index, withPreloads(readFileSync(index, "utf8")));
}
