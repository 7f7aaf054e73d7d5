/* <time data-ago>: "33 minutes ago" stays true while the page is open. */
(() => {
  const units = [[31536000, 31536000, "year"], [5184000, 2592000, "month"], [86400, 86400, "day"], [3600, 3600, "hour"], [60, 60, "minute"]];
  const language = document.documentElement.lang || "en";
  const inNumbers = new Intl.RelativeTimeFormat(language);
  const inWords = new Intl.RelativeTimeFormat(language, { numeric: "auto" }); /* yesterday, tomorrow */
  /* As the server says it (hub/templatetags/berth.py): the past in whole units, the future rounded and in days. */
  const say = (seconds) => {
    for (const [least, length, unit] of units) {
      if (Math.abs(seconds) < least || (unit === "month" && seconds < 0)) continue;
      const count = seconds < 0 ? Math.trunc(0.5 - seconds / length) : -Math.trunc(seconds / length);
      return (unit === "day" && Math.abs(count) === 1 ? inWords : inNumbers).format(count, unit);
    }
    return null; /* the server's "just now" stays */
  };
  const refresh = () => {
    for (const time of document.querySelectorAll("time[data-ago]")) {
      const text = say((Date.now() - Date.parse(time.dateTime)) / 1000);
      const whole = text && `${time.dataset.ago} ${text}`.trim();
      if (whole && whole !== time.textContent) time.textContent = whole;
    }
  };
  setInterval(refresh, 30000);
})();
