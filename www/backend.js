// Which engine "auto" means here, and why. Runs in the worker.

/**
 * A software ("fallback") adapter is slower than the CPU engine, so "auto" does not take it.
 * @param {"auto" | "gpu" | "cpu"} wanted
 * @returns {Promise<{ backend: "auto" | "gpu" | "cpu", reason?: string }>}
 */
export async function chooseBackend(wanted) {
  if (wanted !== "auto") return { backend: wanted, reason: `The ${wanted.toUpperCase()} engine was asked for.` };
  const gpu = /** @type {any} */ (navigator).gpu;
  if (!gpu) {
    const reason = self.isSecureContext
      ? "This browser has no WebGPU, so the CPU engine is used."
      : "WebGPU needs https or localhost and this page has neither, so the CPU engine is used.";
    return { backend: "cpu", reason };
  }
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" }).catch(() => null);
  if (!adapter) return { backend: "cpu", reason: "WebGPU finds no GPU here, so the CPU engine is used." };
  if (adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter) {
    return { backend: "cpu", reason: "The only GPU here is emulated in software, so the CPU engine is used." };
  }
  return { backend: "auto" };
}
