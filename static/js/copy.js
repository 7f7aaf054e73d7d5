/* data-copy="exact text": copies it, ticks for a moment, and says so. */
(() => {
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch { /* plain http has no clipboard; a hidden field does it */
      const field = document.createElement("textarea");
      field.value = text;
      field.className = "visually-hidden";
      document.body.append(field);
      field.select();
      const done = document.execCommand("copy");
      field.remove();
      if (!done) throw new Error("the browser does not copy");
    }
  };
  /* Blocks of code in a README get theirs here: the text is their author's. */
  const addButtons = () => {
    const button = document.querySelector("template[data-copy-code]")?.content.querySelector("[data-copy]");
    if (!button) return;
    for (const code of document.querySelectorAll(".prose .code:not(:has([data-copy]))")) {
      const own = button.cloneNode(true);
      own.dataset.copy = code.textContent.trimEnd();
      code.append(own);
    }
  };
  addEventListener("DOMContentLoaded", addButtons);
  document.addEventListener("htmx:afterSwap", addButtons);
  addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (!button) return;
    try {
      await copy(button.dataset.copy);
    } catch {
      berth.announce(berth.word("notCopied"));
      return;
    }
    button.focus();
    button.setAttribute("data-copied", "");
    berth.announce(berth.word("copied"));
    setTimeout(() => button.removeAttribute("data-copied"), 1500);
  });
})();
