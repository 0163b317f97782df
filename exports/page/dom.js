// Small helpers of the page. Names and classes only ever become text or an attribute, never markup.

export const $ = (id) => document.getElementById(id);

export function element(tag, values = {}, ...children) {
  const made = Object.assign(document.createElement(tag), values);
  made.append(...children);
  return made;
}

/** A name as a heading. */
export const headed = (name) => name.charAt(0).toUpperCase() + name.slice(1);

/** Says something to eyes and to screen readers. */
export function tell(words) {
  $("told").textContent = words;
  $("told").classList.add("on");
  clearTimeout(tell.timer);
  tell.timer = setTimeout(() => $("told").classList.remove("on"), 3000);
}

export async function copy(words) {
  try {
    await navigator.clipboard.writeText(words);
  } catch { // not on localhost and not over https
    const area = element("textarea", { value: words });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

/** Puts the content of a template on the page. */
export function fill(id) {
  $("app").replaceChildren($(id).content.cloneNode(true));
}

/** Lets the cursor run over the picture. */
export function sweep(seconds, iterations = 1) {
  const way = $("picture").getBoundingClientRect().width - 2;
  stopSweep();
  $("cursor").animate([{ opacity: 0.9, transform: "none" }, { opacity: 0.9, transform: `translateX(${way}px)` }],
    { duration: 1000 * seconds, iterations });
}

export const stopSweep = () => $("cursor").getAnimations().forEach((one) => one.cancel());

/** The whole number of a text within bounds. */
export const whole = (text, [low, high], otherwise) =>
  Math.min(high, Math.max(low, Math.round(Number(text)) || otherwise));

/** A slider is heard while it moves: `act` gets its value, and whether the movement has begun before. */
export function sliding(slider, act, ended = () => {}) {
  let moving = false;
  slider.oninput = () => {
    act(Number(slider.value), moving);
    moving = true;
  };
  slider.onchange = () => {
    moving = false;
    ended();
  };
}
