/* Plays Stripe's script: one field, a decline for every number that ends in 2, then a way on. */
window.Stripe = (key, options) => {
  const asked = { key, ...options };
  return {
    elements({ clientSecret }) {
      asked.clientSecret = clientSecret;
      return {
        create() {
          const heard = {};
          return {
            on(name, act) { heard[name] = act; },
            mount(place) {
              const input = document.createElement("input");
              input.id = "number";
              input.setAttribute("aria-label", "Card number");
              input.addEventListener("input", () => heard.change());
              document.querySelector(place).append(input);
            },
          };
        },
      };
    },
    async confirmSetup({ confirmParams }) {
      const number = document.getElementById("number").value;
      if (number.endsWith("2")) return { error: { message: "Your card was declined." } };
      const query = new URLSearchParams(asked);
      location.assign(`${confirmParams.return_url}?${query}`);
      return {};
    },
  };
};
