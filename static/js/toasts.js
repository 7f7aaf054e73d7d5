/* Toasts go after 8 s, not while they are pointed at or have focus; Z undoes the last. */
(() => {
  const lasting = 8000;
  const watch = (toast) => {
    toast.dataset.watched = "";
    let timer;
    const start = () => { timer = setTimeout(() => toast.remove(), lasting); };
    const stop = () => clearTimeout(timer);
    for (const name of ["pointerenter", "focusin"]) toast.addEventListener(name, stop);
    for (const name of ["pointerleave", "focusout"]) toast.addEventListener(name, start);
    start();
  };
  const watchAll = () => document.querySelectorAll("[data-toast]:not([data-watched])").forEach(watch);
  addEventListener("DOMContentLoaded", () => {
    watchAll();
    new MutationObserver(watchAll).observe(document.getElementById("toasts"), { childList: true });
  });
  addEventListener("click", (event) => event.target.closest?.("[data-dismiss]")?.closest("[data-toast]").remove());
  addEventListener("keydown", (event) => {
    if (event.key !== "z" || berth.isTyping(event)) return;
    [...document.querySelectorAll("[data-undo]")].at(-1)?.click();
  });
  berth.toast = (text) => {
    const toast = document.createElement("div");
    toast.className = "toast";
    toast.dataset.toast = "";
    toast.textContent = text;
    document.getElementById("toasts").append(toast);
  };
})();
