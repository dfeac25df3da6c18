// The engine in a worker: nothing but the way that its messages take.
import { lastWords } from "./panic.js";
import { serve } from "./service.js";

const { handle } = serve((message, transfer = []) => self.postMessage(message, { transfer }), { lastWords });
self.addEventListener("message", ({ data }) => handle(data));
// An error before this word is one of a worker that could not be started.
self.postMessage("here");
