/* What a page does when it opens, and what htmx is told. */
addEventListener("DOMContentLoaded", () => {
  document.querySelector("[data-focus]")?.focus();
  document.querySelector(".tabs [aria-current], .sidenav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
});
const csrfToken = () => {
  const name = `${document.documentElement.dataset.csrfCookie}=`;
  return document.cookie.split("; ").find((cookie) => cookie.startsWith(name))?.slice(name.length);
};
document.addEventListener("htmx:configRequest", (event) => {
  const token = csrfToken();
  if (token && event.detail.verb !== "get") event.detail.headers["X-CSRFToken"] = token;
});
/* The session has ended: a form goes as the browser sends it, and the sign-in keeps what was typed. */
const sendWithoutHtmx = (event) => {
  const source = event.detail.requestConfig.elt;
  const form = source.closest("form");
  if (!form) { location.reload(); return; }
  if (source.name) {
    const chosen = document.createElement("input");
    Object.assign(chosen, { type: "hidden", name: source.name, value: source.value });
    form.append(chosen);
  }
  HTMLFormElement.prototype.submit.call(form);
};
document.addEventListener("htmx:responseError", (event) => {
  const status = event.detail.xhr.status;
  if (status === 401) { sendWithoutHtmx(event); return; }
  const words = { 403: "refused", 404: "missing", 429: "limited" };
  berth.toast(berth.word(words[status] ?? "failed"));
});
document.addEventListener("htmx:sendError", () => berth.toast(berth.word("unreachable")));
/* A form that is on its way ignores a second press. */
addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.method !== "post") return;
  if (event.target.dataset.sent !== undefined) { event.preventDefault(); return; }
  event.target.dataset.sent = "";
  /* Another tab may have signed in again, which changes the token of every form. */
  const field = event.target.querySelector("input[name=csrfmiddlewaretoken]");
  const token = csrfToken();
  if (field && token) field.value = token;
});
addEventListener("pageshow", (event) => {
  if (event.persisted) for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});
