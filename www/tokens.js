// Texts as the model's tokens, for what is being typed: asked for when typing rests, the last request wins, and nothing is
// asked of a model that is not there or has no tokenizer.
import { toPlain } from "./errors.js";
import { showCount, showSentence } from "./format.js";
import { S } from "./strings.js";

/** @typedef {import("./microtome.js").Token} Token */
/**
 * What is known of a text. `limit`: tokens that the model reads at most; `refused`: why it reads none of it, in words.
 * @typedef {{ text: string, bos: boolean, tokens: Token[], limit: number, refused: string | null }} Tokens
 * @typedef {ReturnType<typeof createTokens>} TokenSource
 */

/** Milliseconds without typing before the tokens are asked for. */
const PAUSE = 120;
/** A longer text is not taken apart while it is typed: joining its pieces could take minutes. */
export const MOST_CHARACTERS = 20_000;
const MOST_KEPT = 500;

/** @param {import("./state.js").Store} store @param {{ lab: () => import("./microtome.js").Lab | null, onReady: (listener: () => void) => void }} session */
export function createTokens(store, session) {
  /** What this lab has answered, the oldest first. @type {{ lab: unknown, answers: Map<string, Promise<Token[]>> }} */
  let kept = { lab: null, answers: new Map() };
  /** What recorded results say, until a model can say it itself. @type {Map<string, Tokens> | null} */
  let recorded = new Map();
  /** @type {Set<() => void>} */
  const watchers = new Set();
  const again = () => watchers.forEach((watcher) => watcher());
  session.onReady(again);
  let model = store.get("model").status;
  let bos = store.get("settings").inputs.prepend_bos;
  store.subscribe("model", () => {
    const { status } = store.get("model");
    if (status === model) return;
    model = status;
    again();
  });
  store.subscribe("settings", () => {
    const { prepend_bos } = store.get("settings").inputs;
    if (prepend_bos === bos) return;
    bos = prepend_bos;
    again();
  });

  /** @param {string} text @param {boolean} bos @returns {Promise<Tokens | null>} null where no model can say */
  async function tokensOf(text, bos) {
    const lab = session.lab();
    if (!lab) return recorded?.get(`${bos} ${text}`) ?? null;
    recorded = null;
    if (!lab.info?.model.has_tokenizer) return null;
    const limit = lab.info.model.n_ctx;
    const answer = { text, bos, tokens: /** @type {Token[]} */ ([]), limit, refused: /** @type {string | null} */ (null) };
    if (text.length > MOST_CHARACTERS) return { ...answer, refused: S.prompts.tokens.tooLong(showCount(text.length)) };
    if (kept.lab !== lab) kept = { lab, answers: new Map() };
    const { answers } = kept;
    const key = `${bos} ${text}`;
    const found = answers.get(key);
    const asked = found ?? lab.tokenize(text, bos);
    if (!found) {
      answers.set(key, asked);
      asked.catch(() => answers.delete(key));
      if (answers.size > MOST_KEPT) answers.delete([...answers.keys()][0]);
    }
    try {
      return { ...answer, tokens: await asked };
    } catch (error) {
      // More than the model reads, for one. What is the engine's own trouble is said where its results are missed.
      const { code, message } = toPlain(error);
      if (!/^(input|token)/.test(code)) throw error;
      return { ...answer, refused: showSentence(message) };
    }
  }

  return {
    tokensOf,
    /** A recorded result's tokens of its prompt. @param {string} text @param {boolean} bos @param {Token[]} tokens @param {number} limit */
    record(text, bos, tokens, limit) {
      if (!recorded || session.lab()) return;
      recorded.set(`${bos} ${text}`, { text, bos, tokens, limit, refused: null });
      again();
    },
    /**
     * Shows the tokens of texts, now and whenever `look` is called after a change.
     * @param {() => { text: string, bos?: boolean }[]} texts `bos`: whether it may begin with the BOS token, true if left out
     * @param {(found: (Tokens | null)[]) => void} show all null where no model can say
     * @returns {() => void} look
     */
    watch(texts, show) {
      let asked = 0;
      /** @type {ReturnType<typeof setTimeout> | undefined} */
      let timer;
      async function look() {
        const mine = ++asked;
        const { prepend_bos } = store.get("settings").inputs;
        const wanted = texts();
        const found = await Promise.all(wanted.map(({ text, bos = true }) => tokensOf(text, bos && prepend_bos))).catch(() => wanted.map(() => null));
        if (mine === asked) show(found);
      }
      watchers.add(() => void look());
      let seen = "";
      return () => {
        const now = JSON.stringify(texts());
        if (now === seen) return;
        seen = now;
        clearTimeout(timer);
        timer = setTimeout(look, PAUSE);
      };
    },
  };
}

/**
 * Where two prompts' tokens differ: position by position; of two with different numbers of tokens what is left between the
 * longest common beginning and the longest common end.
 * @param {Token[]} clean
 * @param {Token[]} corrupted
 * @returns {{ same: boolean, differ: number[], pairs: { clean: Token | null, corrupted: Token | null, differs: boolean }[],
 *   begin: number, ends: { clean: number, corrupted: number } }}
 *   `same`: they have as many tokens; null where one has no more. `begin`, `ends`: of what is left between
 */
export function aligned(clean, corrupted) {
  const pairs = Array.from({ length: Math.max(clean.length, corrupted.length) }, (_, i) =>
    ({ clean: clean[i] ?? null, corrupted: corrupted[i] ?? null, differs: clean[i]?.id !== corrupted[i]?.id }));
  const least = Math.min(clean.length, corrupted.length);
  const until = (/** @type {(i: number) => boolean} */ equal, /** @type {number} */ most) => {
    let count = 0;
    while (count < most && equal(count)) count += 1;
    return count;
  };
  const begin = until((i) => clean[i].id === corrupted[i].id, least);
  const after = until((i) => clean[clean.length - 1 - i].id === corrupted[corrupted.length - 1 - i].id, least - begin);
  return { same: clean.length === corrupted.length, differ: pairs.flatMap(({ differs }, i) => (differs ? [i] : [])), pairs,
    begin, ends: { clean: clean.length - after, corrupted: corrupted.length - after } };
}
