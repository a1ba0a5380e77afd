// Light, dark, or as the system is.

import { byId, set } from "./dom.js";

const KEY = "partitioned-buffer-theme";
const THEMES = ["system", "light", "dark"];
const TITLES = { system: "As the system is", light: "Light", dark: "Dark" };

function stored() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

let theme = THEMES.includes(stored()) ? stored() : "system";

export function useTheme() {
  set(document.documentElement, "data-theme", theme);
  set(byId("theme"), "title", `${TITLES[theme]} (t)`);
  set(byId("theme"), "aria-label", `Theme: ${TITLES[theme]}`);
}

export function nextTheme() {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  try {
    localStorage.setItem(KEY, theme);
  } catch { /* it holds for this page */ }
  useTheme();
}
