// Where the keys of a data grid lead (ARIA Authoring Practices, grid pattern): no wrapping, and the same keys in every
// figure. Pure.

/** @typedef {{ row: number, col: number }} Cell */
/** Rows of PageUp and PageDown. */
const PAGE = 10;

/**
 * The cell that a key leads to, undefined where the key is no grid's. From nowhere, any of them leads to where it starts.
 * @param {{ key: string, ctrlKey: boolean, metaKey: boolean }} event
 * @param {Cell | null} from
 * @param {{ rows: number, cols: number, count?: number }} size `count`: of cells, where the last row is not full
 * @returns {Cell | undefined}
 */
export function moved({ key, ctrlKey, metaKey }, from, { rows, cols, count = rows * cols }) {
  const { row, col } = from ?? { row: 0, col: 0 };
  const all = ctrlKey || metaKey;
  /** @type {Record<string, Cell>} */
  const moves = {
    ArrowRight: { row, col: col + 1 }, ArrowLeft: { row, col: col - 1 }, ArrowDown: { row: row + 1, col }, ArrowUp: { row: row - 1, col },
    Home: { row: all ? 0 : row, col: 0 }, End: { row: all ? rows - 1 : row, col: cols - 1 },
    PageDown: { row: row + PAGE, col }, PageUp: { row: row - PAGE, col },
  };
  if (!Object.hasOwn(moves, key) || rows < 1 || cols < 1) return undefined;
  const to = from || key === "Home" || key === "End" ? moves[key] : { row, col };
  const inside = { row: Math.min(rows - 1, Math.max(0, to.row)), col: Math.min(cols - 1, Math.max(0, to.col)) };
  if (inside.row * cols + inside.col < count) return inside;
  // Below a row that is not full.
  return key === "End" ? { row: inside.row, col: (count - 1) % cols } : { row, col };
}
