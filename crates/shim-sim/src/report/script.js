"use strict";
// Zooms all drawings over time together: by buttons, by dragging, back by a double click. The page is complete without it.
(() => {
  const times = document.querySelector(".times");
  const span = Number(times.dataset.span), width = Number(times.dataset.width);
  const drawings = [...times.querySelectorAll("svg.time")];
  const ticks = times.querySelector(".ticks"), grid = document.getElementById("grid");
  const axis = times.querySelector(".axis .plot");
  const svg = "http://www.w3.org/2000/svg";
  let from = 0, length = span;

  const trimmed = (value, digits) => String(Number(value.toFixed(digits)));
  function words(ns, step) {
    const s = 1e9, digits = (unit) => Math.max(0, Math.ceil(-Math.log10(step / unit) - 1e-9));
    if (ns === 0) return "0";
    if (step >= 3600 * s || (step >= 60 * s && ns >= 7200 * s)) {
      const hours = Math.floor(ns / 3600 / s + 1e-9), minutes = Math.round(ns / 60 / s) % 60;
      return minutes ? `${hours} h ${minutes} min` : `${hours} h`;
    }
    if (step >= 60 * s) return `${Math.round(ns / 60 / s)} min`;
    if (step >= 1e6) return `${trimmed(ns / s, digits(s))} s`;
    if (ns < 1e9) return step >= 1e3 ? `${trimmed(ns / 1e6, digits(1e6))} ms` : `${trimmed(ns / 1e3, digits(1e3))} µs`;
    return `${trimmed(ns / s, Math.min(9, digits(s)))} s`;
  }
  function stepOf(least) {
    const s = 1e9;
    if (least > s) {
      const clock = [2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200, 86400];
      const found = clock.find((it) => it * s >= least);
      if (found) return found * s;
    }
    const unit = least > s ? 86400 * s : 1;
    const power = 10 ** Math.floor(Math.log10(least / unit));
    return unit * power * [1, 2, 5, 10].find((factor) => factor * power * unit >= least * 0.999999);
  }
  function show() {
    const x = (from / span) * width, w = (length / span) * width;
    drawings.forEach((drawing) => drawing.setAttribute("viewBox", `${x} 0 ${w} 100`));
    const step = stepOf(length / Math.max(2, Math.floor(axis.clientWidth / 110)));
    ticks.replaceChildren();
    grid.replaceChildren();
    for (let at = Math.ceil(from / step - 1e-6) * step; at <= from + length * 1.000001; at += step) {
      const label = document.createElement("span");
      label.textContent = words(at, step);
      label.style.left = `${((at - from) / length) * 100}%`;
      if (at === from) label.style.transform = "none";
      else if ((at - from) / length > 0.97) label.style.transform = "translateX(-100%)";
      else label.style.transform = "translateX(-50%)";
      ticks.append(label);
      const line = document.createElementNS(svg, "path");
      line.setAttribute("class", "grid");
      line.setAttribute("d", `M${(at / span) * width} 0V100`);
      grid.append(line);
    }
    for (const mark of times.querySelectorAll(".number")) {
      const share = (Number(mark.dataset.t) - from) / length;
      mark.hidden = share < 0 || share > 1;
      mark.style.left = `${share * 100}%`;
    }
  }
  function zoom(start, size) {
    length = Math.min(span, Math.max(size, span / 20000, 1));
    from = Math.min(Math.max(0, start), span - length);
    show();
  }
  times.querySelector(".buttons").hidden = false;
  times.addEventListener("click", (event) => {
    const middle = from + length / 2;
    switch (event.target.dataset.zoom) {
      case "in": return zoom(middle - length / 4, length / 2);
      case "out": return zoom(middle - length, length * 2);
      case "left": return zoom(from - length / 2, length);
      case "right": return zoom(from + length / 2, length);
      case "all": return zoom(0, span);
    }
  });
  times.addEventListener("dblclick", (event) => {
    if (event.target.closest(".plot")) zoom(0, span);
  });
  // A mouse drags a part; fingers scroll the page.
  const now = document.createElement("span");
  now.className = "now";
  now.hidden = true;
  axis.append(now);
  const chosen = document.createElement("div");
  chosen.className = "chosen";
  let begin = null;
  const share = (event, plot) => {
    const box = plot.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  };
  times.addEventListener("pointerdown", (event) => {
    const plot = event.target.closest(".plot");
    if (!plot || event.pointerType !== "mouse" || event.button !== 0) return;
    begin = { plot, at: share(event, plot) };
    event.preventDefault();
  });
  addEventListener("pointermove", (event) => {
    const plot = begin ? begin.plot : event.target.closest?.(".times .plot");
    now.hidden = !plot;
    if (!plot) return;
    const here = share(event, plot);
    now.textContent = words(from + here * length, length / 1000);
    now.style.left = `${here * 100}%`;
    if (!begin) return;
    if (!chosen.isConnected) begin.plot.append(chosen);
    chosen.style.left = `${Math.min(begin.at, here) * 100}%`;
    chosen.style.width = `${Math.abs(begin.at - here) * 100}%`;
  });
  addEventListener("pointerup", (event) => {
    if (!begin) return;
    const here = share(event, begin.plot), start = Math.min(begin.at, here), size = Math.abs(begin.at - here);
    begin = null;
    chosen.remove();
    if (size > 0.005) zoom(from + start * length, size * length);
  });
  addEventListener("resize", show);
  show();
})();
