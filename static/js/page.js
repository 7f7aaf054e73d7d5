/* What a page does when it opens, and what htmx is told. */
addEventListener("DOMContentLoaded", () => {
  document.querySelector("[data-focus]")?.focus();
  document.querySelector(".tabs [aria-current], .sidenav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
});
document.addEventListener("htmx:configRequest", (event) => {
  const name = `${document.documentElement.dataset.csrfCookie}=`;
  const token = document.cookie.split("; ").find((cookie) => cookie.startsWith(name));
  if (token && event.detail.verb !== "get") event.detail.headers["X-CSRFToken"] = token.slice(name.length);
});
document.addEventListener("htmx:responseError", (event) => {
  const status = event.detail.xhr.status;
  berth.toast(status === 429 ? "Too many requests: wait a little" : status === 404 ? "This is not there any more" : status === 403 ? "You may not do this" : "This did not work; try again");
});
document.addEventListener("htmx:sendError", () => berth.toast("The server does not answer; try again"));
/* A form that is on its way ignores a second press. */
addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.method !== "post") return;
  if (event.target.dataset.sent !== undefined) { event.preventDefault(); return; }
  event.target.dataset.sent = "";
});
addEventListener("pageshow", (event) => {
  if (event.persisted) for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});
