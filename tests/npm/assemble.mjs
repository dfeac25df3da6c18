// Makes the npm package from a built site: the modules that microtome.js and element.js need, the engine, the small model.
//
//   node tests/npm/assemble.mjs --site DIR --out DIR
//   node tests/npm/assemble.mjs --check DIR
//
// DIR of --out is replaced. `npm pack` there makes the tarball. --check fails where a package lacks something that it names.
import { cp, mkdir, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Scripts that are started, not imported, among them. */
const ENTRIES = ["microtome.js", "element.js", "worker.js", "thread.js"];
const TYPES = ["microtome.d.ts", "element.d.ts"];
/** Says where the lab's page is. */
const LAB_PAGE = "embed/lab_page.js";
/** The model without the checkpoints of its training, which are six times its size. */
const MODEL = ["config.json", "model.safetensors", "tokenizer.json", "README.md"].map((name) => `models/pronoun/${name}`);

/** @param {string} site @param {string} out @returns {Promise<string[]>} the package's files */
export async function assemble(site, out) {
  await rm(out, { recursive: true, force: true });
  const modules = await closure(site, ENTRIES);
  const engine = (await readdir(join(site, "pkg"), { recursive: true })).map((name) => `pkg/${name}`);
  const files = [...modules, ...TYPES, ...MODEL, ...engine];
  for (const name of files) {
    if ((await stat(join(site, name))).isDirectory()) continue;
    await mkdir(dirname(join(out, name)), { recursive: true });
    await cp(join(site, name), join(out, name));
  }
  for (const name of (await readdir(ROOT)).filter((name) => name.startsWith("LICENSE"))) await cp(join(ROOT, name), join(out, name));
  await cp(join(ROOT, "tests/npm/README.md"), join(out, "README.md"));
  await writeFile(join(out, LAB_PAGE), "// This package has no page of the lab: a figure links to the one that its attribute `lab` names.\nexport const LAB = null;\n");
  await writeFile(join(out, "package.json"), `${JSON.stringify(await manifest(), null, 2)}\n`);
  return files;
}

/** @returns {Promise<object>} */
async function manifest() {
  const [, version] = /^version = "(.+)"$/m.exec(await readFile(join(ROOT, "Cargo.toml"), "utf8")) ?? [];
  return {
    name: "microtome", version, type: "module", license: "MIT OR Apache-2.0",
    description: "Mechanistic interpretability of GPT-2, computed live in the browser",
    keywords: ["interpretability", "gpt-2", "webgpu", "wasm", "transformer"],
    exports: {
      ".": { types: "./microtome.d.ts", default: "./microtome.js" },
      "./element.js": { types: "./element.d.ts", default: "./element.js" },
      "./microtome_bg.wasm": "./pkg/microtome_bg.wasm",
      "./package.json": "./package.json",
    },
    types: "./microtome.d.ts",
    sideEffects: ["./element.js", "./worker.js", "./thread.js", "./panic.js"],
    files: ["*.js", "*.d.ts", "*/**", "LICENSE-*"],
  };
}

/** Everything that the entries import, now or later. @param {string} site @param {string[]} entries */
async function closure(site, entries) {
  const found = new Set(entries);
  for (const name of found) {
    const script = (await readFile(join(site, name), "utf8")).replace(/^\s*(\/\/|\*|\/\*\*).*$/gm, "");
    for (const [, near] of script.matchAll(/(?:from |import\(?|URL\()\s*"(\.{1,2}\/[^"$]+\.js)"/g)) {
      const path = relative(site, join(site, dirname(name), near));
      // The engine's own folder goes in as a whole; the lab's links are an extra of sites that have the lab.
      if (!path.startsWith("pkg/") && await stat(join(site, path)).catch(() => null)) found.add(path);
    }
  }
  return [...found].sort();
}

/** What a package names and does not have. @param {string} out @returns {Promise<string[]>} */
export async function lacking(out) {
  const { exports, types } = JSON.parse(await readFile(join(out, "package.json"), "utf8"));
  const named = [types, ...Object.values(exports).flatMap((entry) => (typeof entry === "string" ? [entry] : Object.values(entry)))];
  const needed = [...named, ...await closure(out, ENTRIES), ...MODEL, LAB_PAGE, "pkg/microtome.js", "pkg/threads/microtome.js", "pkg/threads/microtome_bg.wasm", "README.md"];
  const there = await Promise.all(needed.map((name) => stat(join(out, name)).then(({ size }) => size > 0, () => false)));
  return needed.filter((_, i) => !there[i]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values: { site, out, check } } = parseArgs({ options: {
    site: { type: "string", default: join(ROOT, "target/site") }, out: { type: "string", default: join(ROOT, "target/package") }, check: { type: "string" },
  } });
  if (check === undefined) console.log(`${(await assemble(site, out)).length} files in ${out}`);
  else {
    const missing = await lacking(check);
    if (missing.length) throw new Error(`${check} lacks ${missing.join(", ")}`);
    console.log(`${check} has all that it names`);
  }
}
