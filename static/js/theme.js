/* The chosen theme, before the first paint; in <head> without defer. */
(() => {
  const root = document.documentElement;
  const read = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  const apply = (theme) => {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme; else delete root.dataset.theme;
    for (const b of document.querySelectorAll("[data-set-theme]"))
      b.setAttribute("aria-pressed", String(b.dataset.setTheme === (root.dataset.theme ?? "system")));
  };
  root.dataset.script = "on"; /* css shows what only works with scripts */
  apply(read());
  addEventListener("DOMContentLoaded", () => apply(read()));
  addEventListener("click", (event) => {
    const theme = event.target.closest?.("[data-set-theme]")?.dataset.setTheme;
    if (!theme) return;
    try { localStorage.setItem("theme", theme); } catch { /* private mode: the choice lasts for this page */ }
    apply(theme);
  });
})();
