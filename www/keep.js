// Whether the browser keeps what is stored, or may remove it when its storage runs low. Nothing depends on the answer: a
// browser that has no such promise, forbids the question or never answers it is one that may remove.

/** Whether it has promised to keep it; null where it does not say. @returns {Promise<boolean | null>} */
export async function kept() {
  try {
    return await navigator.storage.persisted();
  } catch {
    return null;
  }
}

let asked = false;

/**
 * Asks once, which a browser may show to the visitor as a question.
 * @returns {Promise<boolean>} whether it was asked just now, and has answered
 */
export async function askToKeep() {
  if (asked) return false;
  asked = true;
  try {
    if (await navigator.storage.persisted()) return false;
    await navigator.storage.persist();
    return true;
  } catch {
    return false;
  }
}
