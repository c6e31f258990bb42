"use strict";
// Shows the fields that hold every word of the search, in their text, codes and names; the page is of use without it.
const search = document.getElementById("search");
const entries = [...document.querySelectorAll(".fields > div")].map((entry) => ({
  entry, text: entry.textContent.toLowerCase(), codes: entry.querySelector("details"),
}));
const sections = [...document.querySelectorAll("section")];

function show() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const { entry, text, codes } of entries) {
    entry.hidden = !words.every((word) => text.includes(word));
    found += !entry.hidden;
    // A code that was searched for is shown, not hidden in its fold.
    if (codes) codes.open = words.length > 0 && words.some((word) => codes.textContent.toLowerCase().includes(word));
  }
  for (const section of sections) section.hidden = !section.querySelector(".fields > div:not([hidden])");
  document.getElementById("found").textContent = words.length ? `${found} of ${entries.length} fields` : "";
  history.replaceState(null, "", words.length ? `?q=${encodeURIComponent(search.value)}` : location.pathname + location.hash);
}

search.addEventListener("input", show);
search.value = new URLSearchParams(location.search).get("q") || "";
if (search.value) show();
