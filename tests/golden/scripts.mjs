// The Python scripts that the page exports, run against this program: `tests/oracle` starts it.
//
//   node tests/golden/scripts.mjs --python FILE [--nnsight FILE] --binary FILE [--work DIR] [--write] [--only TEXT]
//
// Each experiment of cases.mjs is run by `microtome run` on the CPU engine and by its generated script, and every number of the
// two results is compared. With --write the table goes to tests/golden/oracle.md. --only: cases with this in their name.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync, existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { pythonScript } from "../../www/export/python.js";
import { idsOf } from "../../www/export/tokens.js";
import { CASES, rowOf } from "./cases.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const { values: options } = parseArgs({ options: {
  python: { type: "string" }, nnsight: { type: "string" }, binary: { type: "string", default: join(ROOT, "target/release/microtome") },
  work: { type: "string", default: join(tmpdir(), "microtome-scripts") }, write: { type: "boolean", default: false }, only: { type: "string", default: "" },
} });
/** Largest difference that is allowed, as everywhere between this program's CPU engine and TransformerLens. */
const ALLOWED = 1e-4;
/** What a script says on its error output of weights that are not the page's. */
const OTHER_WEIGHTS = "is not the file that the page had";

/** @typedef {import("./cases.mjs").Case} Case */
const cases = CASES.filter(({ name, library }) => name.includes(options.only) && (library !== "nnsight" || options.nnsight));

const execute = promisify(execFile);
/** @param {any} experiment @param {string} model */
async function microtome(experiment, model) {
  const running = execute(options.binary, ["run", "-", "--model", join(ROOT, model), "--backend", "cpu"], { maxBuffer: 2 ** 30, cwd: ROOT });
  running.child.stdin?.end(JSON.stringify(experiment));
  return JSON.parse((await running).stdout);
}

/** @type {Map<string, Promise<number[]>>} */
const tokenised = new Map();
const tokenizer = (/** @type {string} */ model) => (/** @type {string} */ text, /** @type {boolean} */ bos) => {
  const key = JSON.stringify([model, text, bos]);
  const ids = tokenised.get(key) ?? microtome({ version: 1, kind: "predict", prompt: text, prepend_bos: bos, top_k: 1 }, model)
    .then(({ tokens }) => tokens.map((/** @type {any} */ token) => token.id));
  tokenised.set(key, ids);
  return ids;
};

rmSync(options.work, { recursive: true, force: true });
mkdirSync(options.work, { recursive: true });
// What Hugging Face's library keeps of a repository that it has downloaded.
const cache = join(options.work, "hf");
for (const { hub, model } of cases) {
  if (!hub) continue;
  const [, repository, revision] = /^hf:([^@]+)@?(.*)$/.exec(hub.address) ?? [];
  const folder = join(cache, "hub", `models--${repository.replace("/", "--")}`);
  const commit = /^[0-9a-f]{40}$/.test(revision) ? revision : "0".repeat(40);
  mkdirSync(join(folder, "refs"), { recursive: true });
  mkdirSync(join(folder, "snapshots", commit), { recursive: true });
  for (const file of ["config.json", "model.safetensors", "tokenizer.json"]) copyFileSync(join(ROOT, model, file), join(folder, "snapshots", commit, file));
  for (const step of hub.checkpoints ? [0, 1] : []) writeFileSync(join(folder, "refs", `checkpoint-${step}`), commit);
}
/** Of a folder's weights, as a script checks them; null where they are in several files. @param {string} folder */
const sha256Of = (folder) => {
  const file = join(ROOT, folder, "model.safetensors");
  return existsSync(file) ? createHash("sha256").update(readFileSync(file)).digest("hex") : null;
};
/** @type {{ one: Case, result: any, job: { script: string, model: string | null, out: string } }[]} */
const written = [];
for (const [i, one] of cases.entries()) {
  const [folder, step] = one.model.split("/@");
  const result = await microtome(one.experiment, one.model);
  const ids = await idsOf(result.experiment, tokenizer(one.model));
  const { name, n_layers } = result.model;
  const sha256 = one.changed ? "0".repeat(64) : sha256Of(folder);
  if (sha256 && !one.changed && !step && sha256 !== result.model.sha256) throw new Error(`${one.name}: microtome says ${result.model.sha256}, the file is ${sha256}`);
  const { address = `${folder}/`, checkpoints } = one.hub ?? {};
  const script = pythonScript({ ...result.experiment, ...(checkpoints ? { checkpoints } : {}) }, {
    ids, library: one.library, build: result.engine.build, steps: result.checkpoints?.map((/** @type {any} */ { step }) => step),
    source: { name, address, sha256, n_layers, ...(step ? { step: Number(step) } : {}) },
  });
  const job = { script: join(options.work, `${i}.py`), model: one.hub ? null : join(ROOT, folder), out: join(options.work, `${i}.json`) };
  writeFileSync(job.script, script);
  written.push({ one, result, job });
}

/** @type {Record<string, any>} */
const versions = {};
console.error(`${written.length} scripts are written to ${options.work}`);
await Promise.all(/** @type {const} */ (["transformer_lens", "nnsight"]).flatMap((library) => {
  const jobs = written.filter(({ one }) => one.library === library).map(({ job }) => job);
  // Two at a time of the many: each runs on one thread.
  const parts = library === "nnsight" ? [jobs] : [jobs.filter((_, i) => i % 2 === 0), jobs.filter((_, i) => i % 2)];
  return parts.filter(({ length }) => length).map(async (part, i) => {
    const list = join(options.work, `${library}.${i}.list.json`);
    writeFileSync(list, JSON.stringify(part));
    const { stdout } = await execute(String(library === "nnsight" ? options.nnsight : options.python), [join(ROOT, "tests/golden/scripts.py"), list], { maxBuffer: 2 ** 26, cwd: ROOT, env: { ...process.env, HF_HOME: cache } });
    versions[library] = JSON.parse(stdout.trim().split("\n").at(-1) ?? "{}");
  });
}));

/** What a script's result does not have: where ours comes from, and texts, which need a tokenizer. */
const OURS = ["experiment", "model", "engine", "text"];

/** The largest difference of two results' numbers; throws where they do not have the same form. @param {any} theirs @param {any} ours @param {string} at @returns {number} */
function difference(theirs, ours, at) {
  if (theirs === null || ours === null || typeof theirs === "string" || typeof theirs === "boolean") {
    if (theirs !== ours) throw new Error(`${at}: ${JSON.stringify(theirs)}, not ${JSON.stringify(ours)}`);
    return 0;
  }
  if (typeof theirs === "number") {
    if (typeof ours !== "number") throw new Error(`${at}: ${theirs}, not ${JSON.stringify(ours)}`);
    return Math.abs(theirs - ours);
  }
  if (Array.isArray(theirs)) {
    if (!Array.isArray(ours) || theirs.length !== ours.length) throw new Error(`${at}: ${theirs.length} of them, not ${ours?.length}`);
    return theirs.reduce((worst, value, i) => Math.max(worst, difference(value, ours[i], `${at}[${i}]`)), 0);
  }
  if (Array.isArray(theirs.data)) {
    // An activation: relative to its root mean square, where that is more than 1.
    const finite = theirs.data.filter((/** @type {number | null} */ v) => v !== null);
    const rms = Math.sqrt(finite.reduce((/** @type {number} */ sum, /** @type {number} */ v) => sum + v * v, 0) / Math.max(1, finite.length));
    return Math.max(difference(theirs.shape, ours.shape, `${at}.shape`), difference(theirs.data, ours.data, `${at}.data`) / Math.max(1, rms));
  }
  // Each has what the other one has: a script that leaves a field out does not agree.
  const names = new Set([...Object.keys(theirs), ...Object.keys(ours).filter((name) => !OURS.includes(name))]);
  return [...names].reduce((worst, name) => {
    if (!(name in ours)) throw new Error(`${at}.${name} is not in our result`);
    if (!(name in theirs)) throw new Error(`${at}.${name} is not in the script’s result`);
    return Math.max(worst, difference(theirs[name], ours[name], `${at}.${name}`));
  }, 0);
}

/** @type {Map<string, { library: string, kind: string, model: string, scripts: number, values: number, worst: number }>} */
const table = new Map();
let failed = 0;
for (const { one, result, job } of written) {
  const { library, name } = one;
  let worst = Infinity;
  let why = "";
  let theirs = null;
  try {
    if (!existsSync(job.out)) throw new Error(readFileSync(`${job.out}.err`, "utf8").trim().split("\n").slice(-4).join(" | "));
    theirs = JSON.parse(readFileSync(job.out, "utf8"));
    worst = difference(theirs, result, "result");
    if (!(worst <= ALLOWED)) why = `differs by ${worst}`;
    const said = readFileSync(`${job.out}.log`, "utf8");
    if (said.includes(OTHER_WEIGHTS) !== Boolean(one.changed)) why = `of its weights it says “${said.trim()}”`;
  } catch (error) {
    why = error instanceof Error ? error.message : String(error);
  }
  if (why) {
    failed += 1;
    console.log(`not ok ${library} ${name} (${job.script}): ${why}`);
  }
  const key = Object.values(rowOf(one)).join(" ");
  const row = table.get(key) ?? { ...rowOf(one), scripts: 0, values: 0, worst: 0 };
  table.set(key, { ...row, scripts: row.scripts + 1, values: row.values + numbers(theirs), worst: Math.max(row.worst, worst) });
}

/** How many numbers a value holds. @param {any} value @returns {number} */
function numbers(value) {
  if (typeof value === "number") return 1;
  return value !== null && typeof value === "object" ? Object.values(value).reduce((sum, part) => sum + numbers(part), 0) : 0;
}

const rows = [...table.values()].sort((a, b) => (a.library < b.library ? 1 : a.library > b.library ? -1 : a.kind < b.kind ? -1 : a.kind > b.kind ? 1 : a.model < b.model ? -1 : 1));
const text = `# Generated scripts against this program

\`tests/oracle\` wrote a Python script for each experiment, as the page's “Export” does, ran it, ran the same experiment by
\`microtome run --backend cpu\`, and compared every number; activations relative to their root mean square. Allowed: ${ALLOWED}.

| library | kind | model | scripts | numbers | largest difference |
|---|---|---|---:|---:|---:|
${rows.map(({ library, kind, model, scripts, values, worst }) => `| ${library} | ${kind} | ${model} | ${scripts} | ${values} | ${worst.toExponential(1)} |`).join("\n")}

${Object.entries(versions).sort().reverse().map(([library, found]) => `- ${library}: Python ${found.python}, ${Object.entries(found).filter(([name]) => name !== "python").map(([name, version]) => `${name} ${version}`).join(", ")}`).join("\n")}
- ${written[0]?.result.engine.build}, a program with SHA-256 ${createHash("sha256").update(readFileSync(options.binary)).digest("hex").slice(0, 16)}
`;
console.log(text);
console.log(`${written.length - failed} scripts agree, ${failed} do not`);
if (options.write && !failed && !options.only) writeFileSync(join(ROOT, "tests/golden/oracle.md"), text);
process.exitCode = failed ? 1 : 0;
