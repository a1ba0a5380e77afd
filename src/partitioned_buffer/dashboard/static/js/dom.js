// What is shown is text, never markup: names of buffers are anybody's.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element, with text or children. */
export function el(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === "text") made.textContent = value;
    else if (name === "class") made.className = value;
    else if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((each) => each !== null && each !== undefined));
  return made;
}

/** Make a drawing of paths, 16 units wide. */
export function drawing(name, ...shapes) {
  const made = document.createElementNS(SVG, "svg");
  made.setAttribute("viewBox", "0 0 16 16");
  made.setAttribute("class", name);
  made.setAttribute("aria-hidden", "true");
  for (const [tag, attributes] of shapes) {
    const shape = document.createElementNS(SVG, tag);
    for (const [key, value] of Object.entries(attributes)) shape.setAttribute(key, value);
    made.append(shape);
  }
  return made;
}

/** Have an element say this, and touch it only if it says something else. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Have an attribute be so, and touch it only if it is not. */
export function set(element, name, value) {
  if (value === null) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

export const byId = (id) => document.getElementById(id);

/** The colour of a variable, as a canvas takes it. */
export function ink(name) {
  let probe = byId("probe");
  if (!probe) {
    probe = el("span", { id: "probe", hidden: "" });
    document.body.append(probe);
  }
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}
