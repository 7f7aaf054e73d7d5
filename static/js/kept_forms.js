/* Fills the form of the page with what was typed before the session ended (components/kept_form.html). */
addEventListener("DOMContentLoaded", () => {
  const kept = document.querySelector("[data-kept-form]");
  if (!kept) return;
  const path = (form) => new URL(form.getAttribute("action") || location.href, location.href).pathname;
  const form = [...document.forms].find((one) => one !== kept && one.method === "post" && path(one) === path(kept));
  if (!form) return;
  const values = new Map();
  for (const field of kept.querySelectorAll("[data-kept]")) values.set(field.name, [...(values.get(field.name) ?? []), field.value]);
  let first;
  for (const control of form.elements) {
    if (!control.name || ["hidden", "submit", "button", "file", "password"].includes(control.type)) continue;
    const given = values.get(control.name);
    if (["checkbox", "radio"].includes(control.type)) control.checked = Boolean(given?.includes(control.value));
    else if (control.multiple) for (const option of control.options) option.selected = Boolean(given?.includes(option.value));
    else if (given) control.value = given.shift() ?? control.value;
    else continue;
    if (given) first ??= control;
  }
  if (!first) return;
  first.closest("details")?.setAttribute("open", "");
  first.focus();
  kept.querySelector("[data-kept-filled]").hidden = false;
});
