// Comfort only: every page works without this file. No page needs a function from here;
// behaviour hangs on data attributes (docs/frontend.md lists them).
(() => {
  "use strict";
  const root = document.documentElement;
  const on = (type, act, options) => document.addEventListener(type, act, options);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const status = () => document.getElementById("status");

  // Status region: information leaves after 6 s, anything with an action or a problem stays.
  const say = (text, problem) => {
    const region = status();
    if (!region) return;
    const toast = document.createElement("div");
    toast.className = problem ? "toast problem" : "toast";
    const words = document.createElement("p");
    words.textContent = text;
    toast.append(words);
    region.replaceChildren(toast);
    dress(region);
  };
  const dress = (region) => {
    for (const toast of all(".toast:not([data-dressed])", region)) {
      toast.dataset.dressed = "";
      const close = document.createElement("button");
      close.type = "button";
      close.className = "button quiet square small";
      close.setAttribute("aria-label", region.dataset.close);
      close.textContent = "×";
      close.onclick = () => toast.remove();
      if (!toast.matches(".problem") && !toast.querySelector("form,a")) setTimeout(() => toast.remove(), 6000);
      toast.append(close);
    }
  };

  // Busy: the button keeps its label and its focus, a second press does nothing.
  const busy = new Map();
  // A question that nobody pressed a button for keeps none from being pressed.
  const unasked = (event) => /^(change|input)$/.test(event.detail.ctx?.sourceEvent?.type);
  const begin = (form, button, quiet) => {
    end(form);
    const target = quiet ? null : button || form.querySelector("[type=submit]");
    for (const toast of all(".status .toast")) if (!toast.contains(form)) toast.remove();
    if (target) {
      target.setAttribute("aria-busy", "true");
      target.setAttribute("aria-disabled", "true");
    }
    busy.set(form, { target, slow: setTimeout(() => say(status()?.dataset.slow), 10000) });
  };
  const end = (form) => {
    const state = busy.get(form);
    if (!state) return;
    clearTimeout(state.slow);
    state.target?.removeAttribute("aria-busy");
    state.target?.removeAttribute("aria-disabled");
    busy.delete(form);
  };
  // What was typed into a form that counts before this one is sent first, and this one not yet. Once
  // it was refused, who presses again goes on without.
  let tried = "";
  on("submit", (event) => {
    const first = document.getElementById(event.target.dataset?.after);
    const typed = first?.querySelector("input:not([type=hidden])");
    if (!typed?.value.trim() || (typed.value === tried && typed.matches("[aria-invalid]"))) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    tried = typed.value;
    first.requestSubmit();
  }, { capture: true });
  on("submit", (event) => {
    const form = event.target;
    clearTimeout(waiting);
    if (form.method === "get") asked = question(form);
    // The answer to a download leaves the page as it is, so nothing would end its being busy.
    if (event.submitter?.matches("[data-step],[data-download]") || form.method === "dialog") return;
    if (busy.get(form)?.target) return event.preventDefault();
    clean.delete(form);
    if (!form.matches("[hx-post],[hx-get]") && form.method === "post" && !form.target) begin(form, event.submitter);
  });
  addEventListener("pageshow", () => [...busy.keys()].forEach(end));

  // A form that came back with errors says so in the title, one that is in order no longer.
  const entitle = (wrong) => {
    const word = `${status()?.dataset.error} `;
    const bare = document.title.startsWith(word) ? document.title.slice(word.length) : document.title;
    document.title = wrong ? word + bare : bare;
  };

  // htmx: busy while it asks; an unreachable shop or a 5xx leaves the page as it is.
  const formOf = (event) => event.detail.ctx?.sourceElement?.closest?.("form");
  const READS = 10000;
  on("htmx:config:request", (event) => {
    const { ctx } = event.detail;
    ctx.since = Date.now();
    if (ctx.request.method === "GET") ctx.request.timeout ??= READS;
  });
  // What had the focus and is gone leaves it to the heading of what it stood in.
  let trail = [];
  on("htmx:before:swap", () => {
    trail = [];
    for (let at = document.activeElement; at; at = at.parentElement) if (at.id) trail.push(at.id);
  });
  const refocus = () => {
    const near = trail.map((id) => document.getElementById(id)).find(Boolean);
    trail = [];
    const place = near?.querySelector("h1,h2,h3") || near;
    if (!place || document.activeElement !== document.body) return;
    if (place.tabIndex < 0) place.tabIndex = -1;
    place.focus({ preventScroll: true });
  };
  on("htmx:before:request", (event) => {
    const asker = event.detail.ctx?.sourceElement;
    if (document.hidden && asker?.getAttribute?.("hx-trigger")?.startsWith("every")) return event.preventDefault();
    const form = formOf(event);
    const quiet = unasked(event);
    if (form && !(quiet && busy.get(form)?.target)) begin(form, event.detail.ctx.request.submitter, quiet);
  });
  on("htmx:finally:request", (event) => {
    const form = formOf(event);
    if (form && !(unasked(event) && busy.get(form)?.target)) end(form);
    for (const form of busy.keys()) if (!form.isConnected) end(form);
    const answer = event.detail.ctx?.response?.status;
    if (answer === 422 || (answer < 300 && form)) entitle(answer === 422);
    refocus();
  });
  on("htmx:response:error", (event) => {
    const ctx = event.detail.ctx;
    if (ctx.response.status < 500) return;
    ctx.swap = "none";
    say(status()?.dataset.unreachable, true);
  });
  on("htmx:error", (event) => {
    const { ctx, error } = event.detail;
    const replaced = error?.name === "AbortError" && ctx?.request.method === "GET" && Date.now() - ctx.since < READS;
    if (ctx?.response === undefined && ctx && !replaced) say(status()?.dataset.unreachable, true);
  });
  on("htmx:after:process", (event) => start(event.target instanceof Element ? event.target : document));

  // Errors: once shown, a message leaves the moment the entry is right.
  on("input", (event) => {
    const control = event.target;
    if (control.getAttribute("aria-invalid") === "true" && control.value && control.validity.valid) {
      control.removeAttribute("aria-invalid");
      const field = control.closest(".field");
      field?.classList.remove("invalid");
      for (const error of all(".error", field || control)) error.hidden = true;
    }
  });

  // Choosing n of m: counts, and says why one more does not go in.
  const count = (form) => {
    const limit = +form.dataset.choose;
    const numbers = all(".pick [data-quantity] input", form).map((input) => +input.value || 0);
    const chosen = numbers.reduce((sum, each) => sum + each, all(".pick :checked", form).length);
    for (const place of all("[data-chosen]", form)) place.textContent = chosen;
    for (const place of all("[data-left]", form)) place.textContent = Math.max(limit - chosen, 0);
    for (const bar of all("progress[data-chosen-bar]", form)) bar.value = chosen;
    return chosen;
  };
  on("change", (event) => {
    const control = event.target;
    const form = control.form;
    if (!form) return;
    if (form.dataset.choose && control.closest(".pick") && count(form) > +form.dataset.choose) {
      if (control.type === "checkbox") control.checked = false;
      count(form);
      if (form.dataset.full) say(form.dataset.full);
    }
    if (control.matches("[data-all]")) {
      for (const box of all(`input[type=checkbox][name="${control.dataset.all}"]`, form)) box.checked = control.checked;
    }
    if (control.matches("[data-submit],[data-auto] *")) soon(form);
  });

  // Enter in a search says "change", "submit" and "search": that is one question.
  let waiting, asked;
  const question = (form) => String(new URLSearchParams(new FormData(form)));
  const soon = (form) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => form.isConnected && question(form) !== asked && form.requestSubmit());
  };
  on("search", (event) => event.target.closest("[data-auto]") && soon(event.target.form));

  // Quantity buttons count here instead of posting.
  on("click", (event) => {
    const step = event.target.closest?.("[data-step]");
    if (step) {
      event.preventDefault();
      const input = step.closest("[data-quantity]").querySelector("input");
      const low = +input.dataset.low, high = +input.dataset.high;
      input.value = Math.min(high, Math.max(low, (parseInt(input.value, 10) || 0) + +step.dataset.step));
      for (const button of all("[data-step]", step.parentElement)) {
        button.toggleAttribute("aria-disabled", false);
        if (+input.value === (+button.dataset.step < 0 ? low : high)) button.setAttribute("aria-disabled", "true");
      }
      input.dispatchEvent(new Event("change", { bubbles: true }));
    }
    if (event.target.closest?.("[aria-busy=true][aria-disabled=true]")) event.preventDefault();
    const opener = event.target.closest?.("[data-dialog]");
    const dialog = opener && document.getElementById(opener.dataset.dialog);
    if (dialog?.showModal && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      dialog.showModal();
    }
    event.target.closest?.("[data-close-dialog]")?.closest("dialog")?.close();
    if (event.target.closest?.("[data-print]")) print();
    const show = event.target.closest?.("[data-show]");
    if (show) {
      const input = document.getElementById(show.dataset.show);
      input.type = input.type === "password" ? "text" : "password";
      show.setAttribute("aria-pressed", input.type === "text");
    }
    for (const menu of all("details.more[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
  on("keydown", (event) => {
    if (event.key === "Escape") {
      for (const menu of all("details.more[open]")) {
        menu.open = false;
        menu.querySelector("summary").focus();
      }
    }
    if (event.target.matches?.("input,select,textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    const field = event.key.length === 1 && document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (field) {
      event.preventDefault();
      field.focus();
    }
  });

  // Leaving a changed form asks first.
  const clean = new Set();
  on("input", (event) => event.target.form?.matches("[data-guard]") && clean.add(event.target.form));
  addEventListener("beforeunload", (event) => [...clean].some((form) => form.isConnected) && event.preventDefault());

  const connection = () => document.getElementById("offline")?.toggleAttribute("hidden", navigator.onLine);
  addEventListener("online", connection);
  addEventListener("offline", connection);

  const start = (part) => {
    // What htmx would do is still done by a button where htmx did not arrive.
    const needless = "[data-auto] [data-bare],.look [data-bare],form:has([data-submit]) .bare-only";
    for (const bare of all(window.htmx ? `${needless},.bare-only` : needless, part)) bare.hidden = true;
    for (const late of all("[data-script]", part)) late.hidden = late.dataset.script === "htmx" && !window.htmx;
    for (const form of all("form[data-choose]", part)) count(form);
    if (status()) dress(status());
  };
  root.dataset.script = "on";
  connection();
  start(document);
})();
