/* Lists with boxes to tick: data-check-all ticks those of its form, data-check-count="{count} selected" counts them. */
(() => {
  const boxes = (form) => [...form.querySelectorAll("input[type=checkbox][name=tag]")];
  const count = () => {
    for (const place of document.querySelectorAll("[data-check-count]")) {
      const ticked = boxes(place.closest("form")).filter((box) => box.checked).length;
      place.textContent = place.dataset.checkCount.replace("{count}", ticked);
    }
    /* The box for all shows what is ticked, whoever ticked it. */
    for (const all of document.querySelectorAll("[data-check-all]")) {
      const every = boxes(all.form);
      const ticked = every.filter((box) => box.checked).length;
      all.checked = every.length > 0 && ticked === every.length;
      all.indeterminate = ticked > 0 && ticked < every.length;
    }
  };
  addEventListener("change", (event) => {
    const all = event.target.closest?.("[data-check-all]");
    if (all) for (const box of boxes(all.form)) box.checked = all.checked;
    if (event.target.matches?.("[data-check-all], [name=tag]")) count();
  });
  addEventListener("reset", () => setTimeout(count));
  addEventListener("pageshow", count); /* a browser that goes back ticks boxes again */
  /* data-live asks again by itself: not while nobody looks, or something is ticked, open or focused in it. */
  document.addEventListener("htmx:beforeRequest", (event) => {
    const place = event.detail.elt;
    if (!place.matches?.("[data-live]")) return;
    const isBusy = document.hidden || place.querySelector(":checked, :popover-open") || place.contains(document.activeElement);
    if (isBusy) event.preventDefault();
  });
})();
