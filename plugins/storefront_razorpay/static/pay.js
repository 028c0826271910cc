/* Opens Razorpay's window, and goes back to the shop when the customer is done with it. */
(() => {
  "use strict";
  const form = document.getElementById("razorpay-form");
  if (!form) return;
  const { key, order, customer, recurring, name, back, noAnswer } = form.dataset;
  const error = document.getElementById("razorpay-error");
  const button = document.getElementById("razorpay-submit");

  const say = (text) => {
    error.textContent = text;
    error.hidden = !text;
    if (text) error.focus();
  };

  form.hidden = false;
  if (!window.Razorpay) {
    button.hidden = true;
    say(noAnswer);
    return;
  }
  const options = {
    key,
    order_id: order,
    name,
    // What the window says is not believed: the shop asks Razorpay when the customer is back.
    handler: () => window.location.assign(back),
  };
  if (customer) options.customer_id = customer;
  if (recurring) options.recurring = recurring;
  const checkout = new window.Razorpay(options);
  checkout.on("payment.failed", (answer) => say(answer.error?.description || noAnswer));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    say("");
    checkout.open();
  });
})();
