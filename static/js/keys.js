/* Keys: / search, J and K move along a list, S star, N next page, ? lists them.
   Never while typing; localStorage keys=off turns them off (settings, profile). */
(() => {
  const isOff = () => { try { return localStorage.getItem("keys") === "off"; } catch { return false; } };
  const rows = () => [...document.querySelectorAll("main :is(.row-title, .tag-name, .person, .path li, .table tbody tr:not(.tag *))")]
    .map((row) => row.querySelector("a:not(.btn)")).filter(Boolean);
  const move = (step) => {
    const links = rows();
    if (!links.length) return;
    const here = links.indexOf(document.activeElement);
    links[Math.min(links.length - 1, Math.max(0, here < 0 ? (step > 0 ? 0 : links.length - 1) : here + step))].focus();
  };
  const actions = {
    "/": () => document.querySelector("[data-search]")?.focus(),
    "j": () => move(1),
    "k": () => move(-1),
    "s": () => (document.activeElement?.closest(".row, .card, .tag") ?? document).querySelector("[data-star]")?.click(),
    "n": () => document.querySelector("[data-next-page]")?.click(),
    "?": () => document.getElementById("keys-help")?.showModal(),
  };
  addEventListener("keydown", (event) => {
    const action = actions[event.key];
    if (!action || isOff() || berth.isTyping(event)) return;
    event.preventDefault();
    action();
  });
  addEventListener("click", (event) => {
    if (event.target.closest?.("[data-show-keys]")) actions["?"]();
    if (event.target.matches?.("dialog")) event.target.close();
  });
  addEventListener("DOMContentLoaded", () => {
    const box = document.querySelector("[data-keys-switch]");
    if (!box) return;
    box.checked = !isOff();
    box.addEventListener("change", () => { try { localStorage.setItem("keys", box.checked ? "on" : "off"); } catch { /* kept for this page only */ } });
  });
})();
