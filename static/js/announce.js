/* Say something to those who listen to the page: berth.announce("Copied"). */
const berth = {
  announce(text) {
    const place = document.getElementById("announcer");
    place.textContent = "";
    setTimeout(() => { place.textContent = text; }, 50);
  },
  isTyping(event) {
    return event.ctrlKey || event.metaKey || event.altKey
      || event.target.closest?.("input, textarea, select, [contenteditable], dialog, [popover]") !== null;
  },
};
