/* Puts Stripe's fields into the page, and sends the customer on when the card is stored. */
(() => {
  "use strict";
  const form = document.getElementById("stripe-form");
  if (!form) return;
  const { key, secret, back, locale, noAnswer } = form.dataset;
  const error = document.getElementById("stripe-error");
  const box = document.getElementById("stripe-box");
  const busy = document.getElementById("stripe-busy");
  const button = document.getElementById("stripe-submit");

  const say = (text) => {
    error.textContent = text;
    error.hidden = !text;
    box.classList.toggle("invalid", Boolean(text));
    if (text) error.focus();
  };
  const wait = (waiting) => {
    button.setAttribute("aria-disabled", String(waiting));
    busy.textContent = waiting ? "…" : "";
  };

  form.hidden = false;
  if (!window.Stripe) {
    button.hidden = true;
    say(noAnswer);
    return;
  }
  const stripe = window.Stripe(key, { locale });
  const elements = stripe.elements({ clientSecret: secret });
  const field = elements.create("payment");
  field.on("loaderror", () => say(noAnswer));
  field.on("change", () => say(""));
  field.mount("#stripe-field");

  let waiting = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (waiting) return;
    waiting = true;
    say("");
    wait(true);
    try {
      // Without an error the browser leaves for the bank or for `back`.
      const answer = await stripe.confirmSetup({ elements, confirmParams: { return_url: back } });
      if (answer.error) say(answer.error.message || noAnswer);
    } catch {
      say(noAnswer);
    }
    waiting = false;
    wait(false);
  });
})();
