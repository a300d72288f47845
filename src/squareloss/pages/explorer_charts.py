"""The charts of explore.html: JavaScript that makes Vega-Lite specifications of rows and axes."""

CHARTS = r"""
const number = "format(datum.value, datum.value && (abs(datum.value) >= 1e6 "
  + "|| abs(datum.value) < 1e-4) ? '.3~e' : ',.6~r')";
const exact = value => Number(value.toPrecision(12));

// About `most` round numbers around low to high, 1, 2 or 5 times a power of ten apart.
function linearTicks(low, high, most) {
  const room = low === high ? Math.abs(low) / 20 || 0.5 : 0;
  [low, high] = [low - room, high + room];
  const power = 10 ** Math.floor(Math.log10((high - low) / most));
  const step = power * [1, 2, 5, 10].find(factor => factor * power * most >= (high - low) * 0.999);
  const first = Math.floor(low / step + 1e-9), last = Math.ceil(high / step - 1e-9);
  return Array.from({length: last - first + 1}, (_, i) => exact((first + i) * step));
}

// 1, 2 and 5 times the powers of ten around low to high; on a small range round numbers.
function logTicks(low, high, most) {
  if (high < 3 * low) return linearTicks(low, high, most).filter(tick => tick > 0);
  const decades = [];
  for (let k = Math.floor(Math.log10(low)); k <= Math.ceil(Math.log10(high)); k++) decades.push(k);
  const all = decades.flatMap(k => [1, 2, 5].map(digit => Number(digit + "e" + k)));
  const start = all.findLastIndex(tick => tick <= low), end = all.findIndex(tick => tick >= high);
  return all.slice(Math.max(start, 0), end + 1);
}

// What an axis shows: its ends, and as many of its ticks as find room.
function axis(values, title, log, most) {
  // No spread of the arguments: there may be more values than a call takes.
  const shown = log ? values.filter(value => value > 0) : values;
  const low = shown.reduce((a, b) => Math.min(a, b), Infinity);
  const high = shown.reduce((a, b) => Math.max(a, b), -Infinity);
  const all = (log ? logTicks : linearTicks)(low, high, most);
  const ends = [Math.min(low, all[0]), Math.max(high, all.at(-1))];
  return {title, log, ends, ticks: log ? sparse(all, most) : all};
}
function sparse(ticks, most) {
  if (ticks.length <= most) return ticks;
  const powers = ticks.filter(tick => tick.toExponential().startsWith("1e"));
  const every = Math.ceil(powers.length / most);
  return powers.length > 1 ? powers.filter((_, i) => i % every === 0)
    : ticks.filter((_, i) => i % Math.ceil(ticks.length / most) === 0);
}
// Epochs from 0 on, the early ones apart as on a log axis.
function epochAxis(values, most) {
  const last = Math.max(values.reduce((a, b) => Math.max(a, b), 1), 1);
  const ticks = sparse(logTicks(1, Math.max(last, 3), most), most - 1).filter(tick => tick <= last);
  return {title: "epoch", symlog: true, ends: [0, last], ticks: [0, ...ticks]};
}

function channel(field, {title, log, symlog, ends, ticks}) {
  const type = symlog ? {type: "symlog", constant: 1}
    : log ? {type: "log"} : {type: "linear", zero: false};
  return {
    field, type: "quantitative", scale: {...type, domain: ends, nice: false},
    axis: {title, values: ticks, labelExpr: number, labelOverlap: "greedy", labelSeparation: 8,
      gridOpacity: 0.6},
  };
}

// Vega-Lite for one panel. `layers` are [mark, rows, encoding]; all share axes and colours.
function panel(layers, {x, y, colours, width, height, paper = {}}) {
  const shared = {
    color: {field: "c", type: "nominal", legend: null,
      scale: {domain: [...colours.keys()], range: [...colours.values()]}},
  };
  const marks = layers.map(([mark, values, encoding = {}]) => ({
    data: {values}, mark: {clip: true, ...mark},
    encoding: {x: channel("x", x), y: channel("y", y), ...shared, ...encoding},
  }));
  const line = {type: "rule", strokeDash: [5, 4], color: "#444", aria: false};
  const lines = ["x", "y"].flatMap(name => (paper[name] || []).map(value =>
    ({data: {values: [{value}]}, mark: line,
      encoding: {[name]: channel("value", name === "x" ? x : y)}})));
  return {
    width, height, autosize: {type: "fit", contains: "padding"}, layer: [...lines, ...marks],
    config: {axis: {labelFontSize: 12, titleFontSize: 13, titleFontWeight: "normal"}},
  };
}
"""
