/* Lists with boxes to tick: data-check-all ticks those of a form, data-check-count says how many. */
(() => {
  const boxes = (form) => [...form.querySelectorAll("input[type=checkbox][name=tag]")];
  const count = () => {
    for (const place of document.querySelectorAll("[data-check-count]")) {
      const ticked = boxes(place.closest("form")).filter((box) => box.checked).length;
      place.textContent = `${ticked} ${place.dataset.checkCount}`;
    }
  };
  addEventListener("change", (event) => {
    const all = event.target.closest?.("[data-check-all]");
    if (all) for (const box of boxes(document.querySelector(all.dataset.checkAll))) box.checked = all.checked;
    count();
  });
  addEventListener("reset", () => {
    for (const all of document.querySelectorAll("[data-check-all]")) all.checked = false;
    setTimeout(count);
  });
  /* data-live asks again by itself: not while nobody looks, or something is ticked, open or focused in it. */
  document.addEventListener("htmx:beforeRequest", (event) => {
    const place = event.detail.elt;
    if (!place.matches?.("[data-live]")) return;
    const isBusy = document.hidden || place.querySelector(":checked, :popover-open") || place.contains(document.activeElement);
    if (isBusy) event.preventDefault();
  });
})();
