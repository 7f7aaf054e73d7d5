/* A star or a watch flips at once, and back if it was refused; the answer brings the rest. */
(() => {
  const flip = (form) => {
    const button = form.querySelector("[data-flip]");
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
  };
  const formOf = (event) => event.target.closest?.("[data-flip-form]");
  document.addEventListener("htmx:beforeRequest", (event) => { if (formOf(event)) flip(formOf(event)); });
  for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"])
    document.addEventListener(name, (event) => { if (formOf(event)) flip(formOf(event)); });
  document.addEventListener("htmx:afterSwap", (event) => {
    const button = event.detail.elt.matches?.("[data-flip-form]") && event.detail.elt.querySelector("[data-flip]");
    if (button) { button.focus(); berth.announce(button.dataset.flip); }
  });
})();
