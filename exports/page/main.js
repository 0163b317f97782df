// The page: loads the model and shows the drum machine, or for loops and music the player.

import { $, element, headed, tell } from "./dom.js";
import { Model } from "./model.js";

addEventListener("unhandledrejection", ({ reason }) => tell(`This went wrong: ${reason?.message || reason}`));

try {
  $("state").textContent = "Loading the model …";
  const model = await Model.load(), { facts } = model;
  document.title = facts.title;
  $("title").textContent = headed(facts.title);
  $("facts").textContent = [facts.about, facts.license].filter(Boolean).join(" · ");
  const { show } = await import(facts.kind === "one-shots" ? "./drums.js" : "./player.js");
  await show(model);
} catch (error) {
  $("app").replaceChildren(element("p", { textContent: `The model cannot be loaded: ${error.message}` }));
  throw error;
} finally {
  $("app").ariaBusy = "false";
}
