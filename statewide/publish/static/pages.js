"use strict";
// The two lists on pygeoapi's pages that a choice leads on from; their own scripts stand in the pages and do not run.
const words = new URLSearchParams(location.search);

const limits = document.getElementById("limits");
if (limits) {
  limits.value = words.get("limit") || limits.options[0].value;
  limits.addEventListener("change", () => {
    words.set("limit", limits.value);
    location.search = words;
  });
}

const scheme = document.getElementById("tilingScheme");
if (scheme) {
  const follow = () => { document.getElementById("metadata_link").href = `${location.pathname}/${scheme.value}/metadata`; };
  scheme.addEventListener("change", follow);
  follow();
}
