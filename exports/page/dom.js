// Small helpers of the page. Names and classes only ever become text or an attribute, never markup.

export const $ = (id) => document.getElementById(id);

export function element(tag, values = {}, ...children) {
  const made = Object.assign(document.createElement(tag), values);
  made.append(...children);
  return made;
}

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
