/* Say something to those who listen to the page: berth.announce("Copied"). */
const berth = {
  announce(text) {
    const place = document.getElementById("announcer");
    place.textContent = "";
    setTimeout(() => { place.textContent = text; }, 50);
  },
  /* What a page says for the scripts, in its language (components/announcer.html). */
  word(name) { return document.getElementById("announcer").dataset[name]; },
  isTyping(event) {
    return event.ctrlKey || event.metaKey || event.altKey
      || event.target.closest?.("input, textarea, select, [contenteditable], dialog, [popover]") !== null;
  },
};
/* data-announce="3 tags", or the text of the element: announced when htmx swaps it in.
   A list that asks again by itself (data-live) is announced only when the text changed. */
(() => {
  const textOf = (place) => {
    const found = place.matches("[data-announce]") ? place : place.querySelector("[data-announce]");
    return found && (found.dataset.announce || found.textContent).replace(/\s+/g, " ").trim();
  };
  const last = new Map();
  document.addEventListener("htmx:beforeSwap", (event) => {
    const target = event.detail.target;
    if (target?.id) last.set(target.id, textOf(target));
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    const text = textOf(event.target);
    const isLive = event.detail.requestConfig?.elt.matches("[data-live]");
    if (text && !(isLive && last.get(event.target.id) === text)) berth.announce(text);
  });
})();
