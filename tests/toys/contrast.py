"""How well the texts of a page stand out, as a script for the browser."""

CONTRAST = """
const levels = (color) => {
  const [r, g, b, a = 1] = color.match(/[\\d.]+/g).map(Number);
  const f = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  return [0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b), a];
};
const behind = (element) => {
  for (let e = element; e; e = e.parentElement) {
    const [level, opacity] = levels(getComputedStyle(e).backgroundColor);
    if (opacity > 0.5) return level;
  }
  return 1;
};
let worst = [99, ""];
for (const e of document.querySelectorAll("body *")) {
  if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
  if (["SCRIPT", "STYLE", "title", "desc"].includes(e.tagName) || !e.getClientRects().length) continue;
  const style = getComputedStyle(e);
  const [front] = levels(e instanceof SVGElement ? style.fill : style.color);
  const back = behind(e);
  const ratio = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
  if (ratio < worst[0]) worst = [ratio, e.outerHTML.slice(0, 200)];
}
return worst;
"""
"""[the least contrast of a text with what is behind it, the element]: 4.5 and more is WCAG AA."""
