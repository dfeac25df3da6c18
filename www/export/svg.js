// Carries out drawing operations as SVG: the second painter of the same list, beside draw/paint.js. Pure.

/** @typedef {import("../draw/paint.js").Op} Op */
/** @typedef {Extract<Op, { op: "cells" }>} Cells */
/** @typedef {{ width: number, height: number, ops: Op[] }} Drawing in CSS pixels */

/**
 * Up to so many cells are rectangles of their own, which a drawing program can take apart; more would make it slow, so that each
 * heatmap is an image of one pixel a cell then.
 */
export const MOST_RECTS = 5000;
/** Between the lines of a hatch, as on the canvas. */
const HATCH = 6;

/** What XML 1.0 cannot hold, surrogates without their other half included. */
const FORBIDDEN = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;
/** @type {Record<string, string>} */
const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", "\"": "&quot;", "'": "&apos;" };

/** Text between tags, or in an attribute. @param {string} text */
export const xml = (text) => text.replace(FORBIDDEN, "\ufffd").replace(/[&<>"']/g, (char) => ENTITIES[char]);

/** A length with at most three decimals. @param {number} value */
const n = (value) => String(Math.round(value * 1000) / 1000);

/** @param {Record<string, string | number>} values */
const attributes = (values) => Object.entries(values).map(([name, value]) => ` ${name}="${typeof value === "number" ? n(value) : xml(value)}"`).join("");
/** @param {string} tag @param {Record<string, string | number>} values @param {string} [inside] markup */
const element = (tag, values, inside) => (inside === undefined ? `<${tag}${attributes(values)}/>` : `<${tag}${attributes(values)}>${inside}</${tag}>`);

/** `12px mono` or `700 20px mono` @param {string} font of a canvas */
function fontOf(font) {
  const [, weight, size, family] = /^(?:(\d{3}|bold) )?([\d.]+)px (.*)$/s.exec(font) ?? [];
  if (!size) throw new Error(`The font “${font}” is not one that SVG is written for.`);
  return { "font-family": family, "font-size": Number(size), ...(weight ? { "font-weight": weight } : {}) };
}

/** Of a canvas' alignments. @type {Record<string, string>} */
const ANCHORS = { left: "start", start: "start", center: "middle", right: "end", end: "end" };
/** How far below the point the baseline is, in ems: not every program that reads SVG knows dominant-baseline. @type {Record<string, number>} */
const BASELINES = { top: 0.8, hanging: 0.8, middle: 0.35, alphabetic: 0, bottom: -0.2, ideographic: -0.2 };

/** @param {number[]} dash @returns {Record<string, string>} */
const dashed = (dash) => (dash.length ? { "stroke-dasharray": dash.join(" ") } : {});

/** One painter for each operation. @type {{ [K in Op["op"]]: (op: Extract<Op, { op: K }>, image: ((cells: Cells) => string) | null) => string }} */
const PAINTERS = {
  rect: ({ x, y, w, h, fill }) => element("rect", { x, y, width: w, height: h, fill }),
  frame: ({ x, y, w, h, stroke, width, dash = [] }) => element("rect", { x, y, width: w, height: h, fill: "none", stroke, "stroke-width": width, ...dashed(dash) }),
  curve: ({ points, stroke, width, dash }) => element("polyline", {
    points: points.map(([x, y]) => `${n(x)},${n(y)}`).join(" "), fill: "none", stroke, "stroke-width": width, ...dashed(dash),
  }),
  hatch({ x, y, w, h, stroke }) {
    // Each line is cut off at the box by itself: a clip path would need an id that no other drawing has.
    let path = "";
    for (let at = x - h; at < x + w; at += HATCH) {
      const [left, right] = [Math.max(x, at), Math.min(x + w, at + h)];
      if (left < right) path += `M${n(left)} ${n(y + h - (left - at))}L${n(right)} ${n(y + h - (right - at))}`;
    }
    return element("path", { d: path, fill: "none", stroke, "stroke-width": 1 });
  },
  line: ({ x1, y1, x2, y2, stroke }) => element("line", { x1, y1, x2, y2, stroke, "stroke-width": 1 }),
  text({ x, y, text, fill, font, align, baseline, turn }) {
    const style = fontOf(font);
    return element("text", {
      x: 0, y: (BASELINES[baseline] ?? 0) * style["font-size"], fill, "text-anchor": ANCHORS[align], ...style, "xml:space": "preserve",
      transform: `translate(${n(x)} ${n(y)})${turn ? ` rotate(${n((turn * 180) / Math.PI)})` : ""}`,
    }, xml(text));
  },
  cells(op, image) {
    const { x, y, w, h, cols, rows, rgba } = op;
    if (image) {
      return element("image", { x, y, width: w, height: h, href: image(op), preserveAspectRatio: "none", style: "image-rendering:pixelated" });
    }
    const [width, height] = [w / cols, h / rows];
    let inside = "";
    for (let i = 0; i < cols * rows; i++) {
      const [r, g, b, alpha] = rgba.subarray(i * 4, i * 4 + 4);
      if (alpha === 0) continue;
      inside += element("rect", {
        x: x + (i % cols) * width, y: y + Math.floor(i / cols) * height, width, height, fill: `rgb(${r},${g},${b})`,
        ...(alpha < 255 ? { "fill-opacity": alpha / 255 } : {}),
      });
    }
    return element("g", { class: "cells", "data-rows": rows, "data-cols": cols, "shape-rendering": "crispEdges" }, inside);
  },
};

/**
 * A picture as the text of an SVG file.
 * @param {Drawing} drawing
 * @param {{ title: string, desc: string, background: string, image: (cells: Cells) => string }} options `image`: cells as
 *   the data address of a PNG, which only a browser can make
 */
export function svgOf({ width, height, ops }, { title, desc, background, image }) {
  const count = ops.reduce((sum, op) => sum + (op.op === "cells" ? op.cols * op.rows : 0), 0);
  const cells = count > MOST_RECTS ? image : null;
  const body = ops.map((op) => {
    const painter = /** @type {((op: Op, image: ((cells: Cells) => string) | null) => string) | undefined} */ (PAINTERS[op.op]);
    if (!painter) throw new Error(`There is no SVG of the operation “${op.op}”.`);
    return painter(op, cells);
  });
  const size = { width: Math.ceil(width), height: Math.ceil(height) };
  return `<?xml version="1.0" encoding="UTF-8"?>
${element("svg", { xmlns: "http://www.w3.org/2000/svg", ...size, viewBox: `0 0 ${size.width} ${size.height}`, role: "img" }, `
${element("title", {}, xml(title))}
${element("desc", {}, xml(desc))}
${element("rect", { ...size, fill: background })}
${body.join("\n")}
`)}
`;
}

/** The operations that there are painters for. */
export const PAINTED = Object.keys(PAINTERS);
