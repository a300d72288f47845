"""What explore.html does: it reads the controls, draws what they choose, and keeps the link."""

SCRIPT = r"""
const find = id => document.getElementById(id);
const EVERYTHING = "all runs of the study";
const value = id => find(id).value;
const FIELDS = ["experiment", "xfield", "yfield", "colour", "panels", "replicate", "words", "log",
  "snapshot"];
let study, rows, replicates, last, turn = 0, views = [];

async function unpacked(id) {
  const bytes = Uint8Array.from(atob(find(id).textContent), letter => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}
const label = field => study.measures[field] || study.settings[field] || field;
const title = name => study.experiments[name] || EVERYTHING;
const run = row => row.path + " " + row.replicate;
const uniques = values => [...new Set(values)];
const inOrder = values => uniques(values).sort((a, b) =>
  typeof a === "number" ? a - b : a < b ? -1 : 1);
const members = name => name ? rows.filter(row => row.experiments.includes(name)) : rows;
function groups(items, key) {
  const found = new Map();
  for (const item of items) found.set(key(item), [...(found.get(key(item)) || []), item]);
  return [...found.values()];
}
function median(values) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b), half = sorted.length / 2;
  return sorted.length % 2 ? sorted[Math.floor(half)] : (sorted[half - 1] + sorted[half]) / 2;
}
// The median over the replicates of each run, or of each run and epoch.
const medians = (items, key) => groups(items, key).map(group =>
  ({...group[0], x: median(group.map(row => row.x)), y: median(group.map(row => row.y))}));

function options(id, pairs) {
  for (const [field, text] of pairs) find(id).add(new Option(text, field));
}
function fill() {
  const measures = Object.entries(study.measures), settings = Object.entries(study.settings);
  options("experiment", [...Object.entries(study.experiments), ["", EVERYTHING]]);
  options("xfield", [...measures, ...settings, ["epoch", "epoch"]]);
  options("yfield", measures);
  options("colour", [...settings, ["replicate", "replicate"]]);
  options("panels", [["", "one for all"], ...settings]);
  options("replicate", [["", "all"], ...replicates.map(r => [r, r])]);
  find("snapshot").max = last;
}
// Colours for the setting that takes most values in an experiment, panels for the next.
function suit(experiment) {
  const among = members(experiment);
  const taken = field => uniques(among.map(row => row[field])).length;
  const varied = Object.keys(study.settings).filter(field => taken(field) > 1)
    .sort((a, b) => taken(b) - taken(a) || (a === "weight_decay") - (b === "weight_decay"));
  find("colour").value = varied[0] || "init_scale";
  find("panels").value = experiment && varied[1] || "";
}
function choose(text) {
  const wanted = new URLSearchParams(text);
  const defaults = {xfield: "inverse_rho", yfield: "test_accuracy", replicate: "", words: "",
    snapshot: last, experiment: study.first};
  const set = (id, text) => {  // no value that the control does not have
    if (!find(id).options || [...find(id).options].some(o => o.value === String(text)))
      find(id).value = text;
  };
  for (const [id, text] of Object.entries(defaults)) set(id, text);
  if (wanted.has("experiment")) set("experiment", wanted.get("experiment"));
  suit(value("experiment"));
  for (const id of FIELDS) if (wanted.has(id) && id !== "log") set(id, wanted.get(id));
  find("log").checked = ["1", "on", "true"].includes(wanted.get("log"));
}
const state = () => new URLSearchParams(FIELDS.map(id =>
  [id, id === "log" ? (find("log").checked ? "1" : "0") : value(id)])).toString();
function keepLink() {
  find("link").href = "#" + state();
  try { history.replaceState(null, "", "#" + state()); } catch { }  // not within a report
}

function chosen() {
  const words = value("words").toLowerCase().split(/\s+/);
  const has = (row, word) => word.split("|").some(part => row.path.toLowerCase().includes(part));
  return members(value("experiment")).filter(row =>
    (value("replicate") === "" || row.replicate === Number(value("replicate")))
    && words.every(word => has(row, word)));
}
// A run that has fewer snapshots is shown at its last.
function at(items, snapshot) {
  const best = new Map();
  for (const row of items) {
    const other = best.get(run(row));
    if (row.snapshot > snapshot || other && other.snapshot > row.snapshot) continue;
    best.set(run(row), row);
  }
  return [...best.values()];
}
function drawable(items, log, xlog = log) {
  const fits = (number, positive) => Number.isFinite(number) && (!positive || number > 0);
  return items.filter(row => fits(row.x, xlog) && fits(row.y, log));
}
// Why a chart would be empty, or "".
function why(items, drawn, fields) {
  if (drawn.length) return "";
  if (!items.length) {
    const among = members(value("experiment")), words = value("words").trim();
    const paths = uniques(among.map(row => row.path)).slice(0, 3).join("\n");
    const which = value("replicate") === "" ? "" : " in replicate " + value("replicate");
    return `Nothing to show: ${title(value("experiment"))} has no run whose path has `
      + `“${words}”${which}. Paths of its runs begin with:\n${paths}`;
  }
  for (const field of fields) {
    const measured = items.filter(row => Number.isFinite(row[field]));
    const what = `Nothing to show: ${label(field)} `;
    if (!measured.length) return what + "has no value in these runs at this snapshot.";
    if (find("log").checked && !measured.some(row => row[field] > 0))
      return what + "is nowhere above 0, as log axes need it.";
  }
  return "Nothing to show: no network has both values, or log axes leave none above 0.";
}

function whyNoMargins({points, first, shares}) {
  if (shares.length) return "";
  if (!points.length) return NOTHING;  // the first chart says why
  return "Nothing to show: " + (first.length ? "no margins of these runs are stored."
    : `this page holds the margins of replicate ${replicates[0]} alone.`);
}

const NOTHING = "Nothing to show.";
const RUN = ["path", "replicate", "epoch"];
const MARGIN = "margin y f_V(x)", BELOW = "share of training samples below";
const told = (field, text) => ({field, type: "quantitative", format: ".4g", title: text});
const hover = (names, numbers) =>
  ({tooltip: [...names.map(field => ({field, type: "nominal"})), ...numbers]});
const element = (tag, given = {}, ...inside) => {
  const made = Object.assign(document.createElement(tag), given);
  made.append(...inside);
  return made;
};

// Makes the panels of one chart aside, so that nothing jumps; what it returns puts them in place.
async function chart(id, message, items, make, fresh) {
  const target = find(id), wide = target.clientWidth, found = kinds(items);
  if (message) return () =>
    target.replaceChildren(element("p", {className: "missing", textContent: message}));
  const across = Math.min(found.length, wide < 600 ? 1 : wide < 900 ? 2 : 3);
  const width = Math.floor((wide - GAP * (across - 1)) / across);
  const panels = await Promise.all(found.map(async kind => {
    const plot = element("div"), name = `${label(value("panels"))} = ${kind}`;
    const how = {mode: "vega-lite", actions: false, renderer: "svg"};
    fresh.push(await vegaEmbed(plot, make(of(items, kind), width), how));
    const head = value("panels") ? [element("figcaption", {}, name)] : [];
    return element("figure", {}, ...head, plot);
  }));
  return () => {
    target.style.gridTemplateColumns = `repeat(${across}, minmax(0, 1fr))`;
    target.replaceChildren(...panels);
  };
}
const GAP = 16;  // between panels, as in the style
function paperLines(field, scale) {
  const [low, high] = scale.ends;
  return (study.paper[field] || []).filter(number => number >= low && number <= high);
}
function legend(colours, shown, x, y) {
  const there = new Set(shown.map(row => row.c));
  const items = [...colours].filter(([name]) => there.has(name)).map(([name, colour]) =>
    element("span", {}, element("i", {style: "background:" + colour}), name));
  for (const [field, scale] of new Map([[value("xfield"), x], [value("yfield"), y]])) {
    if (!study.paper[field] || !scale) continue;
    const outside = paperLines(field, scale).length ? "" : ", outside these axes";
    items.push(element("span", {}, element("i", {className: "paper"}),
      `the paper's ${label(field)}: ${study.paper[field].join(" to ")}${outside}`));
  }
  find("legend").replaceChildren(...(items.length ? [label(value("colour")) + ":", ...items] : []));
}
function csv() {
  const [x, y] = [value("xfield"), value("yfield")];
  const columns = uniques([...Object.keys(study.settings), "replicate", "epoch", x, y, "path"]);
  const cell = text => /[",\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
  const lines = chosen().map(row => columns.map(name => cell(String(row[name] ?? ""))).join(","));
  return [columns.join(","), ...lines].join("\n") + "\n";
}

// What the controls choose, as rows that the charts take: x, y, c for the colour.
function choice() {
  const [xfield, yfield, log] = [value("xfield"), value("yfield"), find("log").checked];
  const ready = (items, x) => items.map(row =>
    ({...row, run: run(row), c: String(row[value("colour")]), x: row[x], y: row[yfield]}));
  const all = chosen(), now = at(all, Number(value("snapshot")));
  const points = ready(now, xfield), courses = ready(all, "epoch");
  const first = now.filter(row => row.replicate === replicates[0]);
  const levels = row => study.spread.get(row.path + " " + row.epoch) || [];
  const shares = ready(first, "epoch").flatMap(row => levels(row)
    .map((margin, i) => ({...row, x: margin, y: study.levels[i]})));
  return {
    xfield, yfield, log, now, first, points, courses,
    seen: drawable(points, log), curves: drawable(courses, log, false),
    shares: drawable(shares, false),
  };
}
// A colour for each value that the setting takes in the experiment, whatever is filtered.
function coloured() {
  const found = inOrder(members(value("experiment")).map(row => row[value("colour")]));
  const enough = found.length <= study.colours.length;
  const hue = i => `hsl(${260 - 230 * i / (found.length - 1)} 75% 42%)`;  // blue to orange
  return new Map(found.map((name, i) => [String(name), enough ? study.colours[i] : hue(i)]));
}
function kinds(items) {
  if (!value("panels")) return [""];
  const found = inOrder(items.map(row => row[value("panels")]));
  return value("panels") === "weight_decay" ? found.reverse() : found;  // as in the paper
}
const of = (items, kind) =>
  value("panels") ? items.filter(row => row[value("panels")] === kind) : items;
const most = width => width < 420 ? 5 : 8;
const AXES = 7;  // ticks of an upright axis

function pointLayers(items, {xfield, yfield}) {
  const both = before => [told("x", before + label(xfield)), told("y", before + label(yfield))];
  return [
    [{type: "point", filled: true, size: 28, opacity: 0.3}, items, hover(RUN, both(""))],
    [{type: "point", filled: true, size: 130, opacity: 1, stroke: "white", shape: "square"},
      medians(items, row => row.path), hover(["path"], both("median "))],
  ];
}
function courseLayers(items, {yfield}) {
  return [
    [{type: "line", strokeWidth: 0.8, opacity: 0.3}, items,
      {detail: {field: "run"}, ...hover(RUN, [told("y", label(yfield))])}],
    [{type: "line", strokeWidth: 2, point: {size: 22}},
      medians(items, row => row.path + " " + row.epoch),
      {detail: {field: "path"},
        ...hover(["path", "epoch"], [told("y", "median " + label(yfield))])}],
  ];
}
const marginLayers = items => [
  [{type: "line", strokeWidth: 1.8}, items, {detail: {field: "path"}, order: {field: "y"},
    ...hover(["path", "epoch"], [told("x", "margin"), told("y", "share below")])}],
];

async function draw() {
  if (!find("points").clientWidth) return;  // hidden, as in a report: drawn when it is seen
  const mine = ++turn, colours = coloured(), made = choice(), fresh = [];
  const {xfield, yfield, log, seen, curves, shares} = made;
  const x = width => axis(seen.map(row => row.x), label(xfield), log, most(width));
  const y = items => axis(items.map(row => row.y), label(yfield), log, AXES);
  const charts = [
    ["points", why(made.points, seen, [xfield, yfield]), seen, (items, width) =>
      panel(pointLayers(items, made), {x: x(width), y: y(seen), colours, width, height: 320,
        paper: {x: paperLines(xfield, x(width)), y: paperLines(yfield, y(seen))}})],
    ["courses", made.courses.length ? why(made.courses, curves, [yfield]) : NOTHING, curves,
      (items, width) =>
      panel(courseLayers(items, made), {x: epochAxis(curves.map(row => row.x), most(width)),
        y: y(curves), colours, width, height: 320,
        paper: {y: paperLines(yfield, y(curves))}})],
    ["margins", whyNoMargins(made), shares, (items, width) =>
      panel(marginLayers(items), {x: axis(shares.map(row => row.x), MARGIN, false, most(width)),
        y: axis([0, 1], BELOW, false, 5), colours, width, height: 280})],
  ];
  const place = await Promise.all(charts.map(given => chart(...given, fresh)));
  if (mine !== turn) return fresh.forEach(view => view.finalize());  // chosen anew meanwhile
  place.forEach(put => put());
  views.forEach(result => result.finalize());
  views = fresh;
  say(made);
  legend(colours, curves, seen.length && x(AXES), seen.length && y(seen));
  document.body.dataset.drawn = seen.length;
  document.body.dataset.turn = mine;
}
function say({xfield, yfield, log, now, points, seen}) {
  const epochs = inOrder(now.map(row => row.epoch)), left = points.length - seen.length;
  const span = epochs.length > 1 ? `${epochs[0]} to ${epochs.at(-1)}` : epochs[0];
  find("shown").textContent = `${seen.length} networks of `
    + `${uniques(seen.map(row => row.path)).length} runs`
    + (epochs.length ? `, epoch ${span}. ` : ". ")
    + (left ? `Not drawn: ${left} without a finite value${log ? " above 0" : ""}. ` : "");
  find("points-title").textContent = label(yfield) + " against " + label(xfield);
  find("courses-title").textContent = label(yfield) + " over the epochs";
  find("chosen").textContent = title(value("experiment"));
}

async function start() {
  const tools = document.createElement("script");
  tools.textContent = await unpacked("scripts");
  document.head.append(tools);
  study = JSON.parse(await unpacked("study"));
  const names = Object.keys(study.rows);
  rows = study.rows[names[0]].map((_, i) =>
    Object.fromEntries(names.map(name => [name, study.rows[name][i] ?? undefined])));
  for (const row of rows) row.experiments = row.experiments.split(" ");
  study.spread = new Map(study.quantiles.map(q => [q.path + " " + q.epoch, q.q]));
  replicates = inOrder(rows.map(row => row.replicate));
  last = rows.reduce((most, row) => Math.max(most, row.snapshot), 0);
  fill();
  find("menu").open = innerWidth >= 700;
  choose(location.hash.slice(1));
  for (const id of FIELDS) find(id).addEventListener("input", () => {
    if (id === "experiment") suit(value(id));
    keepLink();
    draw();
  });
  addEventListener("hashchange", () => {
    if (location.hash.slice(1) !== state()) { choose(location.hash.slice(1)); keepLink(); draw(); }
  });
  find("csv").addEventListener("click", () => {
    const file = URL.createObjectURL(new Blob([csv()], {type: "text/csv"}));
    Object.assign(document.createElement("a"), {href: file, download: "explore.csv"}).click();
    setTimeout(() => URL.revokeObjectURL(file), 1000);
  });
  let width = 0;
  new ResizeObserver(() => {
    if (find("points").clientWidth === width) return;
    width = find("points").clientWidth;
    requestAnimationFrame(draw);  // a drawing within this call would change the size again
  }).observe(find("points"));
  keepLink();
}
start().catch(error => {
  find("shown").textContent = `Not drawn: ${error}. The page needs a browser of 2023 or later.`;
  console.error(error);
});
"""
