"use strict";
// Runs the model off the page's thread, in LiteRT (vendored). A classic worker: LiteRT loads itself by importScripts,
// which modules do not have.
importScripts("litert/litert.js");
self.Module = { locateFile: (name) => new URL("litert/" + name, self.location).href,
  printErr: (line) => line.startsWith("ERROR") && console.error(line) };
console.warn = () => {}; // what it lacks (a GPU) is no concern of a visitor; failures are exceptions
Object.defineProperty(navigator, "gpu", { value: undefined });

const tensor = (values, details) => new LiteRT.Tensor(values, [...details.shape]);

const ready = (async () => {
  await LiteRT.loadLiteRt(new URL("litert/litert_wasm_compat_internal.js", self.location).href);
  const answer = await fetch("model.tflite");
  if (!answer.ok) throw new Error(`model.tflite: ${answer.status} ${answer.statusText}`);
  const bytes = new Uint8Array(await answer.arrayBuffer());
  return (await LiteRT.loadAndCompile(bytes, { accelerator: "wasm" })).signatures.generate;
})();

// {number, inputs: arrays by name} -> {number, audio, milliseconds}, or {number, error}; number 0: whether it is loaded
onmessage = async ({ data: { number, inputs } }) => {
  try {
    const generate = await ready;
    if (!number) return postMessage({ number });
    const given = Object.fromEntries(generate.getInputDetails().map((one) => [one.name, tensor(inputs[one.name], one)]));
    const began = performance.now(), made = await generate.run(given), audio = (await made.audio.data()).slice();
    for (const one of [...Object.values(given), ...Object.values(made)]) one.delete(); // nobody else frees them
    postMessage({ number, audio, milliseconds: performance.now() - began }, [audio.buffer]);
  } catch (error) {
    postMessage({ number, error: String(error?.message || error) });
  }
};
