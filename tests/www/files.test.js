import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { loadModel } from "../../www/files.js";

/** @type {Record<string, string | Uint8Array>} */
const FILES = {
  "/plain/config.json": "{}", "/plain/tokenizer.json": "{1}", "/plain/model.safetensors": new Uint8Array(200_000).fill(7),
  "/bpe/config.json": "{}", "/bpe/vocab.json": "{v}", "/bpe/merges.txt": "m", "/bpe/model.safetensors": "w",
  "/shards/config.json": "{}", "/shards/a-1.safetensors": "one", "/shards/b-2.safetensors": "two",
  "/shards/model.safetensors.index.json": JSON.stringify({ weight_map: { x: "a-1.safetensors", y: "b-2.safetensors", z: "../plain/config.json" } }),
  "/page/config.json": "<!doctype html><title>Home</title>",
  "/lfs/config.json": "{}", "/lfs/model.safetensors": "version https://git-lfs.github.com/spec/v1\noid sha256:0",
  "/empty/x": "",
};
let url = "";
const server = createServer((request, response) => {
  if (request.url === "/cut/config.json") {
    response.writeHead(200, { "content-length": 1000 });
    response.write("{");
    return void setTimeout(() => response.destroy(), 20);
  }
  if (request.url === "/busy/config.json") return void response.writeHead(503).end();
  const body = FILES[request.url ?? ""];
  if (body === undefined) response.writeHead(404).end();
  else response.writeHead(200, { "content-length": Buffer.byteLength(body) }).end(body);
});
before(() => new Promise((resolve) => server.listen(0, "127.0.0.1", () => {
  url = `http://127.0.0.1:${/** @type {import("node:net").AddressInfo} */ (server.address()).port}`;
  resolve(undefined);
})));
after(() => void server.close());

/** @param {string} folder @param {any[]} [reports] */
const load = (folder, reports = []) => loadModel(new URL(`${url}/${folder}/`), (p) => reports.push(p), "default");

test("a folder with tokenizer.json", async () => {
  /** @type {import("../../www/microtome.js").LoadProgress[]} */
  const reports = [];
  const files = await load("plain", reports);
  assert.equal(files.name, "plain");
  assert.equal(files.weights?.length, 200_000);
  assert.ok(files.weights?.every((byte) => byte === 7));
  assert.ok(files.tokenizer && !files.vocab && !files.shards);
  const weights = reports.filter(({ file }) => file === "model.safetensors").map(({ loaded }) => loaded);
  assert.deepEqual(weights, [...weights].sort((a, b) => a - b), "progress never goes back");
  assert.equal(weights.at(-1), 200_000);
});

test("vocab.json and merges.txt where there is no tokenizer.json", async () => {
  const files = await load("bpe");
  assert.ok(files.vocab && files.merges && !files.tokenizer);
});

test("shards by their index, none of them outside the folder", async () => {
  const files = await load("shards");
  assert.deepEqual(files.shards?.map(({ name }) => name), ["a-1.safetensors", "b-2.safetensors"]);
  assert.ok(files.index && !files.weights);
});

for (const [folder, code, words] of [
  ["nowhere", "net.not_found", /nowhere\/config\.json does not exist/],
  ["page", "net.web_page", /web page/],
  ["lfs", "net.lfs_pointer", /Git LFS/],
  ["cut", "net.truncated", /broke off/],
  ["busy", "net.status", /503/],
]) {
  test(`${code}: said in words`, () => assert.rejects(load(String(folder)), (/** @type {any} */ error) => {
    assert.equal(error.code, code);
    assert.match(error.message, /** @type {RegExp} */ (words));
    assert.ok(error.action);
    return true;
  }));
}
