// <storefront-plans plan="…" interval="3m" lang="de"><a href="…">Plans and prices</a></storefront-plans>
// The plans of a shop inside a page of another site. What stands in the element is shown until
// they are there, and stays if the shop does not allow this site.
(() => {
  "use strict";
  const here = document.currentScript?.src;
  if (!here || customElements.get("storefront-plans")) return;
  const page = new URL("plans", here);
  const tallest = 20000;

  customElements.define("storefront-plans", class extends HTMLElement {
    static observedAttributes = ["plan", "interval", "lang"];
    #frame;
    #hear = (event) => this.#heard(event);

    connectedCallback() {
      addEventListener("message", this.#hear);
      const root = this.shadowRoot || this.attachShadow({ mode: "open" });
      const frame = this.#frame = document.createElement("iframe");
      frame.title = this.textContent.trim();
      frame.referrerPolicy = "origin";
      // Not "none": what is not laid out has no height to tell.
      this.#lay({ position: "absolute", visibility: "hidden", width: "100%", height: "0", border: "0" });
      Object.assign(this.style, { display: "block", position: "relative" });
      frame.src = this.#address();
      root.replaceChildren(document.createElement("slot"), frame);
    }

    disconnectedCallback() {
      removeEventListener("message", this.#hear);
      this.shadowRoot.replaceChildren(document.createElement("slot"));
      this.#frame = undefined;
    }

    attributeChangedCallback() {
      if (this.#frame) this.#frame.src = this.#address();
    }

    #address() {
      const to = new URL(page);
      to.searchParams.set("site", location.origin);
      for (const name of ["plan", "interval"]) {
        if (this.getAttribute(name)) to.searchParams.set(name, this.getAttribute(name));
      }
      const language = this.closest("[lang]")?.getAttribute("lang");
      if (language) to.searchParams.set("lang", language);
      return to.href;
    }

    #heard(event) {
      if (!this.#frame || event.origin !== page.origin || event.source !== this.#frame.contentWindow) return;
      const { storefront, height, title } = event.data || {};
      if (storefront !== "plans" || !(height > 0 && height <= tallest)) return;
      if (typeof title === "string") this.#frame.title = title.slice(0, 200);
      this.#lay({ position: "static", visibility: "visible", display: "block", height: `${height}px` });
      this.shadowRoot.querySelector("slot").hidden = true;
      this.dispatchEvent(new CustomEvent("storefront-plans-shown"));
    }

    #lay(styles) {
      Object.assign(this.#frame.style, styles);
    }
  });
})();
