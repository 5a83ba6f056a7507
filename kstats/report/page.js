"use strict";
// Values under the pointer or the keyboard's cursor, and zoom over time. The pictures are complete
// without this script. Elements are styled through classes and the object model: the page's policy
// forbids style attributes.

const WIDTH = 10000;
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800,
  21600, 43200, 86400, 172800, 604800, 1209600, 2592000, 7776000, 31536000];

const parsed = (element) => JSON.parse(element.textContent);

function made(tag, name, text = "") {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  return element;
}

function clock(seconds, step) {
  const text = new Date(Math.round(seconds * 1000)).toISOString();
  const time = text.slice(11, 19);
  if (step >= 86400 || (step >= 60 && Math.round(seconds) % 86400 === 0)) {
    return text.slice(5, 10);
  }
  return step < 1 ? `${time}.${text.slice(20, 21)}` : step >= 60 ? time.slice(0, 5) : time;
}

function moment(seconds) {
  return new Date(Math.round(seconds * 1000)).toISOString().slice(0, 19).replace("T", " ");
}

function scaled(value, units) {
  const [size, unit] = units.find(([size]) => value >= size) ?? units.at(-1);
  return `${Number((value / size).toPrecision(3))}${unit}`;
}

function shown(value, unit) {
  if (unit === "ns") {
    return scaled(value, [[1e9, "s"], [1e6, "ms"], [1e3, "us"], [1, "ns"]]);
  }
  if (unit === "%") {
    return `${Number(value.toPrecision(3))} %`;
  }
  const text = value < 1e4 ? Number(value.toPrecision(4)).toLocaleString("en")
    : scaled(value, [[1e9, "G"], [1e6, "M"], [1e3, "k"]]);
  return `${text}${unit}`;
}

// The view of a chapter: what part of the time all its pictures show.
class View {
  constructor(anchor, times) {
    Object.assign(this, times);
    this.plots = [];
    this.from = 0;
    this.to = this.span;
    const figures = document.querySelectorAll(`figure[data-of="${anchor}"]`);
    this.plots = [...figures].map((figure) => new Plot(figure, this));
    this.addTools(figures[0]);
  }

  addTools(figure) {
    const tools = made("div", "tools");
    const actions = [
      ["Zoom in", () => this.zoom(0.5)], ["Zoom out", () => this.zoom(2)],
      ["Earlier", () => this.move(-0.5)], ["Later", () => this.move(0.5)],
      ["Whole time", () => this.show(0, this.span)],
    ];
    for (const [name, act] of actions) {
      const button = made("button", "", name);
      button.type = "button";
      button.addEventListener("click", act);
      tools.append(button);
    }
    this.range = made("span", "");
    this.range.setAttribute("aria-live", "polite");
    tools.append(this.range, made("span", "", "Drag over a picture to zoom all pictures."));
    figure.before(tools);
  }

  show(from, to) {
    const least = Math.min(this.span, Math.max(this.span / this.starts.length / 2, 1e-3));
    const length = Math.min(Math.max(to - from, least), this.span);
    this.from = Math.min(Math.max(from, 0), this.span - length);
    this.to = this.from + length;
    const whole = length >= this.span;
    this.range.textContent = whole ? ""
      : `${moment(this.begin + this.from)} to ${moment(this.begin + this.to)}`;
    this.plots.forEach((plot) => plot.draw());
  }

  zoom(factor, middle = (this.from + this.to) / 2) {
    const half = (this.to - this.from) * factor / 2;
    this.show(middle - half, middle + half);
  }

  move(part) {
    const by = (this.to - this.from) * part;
    this.show(this.from + by, this.to + by);
  }

  // The bin at a time, or the last one before it.
  bin(time) {
    let [low, high] = [0, this.starts.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.starts[middle] <= time) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }
}

class Plot {
  constructor(figure, view) {
    this.view = view;
    this.data = parsed(figure.querySelector("script"));
    this.area = figure.querySelector(".area");
    this.svg = this.area.querySelector("svg");
    this.axis = figure.querySelector(".x");
    this.readout = made("p", "readout");
    this.cursor = made("div", "cursor");
    this.choice = made("div", "choice");
    this.cursor.hidden = this.choice.hidden = true;
    this.area.append(this.cursor, this.choice);
    figure.querySelector(".frame").after(this.readout);
    this.at = 0;
    this.row = 0;
    this.listen();
    if (this.data.rows) {
      this.loadCells();
    }
  }

  listen() {
    const { area } = this;
    // The picture becomes a slider over time whose value is what it shows there.
    area.setAttribute("role", "slider");
    area.setAttribute("tabindex", "0");
    area.setAttribute("aria-valuemin", "0");
    area.setAttribute("aria-valuemax", String(this.stops() - 1));
    area.setAttribute("aria-valuenow", "0");
    area.addEventListener("pointermove", (event) => this.point(event));
    area.addEventListener("pointerleave", () => this.leave());
    area.addEventListener("pointerdown", (event) => {
      if (event.button === 0 && event.pointerType !== "touch") {
        this.first = this.part(event);
        area.setPointerCapture(event.pointerId);
      }
    });
    area.addEventListener("pointerup", (event) => this.choose(event));
    area.addEventListener("dblclick", () => this.view.show(0, this.view.span));
    area.addEventListener("keydown", (event) => this.press(event));
    area.addEventListener("focus", () => this.tell());
    area.addEventListener("blur", () => this.leave());
  }

  stops() {
    return this.data.points ? this.data.points.length : this.view.starts.length;
  }

  // Cells have a 255th of the scale as their precision: they are read from the picture.
  async loadCells() {
    const image = new Image();
    image.src = this.svg.querySelector("image").getAttribute("href");
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = image.width;
    canvas.height = image.height;
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    this.cells = context.getImageData(0, 0, image.width, image.height);
  }

  part(event) {
    const box = this.area.getBoundingClientRect();
    return Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
  }

  time(part) {
    return this.view.from + part * (this.view.to - this.view.from);
  }

  point(event) {
    const part = this.part(event);
    const box = this.area.getBoundingClientRect();
    if (this.first !== undefined) {
      const [low, high] = [this.first, part].sort((a, b) => a - b);
      this.choice.hidden = false;
      this.choice.style.left = `${100 * low}%`;
      this.choice.style.width = `${100 * (high - low)}%`;
    }
    if (this.data.rows) {
      const row = Math.floor((event.clientY - box.top) / box.height * this.data.rows.length);
      this.row = Math.min(Math.max(row, 0), this.data.rows.length - 1);
    }
    this.at = this.data.points ? this.nearest(this.time(part)) : this.view.bin(this.time(part));
    this.tell();
  }

  nearest(time) {
    let best = 0;
    this.data.points.forEach(([at], i) => {
      if (Math.abs(at - time) < Math.abs(this.data.points[best][0] - time)) {
        best = i;
      }
    });
    return best;
  }

  choose(event) {
    const { first } = this;
    this.first = undefined;
    this.choice.hidden = true;
    if (first !== undefined && Math.abs(first - this.part(event)) > 0.01) {
      const [low, high] = [first, this.part(event)].sort((a, b) => a - b);
      this.view.show(this.time(low), this.time(high));
    }
  }

  leave() {
    this.cursor.hidden = true;
    this.readout.replaceChildren();
  }

  press(event) {
    const rows = this.data.rows?.length ?? 1;
    const keys = {
      ArrowLeft: () => { this.at -= 1; }, ArrowRight: () => { this.at += 1; },
      PageUp: () => { this.at -= 20; }, PageDown: () => { this.at += 20; },
      Home: () => { this.at = 0; }, End: () => { this.at = this.stops() - 1; },
      ArrowUp: () => { this.row -= 1; }, ArrowDown: () => { this.row += 1; },
      "+": () => this.view.zoom(0.5, this.middle()), "-": () => this.view.zoom(2, this.middle()),
      "0": () => this.view.show(0, this.view.span),
    };
    if (!keys[event.key] || event.ctrlKey || event.altKey || event.metaKey) {
      return;
    }
    event.preventDefault();
    keys[event.key]();
    this.at = Math.min(Math.max(this.at, 0), this.stops() - 1);
    this.row = Math.min(Math.max(this.row, 0), rows - 1);
    const here = this.middle();
    if (here < this.view.from || here > this.view.to) {
      this.view.zoom(1, here);
    }
    this.tell();
  }

  middle() {
    if (this.data.points) {
      return this.data.points[this.at][0];
    }
    return (this.view.starts[this.at] + this.view.ends[this.at]) / 2;
  }

  values() {
    const { data, at } = this;
    if (data.points) {
      return [[data.points[at][1], "", ""]];
    }
    const found = [];
    if (data.rows && this.cells) {
      const { width, data: cells } = this.cells;
      const x = Math.min(Math.floor(this.middle() / this.view.span * width) || 0, width - 1);
      const level = cells[4 * (this.row * width + x)];
      found.push([data.rows[this.row], "", `about ${shown(level / 255 * data.most, data.unit)}`]);
    }
    for (const [name, style, values] of data.series) {
      if (values[at]) {
        found.push([name, style, shown(values[at], data.of_lines ?? data.unit)]);
      }
    }
    return found;
  }

  tell() {
    const { view } = this;
    const time = this.middle();
    this.cursor.hidden = false;
    this.cursor.style.left = `${100 * (time - view.from) / (view.to - view.from)}%`;
    const when = moment(view.begin + (this.data.points ? time : view.starts[this.at]));
    const parts = this.values().map(([name, style, value]) => {
      const part = made("span", "");
      if (style) {
        part.append(made("i", `swatch ${style}`));
      }
      part.append(`${name} ${value}`.trim());
      return part;
    });
    const none = parts.length ? [] : [made("span", "", "nothing")];
    this.readout.replaceChildren(made("strong", "", when), ...parts, ...none);
    const words = [...parts, ...none].map((part) => part.textContent).join(", ");
    this.area.setAttribute("aria-valuenow", String(this.at));
    this.area.setAttribute("aria-valuetext", `${when}: ${words}`);
  }

  draw() {
    const { view } = this;
    const scale = view.span > 0 ? WIDTH / view.span : 0;
    const box = [view.from * scale, 0, (view.to - view.from) * scale || WIDTH, 1000];
    this.svg.setAttribute("viewBox", box.join(" "));
    const most = Math.max(Math.floor(this.area.clientWidth / 90), 2);
    const length = view.to - view.from;
    const step = STEPS.find((step) => length / step <= most) ?? length;
    this.axis.replaceChildren();
    const first = Math.ceil((view.begin + view.from) / step);
    for (let i = first; length > 0 && i * step <= view.begin + view.to; i += 1) {
      const text = document.createElementNS("http://www.w3.org/2000/svg", "text");
      text.setAttribute("x", `${100 * (i * step - view.begin - view.from) / length}%`);
      text.setAttribute("y", "15");
      text.textContent = clock(i * step, step);
      this.axis.append(text);
    }
    this.leave();
  }
}

for (const times of document.querySelectorAll('script[id$="-bins"]')) {
  new View(times.id.replace("-bins", ""), parsed(times));
}
