"use strict";
// Fills the landing page from /collections; the page is of use without it.
const address = location.origin;
document.getElementById("address").textContent = address;
document.getElementById("ogr").textContent = `ogr2ogr parcels.gpkg OAPIF:${address} parcels -oo PAGE_SIZE=10000`;

const link = (href, text) => Object.assign(document.createElement("a"), { href, textContent: text });

fetch("/collections?f=json").then((answer) => answer.json()).then(({ collections }) => {
  const table = document.createElement("table");
  for (const { id, title, description } of collections) {
    const row = table.insertRow();
    row.insertCell().append(link(`/collections/${id}?f=html`, title));
    row.insertCell().textContent = description;
    row.insertCell().append(
      link(`/collections/${id}/items?f=html`, "rows"), " · ", link(`/collections/${id}/items?f=json`, "GeoJSON"), " · ",
      link(`/collections/${id}/schema?f=json`, "fields"));
  }
  document.getElementById("collections").replaceChildren(table);
}).catch(() => {
  document.getElementById("collections").textContent = "The server does not answer; load the page again in a moment.";
});
