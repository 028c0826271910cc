/* Returns what a reviewer would otherwise measure with a ruler: crowded, small, cut, in a bad word. */
({ desk, words }) => {
  const wrong = [];
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  // What is hidden for eyes until it has the focus is shown to nobody yet.
  const shown = e => e.checkVisibility({ visibilityProperty: true }) && e.getClientRects().length > 0
    && !e.closest(".vh:not(:focus)");
  const show = e => `${e.tagName.toLowerCase()} "${(e.innerText || e.value || e.name || "").trim().slice(0, 40)}"`;

  all("form").forEach(form => {
    const filled = all("button.filled", form).filter(shown);
    if (filled.length > 1) wrong.push(`2: ${filled.length} filled buttons in one form: ${filled.map(show)}`);
  });

  // 24 px is the floor of WCAG 2.5.8, which spares links inside a sentence; buttons have our own sizes.
  const least = desk ? 32 : 44;
  all("main button, main .button, main summary, main select, main input:not([type=hidden])").filter(shown).forEach(e => {
    const target = e.closest("label, .choice, .check") || e;
    const { width, height } = target.getBoundingClientRect();
    const need = e.matches("button, .button, select, input:not([type=radio], [type=checkbox])") ? least : 24;
    if (Math.round(height) < need || Math.round(width) < 24)
      wrong.push(`27: ${Math.round(width)} x ${Math.round(height)} px: ${show(e)}`);
  });

  all("input:not([type=hidden]), select, textarea").filter(shown).forEach(e => {
    if (["email", "name", "tel"].includes(e.name) && !e.autocomplete) wrong.push(`16: no autocomplete: ${show(e)}`);
  });

  const text = document.querySelector("main").innerText.toLowerCase();
  words.filter(word => new RegExp(`\\b${word}\\b`).test(text)).forEach(word => wrong.push(`36: says "${word}"`));

  const cut = all("main *").filter(shown).filter(e => {
    const style = getComputedStyle(e);
    return style.overflowX === "hidden" && e.clientWidth > 1 && !e.closest("svg") && e.scrollWidth > e.clientWidth + 1
      && e.childElementCount === 0 && e.textContent.trim();
  });
  cut.forEach(e => wrong.push(`29: cut: ${show(e)}`));
  return wrong;
}
