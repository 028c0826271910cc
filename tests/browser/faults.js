/* Returns what is wrong with the page, in words: width, headings, names, labels, references. */
() => {
  const wrong = [];
  const all = selector => [...document.querySelectorAll(selector)];
  const shown = element => element.checkVisibility ? element.checkVisibility() : true;
  const named = element => (element.innerText || element.textContent || "").trim()
    || element.getAttribute("aria-label") || element.getAttribute("title")
    || element.getAttribute("aria-labelledby") || element.querySelector("img[alt]:not([alt=''])");
  const show = element => element.outerHTML.slice(0, 120);

  const wide = document.documentElement.scrollWidth;
  if (wide > window.innerWidth) {
    const out = all("body *").filter(e => e.getBoundingClientRect().right > window.innerWidth + 1
      && !e.closest(".scroll-x, .vh"));
    wrong.push(`${wide} px wide in ${window.innerWidth}: ${out.slice(0, 3).map(show).join(" | ")}`);
  }
  if (!document.documentElement.lang) wrong.push("no language");
  if (!document.title.trim() || document.title.trim().startsWith("–")) wrong.push("no title");
  if (all("main").length !== 1) wrong.push(`${all("main").length} main`);

  const headings = all("h1, h2, h3, h4, h5, h6").filter(shown);
  const ones = headings.filter(h => h.tagName === "H1");
  if (ones.length !== 1) wrong.push(`${ones.length} h1: ${ones.map(h => h.innerText)}`);
  headings.forEach((h, i) => {
    if (!named(h)) wrong.push(`empty heading ${show(h)}`);
    // The summary of errors stands above the first heading on purpose.
    const before = headings[i - 1];
    if (before && !before.closest(".error-summary") && h.tagName[1] - before.tagName[1] > 1)
      wrong.push(`${h.tagName} "${h.innerText}" after ${before.tagName} "${before.innerText}"`);
  });

  all("img").filter(e => !e.hasAttribute("alt")).forEach(e => wrong.push(`no alt: ${show(e)}`));
  all("svg").filter(e => e.getAttribute("aria-hidden") !== "true")
    // A chart whose points are links is read link by link.
    .filter(e => !e.querySelector("a") && !(e.getAttribute("role") === "img" && named(e)))
    .forEach(e => wrong.push(`drawing without a name: ${show(e)}`));
  all("input:not([type=hidden]):not([hidden]), select, textarea").forEach(e => {
    const label = [...(e.labels || [])].some(named);
    if (!label && !e.getAttribute("aria-label") && !e.getAttribute("aria-labelledby"))
      wrong.push(`no label: ${show(e)}`);
  });
  all("button, a, summary").filter(e => !named(e)).forEach(e => wrong.push(`no name: ${show(e)}`));
  all("a").filter(e => ["", "#", null].includes(e.getAttribute("href")))
    .forEach(e => wrong.push(`leads nowhere: ${show(e)}`));
  all("fieldset").filter(e => !e.querySelector("legend"))
    .forEach(e => wrong.push(`no legend: ${show(e)}`));

  const seen = new Set();
  // A picture that is drawn twice defines the same pattern twice.
  all("[id]:not(svg *)").forEach(e => seen.has(e.id) ? wrong.push(`id twice: ${e.id}`) : seen.add(e.id));
  for (const name of ["for", "aria-labelledby", "aria-describedby", "aria-controls"])
    all(`[${name}]`).forEach(e => e.getAttribute(name).split(/\s+/).filter(id => !seen.has(id))
      .forEach(id => wrong.push(`${name} of nothing: ${id}`)));
  all("main a[href^='#']").map(e => e.getAttribute("href").slice(1)).filter(id => !seen.has(id))
    .forEach(id => wrong.push(`link to nothing: #${id}`));
  all("form[method=post]:not([data-tokenless])").filter(e => !e.querySelector("[name=csrf_token]"))
    .forEach(e => wrong.push(`form without token: ${show(e)}`));
  all("[aria-invalid=true]").filter(e => !e.getAttribute("aria-describedby")
    && !(e.closest("fieldset") || {getAttribute: () => 0}).getAttribute("aria-describedby"))
    .forEach(e => wrong.push(`error not linked: ${show(e)}`));
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = words.nextNode(); node; node = words.nextNode())
    if (/^(None|True|False)$|undefined|\bNaN\b|\b[A-Z]\w+\(\w+=|\[object|[{%]{2}|%\(\w+\)s/.test(node.data.trim()))
      wrong.push(`a value of the program is shown: ${node.data.trim().slice(0, 80)}`);
  return wrong;
}
