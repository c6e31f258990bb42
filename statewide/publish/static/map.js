"use strict";
// The map of the published collections. Titles, units, codes and colours come from /map/config.json, that is, from the
// law; the tiles from this server. Nothing is asked of anybody else. What a person typed is never put in as HTML.

// How each collection is drawn. `by` is the column whose codes carry the colours.
const DRAWN = {
  "planning-regions": { on: true },
  towns: { on: true },
  "flood-zones": { on: true, by: "zone_class", clear: ["minimal", "no_zone"], hatched: ["floodway"] },
  "parcel-hazards": { on: false, by: "worst_class", clear: ["no_zone"], hatched: ["floodway"] },
  parcels: { on: true, by: "parcel_type_class", clear: ["parcel", "mismatch", "unknown"] },
  addresses: { on: true },
};
const ORDER = ["addresses", "parcels", "parcel-hazards", "flood-zones", "towns", "planning-regions"];
const UNDER_HATCH = "one_percent"; // a floodway is a part of the 1 percent zone: FEMA draws red lines over its blue

const element = (name, attributes = {}, ...children) => {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...children.filter((child) => child !== null));
  return made;
};
const byId = (id) => document.getElementById(id);
const ask = async (url) => {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return answer.json();
};

// Something did not come. An empty place would look like one where nothing lies, so it is said until the page is loaded
// again: MapLibre does not ask for a failed tile a second time.
let incomplete = false;

const narrow = () => window.matchMedia("(max-width: 700px)").matches;

async function start() {
  if (narrow()) fold(true);
  const [config, towns] = await Promise.all([ask("/map/config.json"), ask("/map/towns.json").catch(() => { incomplete = true; return []; })]);
  askedHazard(config);
  const view = firstView(config, towns);
  const map = new maplibregl.Map({
    container: "map",
    style: style(config, towns),
    bounds: view,
    fitBoundsOptions: { padding: margins() },
    hash: true,
    maxZoom: 19.5,
    attributionControl: false,
    dragRotate: false,
    pitchWithRotate: false,
    canvasContextAttributes: { preserveDrawingBuffer: true },
  });
  map.touchZoomRotate.disableRotation();
  map.addControl(new maplibregl.AttributionControl({ compact: narrow(), customAttribution: config.publisher }));
  map.addControl(new maplibregl.NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new maplibregl.ScaleControl({ unit: "imperial" }), "bottom-right");
  map.on("styleimagemissing", ({ id }) => drawImage(map, id));
  listLayers(map, config);
  listTowns(map, towns);
  findAddresses(map);
  identify(map, config);
  const tell = () => hint(map, config);
  map.on("zoom", tell);
  map.on("load", tell);
  map.on("error", ({ error }) => {
    console.error(error);
    incomplete = true;
    tell();
  });
  tell();
  map.on("idle", () => {
    legends(map, config);
    document.body.dataset.idle = "true"; // for whoever takes a picture
  });
}

/** `/map?hazard=sea-level-rise` opens with the parcels drawn by that layer. */
function askedHazard(config) {
  const hazards = config.collections["parcel-hazards"];
  const asked = new URLSearchParams(location.search).get("hazard");
  if (!hazards || !(asked in hazards.fields.layer.codes)) return;
  hazards.chosenBy.layer = asked;
  DRAWN["parcel-hazards"].on = true;
  DRAWN["flood-zones"].on = false;
}

// ------------------------------------------------------------------------------------------------ view

function margins() {
  return narrow() ? { top: 20, left: 20, right: 20, bottom: 70 } : { top: 40, left: 330, right: 60, bottom: 40 };
}

/** The box around every town that shows parcels; without any, the State. */
function firstView(config, towns) {
  const boxes = towns.filter((town) => town.parcels > 0).map((town) => town.box);
  if (!boxes.length) return config.extent;
  return boxes.reduce((a, b) => [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])]);
}

// ----------------------------------------------------------------------------------------------- style

function style(config, towns) {
  const sources = {};
  for (const [id, collection] of Object.entries(config.collections)) {
    sources[id] = {
      type: "vector",
      tiles: [`${location.origin}/collections/${id}/tiles/WebMercatorQuad/{z}/{y}/{x}?f=mvt${chosen(collection)}`],
      minzoom: collection.minzoom,
      // Beyond 16 a tile is drawn larger instead of being asked for again: it is in full detail already.
      maxzoom: Math.min(collection.maxzoom, 16),
      attribution: id === "flood-zones" ? "Flood zones: FEMA" : "",
    };
  }
  sources.names = {
    type: "geojson",
    data: {
      type: "FeatureCollection",
      features: towns.map((town) => ({
        type: "Feature",
        properties: { name: town.name, rank: -(town.parcels || 0) },
        geometry: { type: "Point", coordinates: town.point },
      })),
    },
  };
  return { version: 8, sources, layers: layers(config) };
}

function chosen(collection) {
  return Object.entries(collection.chosenBy).map(([column, value]) => `&${column}=${encodeURIComponent(value)}`).join("");
}

function layers(config) {
  const has = (id) => id in config.collections;
  const layer = (source, name, type, paint, more = {}) => ({
    id: `${source}/${name}`, type, source, "source-layer": source, paint, ...more,
    layout: { visibility: DRAWN[source].on ? "visible" : "none", ...(more.layout || {}) },
  });
  const selected = (yes, no) => ["case", ["boolean", ["feature-state", "selected"], false], yes, no];
  const made = [{ id: "ground", type: "background", paint: { "background-color": "#e4ebee" } }];
  if (has("towns")) {
    made.push(
      layer("towns", "fill", "fill", { "fill-color": "#fbfaf6" }),
      layer("towns", "missing", "fill", { "fill-pattern": "hatch:#e3e1d9:10:1.3" }, { filter: ["!", ["has", "parcel_count"]] }),
    );
  }
  if (has("flood-zones")) made.push(...hazardLayers(config, layer, "flood-zones", 0.5));
  if (has("parcels")) {
    made.push(layer("parcels", "fill", "fill", {
      "fill-color": colours(config, "parcels"),
      "fill-opacity": ["interpolate", ["linear"], ["zoom"], 12, 0.25, 15, 0.45],
    }));
  }
  if (has("parcel-hazards")) made.push(...hazardLayers(config, layer, "parcel-hazards", 0.7));
  if (has("parcels")) {
    made.push(
      layer("parcels", "line", "line", {
        "line-color": ["interpolate", ["linear"], ["zoom"], 12, "#a39d92", 15, "#847d73", 17, "#6d675f"],
        "line-width": ["interpolate", ["exponential", 1.4], ["zoom"], 11, 0.25, 13, 0.4, 15, 0.8, 18, 1.8],
        "line-opacity": ["interpolate", ["linear"], ["zoom"], 11, 0.35, 14, 0.85],
      }, { layout: { "line-join": "round" } }),
    );
  }
  if (has("towns")) {
    made.push(layer("towns", "line", "line", {
      "line-color": "#8b8478",
      "line-width": ["interpolate", ["linear"], ["zoom"], 7, 0.5, 11, 1.2, 15, 2.4],
      "line-dasharray": [5, 2],
    }));
  }
  if (has("planning-regions")) {
    made.push(layer("planning-regions", "line", "line", {
      "line-color": "#6b5b73",
      "line-width": ["interpolate", ["linear"], ["zoom"], 7, 1.2, 11, 2.4, 15, 4],
      "line-opacity": 0.75,
    }, { layout: { "line-join": "round" } }));
  }
  if (has("addresses")) {
    made.push(layer("addresses", "fill", "circle", {
      "circle-color": "#3f3a8c",
      "circle-radius": ["interpolate", ["linear"], ["zoom"], 12, 0.8, 15, 2.2, 18, 5],
      "circle-opacity": ["interpolate", ["linear"], ["zoom"], 12, 0.5, 15, 0.9],
      "circle-stroke-color": selected("#f2b705", "#fbfaf6"),
      "circle-stroke-width": ["interpolate", ["linear"], ["zoom"], 14, selected(3, 0), 17, selected(4, 1)],
    }));
  }
  for (const id of ["parcels", "flood-zones", "parcel-hazards"].filter(has)) {
    made.push(layer(id, "selected", "line", { "line-color": "#f2b705", "line-width": selected(4, 0), "line-opacity": selected(1, 0) }));
  }
  made.push({
    id: "names", type: "symbol", source: "names", maxzoom: 14.5,
    layout: { "icon-image": ["concat", "name:", ["get", "name"]], "symbol-sort-key": ["get", "rank"], "icon-padding": 6 },
  });
  return made;
}

function hazardLayers(config, layer, id, opacity) {
  const { by, hatched } = DRAWN[id];
  const codes = config.collections[id].fields[by].codes;
  const made = [
    layer(id, "fill", "fill", { "fill-color": colours(config, id), "fill-opacity": opacity, "fill-antialias": false }),
  ];
  for (const code of hatched) {
    made.push(layer(id, `hatch-${code}`, "fill", { "fill-pattern": `hatch:${codes[code].color}:10:1.6`, "fill-opacity": 0.8 },
      { filter: ["==", ["get", by], code] }));
  }
  if (id === "flood-zones") {
    made.push(layer(id, "line", "line", {
      "line-color": colours(config, id),
      "line-width": ["interpolate", ["linear"], ["zoom"], 10, 0.2, 15, 1.2],
      "line-opacity": 0.9,
    }));
  }
  return made;
}

/** A colour for each code of the column that a collection is drawn by. */
function colours(config, id) {
  const { by, clear, hatched = [] } = DRAWN[id];
  const codes = config.collections[id].fields[by].codes;
  const pairs = Object.entries(codes).flatMap(([code, { color }]) => {
    if (!color || clear.includes(code)) return [code, "rgba(255,255,255,0)"];
    return [code, hatched.includes(code) ? codes[UNDER_HATCH].color : color];
  });
  return ["match", ["get", by], ...pairs, "rgba(255,255,255,0)"];
}

/** Images that the style names: hatchings and the names of towns, for which no font need be fetched. */
function drawImage(map, id) {
  const [kind, ...rest] = id.split(":");
  const ratio = Math.max(2, Math.ceil(window.devicePixelRatio || 1));
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d");
  if (kind === "hatch") {
    const [color, step, width] = rest;
    const size = Number(step) * ratio;
    canvas.width = canvas.height = size;
    pen.strokeStyle = color;
    pen.lineWidth = Number(width) * ratio;
    for (const shift of [-size, 0, size]) {
      pen.beginPath();
      pen.moveTo(shift - size, 2 * size);
      pen.lineTo(shift + 2 * size, -size);
      pen.stroke();
    }
  } else {
    const text = rest.join(":");
    const font = `600 ${12.5 * ratio}px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif`;
    pen.font = font;
    canvas.width = Math.ceil(pen.measureText(text).width) + 10 * ratio;
    canvas.height = 20 * ratio;
    pen.font = font;
    pen.textBaseline = "middle";
    pen.lineJoin = "round";
    pen.strokeStyle = "rgba(255,255,255,.92)";
    pen.lineWidth = 3.5 * ratio;
    pen.strokeText(text, 5 * ratio, 10 * ratio);
    pen.fillStyle = "#3c4a52";
    pen.fillText(text, 5 * ratio, 10 * ratio);
  }
  if (!map.hasImage(id)) map.addImage(id, pen.getImageData(0, 0, canvas.width, canvas.height), { pixelRatio: ratio });
}

// ----------------------------------------------------------------------------------------------- panel

function fold(yes) {
  byId("panel").classList.toggle("folded", yes);
  byId("fold").setAttribute("aria-expanded", String(!yes));
}
byId("fold").addEventListener("click", () => fold(!byId("panel").classList.contains("folded")));

function listLayers(map, config) {
  for (const id of ORDER.filter((each) => each in config.collections)) {
    const { title, description, minzoom } = config.collections[id];
    const box = element("input", { type: "checkbox", checked: DRAWN[id].on });
    box.addEventListener("change", () => {
      DRAWN[id].on = box.checked;
      for (const { id: name } of map.getStyle().layers) {
        if (name.startsWith(`${id}/`)) map.setLayoutProperty(name, "visibility", box.checked ? "visible" : "none");
      }
      hint(map, config);
    });
    const label = element("label", { title: description }, box, element("span", { textContent: title }));
    const choices = Object.entries(config.collections[id].chosenBy).map(([column, usual]) => choice(map, config, id, column, usual));
    const from = element("span", { className: "from", textContent: "zoom in", hidden: true });
    label.append(from);
    map.on("zoom", () => { from.hidden = map.getZoom() >= minzoom; });
    map.on("load", () => { from.hidden = map.getZoom() >= minzoom; });
    byId("layers").append(element("li", {}, label, ...choices, element("ul", { className: "legend", id: `legend-${id}` })));
  }
}

/** A list of the values of a column by which the tiles of a collection can be chosen. */
function choice(map, config, id, column, usual) {
  const { title, codes } = config.collections[id].fields[column];
  const list = element("select", { title, ariaLabel: title });
  for (const [code, { label }] of Object.entries(codes)) list.append(element("option", { value: code, textContent: label, selected: code === usual }));
  list.addEventListener("change", () => {
    map.getSource(id).setTiles(map.getStyle().sources[id].tiles.map((url) => `${url.split("&")[0]}&${column}=${encodeURIComponent(list.value)}`));
  });
  return list;
}

function swatch(color, { hatch = null, line = false } = {}) {
  const made = element("span", { className: "swatch" });
  made.style.background = hatch ? `repeating-linear-gradient(135deg, ${hatch} 0 1.5px, ${color} 1.5px 5px)` : color;
  if (line) {
    made.style.cssText = `height:0;border:0;border-top:${line};transform:translateY(-4px);background:none`;
  }
  return made;
}

/** What the collection's colours mean, for the classes that are in view. */
function legends(map, config) {
  for (const [id, { by, hatched = [], clear = [], on }] of Object.entries(DRAWN)) {
    const list = byId(`legend-${id}`);
    if (!list) continue;
    list.replaceChildren();
    if (!on || map.getZoom() < config.collections[id].minzoom) continue;
    if (id === "towns") {
      list.append(element("li", {}, swatch("#fbfaf6", { hatch: "#cfcdc2" }), "no parcels delivered yet"));
      continue;
    }
    if (id === "planning-regions") {
      list.append(element("li", {}, swatch("", { line: "3px solid #6b5b73" }), "border of a planning region"));
      continue;
    }
    if (id === "parcels") list.append(element("li", {}, swatch("", { line: "1.5px solid #847d73" }), "parcel line"));
    if (id === "addresses") {
      list.append(element("li", {}, swatch("#3f3a8c"), "address point"));
      continue;
    }
    const seen = new Set(map.queryRenderedFeatures({ layers: [`${id}/fill`] }).map(({ properties }) => properties[by]));
    for (const [code, { label, color, description }] of Object.entries(config.collections[id].fields[by].codes)) {
      if (!seen.has(code) || clear.includes(code) || !color) continue;
      const codes = config.collections[id].fields[by].codes;
      const sample = hatched.includes(code) ? swatch(codes[UNDER_HATCH].color, { hatch: color }) : swatch(color);
      list.append(element("li", { title: description || "" }, sample, label));
    }
    if (id === "flood-zones" && !list.children.length && !incomplete) list.append(element("li", { textContent: "no zone drawn here: not mapped, or minimal" }));
  }
}

function hint(map, config) {
  const { minzoom, title } = config.collections.parcels || {};
  const needed = DRAWN.parcels.on && minzoom && map.getZoom() < minzoom;
  byId("hint").hidden = !needed && !incomplete;
  if (incomplete) byId("hint").textContent = "Parts of the map did not load: what is not drawn may be there. Load the page again in a moment.";
  else if (needed) byId("hint").textContent = `Zoom in or choose a town to see ${title.toLowerCase()}`;
}

function listTowns(map, towns) {
  const list = byId("towns");
  const search = byId("search");
  const fill = () => {
    const wanted = search.value.trim().toLowerCase();
    const shown = towns.filter(({ name }) => name.toLowerCase().includes(wanted));
    // Towns with something to see come first.
    shown.sort((a, b) => Boolean(b.parcels) - Boolean(a.parcels) || a.name.localeCompare(b.name));
    list.replaceChildren(...shown.map((town) => {
      const told = town.parcels ? `${town.parcels.toLocaleString("en-US")} parcels · ${town.year}` : "nothing yet";
      const button = element("button", { type: "button" }, element("span", { textContent: town.name }), element("small", { textContent: told }));
      button.addEventListener("click", () => {
        search.value = town.name;
        list.hidden = true;
        if (narrow()) fold(true);
        map.fitBounds([[town.box[0], town.box[1]], [town.box[2], town.box[3]]], { padding: margins(), duration: 900 });
      });
      return element("li", { className: town.parcels ? "" : "none" }, button);
    }));
    list.hidden = !shown.length;
  };
  search.addEventListener("focus", () => { search.select(); fill(); });
  search.addEventListener("input", fill);
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") list.querySelector("button")?.click();
    if (event.key === "Escape") list.hidden = true;
  });
  document.addEventListener("click", ({ target }) => { if (!target.closest("section")) list.hidden = true; });
}

/** The address box. What is typed goes to this server in a body, not in an address that others would log. */
function findAddresses(map) {
  const list = byId("addresses");
  const box = byId("address");
  const pin = new maplibregl.Marker({ color: "#c8452f" });
  let waiting = null;
  let asked = 0;
  const say = (...rows) => {
    list.replaceChildren(...rows);
    list.hidden = !rows.length;
  };
  const choose = ({ properties, geometry }) => {
    box.value = properties.label;
    list.hidden = true;
    if (narrow()) fold(true);
    pin.setLngLat(geometry.coordinates).addTo(map);
    const zoom = { town: 12, street: 16 }[properties.kind] || 18;
    map.flyTo({ center: geometry.coordinates, zoom, padding: margins(), duration: 900 });
  };
  const told = ({ kind, similar, unmatched }) => {
    const doubtful = [...unmatched.map((part) => `other ${part}`), ...similar.map((part) => `similar ${part}`)];
    return doubtful.length ? doubtful.join(", ") : kind;
  };
  const find = async () => {
    const text = box.value.trim();
    const number = ++asked;
    if (text.length < 3) return say();
    let found;
    try {
      const body = JSON.stringify({ inputs: { text, limit: 6 } });
      const answer = await fetch("/processes/find-address/execution", { method: "POST", headers: { "Content-Type": "application/json" }, body });
      found = await answer.json();
      if (!answer.ok) found = { features: [], hint: found.description };
    } catch {
      found = { features: [], hint: "The server does not answer; try again in a moment." };
    }
    if (number !== asked) return null; // something else has been typed since
    if (!found.features.length) return say(element("li", {}, element("p", { textContent: found.hint })));
    return say(...found.features.map((feature) => {
      const { label } = feature.properties;
      const button = element("button", { type: "button" }, element("span", { textContent: label }), element("small", { textContent: told(feature.properties) }));
      button.addEventListener("click", () => choose(feature));
      return element("li", {}, button);
    }));
  };
  box.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(find, 300);
    if (!box.value) pin.remove();
  });
  box.addEventListener("keydown", async (event) => {
    if (event.key === "Escape") list.hidden = true;
    if (event.key !== "Enter") return;
    clearTimeout(waiting);
    await find();
    list.querySelector("button")?.click();
  });
  document.addEventListener("click", ({ target }) => { if (!target.closest("section")) list.hidden = true; });
}

// -------------------------------------------------------------------------------------------- identify

function identify(map, config) {
  let marked = null;
  const unmark = () => {
    if (marked) map.removeFeatureState(marked);
    marked = null;
  };
  const mark = (feature) => {
    unmark();
    const { by, clear = [] } = DRAWN[feature.source];
    const invisible = feature.source === "flood-zones" && clear.includes(feature.properties[by]);
    if (feature.id === undefined || invisible) return;
    marked = { source: feature.source, sourceLayer: feature.sourceLayer, id: feature.id };
    map.setFeatureState(marked, { selected: true });
  };
  map.on("mousemove", ({ point }) => {
    const layers = ["addresses/fill", "parcels/fill", "flood-zones/fill"].filter((name) => map.getLayer(name));
    map.getCanvas().style.cursor = map.queryRenderedFeatures(point, { layers }).length ? "pointer" : "";
  });
  const close = () => {
    unmark();
    byId("found").hidden = true;
  };
  byId("close").addEventListener("click", close);
  document.addEventListener("keydown", ({ key }) => { if (key === "Escape") close(); });
  map.on("click", ({ point }) => {
    close();
    const layers = ORDER.map((id) => `${id}/fill`).filter((name) => map.getLayer(name));
    const groups = new Map();
    for (const feature of map.queryRenderedFeatures(point, { layers })) {
      const group = groups.get(feature.source) || [];
      if (!group.some(({ id }) => id === feature.id)) group.push(feature);
      groups.set(feature.source, group);
    }
    if (!groups.size) return;
    if (narrow()) fold(true);
    const ids = ORDER.filter((id) => groups.has(id));
    byId("places").replaceChildren(...ids.map((id) => section(config, id, groups.get(id), mark)));
    byId("places").scrollTop = 0;
    byId("found").hidden = false;
    mark(groups.get(ids[0])[0]);
  });
}

/** What lies at the place in one collection; several parcels on one shape are leafed through. */
function section(config, id, features, mark) {
  const made = element("details", { open: id !== "towns" });
  let at = 0;
  const show = async () => {
    const feature = features[at];
    const collection = config.collections[id];
    made.replaceChildren(...content(collection, feature.properties, features, at, turn));
    const key = feature.properties[collection.key];
    if (key === undefined) {
      made.append(element("p", { textContent: "Zoom in for everything that is known here." }));
      return;
    }
    const url = `/collections/${id}/items/${encodeURIComponent(key)}`;
    try {
      // The tile has a few columns; the item has them all.
      const item = await ask(`${url}?f=json`);
      if (features[at] !== feature) return;
      made.replaceChildren(...content(collection, item.properties, features, at, turn));
    } catch {
      made.append(element("p", { textContent: "The server does not answer; this is what the map itself knows." }));
    }
    made.append(element("p", {}, element("a", { href: `${url}?f=json`, target: "_blank", rel: "noopener", textContent: "GeoJSON" })));
  };
  const turn = () => {
    at = (at + 1) % features.length;
    mark(features[at]);
    show();
  };
  show();
  return made;
}

function content(collection, values, features, at, turn) {
  const heading = values[collection.heading];
  const field = collection.fields[collection.heading];
  const title = heading === undefined || heading === null ? collection.title : shown(field, heading);
  const coded = Object.entries(collection.fields).find(([name, { codes }]) => codes && values[name] && codes[values[name]]?.color);
  const head = element("summary", {},
    coded ? swatch(coded[1].codes[values[coded[0]]].color) : null,
    element("span", {}, title, element("small", { textContent: title === collection.title ? "" : collection.title })));
  if (features.length > 1) {
    const button = element("button", { type: "button", className: "turn", textContent: `${at + 1} of ${features.length} ›` });
    button.addEventListener("click", (event) => {
      event.preventDefault();
      turn();
    });
    head.append(button);
  }
  const rows = element("tbody");
  for (const [name, described] of Object.entries(collection.fields)) {
    const value = values[name];
    // Identifiers and checksums are for programs; they are in the GeoJSON.
    if (value === null || value === undefined || value === "" || described.type === "uuid" || name.endsWith("sha256")) continue;
    if (name === collection.heading || name.endsWith("_normalized") || name.endsWith("_rank")) continue;
    rows.append(element("tr", {}, element("th", { scope: "row", textContent: described.title }), element("td", { textContent: shown(described, value) })));
  }
  return [head, element("table", {}, rows)];
}

function shown({ type, unit, codes }, value) {
  if (codes?.[value]) return codes[value].label;
  if (type === "boolean") return value === true || value === "true" ? "yes" : "no";
  if (type === "number") return `${Number(value).toLocaleString("en-US", { maximumFractionDigits: 2 })}${unit ? ` ${unit === "percent" ? "%" : unit}` : ""}`;
  if (type === "timestamp") return new Date(value).toLocaleDateString("en-US", { dateStyle: "medium" });
  if (type === "date") return new Date(`${value}T12:00:00`).toLocaleDateString("en-US", { dateStyle: "medium" });
  if (type === "json") {
    return Object.entries(value).map(([name, amount]) => `${name.replaceAll("_", " ")}: ${Number(amount).toLocaleString("en-US", { maximumFractionDigits: 0 })}`).join("; ");
  }
  return String(value);
}

start().catch((error) => {
  byId("hint").hidden = false;
  byId("hint").textContent = "The server does not answer; load the page again in a moment.";
  console.error(error);
});
