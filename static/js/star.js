/* A star flips at once, and back if it was refused; the answer brings the count. */
(() => {
  const flip = (form) => {
    const button = form.querySelector("[data-star]");
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
  };
  const formOf = (event) => event.target.closest?.("[data-star-form]");
  document.addEventListener("htmx:beforeRequest", (event) => { if (formOf(event)) flip(formOf(event)); });
  for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"])
    document.addEventListener(name, (event) => { if (formOf(event)) flip(formOf(event)); });
  document.addEventListener("htmx:afterSwap", (event) => {
    const button = event.detail.elt.matches?.("[data-star-form]") && event.detail.elt.querySelector("[data-star]");
    if (button) { button.focus(); berth.announce(button.getAttribute("aria-pressed") === "true" ? "Starred" : "Not starred any more"); }
  });
})();
